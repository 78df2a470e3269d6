"""The library's guide: its first program, run as it stands."""

import subprocess
import sys
from pathlib import Path

from tests.unit.test_scheduler import GUIDE, ROOT, shop

__all__ = ["shop"]


def test_the_guides_program_does_what_it_says(tmp_path: Path, shop: Path) -> None:
    """The first program of the guide is run as it stands."""
    program = GUIDE.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "program.py").write_text(program)

    done = subprocess.run(
        [sys.executable, "program.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
        check=False,
    )

    assert "" == done.stderr
    assert "succeeded Hello" in done.stdout
