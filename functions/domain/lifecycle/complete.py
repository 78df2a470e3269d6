"""How an occurrence ends, by its last attempt or by a user, and the state of a task between two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.decide import FAILURES, decide_notifications, notify_of_pause
from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.outbox import append
from functions.domain.alerts.overdue import (
    next_notification_at,
    next_overdue_at,
    restart_monitoring,
    with_due_notifications,
)
from functions.domain.costs.task_budget import charged_credits
from functions.domain.event_outbox import enqueue_events
from functions.domain.events import Outbox
from functions.domain.heartbeat.model import HEARTBEAT, HeartbeatState, overrun_at
from functions.domain.history.tally import add_incident, add_to_tally
from functions.domain.lifecycle.run_records import run_of_dropped_retry, run_of_skipped_range, skipped_run
from functions.domain.run import Run
from functions.domain.schedule.occurrences import (
    TIME_RESOLUTION,
    due_range,
    earliest_start,
    last_n,
    next_occurrence,
    range_before,
    started_range,
)
from functions.domain.task import MAX_RECENT_OUTCOMES, MAX_SUMMARY_CHARS, Pause, QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger, earliest
from functions.errors import InputError, StateError

TICK_INTERVAL = timedelta(minutes=1)  # a retry waits for the next tick like everything else
ACTIVE_STATUSES = (Status.RUNNING, Status.RETRYING)
MAX_CLOCK_LEAD = timedelta(minutes=5)  # of another machine's clock before this one's
BACKLOG_LIMIT = 100  # runs that may wait beside the schedule; older ones are skipped and counted
DELIVERY_GRACE = timedelta(minutes=1)  # then another tick delivers the notifications this one did not

DEFAULT_PAUSE_AFTER_FAILURES = {"agent": 5}  # by task type, where the task says nothing: a run is expensive
REQUESTED_TRIGGERS = {Trigger.MANUAL, Trigger.BACKFILL}  # by a user, so they do not count for `maxRuns`


@dataclass(frozen=True, slots=True)
class Transition:
    """What is to be written of one task; its runs are saved before the task is.

    Attributes:
        changes: Fields of the task by Python name, with their new values.
        runs: The record of the attempt first, then those of occurrences skipped with it.
        removes: Whether the task is removed with it.
    """

    changes: dict[str, Any]
    runs: tuple[Run, ...]
    removes: bool = False


def complete_occurrence(
    task: Task, run: Run, *, now: datetime, memory: Mapping[str, Any] | None = None
) -> Transition:
    """Decide what follows *run*, the last record of the current occurrence.

    The changes are made in this order, for later ones depend on earlier ones: what the attempt leaves, what
    became due meanwhile, the counts, the pause, the alert, the events, and the state that all this makes.

    Example: `*/5`, `overlap: skip`, `pauseAfterFailures: 3`, started at 12:00, the same failure a third time
    at 12:11: the runs are 12:00 (failed) and 12:05 with 12:10 (skipped, overlap); next_occurrence is 12:15;
    the status is paused, by the scheduler; a notification of that is pending; next_run_at is 12:12, to
    deliver it if this process does not.

    Args:
        memory: The task type's new memory; None leaves it, as when only the record survived a crash.
    """
    run_count = task.run_count + _counts_for_max_runs(run)
    timing, skipped = _timing_after(task, run_count, now=now)
    failures = _count_failures(task, run)
    breaker = None if task.pause else _circuit_breaker(task, run, failures, now=now)
    changes: dict[str, Any] = {
        **attempt_facts(task, run),
        **timing,
        **NO_CURRENT_OCCURRENCE,
        "expired_claims": task.expired_claims if run.outcome is OutcomeKind.ABANDONED else 0,
        "consecutive_failures": failures,
        "run_count": run_count,
        "pause": task.pause or breaker,
    }
    changes["alert"] = _alert_after(task, run, breaker, changes, now=now)
    if run.outcome is OutcomeKind.SUCCEEDED or run.outcome in FAILURES:
        changes |= _history_after(task, run)
    if (outbox := enqueue_events(task, run, now=now)) is not task.outbox:
        changes["outbox"] = outbox
    if task.event is not None:
        changes["event"] = None
    if memory is not None:
        changes["memory"] = dict(memory)
    changes |= idle_state(task, changes, now=now)
    return Transition(changes, (run, *skipped))


NO_CURRENT_OCCURRENCE: dict[str, Any] = {
    "occurrence": None,
    "trigger": Trigger.SCHEDULE,
    "attempt": 0,
    "interruptions": 0,
    "retry_at": None,
    "claim": None,
    "cancel_requested": False,
    "missed": None,
}


def _history_after(task: Task, run: Run) -> dict[str, Any]:
    """The tally with *run*, and the incident that it ends, if it ends one."""
    succeeded = run.outcome is OutcomeKind.SUCCEEDED
    changes: dict[str, Any] = {"tally": add_to_tally(task.tally, succeeded=succeeded, at=run.finished_at)}
    if succeeded and task.is_failing:
        changes["incidents"] = add_incident(
            task.incidents,
            since=task.alert.failing_since or run.started_at,
            until=run.finished_at,
            failures=task.consecutive_failures,
        )
    return changes


def _timing_after(task: Task, run_count: int, *, now: datetime) -> tuple[dict[str, Any], list[Run]]:
    """The schedule and the backlog after the current occurrence, and the records of what is skipped."""
    skipped = [] if task.missed is None else [run_of_skipped_range(task, task.missed, now=now)]
    timing, overlapped = apply_overlap_policy(task, now=now)
    skipped += overlapped
    if task.max_runs is not None and run_count >= task.max_runs:
        timing, dropped = ended_state(task, timing["backlog"], now=now)
        skipped += dropped
    return timing, skipped


def _alert_after(
    task: Task, run: Run, breaker: Pause | None, changes: Mapping[str, Any], *, now: datetime
) -> AlertState:
    """The alert with the notifications of *run*, of the *breaker*, and of what is overdue after *changes*."""
    upcoming = None if changes["pause"] else changes.get("next_occurrence", task.next_occurrence)
    noticed = task
    if upcoming != task.next_occurrence:  # no notification promises a run that will not come
        noticed = task.model_copy(update={"next_occurrence": upcoming})
    alert, _ = decide_notifications(noticed, run, now=now)
    if breaker is not None:
        alert = notify_of_pause(task, alert, breaker.note, now=now)
    if alert.first_notified_at or task.expect_seconds:
        alert = with_due_notifications(task.model_copy(update={**changes, "alert": alert}), now=now)
    return schedule_delivery(alert, now=now)


def idle_state(task: Task, changes: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The status and the next wake-up, never in the past, of a task without a current occurrence.

    Args:
        changes: What changes of the scheduler's own fields. They are looked up one by one: a copy of the
            task, made to ask for these two, takes 4 us of the 20 in which an attempt is completed.
    """
    pause: Pause | None = changes.get("pause", task.pause)
    upcoming: datetime | None = changes.get("next_occurrence", task.next_occurrence)
    backlog: Sequence[QueuedRun] = changes.get("backlog", task.backlog)
    alert: AlertState = changes.get("alert", task.alert)
    outbox: Outbox = changes.get("outbox", task.outbox)
    heartbeat: HeartbeatState | None = changes.get("heartbeat", task.heartbeat)
    wake_ups = [alert.retry_at, outbox.retry_at]
    if pause is not None or not changes.get("enabled", task.enabled):
        status = Status.PAUSED
        wake_ups.append(pause.until if pause else None)
        if _oldest_requested(backlog):
            wake_ups.append(now)
    elif upcoming is None and _has_ended(task, backlog, changes.get("run_count", task.run_count), now=now):
        status = Status.ENDED
        if backlog:
            wake_ups.append(now)
    else:
        status = Status.SCHEDULED
        wake_ups.append(earliest_start(task, upcoming) if upcoming else None)
        if backlog:
            wake_ups.append(now)
        if alert.first_notified_at or task.expect_seconds:
            wake_ups.append(next_overdue_at(task.model_copy(update=changes)))
        if heartbeat is not None:
            wake_ups.append(overrun_at(task.params, heartbeat))
    first = earliest(wake_ups)
    return {"status": status, "next_run_at": None if first is None else max(first, now)}


