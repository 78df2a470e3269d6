"""Adopting: older tasks become tasks of the store, and go on where the older scheduler left them."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle.complete import rest
from functions.domain.lifecycle.edit import first_look
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.storage import Result, Stored, Write
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Status
from functions.errors import InputError
from functions.services.apply import PlannedChange, apply_plan
from functions.services.dependencies import LinkedTaskStore
from functions.taskfiles import Fault
from functions.transfer.foreign.entry import Moved, Older

ORIGIN = "import"  # task files never remove what came from elsewhere
INSTANT = timedelta(microseconds=1)
AT_ONCE = 100
WAITS = (Status.SCHEDULED, Status.PAUSED, Status.ENDED)


def without_ended(older: Older, *, now: datetime) -> Older:
    """*older* without the tasks whose schedule has no occurrence left; each is a fault."""
    kept: list[Moved] = []
    faults: list[Fault] = []
    for moved in older.moved:
        try:
            first_look(moved.spec, now=now, origin=ORIGIN)
        except InputError as exc:
            faults.append(Fault("", None, moved.spec.id, "", str(exc)))
        else:
            kept.append(moved)
    return replace(older, moved=tuple(kept), faults=(*older.faults, *faults))


async def adopt(
    store: LinkedTaskStore,
    moved: Sequence[Moved],
    *,
    now: datetime,
    new_id: Callable[[], str],
    dry_run: bool = False,
) -> list[PlannedChange]:
    """Make or change the tasks in *store*; others stay as they are. Doing so again changes nothing.

    A task that never ran here takes over when it last ran, and its next run: the first occurrence after
    that. When that has passed, it is run once, late, as its misfire policy says.

    Raises:
        InputError: Somebody else changed one of the tasks meanwhile.
    """
    changes = await apply_plan(
        store,
        [one.spec for one in moved],
        origin=ORIGIN,
        now=now,
        new_id=new_id,
        prune=False,
        dry_run=dry_run,
    )
    known = [one for one in moved if one.last_run_at or one.next_run_at]
    if dry_run or not known:
        return changes
    after: dict[str, datetime | None] = {}
    for start in range(0, len(known), AT_ONCE):
        after |= await _go_on(store, known[start : start + AT_ONCE], now=now)
    return [replace(change, after=after.get(change.id, change.after)) for change in changes]


async def _go_on(
    store: LinkedTaskStore, known: Sequence[Moved], *, now: datetime
) -> dict[str, datetime | None]:
    found = {
        stored.task.id: stored for stored in (await store.get_tasks([one.spec.id for one in known])).tasks
    }
    writes = [
        Write.changing(found[one.spec.id], changes)
        for one in known
        if one.spec.id in found and (changes := carried(found[one.spec.id].task, one, now=now))
    ]
    written = await store.write(writes) if writes else []
    refused = [
        write.task.id
        for write, answer in zip(writes, written, strict=True)
        if answer.result is not Result.APPLIED and not await _went_on(store, write.task)
    ]
    if refused:
        raise InputError(f"{', '.join(refused)}: changed by somebody else meanwhile; import again")
    return {write.task.id: write.task.next_run_at for write in writes}


def carried(task: Task, moved: Moved, *, now: datetime) -> dict[str, Any]:
    """What *task*, new here, takes over; empty when it has run here, or has taken it over already."""
    if task.last_run_at is not None or task.run_count or task.status not in WAITS:
        return {}
    since = moved.next_run_at - INSTANT if moved.next_run_at else moved.last_run_at
    upcoming = next_occurrence(task, after=since) if since else None
    changes: dict[str, Any] = {"last_run_at": moved.last_run_at}
    if upcoming is not None:
        changes["upcoming"] = upcoming
    changes |= rest(task, changes, now=now)
    return {name: value for name, value in changes.items() if getattr(task, name) != value}


async def _went_on(store: LinkedTaskStore, wanted: Task) -> bool:
    """Whether the task took over what it should, though the answer was lost, or has run here since."""
    found: tuple[Stored, ...] = (await store.get_tasks([wanted.id])).tasks
    if not found or found[0].task.run_count:
        return True
    task = found[0].task
    return (task.last_run_at, task.upcoming) == (wanted.last_run_at, wanted.upcoming)


# A task file: tasks as YAML that people read, keep and apply.

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/. -]*[A-Za-z0-9_]")
WORDS = frozenset(
    {"true", "false", "null", "yes", "no", "on", "off"}
)  # which older YAML takes for something else
UNPRINTED = re.compile(
    "[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)  # YAML refuses or breaks at them


def task_file(specs: Sequence[TaskSpec], *, about: Sequence[str] = ()) -> str:
    """The YAML text of *specs*, below *about* as comments. What is at its default is left away."""
    lines = [f"# {' '.join(line.split())}".rstrip() for line in about]
    if not specs:
        return "\n".join([*lines, "tasks: []", ""])
    lines.append("tasks:")
    for spec in specs:
        lines += [*_task(spec), ""]
    return "\n".join(lines)


def _task(spec: TaskSpec) -> Iterator[str]:
    values: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if not values.get("timezone"):
        values["timezone"] = spec.timezone  # whoever applies the file may have another default
    start = "  - "
    for name, value in values.items():
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        yield f"{start}{name}: {_value(whole)}"
        start = "    "


def _value(value: Any) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return UNPRINTED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
