"""Runs that a user asks for by hand: checked before any is queued, and waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from functions.domain.access import ADMINISTRATOR
from functions.domain.lifecycle.decide import CLAIM_MARGIN
from functions.domain.lifecycle.edit import queue_runs
from functions.domain.run import Run
from functions.domain.task import Task, TaskSpec
from functions.domain.types import OutcomeKind, Trigger, timezone_or_utc, to_local
from functions.errors import InputError
from functions.interfaces import Store, TaskStore
from functions.services.paging import describe_missing_task
from functions.services.tasks import TaskService

POLL_S = 1.0  # between two looks for a run that another process makes
START_TIMEOUT = timedelta(seconds=60)  # until the tick that has the task ends and writes


async def check_requests(store: TaskStore, task_ids: Sequence[str], *, now: datetime) -> Sequence[Task]:
    """Return the tasks, in the order of *task_ids*, if a run of each may be requested.

    Raises:
        InputError: One does not exist, cannot be read, or takes no more runs; the text names all of these.
    """
    found = await store.get_tasks(task_ids)
    tasks = {stored.task.id: stored.task for stored in found.tasks}
    problems = {one.id: f"{one.id} cannot be read: {one.reason}" for one in found.invalid}
    for task_id in task_ids:
        if task_id not in tasks:
            problems.setdefault(task_id, await describe_missing_task(store, task_id))
            continue
        try:
            queue_runs(tasks[task_id], [now], Trigger.MANUAL, now=now)
        except InputError as exc:
            problems[task_id] = str(exc)
    if problems:
        raise InputError("\n".join([*problems.values(), "No run was requested."]))
    return [tasks[task_id] for task_id in task_ids]


async def create_and_run(
    store: Store, spec: TaskSpec, *, by: str, clock: Callable[[], datetime], new_id: Callable[[], str]
) -> Task:
    """Create the task of *spec*, with a run that waits in it; the task needs no schedule.

    The occurrence of the run is the task's `created_at`.

    Args:
        by: Who does it, for the audit trail; also the task's origin.

    Raises:
        ConflictError: There is a task of this id.
        InputError: The schedule has no occurrence left.
    """
    principal = replace(ADMINISTRATOR, name=by)
    service = TaskService(store, principal, clock=clock, new_id=new_id, origin=by)
    return (await service.create(spec, run_now=True)).task


async def wait_for_run(
    run_due: Callable[[], Awaitable[object]],
    store: TaskStore,
    task: Task,
    occurrence: datetime,
    *,
    clock: Callable[[], datetime],
) -> Run | None:
    """Run *task* here, and return the record of the last attempt at *occurrence*; retries are not waited for.

    An attempt of another process is waited for, and a run that it has made is returned.

    Args:
        run_due: Runs the task if it is due.

    Returns:
        None when there is none by the time at which any attempt at the task has ended.
    """
    longest = timedelta(seconds=task.timeout_seconds) + CLAIM_MARGIN
    until = clock() + 2 * longest + START_TIMEOUT  # one attempt that runs already, and this one
    while True:
        await run_due()
        if run := await find_attempt(store, task.id, occurrence):
            return run
        if clock() >= until:
            return None
        await asyncio.sleep(POLL_S)


def describe_requested_run(run: Run | None, *, retry_at: datetime | None, timezone: str) -> str:
    """Return in a sentence what became of a requested run.

    Args:
        run: The record of its last attempt; None when none has ended yet.
        retry_at: When it is tried again; None when it is not.
    """
    if run is None:
        return "It will run at the next tick"
    if run.outcome is OutcomeKind.SUCCEEDED:
        return f"It ran: {run.summary}"
    if run.outcome is OutcomeKind.SKIPPED:
        return f"It was skipped: {run.summary}"
    ended = OUTCOME_WORDS.get(run.outcome, "failed")
    if run.final or retry_at is None:
        tried = f" at attempt {run.attempt}" if run.attempt > 1 else ""
        return f"It {ended}{tried}: {run.summary}"
    local = to_local(retry_at, timezone_or_utc(timezone))
    return f"Attempt {run.attempt} {ended}: {run.summary}; next try at {local:%Y-%m-%d %H:%M:%S %Z}"


OUTCOME_WORDS = {
    OutcomeKind.TIMED_OUT: "timed out",
    OutcomeKind.CANCELLED: "was cancelled",
    OutcomeKind.ABANDONED: "was cut short",
}


async def find_attempt(store: TaskStore, task_id: str, occurrence: datetime) -> Run | None:
    """Return the newest record of *occurrence*; None when there is none."""
    runs = await store.runs(task_id=task_id, since=occurrence)
    return next((run for run in runs if run.occurrence == occurrence), None)
