"""An entry: one older task as plain values, of which nothing goes by unseen."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from functions.domain.task import TaskSpec
from functions.domain.validation import Place
from functions.taskfiles import Fault
from functions.taskfiles.parser import Document

# What became of somebody's older tasks: a sentence about each field, and what could not be read.

Did = Literal["mapped", "changed", "left out"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reader must know beside the text.

    Attributes:
        now: A moment after which nothing has happened yet.
        timezone: The zone of whatever names none.
        timeout_s: How long an attempt may take where nothing says so; None means the usual limit.
    """

    now: datetime
    timezone: str = "UTC"
    timeout_s: float | None = None

    @property
    def limit(self) -> str:
        """A sentence about attempts whose length nobody bounded."""
        most = TaskSpec.model_fields["timeout_seconds"].default if self.timeout_s is None else self.timeout_s
        more = "give one that needs longer timeoutSeconds, and the tick as much (TICK_BUDGET_SECONDS)"
        return f"there was no limit of time; an attempt may take {most:g} s here: {more}"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one field, or of a whole entry.

    Attributes:
        task: The id it has here, or the name it had there; empty for the file itself.
        field: As the file writes it; empty for the whole entry.
        why: One sentence; never a value that may be a secret.
    """

    task: str
    field: str
    did: Did
    why: str
    line: int | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        about = ": ".join(part for part in (self.task, self.field) if part)
        return f"{where}{about}: {self.did}: {self.why}" if about else f"{where}{self.did}: {self.why}"


@dataclass(frozen=True, slots=True)
class Moved:
    """A task as it comes here.

    Attributes:
        last_run_at: When the other scheduler last ran it; None when that is not known.
        next_run_at: When the other scheduler would have looked at it next; None when that is not known.
    """

    spec: TaskSpec
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Older:
    """What files of one shape hold: all that could be read, and every fault of the rest."""

    shape: str
    moved: tuple[Moved, ...] = ()
    notes: tuple[Note, ...] = ()
    faults: tuple[Fault, ...] = ()


CONTAINERS = ("tasks", "jobs", "schedules", "schedule_jobs", "scheduler", "records", "items", "rows", "data")
SEPARATORS = re.compile(r"[\s_.-]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A field that was looked for: the name it has in the file, and its value, which is not empty."""

    field: str
    value: Any


class Entry:
    """One older task. Names are compared without case, spaces, hyphens and underscores.

    Attributes:
        name: What to call it until it has an id.
        notes: What became of its fields so far.
    """

    def __init__(self, given: Mapping[str, Any], *, name: str, place: Place, document: Document) -> None:
        self.given = given
        self.place = place
        self.document = document
        self._keys = {plain(key): key for key in reversed(list(given))}
        self._taken: set[str] = set()
        self.notes: list[tuple[str, Did, str]] = []
        self.name = name or self._title() or f"entry {int(place[-1]) + 1 if place else 1}"

    def take(self, *names: str) -> Found | None:
        """The first of the fields *names* that is not empty; all of them count as seen."""
        found = None
        for name in names:
            key = self._keys.get(plain(name))
            if key is None:
                continue
            self._taken.add(key)
            if found is None and self.given[key] not in (None, "", [], {}):
                found = Found(key, self.given[key])
        return found

    def has(self, *names: str) -> bool:
        """Whether there is any of the fields *names*, empty or not."""
        return any(plain(name) in self._keys for name in names)

    def mapped(self, field: str, why: str) -> None:
        """Say that *field* means here what it meant there."""
        self.notes.append((field, "mapped", why))

    def changed(self, field: str, why: str) -> None:
        """Say that *field* does not mean quite the same here."""
        self.notes.append((field, "changed", why))

    def left(self, field: str, why: str) -> None:
        """Say that *field* is not kept."""
        self.notes.append((field, "left out", why))

    def leave_rest(self) -> None:
        """Say of all fields nobody asked for that they are not kept."""
        for key in self.given:
            if key not in self._taken and self.given[key] not in (None, "", [], {}):
                self.left(str(key), "a task has no such field here")

    def line(self, field: str = "") -> int | None:
        """Where *field* begins, or the entry."""
        return self.document.line((*self.place, field) if field else self.place)

    def told(self, task: str) -> Iterator[Note]:
        """The notes, under the name that the task has by now."""
        for field, did, why in self.notes:
            yield Note(task, field, did, why, self.line(field))

    def _title(self) -> str:
        for name in ("id", "name", "title"):
            key = self._keys.get(name)
            if key is not None and isinstance(self.given[key], str | int) and str(self.given[key]).strip():
                return str(self.given[key])[:60]
        return ""


def plain(name: object) -> str:
    """*name* without what people write in different ways."""
    return SEPARATORS.sub("", str(name).lower())


def entries(document: Document) -> tuple[list[Entry], list[Place], Mapping[str, Any]]:
    """The entries of *document*, the places of what can be none, and what stands beside them.

    Entries are a list, or a mapping of names to entries; below a name such as `jobs`, or at the top.
    """
    place, value, beside = _container(document.value, ())
    found: list[Entry] = []
    wrong: list[Place] = []
    for where, name, one in _each(value, place):
        fields = one.get("fields") if isinstance(one, Mapping) else None
        if isinstance(one, Mapping) and isinstance(fields, Mapping):  # a row as Bitable and Airtable give it
            row_id = one.get("record_id") or one.get("recordId") or one.get("id")
            cells = {str(key): _cell(value) for key, value in fields.items()}
            found.append(Entry({"id": row_id, **cells}, name=name, place=where, document=document))
        elif isinstance(one, Mapping):
            found.append(Entry(one, name=name, place=where, document=document))
        else:
            wrong.append(where)
    return found, wrong, beside


def _cell(value: Any) -> Any:
    """The text of a cell that is given as pieces of rich text, or as a link."""
    if isinstance(value, Mapping) and isinstance(value.get("link") or value.get("text"), str):
        return value.get("link") or value["text"]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "text" in one for one in value):
        return "".join(str(one["text"]) for one in value)
    return value


def _container(value: Any, place: Place) -> tuple[Place, Any, Mapping[str, Any]]:
    beside: dict[str, Any] = {}
    while isinstance(value, Mapping):
        inner = next((key for key in value if plain(key) in _PLAIN and _holds_entries(value[key])), None)
        if inner is None:
            break
        beside |= {key: one for key, one in value.items() if key != inner}
        place, value = (*place, inner), value[inner]
    return place, value, beside


def _holds_entries(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(one, Mapping) for one in value)
    return isinstance(value, Mapping) and any(isinstance(one, Mapping | list) for one in value.values())


def _each(value: Any, place: Place) -> Iterator[tuple[Place, str, Any]]:
    if isinstance(value, list):
        yield from (((*place, number), "", one) for number, one in enumerate(value))
    elif isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values()):
        yield from (((*place, name), str(name), one) for name, one in value.items())
    else:
        yield place, "", value


_PLAIN = frozenset(plain(name) for name in CONTAINERS)
