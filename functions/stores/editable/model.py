"""A task in its two parts: what a person wrote by hand, and what the scheduler keeps beside it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from functions.domain.lifecycle.edit import edited, first_look
from functions.domain.run import Run
from functions.domain.storage import Broken, Stored
from functions.domain.task import Task, TaskSpec, slug
from functions.errors import InputError
from functions.stores.codec import encode
from functions.stores.json_text import digest, mapping

WRITTEN = frozenset(field.alias or name for name, field in TaskSpec.model_fields.items())
TIMING = ("schedule", "timezone", "startAt", "endAt", "maxRuns", "jitterSeconds", "enabled")
LINKS = ("after", "onEvent")

Part = Mapping[str, Any]


def written_part(task: Task) -> dict[str, Any]:
    """What a person would write about *task*."""
    return {name: value for name, value in _document(task).items() if name in WRITTEN}


def kept_part(task: Task, written: Part, *, revision: int) -> dict[str, Any]:
    """What is kept beside *written*, which says the rest of *task*.

    `seen` is a fingerprint of *written*, by which a later edit of it is noticed; `timing` is what
    the next occurrence comes from, which such an edit may change.
    """
    document = _document(task)
    timing = {name: document[name] for name in (*TIMING, *LINKS) if name in document}
    kept = {name: value for name, value in document.items() if name not in WRITTEN}
    title = {} if "title" in written else {"title": task.title}
    head = {"revision": revision, "seen": digest(written), "timing": timing}
    return head | title | {"nextRunAt": None} | kept


def whole(task_id: str, written: Part, kept: Part) -> dict[str, Any]:
    """Both parts as one document."""
    return {**written, **kept, "id": task_id}


def moment(value: Any) -> datetime | None:
    """The instant that *value* tells of; None when it tells of none."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def revision_of(kept: Part | None) -> int:
    """How many writes the store had seen when this part was written; 0 when it never was."""
    number = mapping(kept).get("revision", 0)
    return number if type(number) is int else 0


def _document(task: Task) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(task))
    return document


# What people did by hand: a task new to the scheduler, or one that says something else now.

STATE = frozenset(field.alias or name for name, field in Task.model_fields.items()) - WRITTEN

MOST_TOLD = 3  # faults of one task in one message


class UnfitError(Exception):
    """What a person wrote is no task; says field and fault, never the value."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a person wrote, as the task it makes.

    Attributes:
        runs: What is recorded of the schedule that an edit has put an end to.
    """

    task: Task
    runs: tuple[Run, ...] = ()


def added(task_id: str, written: Part, *, now: datetime) -> Accepted:
    """The task of somebody who wrote only what to do and when; its schedule counts from *now*.

    Raises:
        UnfitError: It is no task, or has no occurrence left.
    """
    spec = _spec(task_id, written)
    _check_links(spec, {})
    try:
        return Accepted(first_look(spec, now=now, origin=""))
    except InputError as exc:
        raise UnfitError(str(exc)) from None


def changed(task_id: str, written: Part, kept: Part, *, now: datetime) -> Accepted:
    """The task of somebody who edited it at *now*: his words and its state, as by any other edit.

    Raises:
        UnfitError: It is no task any more, or has no occurrence left.
    """
    spec = _spec(task_id, written)
    _check_links(spec, mapping(kept.get("timing")))
    state = {name: value for name, value in kept.items() if name in STATE}
    task = _task(whole(task_id, {**written, "title": spec.title}, state))
    now = max(at for at in (now, task.updated_at, task.last_run_at) if at is not None)
    try:
        settlement = edited(_before(task, written, kept, state), spec, now=now)
    except InputError as exc:
        raise UnfitError(str(exc)) from None
    return Accepted(task.model_copy(update=dict(settlement.changes)), settlement.runs)


def fault_of(exc: ValidationError) -> str:
    """Fields and faults, the first few; never a value."""
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(_sentence(fault) for fault in faults[:MOST_TOLD])
    return told if len(faults) <= MOST_TOLD else f"{told} (and {len(faults) - MOST_TOLD} more)"


