"""What people did by hand: a task new to the scheduler, or one that says something else now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from functions.errors import InputError
from functions.rules.lifecycle import edited, first_look
from functions.rules.outcome import Run
from functions.rules.task import Task, TaskSpec
from functions.store.hand_parts import LINKS, TIMING, WRITTEN, Part, whole
from functions.store.json_text import mapping

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
