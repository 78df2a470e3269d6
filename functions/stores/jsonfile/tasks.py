"""The task files: the one users edit and the one beside it, cached until one of them changes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.domain.json_depth import GIVEN_TWICE, RepeatedNames
from functions.domain.validation import Problem, join_problems
from functions.errors import StoreUnavailableError
from functions.stores.editable.model import (
    MAX_REPORTED_PROBLEMS,
    EditableRow,
    EditableTasks,
    id_of,
    link_followers,
    revision_of,
    sort_rows,
)
from functions.stores.json_text import as_mapping, dump_json, format_block, to_file_bytes
from functions.stores.jsonfile.files import JsonFile, VersionStamp, saved_at


class TaskFiles:
    """The two files of tasks: `tasks.json`, which users edit, and `tasks.state.json`.

    Args:
        read_lock: Holds the store's lock for reading, inside.
    """

    def __init__(self, path: Path, read_lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._user_file = JsonFile(path)
        self._state_file = JsonFile(path.with_name(f"{path.stem}.state.json"))
        self._read_lock = read_lock
        self._tasks = EditableTasks()
        self._stamps: tuple[VersionStamp | None, VersionStamp | None] | None = None

    def load(self) -> EditableTasks:
        """The tasks as they are; the files are read only when they have changed."""
        if self._stamps != self._current_stamps():
            with self._read_lock():
                return self.load_locked()
        return self._tasks

    def load_locked(self) -> EditableTasks:
        """As `load`, for who holds the lock."""
        if self._stamps != self._current_stamps():
            repeated = RepeatedNames()
            written, mark = self._user_file.read(hook=repeated)
            kept, kept_mark = self._state_file.read()
            self._tasks = self._parse(written, kept, mark, repeated)
            self._stamps = (mark, kept_mark)
        return self._tasks

    def save_backup(self) -> None:
        """Back up what a user saved and is readable, in case the next edit spoils it. Needs the lock."""
        if self._user_file.is_newer_than_backup():
            self._user_file.save_backup()

    def write(self, tasks: EditableTasks) -> None:
        """Make the files say *tasks*. With the lock, after `load_locked`.

        A crash in between leaves a task without its state never: it is made or changed in the state first,
        where it counts for nothing before the other file has it, and removed there last.
        """
        before = self._tasks
        mark, kept_mark = self._stamps or (None, None)
        gone = [before.rows[name] for name in before.rows.keys() - tasks.rows.keys()]
        rows = list(tasks.rows.values())
        if is_file_new := bool(gone) or any(
            _entries_differ(before.rows.get(row.task_id), row) for row in rows
        ):
            self._check_can_be_rendered(rows)
        if any(before.rows.get(row.task_id) is not row for row in rows):
            kept_mark = self._state_file.replace(_render_state_file([*rows, *gone], tasks.last_revision))
        if is_file_new:
            if self._user_file.version_stamp() != mark:
                raise StoreUnavailableError(
                    f"{self._user_file.path}: somebody saved it at this moment; try again"
                )
            mark = self._user_file.replace(_render_user_file(rows, tasks.extra))
        if gone:
            kept_mark = self._state_file.replace(_render_state_file(rows, tasks.last_revision))
        self._tasks, self._stamps = tasks, (mark, kept_mark)

    def _check_can_be_rendered(self, rows: Iterable[EditableRow]) -> None:
        """Check that nothing of the file would be lost: of a name given twice, only the last is known."""
        for row in rows:
            if row.problem:
                raise self._user_file.invalid_file_error(f"{row.task_id}: {row.problem}")

    def _current_stamps(self) -> tuple[VersionStamp | None, VersionStamp | None]:
        return self._user_file.version_stamp(), self._state_file.version_stamp()

    def _parse(
        self, user_content: Any, state_content: Any, stamp: VersionStamp | None, repeated: RepeatedNames
    ) -> EditableTasks:
        if state_content is not None and not isinstance(as_mapping(state_content).get("tasks"), dict):
            raise self._state_file.invalid_file_error('it must be {"revision": ..., "tasks": {...}}')
        state = as_mapping(state_content).get("tasks", {})
        last = as_mapping(state_content).get("revision", 0)
        if stamp is None:
            if state:
                raise self._user_file.invalid_file_error(
                    f"it is gone, while {self._state_file.path.name} knows of {len(state)} tasks"
                )
            return EditableTasks(last_revision=_highest_revision(last, ()))
        entries, others = _entries_of(user_content)
        if not isinstance(entries, list):
            raise self._user_file.invalid_file_error(
                'line 1: it must be {"tasks": [...]}, with a list of tasks'
            )
        if "tasks" in as_mapping(user_content):
            for path in repeated.paths_in(user_content):
                if path[0] != "tasks" or len(path) == 1:
                    raise self._user_file.invalid_file_error(f"{Problem(path, '').field}: {GIVEN_TWICE}")
        rows = _parse_rows(entries, state, saved_at(stamp), repeated)
        return EditableTasks(rows, others, _highest_revision(last, rows.values()))


def _entries_of(content: Any) -> tuple[Any, Mapping[str, Any]]:
    """The entries of a user's file, and what stands beside them: a list under `tasks`, a list, or one task.

    The first change by the scheduler itself, as of a task made by the API, writes the first of the three.
    """
    if isinstance(content, list):
        return content, {}
    fields = as_mapping(content)
    if "tasks" not in fields and id_of(fields):
        return [fields], {}
    return fields.get("tasks"), {name: value for name, value in fields.items() if name != "tasks"}


def _parse_rows(
    entries: list[Any], state: Mapping[str, Any], saved_at: datetime, repeated: RepeatedNames
) -> Mapping[str, EditableRow]:
    named: dict[str, list[Any]] = {}
    nameless: list[EditableRow] = []
    for place, entry in enumerate(entries):
        if name := id_of(entry):
            named.setdefault(name, []).append(entry)
        else:
            row = EditableRow(f"tasks[{place}]", [entry], None, saved_at=saved_at, is_unnamed=True)
            nameless.append(row)
    rows = []
    for name, same in named.items():
        kept = state.get(name)
        state_of_row = kept if isinstance(kept, dict) else None
        problem = _repeated_names(repeated, same)
        rows.append(EditableRow(name, same, state_of_row, saved_at=saved_at, problem=problem))
    link_followers(rows)
    return sort_rows([*rows, *nameless])


def _repeated_names(repeated: RepeatedNames, entries: list[Any]) -> str:
    problems = [Problem(path, GIVEN_TWICE) for entry in entries for path in repeated.paths_in(entry)]
    return join_problems(problems, limit=MAX_REPORTED_PROBLEMS) if problems else ""


def _entries_differ(before: EditableRow | None, after: EditableRow) -> bool:
    return before is None or before.entries is not after.entries


def _highest_revision(last: Any, rows: Iterable[EditableRow]) -> int:
    """Return the last revision given; a user may have removed the line that holds it."""
    known = (revision_of(row.state) for row in rows)
    return max([last if type(last) is int else 0, *known])


def _render_user_file(rows: Iterable[EditableRow], extra: Mapping[str, Any]) -> bytes:
    parts = [f"{dump_json(name)}: {dump_json(value, 2)}" for name, value in extra.items()]
    tasks = format_block("[", [_render_entries(row) for row in rows], "]", 2)
    return to_file_bytes(format_block("{", [*parts, f'"tasks": {tasks}'], "}"))


def _render_state_file(rows: Iterable[EditableRow], last_revision: int) -> bytes:
    parts = [
        f"{dump_json(row.task_id)}: {dump_json(row.state, 4, multiline=True)}"
        for row in rows
        if row.state is not None
    ]
    return to_file_bytes(
        format_block(
            "{", [f'"revision": {last_revision}', f'"tasks": {format_block("{", parts, "}", 2)}'], "}"
        )
    )


def _render_entries(row: EditableRow) -> str:
    """What the file says of it; with both entries where an id is given twice."""
    return ",\n    ".join(dump_json(entry, 4, multiline=True) for entry in row.entries)
