"""All tasks: the file people edit and the one beside it, kept in memory for as long as neither changes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.errors import StoreUnavailable
from functions.stores.editable.model import Row, Tasks, name_of, ordered, revision_of
from functions.stores.json_text import block, encoded, mapping, pretty
from functions.stores.jsonfile.files import JsonFile, Mark, saved_at


class Table:
    """The two files of tasks: `tasks.json`, which people edit, and `tasks.state.json`.

    Args:
        shared: Holds the store's lock for reading, inside.
    """

    def __init__(self, path: Path, shared: Callable[[], AbstractContextManager[None]]) -> None:
        self._written = JsonFile(path)
        self._kept = JsonFile(path.with_name(f"{path.stem}.state.json"))
        self._shared = shared
        self._tasks = Tasks()
        self._marks: tuple[Mark | None, Mark | None] | None = None

    def now(self) -> Tasks:
        """The tasks as they are; the files are read only when they have changed."""
        if self._marks != self._marks_now():
            with self._shared():
                return self.read()
        return self._tasks

    def read(self) -> Tasks:
        """As `now`, for who holds the lock."""
        if self._marks != self._marks_now():
            written, mark = self._written.read()
            kept, kept_mark = self._kept.read()
            self._tasks = self._understood(written, kept, mark)
            self._marks = (mark, kept_mark)
        return self._tasks

    def keep_backup(self) -> None:
        """Keep what a person saved and we could read, in case his next edit spoils it. With the lock."""
        if self._written.newer_than_backup():
            self._written.keep_backup()

    def write(self, tasks: Tasks) -> None:
        """Make the files say *tasks*. With the lock, after `read`.

        A crash in between leaves a task without its state never: it is made or changed in the state first,
        where it counts for nothing before the other file has it, and removed there last.
        """
        before = self._tasks
        mark, kept_mark = self._marks or (None, None)
        gone = [before.rows[name] for name in before.rows.keys() - tasks.rows.keys()]
        rows = list(tasks.rows.values())
        if any(before.rows.get(row.name) is not row for row in rows):
            kept_mark = self._kept.replace(_kept_text([*rows, *gone], tasks.last))
        if gone or any(_differ(before.rows.get(row.name), row) for row in rows):
            if self._written.mark() != mark:
                raise StoreUnavailable(f"{self._written.path}: somebody saved it at this moment; try again")
            mark = self._written.replace(_written_text(rows, tasks.others))
        if gone:
            kept_mark = self._kept.replace(_kept_text(rows, tasks.last))
        self._tasks, self._marks = tasks, (mark, kept_mark)

    def _marks_now(self) -> tuple[Mark | None, Mark | None]:
        return self._written.mark(), self._kept.mark()

    def _understood(self, written: Any, kept: Any, mark: Mark | None) -> Tasks:
        if kept is not None and not isinstance(mapping(kept).get("tasks"), dict):
            raise self._kept.refusal('it must be {"revision": ..., "tasks": {...}}')
        state = mapping(kept).get("tasks", {})
        last = mapping(kept).get("revision", 0)
        if mark is None:
            if state:
                raise self._written.refusal(
                    f"it is gone, while {self._kept.path.name} knows of {len(state)} tasks"
                )
            return Tasks(last=_highest(last, ()))
        entries = mapping(written).get("tasks")
        if not isinstance(entries, list):
            raise self._written.refusal('line 1: it must be {"tasks": [...]}, with a list of tasks')
        rows = _rows(entries, state, saved_at(mark))
        others = {name: value for name, value in written.items() if name != "tasks"}
        return Tasks(rows, others, _highest(last, rows.values()))


def _rows(entries: list[Any], state: Mapping[str, Any], at: datetime) -> Mapping[str, Row]:
    named: dict[str, list[Any]] = {}
    nameless: list[Row] = []
    for place, entry in enumerate(entries):
        if name := name_of(entry):
            named.setdefault(name, []).append(entry)
        else:
            nameless.append(Row(f"tasks[{place}]", [entry], None, at=at, nameless=True))
    rows = []
    for name, same in named.items():
        kept = state.get(name)
        rows.append(Row(name, same, kept if isinstance(kept, dict) else None, at=at))
    return ordered([*rows, *nameless])


def _differ(before: Row | None, after: Row) -> bool:
    return before is None or before.entries is not after.entries


def _highest(last: Any, rows: Iterable[Row]) -> int:
    """The last revision given; a person may have lost the line that says so."""
    known = (revision_of(row.kept) for row in rows)
    return max([last if type(last) is int else 0, *known])


def _written_text(rows: Iterable[Row], others: Mapping[str, Any]) -> bytes:
    parts = [f"{pretty(name)}: {pretty(value, 2)}" for name, value in others.items()]
    tasks = block("[", [_entries_text(row) for row in rows], "]", 2)
    return encoded(block("{", [*parts, f'"tasks": {tasks}'], "}"))


def _kept_text(rows: Iterable[Row], last: int) -> bytes:
    parts = [
        f"{pretty(row.name)}: {pretty(row.kept, 4, spread=True)}" for row in rows if row.kept is not None
    ]
    return encoded(block("{", [f'"revision": {last}', f'"tasks": {block("{", parts, "}", 2)}'], "}"))


def _entries_text(row: Row) -> str:
    """What the file says of it; with both entries where an id is given twice."""
    return ",\n    ".join(pretty(entry, 4, spread=True) for entry in row.entries)
