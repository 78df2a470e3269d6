"""An entry of another scheduler: plain values, and a note about each field, so that none is lost silently."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Literal

from functions.domain.lifecycle.permissions import iter_texts
from functions.domain.task import TaskSpec
from functions.domain.validation import FieldPath, FileProblem
from functions.taskfiles.parser import ParsedFile

# The result of an import: a sentence about each field, and the problems.

MAX_NUMBERED_CHARS = 90  # of a name before its number; an id has at most 100
ImportAction = Literal["mapped", "changed", "left out"]


@dataclass(frozen=True, slots=True)
class ImportDefaults:
    """The options of an import.

    Attributes:
        now: A moment after which nothing has happened yet.
        timezone: The zone of whatever names none.
        timeout_s: How long an attempt may take where nothing says so; None means the usual limit.
    """

    now: datetime
    timezone: str = "UTC"
    timeout_s: float | None = None

    @property
    def timeout_remark(self) -> str:
        """A sentence about attempts without a limit of time."""
        most = TaskSpec.model_fields["timeout_seconds"].default if self.timeout_s is None else self.timeout_s
        more = "give one that needs longer timeoutSeconds; a tick needs TICK_BUDGET_SECONDS, serve waits"
        return f"there was no limit of time; an attempt may take {most:g} s here: {more}"


@dataclass(frozen=True, slots=True)
class ImportNote:
    """What an import did with one field, or with a whole entry.

    Attributes:
        task: The id it has here, or the name it had there; empty for the file itself.
        field: As the file writes it; empty for the whole entry.
        reason: One sentence; never a value that may be a secret.
    """

    task: str
    field: str
    action: ImportAction
    reason: str
    line: int | None = None
    file: str = ""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = (where, self.task, self.field, self.action, self.reason)
        return ": ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ImportedTask:
    """A task as imported.

    Attributes:
        last_run_at: When the other scheduler last ran it; None when that is not known.
        next_run_at: When the other scheduler would have looked at it next; None when that is not known.
        line: Of its entry; None when that is not known.
    """

    spec: TaskSpec
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    line: int | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class ForeignTasks:
    """The tasks of files of one format: those that can be read, and every problem of the others."""

    format_name: str
    tasks: tuple[ImportedTask, ...] = ()
    notes: tuple[ImportNote, ...] = ()
    problems: tuple[FileProblem, ...] = ()


class TaskIds:
    """The ids that the tasks of an import have got, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}  # by name: no number below is free

    def free(self, name: str) -> str:
        """Return *name* if no task has it, else with a number: `nightly-backup-2`."""
        if name not in self._taken:
            return name
        for number in count(self._next.get(name, 2)):
            self._next[name] = number
            if (free := f"{name[:MAX_NUMBERED_CHARS]}-{number}") not in self._taken:
                return free
        raise AssertionError("numbers do not end")

    def take(self, task_id: str) -> None:
        """Give *task_id* to a task."""
        self._taken.add(task_id)


