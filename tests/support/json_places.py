"""A folder with a file of tasks, as a person and the store see it."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.stores.jsonfile.store import JsonStore

TASK: Mapping[str, Any] = {
    "id": "ping",
    "type": "http",
    "params": {"url": "https://example.com"},
    "schedule": "0 * * * *",
}


class Folder:
    """One folder; `save` is what an editor does, `store` a process of the scheduler."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tasks.json"
        self.state = folder / "tasks.state.json"
        self.history = folder / "tasks.history.jsonl"
        self.shelf = folder / "tasks.shelf.json"
        self.backup = folder / "tasks.json.bak"

    def store(self, **bounds: float) -> JsonStore:
        return JsonStore(str(self.path), **bounds)

    def save(self, *tasks: Any, at: datetime) -> None:
        """Save a file with *tasks*, as if it were *at*."""
        self.save_text(json.dumps({"tasks": tasks}, indent=2), at=at)

    def save_text(self, text: str, *, at: datetime) -> None:
        self.path.write_text(text)
        seconds = at.timestamp()
        os.utime(self.path, (seconds, seconds))

    def edit(self, old: str, new: str, *, at: datetime) -> None:
        """Change the one place that says *old*, leaving all else as it is."""
        text = self.path.read_text()
        assert 1 == text.count(old), text
        self.save_text(text.replace(old, new), at=at)

    def kept(self, task_id: str) -> Any:
        """What the scheduler keeps of a task."""
        return json.loads(self.state.read_text())["tasks"][task_id]

    def entries(self) -> Any:
        """What the file says."""
        return json.loads(self.path.read_text())["tasks"]
