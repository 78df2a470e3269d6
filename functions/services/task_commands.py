"""Commands on tasks without a principal, for the command line and the library."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from functions.domain.lifecycle.complete import cancel, pause, resume
from functions.domain.lifecycle.edit import backfill_instants, queue_runs
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Trigger
from functions.interfaces import TaskStore
from functions.services.compare_and_set import get_task, update_task
from functions.services.paging import iter_runs


async def pause_task(
    store: TaskStore,
    task_id: str,
    *,
    note: str,
    until: datetime | None,
    by: str,
    now: datetime,
    new_id: Callable[[], str],
) -> Task:
    """Stop a task; see `lifecycle.complete.pause`."""
    decide = partial(pause, note=note, until=until, by=by, now=now)
    return (await update_task(store, task_id, decide, now=now, new_id=new_id)).task


async def resume_task(
    store: TaskStore, task_id: str, *, catch_up: bool, now: datetime, new_id: Callable[[], str]
) -> Task:
    """End a pause or a quarantine; see `lifecycle.complete.resume`."""
    decide = partial(resume, catch_up=catch_up, now=now)
    return (await update_task(store, task_id, decide, now=now, new_id=new_id)).task


async def cancel_task(store: TaskStore, task_id: str, *, now: datetime, new_id: Callable[[], str]) -> Task:
    """End the current occurrence; see `lifecycle.complete.cancel`."""
    return (await update_task(store, task_id, partial(cancel, now=now), now=now, new_id=new_id)).task


async def request_run(store: TaskStore, task_id: str, *, now: datetime, new_id: Callable[[], str]) -> Task:
    """Request a run at the next tick; the schedule stays as it is."""
    decide = partial(queue_runs, instants=[now], trigger=Trigger.MANUAL, now=now)
    return (await update_task(store, task_id, decide, now=now, new_id=new_id)).task


async def backfill_task(
    store: TaskStore,
    task_id: str,
    *,
    first: datetime,
    until: datetime,
    now: datetime,
    new_id: Callable[[], str],
    dry_run: bool = False,
) -> list[datetime]:
    """Request runs of past occurrences that have not succeeded; return those, oldest first."""
    stored = await get_task(store, task_id)
    instants = backfill_instants(stored.task, first=first, until=until, now=now)
    succeeded = {
        run.occurrence
        async for run in iter_runs(store, task_id=task_id, since=first)
        if run.outcome is OutcomeKind.SUCCEEDED
    }
    missed = [at for at in instants if at not in succeeded]
    if missed and not dry_run:
        await update_task(
            store,
            task_id,
            lambda task: queue_runs(task, missed, Trigger.BACKFILL, now=now),
            now=now,
            new_id=new_id,
        )
    return missed