def look_soon(task: Task) -> dict[str, Any]:
    """The changes that let a running task be looked at when its claim ends, not only at its next occurrence.

    For what a user or an event changes during an attempt, and may be due before: see `lifecycle.deferral`.
    """
    if task.status is not Status.RUNNING or task.claim is None or task.next_run_at is None:
        return {}
    return {"next_run_at": task.claim.until} if task.next_run_at > task.claim.until else {}


def _has_ended(task: Task, backlog: Sequence[QueuedRun], run_count: int, *, now: datetime) -> bool:
    """Whether only a user can still start *task*, whose schedule has no further occurrence."""
    if any(extra.trigger not in REQUESTED_TRIGGERS for extra in backlog):
        return False
    is_used_up = task.max_runs is not None and run_count >= task.max_runs
    is_past_end = task.end_at is not None and now > task.end_at
    return is_used_up or is_past_end or not task.has_event_triggers


def next_manual_run(task: Task) -> QueuedRun | None:
    """The oldest waiting run that a user asked for: it starts even while the task is paused."""
    return _oldest_requested(task.backlog)


def _oldest_requested(backlog: Sequence[QueuedRun]) -> QueuedRun | None:
    return next((extra for extra in backlog if extra.trigger in REQUESTED_TRIGGERS), None)


