"""What a tick with a clock far ahead has left in a task, and what belongs there by a clock that is right."""

from datetime import datetime
from typing import Any

from functions.domain.alerts.model import AlertState
from functions.domain.lifecycle.complete import (
    MAX_CLOCK_LEAD,
    REQUESTED_TRIGGERS,
    idle_state,
    without_clock_lead,
)
from functions.domain.lifecycle.decide import claim_until
from functions.domain.schedule.occurrences import next_occurrence, schedule_of
from functions.domain.schedule.simple import OnceSchedule
from functions.domain.task import Task
from functions.domain.types import Status

MOMENTS = ("failing_since", "first_notified_at", "reminded_at", "awaiting_since")  # of an alert; all are past


def repair_clock_ahead(task: Task, *, now: datetime) -> dict[str, Any]:
    """The changes that undo what a clock far ahead did to *task*; empty when it did nothing.

    what such a tick left                       what it becomes
    a next occurrence behind the schedule's     the schedule's next one
    a retry, or the expiry of a claim           now, and when the attempt must be over by a right clock
    catch-up runs of times to come              dropped: the schedule brings those times again
    "ended" by an end that is to come           scheduled, unless it was for once, or had all its runs
    moments of what was run and notified        now

    What has run too early has run, and its record stays.

    Raises:
        ScheduleError: Its schedule cannot be read.
    """
    latest = now + MAX_CLOCK_LEAD
    is_touched = _is_later(task.last_run_at, latest) or _is_later(_claimed_at(task), latest)
    changes: dict[str, Any] = {}
    upcoming = _right_next_occurrence(task, is_touched=is_touched, now=now)
    if upcoming != task.next_occurrence:
        changes["next_occurrence"] = upcoming
    if not (is_touched or changes):
        return {}
    backlog = tuple(run for run in task.backlog if run.trigger in REQUESTED_TRIGGERS or run.at <= latest)
    if len(backlog) < len(task.backlog):
        changes["backlog"] = backlog
    if _is_later(task.last_run_at, latest):
        changes["last_run_at"] = now
    if (alert := _right_alert(task.alert, latest, now=now)) is not task.alert:
        changes["alert"] = alert
    if _is_later(task.outbox.retry_at, latest):
        changes["outbox"] = task.outbox.model_copy(update={"retry_at": now})
    return changes | _right_state(task, changes, latest, now=now)


def _is_later(at: datetime | None, latest: datetime) -> bool:
    return at is not None and at > latest


def _claimed_at(task: Task) -> datetime | None:
    return task.claim.started_at if task.claim else None


def _right_next_occurrence(task: Task, *, is_touched: bool, now: datetime) -> datetime | None:
    """The next occurrence of *task*, or the schedule's own where that is nearer by far."""
    if task.next_occurrence is not None:
        return without_clock_lead(task, now=now)
    has_had_its_runs = task.max_runs is not None and task.run_count >= task.max_runs
    is_over = not is_touched or has_had_its_runs or isinstance(schedule_of(task), OnceSchedule)
    return None if is_over else next_occurrence(task, after=now)


def _right_alert(alert: AlertState, latest: datetime, *, now: datetime) -> AlertState:
    changes = {name: now for name in (*MOMENTS, "retry_at") if _is_later(getattr(alert, name), latest)}
    return alert.model_copy(update=changes) if changes else alert


def _right_state(task: Task, changes: dict[str, Any], latest: datetime, *, now: datetime) -> dict[str, Any]:
    """The status and the next wake-up after *changes*. A claim ends when its attempt, if one runs, must."""
    match task.status:
        case Status.RUNNING if task.claim is not None and task.claim.started_at > latest:
            until = claim_until(task, now=now)
            return {"claim": task.claim.model_copy(update={"until": until}), "next_run_at": until}
        case Status.RETRYING if _is_later(task.retry_at, latest):
            return {"retry_at": now, "next_run_at": now}
        case Status.RUNNING | Status.RETRYING:
            return {}
        case Status.QUARANTINED:
            return {"next_run_at": now} if _is_later(task.next_run_at, latest) else {}
        case _:
            return idle_state(task, changes, now=now)