CONTAINER_NAMES = (
    "tasks",
    "jobs",
    "schedules",
    "schedule_jobs",
    "beat_schedule",
    "scheduler",
    "records",
    "items",
    "rows",
    "data",
)
SEPARATORS = re.compile(r"[\s_.-]+")
PLACEHOLDER = re.compile(r"\$\{\{|\{\{\s*(?!secret:)[A-Za-z_]")  # {{.Names}} is of Docker itself
PLACEHOLDER_REMARK = (
    "holds a placeholder, which nothing fills in here; write the value, or {{secret:NAME}} for a secret"
)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field that was found: its name in the file, and its value, which is not empty."""

    field: str
    value: Any


class ForeignEntry:
    """One task of another scheduler. Names are compared without case, spaces, hyphens and underscores.

    Attributes:
        name: What to call it until it has an id.
        notes: What became of its fields so far.
    """

    def __init__(
        self, given: Mapping[str, Any], *, name: str, place: FieldPath, document: ParsedFile
    ) -> None:
        self.fields = dict(given)
        self.place = place
        self.document = document
        self._keys = {normalize_name(key): key for key in reversed(list(given))}
        self._used_keys: set[str] = set()
        self._outdone_keys: dict[str, str] = {}  # by which field of the same meaning
        self.notes: list[tuple[str, ImportAction, str]] = []
        number = place[-1] if place and isinstance(place[-1], int) else 0
        self.name = name or self._find_title() or f"entry {number + 1}"

    def take_field(self, *names: str) -> FieldValue | None:
        """Return the first of the fields *names* that is not empty; `note_unused_fields` names the others."""
        found = None
        for name in names:
            key = self._keys.get(normalize_name(name))
            if key is None or self.fields[key] in (None, "", [], {}):
                continue
            if found is None:
                found = FieldValue(key, self.fields[key])
                self._used_keys.add(key)
            elif key != found.field:
                self._outdone_keys.setdefault(key, found.field)
        return found

    def adopt_fields(self, given: Mapping[str, Any]) -> None:
        """Read *given*, which is inside a field, as fields of the entry itself."""
        self.fields |= given
        self._keys |= {normalize_name(key): key for key in reversed(list(given))}

    def has_field(self, *names: str) -> bool:
        """Whether the entry has one of the fields *names*, empty or not."""
        return any(normalize_name(name) in self._keys for name in names)

    def values_of(self, *names: str) -> list[Any]:
        """Return the values of those of the fields *names* that there are."""
        keys = (self._keys.get(normalize_name(name)) for name in names)
        return [self.fields[key] for key in keys if key is not None]

    def note_mapped(self, field: str, reason: str) -> None:
        """Note that *field* means the same here."""
        self.notes.append((field, "mapped", reason))

    def note_changed(self, field: str, reason: str) -> None:
        """Note that *field* means something slightly different here."""
        self.notes.append((field, "changed", reason))

    def note_left_out(self, field: str, reason: str) -> None:
        """Note that *field* is not imported."""
        self.notes.append((field, "left out", reason))

    def note_placeholders(self, params: Mapping[str, Any]) -> None:
        """Note texts of *params* that something else filled in: `${TOKEN}`, `{{ token }}`."""
        for path, text in iter_texts(params):
            may_be_of_shell = path[0] == "command"
            if PLACEHOLDER.search(text) or ("${" in text and not may_be_of_shell):
                self.note_changed(".".join(map(str, ("params", *path))), PLACEHOLDER_REMARK)

    def note_unused_fields(self) -> None:
        """Note that fields that were never read, or came second, are not imported."""
        for key in self.fields:
            if key not in self._used_keys and self.fields[key] not in (None, "", [], {}):
                first = self._outdone_keys.get(key)
                why = f"{first} is read in its place" if first else "a task has no such field here"
                self.note_left_out(str(key), why)

    def line_of(self, field: str = "") -> int | None:
        """Return the line of *field*, or of the entry."""
        return self.document.line_of((*self.place, field) if field else self.place)

    def iter_notes(self, task: str) -> Iterator[ImportNote]:
        """Return the notes, with the id of the task."""
        for field, did, why in self.notes:
            yield ImportNote(task, field, did, why, self.line_of(field))

    def _find_title(self) -> str:
        for name in ("id", "name", "title"):
            key = self._keys.get(name)
            if key is not None and isinstance(self.fields[key], str | int) and str(self.fields[key]).strip():
                return str(self.fields[key])[:60]
        return ""


def normalize_name(name: object) -> str:
    """Return *name* without case, spaces, hyphens and underscores."""
    return SEPARATORS.sub("", str(name).lower())


def find_entries(document: ParsedFile) -> tuple[list[ForeignEntry], list[FieldPath], Mapping[str, Any]]:
    """Return the entries of *document*, the paths of values that are no entries, and the fields beside them.

    Entries are a list, or a mapping of names to entries or lists of them; below a name such as `jobs`, or at
    the top.
    """
    beside: dict[str, Any] = {}
    found: list[ForeignEntry] = []
    wrong: list[FieldPath] = []
    containers = list(_find_containers(document.value, (), beside))
    for where, name, one in (entry for place, value in containers for entry in _iter_entries(value, place)):
        fields = one.get("fields") if isinstance(one, Mapping) else None
        if isinstance(one, Mapping) and isinstance(fields, Mapping):  # a row as Bitable and Airtable give it
            row_id = one.get("record_id") or one.get("recordId") or one.get("id")
            cells = {str(key): _cell_text(value) for key, value in fields.items()}
            found.append(ForeignEntry({"id": row_id, **cells}, name=name, place=where, document=document))
        elif isinstance(one, Mapping):
            found.append(ForeignEntry(one, name=name, place=where, document=document))
        else:
            wrong.append(where)
    return found, wrong, beside


def _cell_text(value: Any) -> Any:
    """Return the text of a cell of rich text or of a link."""
    if isinstance(value, Mapping) and isinstance(value.get("link") or value.get("text"), str):
        return value.get("link") or value["text"]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "text" in one for one in value):
        return "".join(str(one["text"]) for one in value)
    return value


def _find_containers(value: Any, place: FieldPath, beside: dict[str, Any]) -> Iterator[tuple[FieldPath, Any]]:
    """Yield the lists and mappings of entries with their paths; what stands beside them goes to *beside*."""
    inner = [key for key in value if _is_container(key, value[key])] if isinstance(value, Mapping) else []
    if not inner:
        yield place, value
        return
    beside |= {key: one for key, one in value.items() if key not in inner}
    for key in inner:
        yield from _find_containers(value[key], (*place, key), beside)


def _is_container(key: object, value: Any) -> bool:
    """Whether *value* has entries, under a name such as `jobs`; an entry may have such a name as well."""
    if normalize_name(key) not in _NORMALIZED_CONTAINER_NAMES:
        return False
    if isinstance(value, list):
        return any(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping) and (
        (bool(value) and all(_is_entry_or_group(one) for one in value.values()))
        or any(_is_container(name, one) for name, one in value.items())
    )


def _iter_entries(value: Any, place: FieldPath) -> Iterator[tuple[FieldPath, str, Any]]:
    if isinstance(value, list):
        yield from (((*place, number), "", one) for number, one in enumerate(value))
    elif isinstance(value, Mapping) and value and all(_is_entry_or_group(one) for one in value.values()):
        for name, one in value.items():
            if isinstance(one, list):
                yield from _iter_entries(one, (*place, name))
            else:
                yield (*place, name), str(name), one
    else:
        yield place, "", value


def _is_entry_or_group(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and all(isinstance(one, Mapping) for one in value)
    )


_NORMALIZED_CONTAINER_NAMES = frozenset(normalize_name(name) for name in CONTAINER_NAMES)