def pause(task: Task, *, note: str, until: datetime | None, by: str, now: datetime) -> Transition:
    """Pause *task*. A run in progress finishes; a waiting retry is dropped.

    Raises:
        InputError: *until* is not in the future.
        StateError: The task has ended.
    """
    if until is not None and until <= now:
        raise InputError("until: must be in the future")
    if task.status is Status.ENDED:
        raise StateError(f"{task.id} has ended; there is nothing to pause")
    changes: dict[str, Any] = {"pause": Pause(note=note, until=until, by=by, at=now)}
    if task.status is Status.RUNNING:
        return Transition(changes, ())
    after = task.model_copy(update=changes)
    if task.status is Status.RETRYING:
        run = run_of_dropped_retry(
            task, task.last_outcome or OutcomeKind.FAILED, "Paused before the next try", now=now
        )
        closed = complete_occurrence(after, run, now=now)
        return Transition(changes | closed.changes, closed.runs)
    return Transition(changes | idle_state(after, {}, now=now), ())


def end_pause(task: Task, *, now: datetime, catch_up: bool = False) -> Transition:
    """End a pause. Occurrences missed in it are recorded as skipped, or stay due with *catch_up*.

    From `until` on none is missed, however late the tick: `0 9 * * *`, paused until 09:00, runs at 09:00.
    Where a clock far ahead has moved the schedule it goes on by this one, see `without_clock_lead`.
    """
    runs: tuple[Run, ...] = ()
    upcoming = task.next_occurrence
    span = None if catch_up else due_range(task, until=end_of_pause(task, now=now))
    if span is not None:
        which = SkippedRange(count=span.count, first=span.first, last=span.last)
        runs = (skipped_run(task, which, SkipReason.PAUSED, "The task was paused", now=now),)
        upcoming = span.following
    else:
        upcoming = without_clock_lead(task, now=now)
    changes: dict[str, Any] = {
        "pause": None,
        "next_occurrence": upcoming,
        "consecutive_failures": 0,
        "expired_claims": 0,
    }
    if (alert := restart_monitoring(task, now=now)) is not task.alert:
        changes["alert"] = alert
    return Transition(changes | idle_state(task, changes, now=now), runs)


def end_of_pause(task: Task, *, now: datetime) -> datetime:
    """The last moment of the pause of *task*, which ends by *now*; of a heartbeat *now*.

    Its program may have called since then, and no call counts before a tick has ended the pause.
    """
    if task.pause is None or task.pause.until is None or task.type == HEARTBEAT:
        return now
    return min(now, task.pause.until - TIME_RESOLUTION)


def without_clock_lead(task: Task, *, now: datetime) -> datetime | None:
    """The next occurrence of *task*, or the schedule's own where a clock far ahead has moved it.

    An occurrence that is nearer than clocks are ahead of one another was run, or skipped, by another clock.
    """
    upcoming = task.next_occurrence
    if upcoming is None or upcoming <= now:
        return upcoming
    beyond_lead = next_occurrence(task, after=now + MAX_CLOCK_LEAD)
    if beyond_lead is None or upcoming <= beyond_lead:
        return upcoming
    return next_occurrence(task, after=now)


def resume(task: Task, *, now: datetime, catch_up: bool = False) -> Transition:
    """End a pause or a quarantine, or enable a task again.

    Raises:
        StateError: The task is neither paused nor quarantined.
    """
    if task.status in ACTIVE_STATUSES and task.pause is not None:
        return Transition({"pause": None}, ())
    if task.status not in (Status.PAUSED, Status.QUARANTINED):
        raise StateError(f"{task.id} is not paused (it is {task.status})")
    enabled = {"enabled": True}
    ended = end_pause(task.model_copy(update=enabled), now=now, catch_up=catch_up)
    return Transition(ended.changes | enabled, ended.runs)


def cancel(task: Task, *, now: datetime) -> Transition:
    """Cancel the current occurrence. A running attempt ends within seconds; a waiting retry is dropped.

    Raises:
        StateError: There is no current occurrence.
    """
    if task.status is Status.RUNNING:
        return Transition({"cancel_requested": True} | look_soon(task), ())
    if task.status is not Status.RETRYING:
        raise StateError(f"{task.id} is not running (it is {task.status}); there is nothing to cancel")
    run = run_of_dropped_retry(task, OutcomeKind.CANCELLED, "Cancelled before the next try", now=now)
    return complete_occurrence(task, run, now=now)


def schedule_delivery(alert: AlertState, *, now: datetime) -> AlertState:
    """*alert* with a wake-up for its pending notifications, in case this process dies before delivery.

    A wake-up in the future stays.
    """
    if alert.pending and (alert.retry_at is None or alert.retry_at <= now):
        return alert.model_copy(update={"retry_at": now + DELIVERY_GRACE})
    return alert


