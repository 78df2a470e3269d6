"""What people do to tasks: pause, resume, cancel, ask for runs."""

from collections.abc import Callable
from datetime import datetime

from functions.errors import InputError, NotFoundError, StoreUnavailable
from functions.history import all_runs
from functions.ports import Catalogue
from functions.rules.lifecycle import asked_to_run, backfill_instants, cancelled, paused, resumed
from functions.rules.settlement import Settlement
from functions.rules.storage import LedgerEntry, Result, Stored, Write
from functions.rules.task import Task
from functions.rules.words import OutcomeKind, Trigger

TRIES = 5  # at a write somebody else got in the way of; each time on what they left


async def pause(
    store: Catalogue,
    task_id: str,
    *,
    note: str,
    until: datetime | None,
    by: str,
    now: datetime,
    new_id: Callable[[], str],
) -> Task:
    """Stop a task; see `lifecycle.paused`."""
    return await change(
        store,
        task_id,
        lambda task: paused(task, note=note, until=until, by=by, now=now),
        now=now,
        new_id=new_id,
    )


async def resume(
    store: Catalogue, task_id: str, *, catch_up: bool, now: datetime, new_id: Callable[[], str]
) -> Task:
    """End a pause or a quarantine; see `lifecycle.resumed`."""
    return await change(
        store, task_id, lambda task: resumed(task, now=now, catch_up=catch_up), now=now, new_id=new_id
    )


async def cancel(store: Catalogue, task_id: str, *, now: datetime, new_id: Callable[[], str]) -> Task:
    """End the occurrence in hand; see `lifecycle.cancelled`."""
    return await change(store, task_id, lambda task: cancelled(task, now=now), now=now, new_id=new_id)


async def run_now(store: Catalogue, task_id: str, *, now: datetime, new_id: Callable[[], str]) -> Task:
    """Ask for a run at the next tick; the schedule stays where it is."""
    return await change(
        store,
        task_id,
        lambda task: asked_to_run(task, [now], Trigger.MANUAL, now=now),
        now=now,
        new_id=new_id,
    )


async def backfill(
    store: Catalogue,
    task_id: str,
    *,
    first: datetime,
    until: datetime,
    now: datetime,
    new_id: Callable[[], str],
    dry_run: bool = False,
) -> list[datetime]:
    """Ask for runs of past occurrences that have not succeeded; return those, oldest first."""
    stored = await read(store, task_id)
    instants = backfill_instants(stored.task, first=first, until=until, now=now)
    succeeded = {
        run.occurrence
        async for run in all_runs(store, task_id=task_id, since=first)
        if run.outcome is OutcomeKind.SUCCEEDED
    }
    wanted = [at for at in instants if at not in succeeded]
    if wanted and not dry_run:
        await change(
            store,
            task_id,
            lambda task: asked_to_run(task, wanted, Trigger.BACKFILL, now=now),
            now=now,
            new_id=new_id,
        )
    return wanted


async def change(
    store: Catalogue,
    task_id: str,
    decide: Callable[[Task], Settlement],
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> Task:
    """Apply *decide* to the task as it stands, again if somebody else was faster.

    Raises:
        InputError: There is no such task, or what was asked makes no sense for it.
        StoreUnavailable: It is not known whether the change was made.
    """
    for _ in range(TRIES):
        stored = await read(store, task_id)
        settlement = decide(stored.task)
        if not settlement.changes:
            return stored.task
        changed = await write_change(store, stored, settlement, now=now, new_id=new_id)
        if changed is not None:
            return changed.task
    raise StoreUnavailable(f"{task_id} changes too quickly; try again")


async def write_change(
    store: Catalogue,
    stored: Stored,
    settlement: Settlement,
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> Stored | None:
    """Write what was decided about *stored*, once; None when somebody else has changed it meanwhile.

    Raises:
        StoreUnavailable: It is not known whether the change was made.
    """
    write = Write.changing(stored, settlement.changes)
    entry = LedgerEntry(f"{new_id()}.1", now, settlement.runs) if settlement.runs else None
    [written] = await store.finish(entry, [write])
    if written.result is Result.UNKNOWN:
        raise StoreUnavailable(
            f"The store did not say whether {stored.task.id} was changed; look, and try again"
        )
    return Stored(write.task, written.revision) if written.result is Result.APPLIED else None


async def read(store: Catalogue, task_id: str) -> Stored:
    """Return a task.

    Raises:
        NotFoundError: There is none of this id.
        InputError: Its document cannot be read.
    """
    found = await store.read([task_id])
    if found.broken:
        raise InputError(f"{task_id} cannot be read: {found.broken[0].reason}")
    if not found.tasks:
        raise NotFoundError(f"There is no task {task_id!r}")
    return found.tasks[0]
