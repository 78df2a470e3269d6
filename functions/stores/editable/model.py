"""A task in two parts: what a user wrote by hand, and what the scheduler stores beside it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from functions.domain.events import Dependent
from functions.domain.lifecycle.edit import LIMIT_FIELDS, TIMING_FIELDS, edit_task, new_task
from functions.domain.older_names import with_current_names
from functions.domain.run import Run
from functions.domain.schedule.days.entries import calendar_names
from functions.domain.storage import InvalidDocument, VersionedTask
from functions.domain.task import (
    Task,
    TaskSpec,
    default_title,
    slugify,
    why_never_started,
)
from functions.domain.types import parse_stored_instant
from functions.domain.validation import Problem, join_problems, problems_of
from functions.errors import InputError
from functions.stores.codec import encode_model
from functions.stores.json_text import as_mapping, content_hash, has_half_pairs

USER_FIELDS = frozenset(field.alias or name for name, field in TaskSpec.model_fields.items())
SCHEDULE_FIELDS = tuple(
    field.alias or name
    for name, field in TaskSpec.model_fields.items()
    if name in TIMING_FIELDS | LIMIT_FIELDS | {"enabled"}
)
LINK_FIELDS = ("after", "onEvent")

Section = Mapping[str, Any]


def user_section(task: Task) -> dict[str, Any]:
    """Return what a user would write to define *task*."""
    return {name: value for name, value in _to_document(task).items() if name in USER_FIELDS}


def state_section(task: Task, written: Section, *, revision: int) -> dict[str, Any]:
    """What is kept beside *written*, which says the rest of *task*.

    `contentHash` is a fingerprint of *written*, by which a later edit of it is noticed; `timing` is what
    the next occurrence comes from, which such an edit may change.
    """
    document = _to_document(task)
    timing = {name: document[name] for name in (*SCHEDULE_FIELDS, *LINK_FIELDS) if name in document}
    stored_state = {name: value for name, value in document.items() if name not in USER_FIELDS}
    title = {} if "title" in written else {"title": task.title}
    head = {"revision": revision, "contentHash": content_hash(written), "timing": timing}
    return head | title | {"nextRunAt": None} | stored_state


def merge(task_id: str, written: Section, stored_state: Section) -> dict[str, Any]:
    """Both parts as one document."""
    return {**written, **stored_state, "id": task_id}


def revision_of(stored_state: Section | None) -> int:
    """How many writes the store had seen when this part was written; 0 when it never was."""
    number = as_mapping(stored_state).get("revision", 0)
    return number if type(number) is int else 0


def _to_document(task: Task) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode_model(task))
    return document


# -- importing edits: a task new to the scheduler, or one whose text has changed ------------

STATE_FIELDS = frozenset(field.alias or name for name, field in Task.model_fields.items()) - USER_FIELDS

MAX_REPORTED_PROBLEMS = 3  # faults of one task in one message


class InvalidTaskError(Exception):
    """What the user wrote is not a task; the text names field and fault, never the value."""


@dataclass(frozen=True, slots=True)
class ImportedEdit:
    """Return the task that a user's text defines.

    Attributes:
        runs: What is recorded of the schedule that an edit has put an end to.
    """

    task: Task
    runs: tuple[Run, ...] = ()


def import_new(
    task_id: str, written: Section, *, now: datetime, followers: Sequence[Dependent] = ()
) -> ImportedEdit:
    """Return the task of a user who wrote only what to do and when; its schedule counts from *now*.

    Args:
        followers: The tasks that run after it.

    Raises:
        InvalidTaskError: It is no task, or has no occurrence left.
    """
    spec = _parse_spec(task_id, written)
    if reason := why_never_started(spec):
        raise InvalidTaskError(f"schedule: {reason}")
    _check_links(spec, {}, "be written by hand: take the task out of the file, and use")
    _check_calendars(spec, {})
    try:
        task = new_task(spec, now=now, origin="")
    except InputError as exc:
        raise InvalidTaskError(str(exc)) from None
    return ImportedEdit(task.model_copy(update={"dependents": tuple(followers)}))


def import_edit(task_id: str, written: Section, stored_state: Section, *, now: datetime) -> ImportedEdit:
    """Return the task as edited at *now*: the user's text and the stored state, as after any other edit.

    Raises:
        InvalidTaskError: It is no task any more, or has no occurrence left.
    """
    spec = _parse_spec(task_id, written)
    timing = as_mapping(stored_state.get("timing"))
    if (reason := why_never_started(spec)) and any(timing.get(name) for name in ("schedule", *LINK_FIELDS)):
        raise InvalidTaskError(f"schedule: {reason}")
    _check_links(spec, timing)
    _check_calendars(spec, timing)
    state = {name: value for name, value in stored_state.items() if name in STATE_FIELDS}
    task = _parse_task(merge(task_id, {**written, "title": spec.title}, state))
    now = max(at for at in (now, task.updated_at, task.last_run_at) if at is not None)
    try:
        settlement = edit_task(_previous_task(task, written, stored_state, state), spec, now=now)
    except InputError as exc:
        raise InvalidTaskError(str(exc)) from None
    return ImportedEdit(task.model_copy(update=dict(settlement.changes)), settlement.runs)


def validation_message(exc: ValidationError) -> str:
    """The first problems; a field of the scheduler's own has a remedy of its own."""
    problems = [
        Problem(problem.path, "unknown field; the scheduler keeps it elsewhere; leave it out")
        if problem.field in STATE_FIELDS and problem.reason.startswith("unknown field")
        else problem
        for problem in problems_of(exc, model=TaskSpec)
    ]
    return join_problems(problems, limit=MAX_REPORTED_PROBLEMS)