def with_notifications(task: Task, notifications: Sequence[Notification], *, now: datetime) -> Task:
    """*task* with *notifications* pending in it, to be delivered with its own."""
    if not notifications:
        return task
    alert = schedule_delivery(append(task.alert, *notifications), now=now)
    return task.model_copy(update={"alert": alert})


def next_check_while_retrying(task: Task) -> datetime | None:
    """When a task that waits for a retry is due next: for the retry, or for a notification."""
    return earliest((task.retry_at, next_notification_at(task)))


def add_spending(task: Task, run: Run) -> dict[str, Any]:
    """The credits spent by a task with a budget after *run*; no change for one without."""
    if task.budget is None or not (credits := charged_credits(run.metrics)):
        return {}
    return {"credits_spent": task.credits_spent.add(credits, now=run.finished_at)}


def apply_overlap_policy(task: Task, *, now: datetime) -> tuple[dict[str, Any], list[Run]]:
    """Skip or queue the occurrences that became due during the attempt; return changes and records.

    Those due before the attempt began (it was a retry, say) did not overlap and stay due. With 12:05 and
    12:10 due during the run of 12:00, `skip` skips both, `queue_one` skips 12:05 and queues 12:10,
    `queue_all` queues both.
    """
    began = task.claim.started_at if task.claim else now
    # With jitter a run begins at any second: no tick has missed what began to be due in the last minute.
    until = now - TICK_INTERVAL if task.jitter_seconds else now
    overlaps = task.next_occurrence is not None and began < task.next_occurrence <= until
    span = started_range(task, until=until) if overlaps else None
    if span is None:
        return {"next_occurrence": task.next_occurrence, "backlog": task.backlog}, []
    limit = {"skip": 0, "queue_one": 1, "queue_all": BACKLOG_LIMIT}[task.overlap]
    free = max(0, limit - sum(extra.trigger is Trigger.QUEUED for extra in task.backlog))
    queued = last_n(task, span, free) if free else []
    left_out = range_before(task, span, than=queued[0]) if queued else span
    after = {
        "next_occurrence": span.following,
        "backlog": (*task.backlog, *(QueuedRun(at=at, trigger=Trigger.QUEUED) for at in queued)),
    }
    if left_out is None:
        return after, []
    which = SkippedRange(count=left_out.count, first=left_out.first, last=left_out.last)
    summary = "The previous run was still in progress"
    return after, [skipped_run(task, which, SkipReason.OVERLAP, summary, now=now)]


def attempt_facts(task: Task, run: Run) -> dict[str, Any]:
    """The fields that every attempt changes, whether it was the last one or not."""
    fields: dict[str, Any] = {
        "last_run_at": run.started_at,
        "last_outcome": run.outcome,
        "last_duration_ms": run.duration_ms,
        "recent": "\n".join([*task.recent.splitlines(), run.outcome_line][-MAX_RECENT_OUTCOMES:]),
    } | add_spending(task, run)
    if run.outcome is OutcomeKind.SUCCEEDED:
        return fields | {"last_result_summary": run.summary, "last_error": ""}
    return fields | {"last_error": run.summary}


def ended_state(
    task: Task, backlog: tuple[QueuedRun, ...], *, now: datetime
) -> tuple[dict[str, Any], list[Run]]:
    """The schedule and backlog after the last of `maxRuns`: only what a user asked for is left."""
    waiting = [extra.at for extra in backlog if extra.trigger not in REQUESTED_TRIGGERS]
    after = {
        "next_occurrence": None,
        "backlog": tuple(extra for extra in backlog if extra.trigger in REQUESTED_TRIGGERS),
    }
    if not waiting:
        return after, []
    which = SkippedRange(count=len(waiting), first=min(waiting), last=max(waiting))
    summary = f"The task has had its {task.max_runs} runs"
    return after, [skipped_run(task, which, SkipReason.ENDED, summary, now=now)]


def _counts_for_max_runs(run: Run) -> bool:
    return run.trigger not in REQUESTED_TRIGGERS and run.outcome is not OutcomeKind.SKIPPED


def _count_failures(task: Task, run: Run) -> int:
    if run.outcome is OutcomeKind.SUCCEEDED:
        return 0
    return task.consecutive_failures + (run.outcome in FAILURES)


def _circuit_breaker(task: Task, run: Run, failures: int, *, now: datetime) -> Pause | None:
    limit = task.pause_after_failures or DEFAULT_PAUSE_AFTER_FAILURES.get(task.type)
    if limit is None or failures < limit or run.outcome not in FAILURES:
        return None
    return Pause(
        note=f"Failed {failures} times in a row: {run.summary}"[:MAX_SUMMARY_CHARS], by="scheduler", at=now
    )
