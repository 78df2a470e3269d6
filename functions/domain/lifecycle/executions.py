"""The executions of a task that are not over: those that run, wait for a retry, or wait for a tick."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.schedule.occurrences import earliest_start
from functions.domain.task import Task
from functions.domain.types import Instant, Model, Status, TaskId, Trigger

ExecutionState = Literal["running", "retrying", "queued"]
ORDER: tuple[ExecutionState, ...] = ("running", "retrying", "queued")


class Execution(Model):
    """An occurrence that has begun, or is due, and has no final result.

    Attributes:
        state: retrying waits for its next attempt, queued for a tick that has room.
        attempt: The one that runs, or the next one.
        started_at: When the attempt began; None when none runs.
        next_attempt_at: Of one that waits for a retry.
    """

    task_id: TaskId
    occurrence: Instant
    trigger: Trigger
    state: ExecutionState
    attempt: int = 1
    started_at: Instant | None = None
    next_attempt_at: Instant | None = None


def executions_of(task: Task, *, now: datetime) -> Iterator[Execution]:
    """The executions of *task* that are not over, the current one first.

    Example: `*/5` runs since 12:00 with `overlap: skip`, and a user asked for another run at 12:01. At 12:02:
    12:00 running, 12:01 queued.
    """
    if task.occurrence is not None and task.status in (Status.RUNNING, Status.RETRYING):
        is_running = task.status is Status.RUNNING
        yield Execution(
            task_id=task.id,
            occurrence=task.occurrence,
            trigger=task.trigger,
            state="running" if is_running else "retrying",
            attempt=task.attempt if is_running else task.attempt + 1,
            started_at=task.claim.started_at if is_running and task.claim else None,
            next_attempt_at=None if is_running else task.retry_at,
        )
    for extra in task.backlog:
        yield Execution(task_id=task.id, occurrence=extra.at, trigger=extra.trigger, state="queued")
    if task.heartbeat is not None:
        for run in task.heartbeat.open_runs:
            yield Execution(
                task_id=task.id,
                occurrence=run.started_at,
                trigger=Trigger.PING,
                state="running",
                started_at=run.started_at,
            )
    at = task.next_occurrence
    if at is None or task.status is not Status.SCHEDULED or task.type == HEARTBEAT:
        return
    if earliest_start(task, at) <= now:
        yield Execution(task_id=task.id, occurrence=at, trigger=Trigger.SCHEDULE, state="queued")


def sort_executions(found: Iterable[Execution]) -> list[Execution]:
    """*found*: what runs first, then what waits for a retry, then what waits for a tick; oldest first."""
    return sorted(found, key=lambda one: (ORDER.index(one.state), one.occurrence, one.task_id))