def _previous_task(task: Task, written: Section, stored_state: Section, state: Section) -> Task:
    """The task as it was scheduled; of the rest only that it was different is known."""
    timing = stored_state.get("timing")
    if not isinstance(timing, dict):
        return task.model_copy(update={"title": ""})
    rest = {name: value for name, value in written.items() if name not in SCHEDULE_FIELDS}
    try:
        before = Task.model_validate(merge(task.id, {**rest, "title": task.title, **timing}, state))
    except ValidationError:  # it did without a schedule then, and what it listened to is gone
        before = task
    return before.model_copy(update={"title": ""})


def _check_links(spec: TaskSpec, timing: Section, what: str = "be changed by hand; use") -> None:
    """Refuse changed links: an edit by hand would not update the tasks at their other end."""
    links = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name in LINK_FIELDS:
        if links.get(name, []) != timing.get(name, []):
            raise InvalidTaskError(f"{name}: cannot {what} `scheduler apply` or the API")


def _check_calendars(spec: TaskSpec, timing: Section) -> None:
    """Refuse calendars that the task did not name before: an edit by hand does not read their days."""
    known = timing.get("except", [])
    if names := set(calendar_names(spec.excluded)) - set(calendar_names(known)):
        named = ", ".join(sorted(names))
        raise InvalidTaskError(
            f"except: the calendar {named} cannot be named by hand; use `scheduler apply` or the API"
        )


