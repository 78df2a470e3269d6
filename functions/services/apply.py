"""Makes a store match task files: what is created, updated and removed, and nothing else."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from functions.domain.alerts.routing import DailyDigest
from functions.domain.lifecycle.edit import edit_task, new_task
from functions.domain.run import Run
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    RunBatch,
    TaskFilter,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import NotifyRule, TaskFields, TaskSpec
from functions.errors import InputError
from functions.interfaces import Store, TaskStore
from functions.services.dependencies import link_problems, update_links, with_dependents
from functions.services.paging import all_tasks

SPEC_FIELDS = set(TaskSpec.model_fields)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What `apply` did, or would do, to one task.

    Attributes:
        fields: camelCase names of the fields that differ; empty for a creation or a removal.
        before: The next wake-up before; None when there was none.
        after: The next wake-up after.
        drifted: Whether somebody else has changed the task since a file was last applied to it.
    """

    id: str
    action: Literal["create", "update", "remove", "unchanged"]
    fields: tuple[str, ...] = ()
    before: datetime | None = None
    after: datetime | None = None
    drifted: bool = False


async def apply_plan(
    store: Store,
    specs: Sequence[TaskSpec],
    *,
    origin: str,
    now: datetime,
    new_id: Callable[[], str],
    prune: bool = True,
    dry_run: bool = False,
) -> list[PlannedChange]:
    """Make the store match *specs*; return what changed, by id.

    With *prune*, tasks of the same *origin* that are not in *specs* are removed; others never are.

    Raises:
        InputError: A spec's schedule has no occurrence left, or what it runs after is not there; every fault
            is named, nothing was written.
    """
    existing = {stored.task.id: stored for stored in await all_tasks(store, TaskFilter())}
    changes: list[PlannedChange] = []
    writes: list[tuple[ConditionalWrite, tuple[Run, ...]]] = []
    faults: list[str] = []
    for spec in specs:
        try:
            change, write, runs = _plan_task(existing.get(spec.id), spec, origin=origin, now=now)
        except InputError as exc:
            faults.append(f"{spec.id}: {exc}")
            continue
        changes.append(change)
        if write is not None:
            writes.append((write, runs))
    kept = {spec.id: spec for spec in specs}
    removed = {
        stored.task.id
        for stored in (existing.values() if prune else ())
        if stored.task.origin == origin and stored.task.id not in kept
    }
    faults += await link_problems(store, kept, existing, removed)
    if faults:
        raise InputError("\n".join(faults))
    for task_id in sorted(removed):
        stored = existing[task_id]
        changes.append(PlannedChange(task_id, "remove", before=stored.task.next_run_at))
        writes.append((ConditionalWrite(stored.task, stored.revision, delete=True), ()))
    if not dry_run:
        followed = [(with_dependents(write, kept), runs) for write, runs in writes]
        await _write_all(store, followed, now=now, new_id=new_id)
        await update_links(store, kept, existing, removed)
    return sorted(changes, key=lambda change: change.id)


def _plan_task(
    stored: VersionedTask | None, spec: TaskSpec, *, origin: str, now: datetime
) -> tuple[PlannedChange, ConditionalWrite | None, tuple[Run, ...]]:
    applied = _spec_hash(spec)
    if stored is None:
        task = new_task(spec, now=now, origin=origin).model_copy(update={"applied_spec_hash": applied})
        return PlannedChange(spec.id, "create", after=task.next_run_at), ConditionalWrite(task, None), ()
    settlement = edit_task(stored.task, spec, now=now)
    if not settlement.changes:
        return (
            PlannedChange(
                spec.id, "unchanged", before=stored.task.next_run_at, after=stored.task.next_run_at
            ),
            None,
            (),
        )
    write = ConditionalWrite.for_changes(stored, settlement.changes | {"applied_spec_hash": applied})
    names = tuple(
        sorted(
            TaskSpec.model_fields[name].alias or name
            for name in settlement.changes
            if name in TaskSpec.model_fields
        )
    )
    drifted = stored.task.applied_spec_hash not in ("", _spec_hash(stored.task))
    change = PlannedChange(spec.id, "update", names, stored.task.next_run_at, write.task.next_run_at, drifted)
    return change, write, settlement.runs


def _spec_hash(spec: TaskFields) -> str:
    """What a file says of a task, in a few digits."""
    text = spec.model_dump_json(by_alias=True, include=SPEC_FIELDS, exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


async def _write_all(
    store: TaskStore,
    writes: Sequence[tuple[ConditionalWrite, tuple[Run, ...]]],
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> None:
    for start in range(0, len(writes), RUNS_PER_BATCH):
        part = writes[start : start + RUNS_PER_BATCH]
        runs = tuple(run for _, kept in part for run in kept)
        entry = RunBatch(f"{new_id()}.1", now, runs) if runs else None
        written = await store.write_with_runs(entry, [write for write, _ in part])
        refused = [
            write.task.id
            for (write, _), answer in zip(part, written, strict=True)
            if answer.status is not WriteStatus.APPLIED
        ]
        if refused:
            raise InputError(f"{', '.join(refused)}: changed by somebody else meanwhile; apply again")


# The daily digest of a channel: a briefing task that exists as long as the channel asks for one.


async def sync_digest_task(
    store: Store, name: str, digest: DailyDigest | None, *, now: datetime, new_id: Callable[[], str]
) -> None:
    """Make the task of channel *name*'s digest what is wished for; None removes it.

    It is a task like any other, so it costs an idle tick nothing, is made up for after an outage, and says
    "0 problems" when there are none.

    Raises:
        StoreUnavailableError: It is not known whether the change was made.
    """
    specs = [] if digest is None else [_digest_spec(name, digest)]
    await apply_plan(store, specs, origin=f"digest.{name}", now=now, new_id=new_id)


def _digest_spec(name: str, digest: DailyDigest) -> TaskSpec:
    hour, minute = digest.at.split(":")
    return TaskSpec(
        id=f"digest.{name}",
        title=f"Daily digest for {name}",
        type="daily_briefing",
        params={"title": "Daily digest"},
        schedule=f"{int(minute)} {int(hour)} * * *",
        timezone=digest.timezone,
        notify=(NotifyRule(on=("news", "failure", "recovery"), channels=(name,)),),
    )
