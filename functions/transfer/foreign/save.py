"""Saves imported tasks: in the store, continuing where the other scheduler stopped, or as a task file."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle.complete import idle_state
from functions.domain.lifecycle.edit import new_task
from functions.domain.lifecycle.upcoming import next_run
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.storage import ConditionalWrite, VersionedTask, WriteStatus
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Status
from functions.domain.validation import FileProblem
from functions.errors import InputError
from functions.interfaces import Store
from functions.services.access.limits import OwnerLimits
from functions.services.apply import PlannedChange, apply_plan, write_error
from functions.transfer.foreign.entry import ForeignTasks, ImportedTask

ORIGIN = "import"  # so that applying task files never removes them
TIME_RESOLUTION = timedelta(microseconds=1)
BATCH_SIZE = 100
IDLE_STATUSES = (Status.SCHEDULED, Status.PAUSED, Status.ENDED)


def drop_ended(foreign: ForeignTasks, *, now: datetime) -> ForeignTasks:
    """Return *foreign* without tasks whose schedule has no occurrence left; each becomes a problem."""
    kept: list[ImportedTask] = []
    problems: list[FileProblem] = []
    for imported in foreign.tasks:
        try:
            new_task(imported.spec, now=now, origin=ORIGIN)
        except InputError as exc:
            problems.append(FileProblem(imported.file, imported.line, imported.spec.id, "", str(exc)))
        else:
            kept.append(imported)
    return replace(foreign, tasks=tuple(kept), problems=(*foreign.problems, *problems))


async def save_tasks(
    store: Store,
    tasks: Sequence[ImportedTask],
    *,
    now: datetime,
    new_id: Callable[[], str],
    dry_run: bool = False,
    limits: OwnerLimits | None = None,
) -> list[PlannedChange]:
    """Create or change the tasks in *store*; others stay as they are. Saving twice changes nothing.

    A task that never ran here gets the time of its last run from the other scheduler, and as its next run the
    first occurrence after that. If that has passed, its misfire policy decides about one late run.

    Args:
        limits: What owners may use; None where the tasks have no owners.

    Raises:
        InputError: An owner may not have one of the tasks.
        ConflictError: Another writer changed one of them meanwhile.
        StoreUnavailableError: The store gave no answer, and does not show one of them.
    """
    changes = await apply_plan(
        store,
        [one.spec for one in tasks],
        origin=ORIGIN,
        now=now,
        new_id=new_id,
        prune=False,
        dry_run=dry_run,
        limits=limits,
    )
    known = [one for one in tasks if one.last_run_at or one.next_run_at]
    after: dict[str, datetime | None] = {}
    if dry_run:
        created = {change.id for change in changes if change.action == "create"}
        after = {one.spec.id: _first_run(one, now=now) for one in known if one.spec.id in created}
        known = []
    for start in range(0, len(known), BATCH_SIZE):
        after |= await _carry_over(store, known[start : start + BATCH_SIZE], now=now)
    return [replace(change, after=after.get(change.id, change.after)) for change in changes]


async def _carry_over(
    store: Store, tasks: Sequence[ImportedTask], *, now: datetime
) -> dict[str, datetime | None]:
    found = {
        stored.task.id: stored for stored in (await store.get_tasks([one.spec.id for one in tasks])).tasks
    }
    writes = [
        ConditionalWrite.for_changes(found[one.spec.id], changes)
        for one in tasks
        if one.spec.id in found and (changes := changes_to_carry_over(found[one.spec.id].task, one, now=now))
    ]
    written = await store.write(writes) if writes else []
    refused = {
        write.task.id: answer.status
        for write, answer in zip(writes, written, strict=True)
        if answer.status is not WriteStatus.APPLIED and not await _is_carried_over(store, write.task)
    }
    if refused:
        raise write_error(refused, remedy="import again")
    return {write.task.id: next_run(write.task, now=now) for write in writes}


def _first_run(imported: ImportedTask, *, now: datetime) -> datetime | None:
    """Return the next run that *imported* has once it is saved, where no task has its id yet."""
    task = new_task(imported.spec, now=now, origin=ORIGIN)
    return next_run(task.model_copy(update=changes_to_carry_over(task, imported, now=now)), now=now)


def changes_to_carry_over(task: Task, imported: ImportedTask, *, now: datetime) -> dict[str, Any]:
    """Return what *task* takes over; empty when it has run here, or has it already."""
    if task.last_run_at is not None or task.run_count or task.status not in IDLE_STATUSES:
        return {}
    since = imported.next_run_at - TIME_RESOLUTION if imported.next_run_at else imported.last_run_at
    upcoming = next_occurrence(task, after=since) if since else None
    changes: dict[str, Any] = {"last_run_at": imported.last_run_at}
    if upcoming is not None:
        changes["next_occurrence"] = upcoming
    changes |= idle_state(task, changes, now=now)
    return {name: value for name, value in changes.items() if getattr(task, name) != value}


async def _is_carried_over(store: Store, expected: Task) -> bool:
    """Whether a write without an answer was applied, or the task has run here since."""
    found: tuple[VersionedTask, ...] = (await store.get_tasks([expected.id])).tasks
    if not found or found[0].task.run_count:
        return True
    task = found[0].task
    return (task.last_run_at, task.next_occurrence) == (expected.last_run_at, expected.next_occurrence)


# Task files: tasks as YAML.

PLAIN_SCALAR = re.compile(r"[A-Za-z][A-Za-z0-9_/. -]*[A-Za-z0-9_]")
RESERVED_WORDS = frozenset(
    {"true", "false", "null", "yes", "no", "on", "off"}
)  # which older YAML takes for something else
UNPRINTABLE = re.compile(
    "[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)  # YAML refuses or breaks at them


def render_task_file(specs: Sequence[TaskSpec], *, comments: Sequence[str] = ()) -> str:
    """Return *specs* as YAML below *comments*. Fields with default values are left out."""
    lines = [f"# {' '.join(line.split())}".rstrip() for line in comments]
    if not specs:
        return "\n".join([*lines, "tasks: []", ""])
    lines.append("tasks:")
    for spec in specs:
        lines += [*_render_task(spec), ""]
    return "\n".join(lines)


def _render_task(spec: TaskSpec) -> Iterator[str]:
    values: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if not values.get("timezone"):
        values["timezone"] = spec.timezone  # the default may differ where the file is applied
    start = "  - "
    for name, value in values.items():
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        yield f"{start}{name}: {_render_value(whole)}"
        start = "    "


def _render_value(value: Any) -> str:
    if isinstance(value, str) and PLAIN_SCALAR.fullmatch(value) and value.lower() not in RESERVED_WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