def _parse_spec(task_id: str, written: Section) -> TaskSpec:
    named = {"title": default_title(task_id), **written, "id": task_id}
    try:
        return TaskSpec.model_validate(named, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise InvalidTaskError(validation_message(exc)) from None


def _parse_task(document: dict[str, Any]) -> Task:
    try:
        return Task.model_validate(document)
    except ValidationError as exc:
        raise InvalidTaskError(validation_message(exc)) from None


# -- one task, parsed when first used -------------------------------------------------------

ALWAYS_DUE = datetime(1970, 1, 1, tzinfo=UTC)  # an unreadable task is due until it is repaired


class EditableRow:
    """One entry, under the name it is known by.

    Args:
        entries: What the user wrote; more than one where an id is given twice.
        state: What the scheduler keeps of it; None when it has not seen it yet.
        saved_at: When the user saved it: from then on a new task's, or an edited one's, schedule counts.
        is_unnamed: It has neither id nor title; *task_id* is its place.
        row_id: The name of its place in the store, if no later task reuses that name; else empty.
        problem: Why it can be no task, where that is known before anybody tries; else empty.

    Attributes:
        followers: The tasks that run after one that the scheduler has not seen yet; see `link_followers`.
    """

    def __init__(
        self,
        task_id: str,
        entries: list[Any],
        state: Section | None,
        *,
        saved_at: datetime,
        is_unnamed: bool = False,
        row_id: str = "",
        problem: str = "",
    ) -> None:
        self.task_id = task_id
        self.entries = entries
        self.state = state
        self.saved_at = saved_at
        self.is_unnamed = is_unnamed
        self.row_id = row_id
        self.problem = problem
        self.followers: list[Dependent] = []

    @cached_property
    def has_user_edit(self) -> bool:
        """Whether a user has added or edited it since the scheduler wrote last."""
        return self.state is None or self.state.get("contentHash") != content_hash(self.entries[0])

    @cached_property
    def parsed(self) -> ImportedEdit | InvalidDocument:
        """The task, with what is to be recorded of an edit, or why it is none."""
        try:
            return self._import_at(self.saved_at)
        except InvalidTaskError as exc:
            return InvalidDocument(self.task_id, str(exc), self.revision)

    @cached_property
    def versioned(self) -> VersionedTask | InvalidDocument:
        """The task at its revision, or why it is none."""
        parsed = self.parsed
        return parsed if isinstance(parsed, InvalidDocument) else VersionedTask(parsed.task, self.revision)

    @cached_property
    def revision(self) -> str:
        """Changes with every write of ours, and with every edit by hand; ends in the place."""
        return f"{revision_of(self.state)}-{content_hash([self.entries, self.state])}@{self.row_id}"

    @cached_property
    def due_at(self) -> datetime | None:
        """When the task is due; None when it waits for nothing."""
        if not self.has_user_edit and self.state is not None and len(self.entries) == 1 and not self.problem:
            at = self.state.get("nextRunAt")
            return None if at is None else (parse_stored_instant(at) or ALWAYS_DUE)
        parsed = self.parsed
        return ALWAYS_DUE if isinstance(parsed, InvalidDocument) else parsed.task.next_run_at

    def import_edit(self, revision: int, *, now: datetime) -> "tuple[EditableRow, tuple[Run, ...]] | None":
        """Return the row with the state after the user's edit at *now*, and the runs to record for it.

        None when the text is not a task, or when the user has not changed it.
        """
        if not self.has_user_edit or isinstance(self.parsed, InvalidDocument):
            return None
        try:
            parsed = self._import_at(now)
        except InvalidTaskError:
            return None
        stored_state = state_section(parsed.task, self.entries[0], revision=revision)
        return EditableRow(
            self.task_id, self.entries, stored_state, saved_at=self.saved_at, row_id=self.row_id
        ), parsed.runs

    def _import_at(self, now: datetime) -> ImportedEdit:
        written = self.entries[0]
        if self.problem:
            raise InvalidTaskError(self.problem)
        if has_half_pairs([written, self.state]):
            raise InvalidTaskError(
                "a text holds half of a surrogate pair (\\ud800 to \\udfff); write it anew"
            )
        if self.is_unnamed or not isinstance(written, dict):
            raise InvalidTaskError("id: is required; write an id, or a title to make it of")
        written = with_current_names(written)
        if len(self.entries) > 1:
            raise InvalidTaskError("id: it is given twice; remove one of the two, or give it another id")
        if self.state is None:
            return import_new(self.task_id, written, now=now, followers=self.followers)
        if self.has_user_edit:
            return import_edit(self.task_id, written, self.state, now=now)
        try:  # written by this or a newer version: an unknown field is not a user's mistake
            return ImportedEdit(Task.model_validate(merge(self.task_id, written, self.state)))
        except ValidationError as exc:
            raise InvalidTaskError(validation_message(exc)) from None


# -- all tasks, by name ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EditableTasks:
    """The rows by name; *extra* is what else their place says, *last_revision* the last revision given."""

    rows: Mapping[str, EditableRow] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    last_revision: int = 0


def replace_rows(
    tasks: EditableTasks, rows: Mapping[str, EditableRow | None], *, last_revision: int
) -> EditableTasks:
    """*tasks* with *rows* in the place of those of their names; None removes one."""
    merged = {**tasks.rows, **rows}
    return replace(
        tasks, rows=sort_rows(row for row in merged.values() if row is not None), last_revision=last_revision
    )


def link_followers(rows: Iterable[EditableRow]) -> None:
    """Note in each new task of *rows*, which are all there are, the tasks that run after it.

    One that was removed by hand and added again is new, and what it knew of its followers is gone: a branch
    of a repository without it was checked out, for instance.
    """
    rows = list(rows)
    new = {row.task_id: row for row in rows if row.state is None}
    if not new:
        return
    for row in rows:
        if row.state is None or "after" not in as_mapping(row.entries[0]):
            continue
        if isinstance(stored := row.versioned, VersionedTask):
            for link in stored.task.after:
                if link.task in new:
                    new[link.task].followers.append(Dependent(task=row.task_id, on=link.on))


def id_of(entry: Any) -> str:
    """The id the user gave, or the one derived from the title; empty when neither is given."""
    name = as_mapping(entry).get("id")
    if name is None and isinstance(as_mapping(entry).get("title"), str):
        return slugify(entry["title"])
    return name if isinstance(name, str) else ""


def sort_rows(rows: Iterable[EditableRow]) -> Mapping[str, EditableRow]:
    """By name, so that a diff shows what has changed and nothing else; the nameless last."""
    return {row.task_id: row for row in sorted(rows, key=lambda row: (row.is_unnamed, row.task_id))}