def _sentence(fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "document"
    if fault["type"] == "extra_forbidden":
        known = where in STATE
        remedy = "the scheduler keeps it elsewhere; leave it out" if known else "check its spelling"
        return f"{where}: unknown field; {remedy}"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def _before(task: Task, written: Part, kept: Part, state: Part) -> Task:
    """The task as it was scheduled; of the rest only that it was different is known."""
    timing = kept.get("timing")
    if not isinstance(timing, dict):
        return task.model_copy(update={"title": ""})
    rest = {name: value for name, value in written.items() if name not in TIMING}
    try:
        before = Task.model_validate(whole(task.id, {**rest, "title": task.title, **timing}, state))
    except ValidationError:  # it did without a schedule then, and what it listened to is gone
        before = task
    return before.model_copy(update={"title": ""})


def _check_links(spec: TaskSpec, timing: Part) -> None:
    """What starts a task is told of it by who makes the task; nobody is when people write by hand."""
    links = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name in LINKS:
        if links.get(name, []) != timing.get(name, []):
            raise UnfitError(f"{name}: cannot be changed by hand; use `scheduler apply` or the API")


def _spec(task_id: str, written: Part) -> TaskSpec:
    named = {"title": title_of(task_id), **written, "id": task_id}
    try:
        return TaskSpec.model_validate(named, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise UnfitError(fault_of(exc)) from None


def _task(document: dict[str, Any]) -> Task:
    try:
        return Task.model_validate(document)
    except ValidationError as exc:
        raise UnfitError(fault_of(exc)) from None


def title_of(task_id: str) -> str:
    """The title of a task that was given none."""
    return task_id.replace("-", " ").replace("_", " ").strip().capitalize() or task_id


# One task as a person wrote it, with what is kept beside it, understood when somebody asks.

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # what nobody can read is due until somebody mends it


class Row:
    """One entry, under the name it is known by.

    Args:
        entries: What he wrote; more than one where an id is given twice.
        kept: What the scheduler keeps of it; None when it has not seen it yet.
        at: When he saved it: from then on a new task's, or an edited one's, schedule counts.
        nameless: It has neither id nor title; *name* is its place.
        place: Where it is kept, if that has a name of its own which no later task is given; else empty.
        fault: Why it can be no task, where that is known before anybody tries; else empty.
    """

    def __init__(
        self,
        name: str,
        entries: list[Any],
        kept: Part | None,
        *,
        at: datetime,
        nameless: bool = False,
        place: str = "",
        fault: str = "",
    ) -> None:
        self.name = name
        self.entries = entries
        self.kept = kept
        self.at = at
        self.nameless = nameless
        self.place = place
        self.fault = fault

    @cached_property
    def by_hand(self) -> bool:
        """Whether a person has added or edited it since the scheduler wrote last."""
        return self.kept is None or self.kept.get("seen") != digest(self.entries[0])

    @cached_property
    def understood(self) -> Accepted | Broken:
        """The task, with what is to be recorded of an edit, or why it is none."""
        try:
            return self._accepted(self.at)
        except UnfitError as exc:
            return Broken(self.name, str(exc))

    @cached_property
    def read(self) -> Stored | Broken:
        """The task at its revision, or why it is none."""
        one = self.understood
        return one if isinstance(one, Broken) else Stored(one.task, self.revision)

    @cached_property
    def revision(self) -> str:
        """Changes with every write of ours, and with every edit by hand; ends in the place."""
        return f"{revision_of(self.kept)}-{digest([self.entries, self.kept])}@{self.place}"

    @cached_property
    def due_at(self) -> datetime | None:
        """When it must be looked at; None when there is nothing to wait for."""
        if not self.by_hand and self.kept is not None and len(self.entries) == 1 and not self.fault:
            at = self.kept.get("nextRunAt")
            return None if at is None else (moment(at) or ALWAYS)
        one = self.understood
        return ALWAYS if isinstance(one, Broken) else one.task.next_run_at

    def accepted(self, revision: int, *, now: datetime) -> "tuple[Row, tuple[Run, ...]] | None":
        """The row with the state that a person's edit makes at *now*, and what is to be recorded of it.

        None when what he wrote is no task, or when he has not touched it.
        """
        if not self.by_hand or isinstance(self.understood, Broken):
            return None
        try:
            one = self._accepted(now)
        except UnfitError:
            return None
        kept = kept_part(one.task, self.entries[0], revision=revision)
        return Row(self.name, self.entries, kept, at=self.at, place=self.place), one.runs

    def _accepted(self, now: datetime) -> Accepted:
        written = self.entries[0]
        if self.fault:
            raise UnfitError(self.fault)
        if self.nameless or not isinstance(written, dict):
            raise UnfitError("id: is required; write an id, or a title to make it of")
        if len(self.entries) > 1:
            raise UnfitError("id: it is given twice; remove one of the two, or give it another id")
        if self.kept is None:
            return added(self.name, written, now=now)
        if self.by_hand:
            return changed(self.name, written, self.kept, now=now)
        try:  # as we wrote it, or a newer version of ours did: its fields are no slips of a person's pen
            return Accepted(Task.model_validate(whole(self.name, written, self.kept)))
        except ValidationError as exc:
            raise UnfitError(fault_of(exc)) from None


# Tasks that people write by hand, as rows by name.


@dataclass(frozen=True, slots=True)
class Tasks:
    """The rows by name; *others* is what else their place says, *last* the last revision given."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    last: int = 0


def changed_rows(tasks: Tasks, rows: Mapping[str, Row | None], *, last: int) -> Tasks:
    """*tasks* with *rows* in the place of those of their names; None removes one."""
    merged = {**tasks.rows, **rows}
    return replace(tasks, rows=ordered(row for row in merged.values() if row is not None), last=last)


def name_of(entry: Any) -> str:
    """The id a person gave, or the one his title makes; empty when he gave neither."""
    name = mapping(entry).get("id")
    if name is None and isinstance(mapping(entry).get("title"), str):
        return slug(entry["title"])
    return name if isinstance(name, str) else ""


def ordered(rows: Iterable[Row]) -> Mapping[str, Row]:
    """By name, so that a diff shows what has changed and nothing else; the nameless last."""
    return {row.name: row for row in sorted(rows, key=lambda row: (row.nameless, row.name))}
