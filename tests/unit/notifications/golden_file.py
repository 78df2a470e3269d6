"""Golden files: what a rendering must be, letter by letter, in files a person can read and review.

`UPDATE_GOLDEN=1` writes them anew; read the difference before you commit it.
"""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("golden")


def golden(name: str, actual: bytes) -> Any:
    """The content of the golden file *name*, after writing *actual* to it when asked to."""
    path = FOLDER / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        pretty = json.dumps(json.loads(actual), ensure_ascii=False, indent=2)
        path.write_text(pretty + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))
