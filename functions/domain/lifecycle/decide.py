"""What to do with a task the due query found: attempt it, settle it without an attempt, or look first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.overdue import (
    next_notification_at,
    restart_monitoring,
    with_late_start_notification,
)
from functions.domain.lifecycle.after_delivery import claim_delivery
from functions.domain.lifecycle.complete import (
    BACKLOG_LIMIT,
    Transition,
    complete_occurrence,
    idle_state,
    next_manual_run,
    schedule_delivery,
)
from functions.domain.lifecycle.run_records import run_of_dropped_retry, run_of_skipped_range, skipped_run
from functions.domain.run import Run
from functions.domain.schedule.occurrences import (
    due_range,
    is_within_grace,
    jittered_start,
    last_n,
    next_occurrence,
    range_before,
)
from functions.domain.schedule.parse import OccurrenceRange
from functions.domain.task import Claim, Job, QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger, occurrence_id

# What the schedule owes when a task is found due: one occurrence as a rule, many after an outage.


@dataclass(frozen=True, slots=True)
class DueOccurrences:
    """What a task at rest owes by now.

    Attributes:
        chosen: What to attempt first; None when nothing is due.
        backlog: What waits behind it.
        upcoming: The schedule's next occurrence after all of these.
        missed: Occurrences nobody will attempt; recorded with the run that stands in for them.
    """

    to_run: QueuedRun | None
    backlog: tuple[QueuedRun, ...]
    next_occurrence: datetime | None
    skipped: SkippedRange | None = None


def due_occurrences(task: Task, *, now: datetime) -> DueOccurrences:
    """Gather the occurrences that have come by *now* and apply the misfire policy to them."""
    span = due_range(task, until=now)
    if span is not None and jittered_start(task, span.last) > now:  # its jitter has not run out yet
        span = range_before(task, span, than=span.last)
    if span is None:
        return _take_oldest(DueOccurrences(None, task.backlog, task.next_occurrence))
    upcoming = next_occurrence(task, after=span.last)
    on_time = is_within_grace(task, span.last, now=now)
    if task.misfire.policy == "run_all" and (span.count > 1 or task.backlog or not on_time):
        room = BACKLOG_LIMIT - len(task.backlog)
        if room <= 0:  # the schedule waits until the backlog is shorter
            return _take_oldest(DueOccurrences(None, task.backlog, task.next_occurrence))
        times = last_n(task, span, room)
        waiting = [QueuedRun(at=at, trigger=Trigger.CATCH_UP) for at in times]
        if on_time:
            waiting[-1] = QueuedRun(at=times[-1], trigger=Trigger.SCHEDULE)
        left_out = range_before(task, span, than=times[0])
        missed = _to_skipped_range(left_out)
        return _take_oldest(DueOccurrences(None, (*task.backlog, *waiting), upcoming, missed))
    if task.misfire.policy == "skip" and not on_time:
        missed = _to_skipped_range(span)
        return replace(_take_oldest(DueOccurrences(None, task.backlog, upcoming)), skipped=missed)
    chosen = QueuedRun(at=span.last, trigger=Trigger.SCHEDULE if on_time else Trigger.CATCH_UP)
    missed = _to_skipped_range(range_before(task, span, than=span.last))
    if task.backlog:  # whoever waits longest goes first
        return _take_oldest(DueOccurrences(None, (*task.backlog, chosen), upcoming, missed))
    return DueOccurrences(chosen, (), upcoming, missed)


def _take_oldest(due: DueOccurrences) -> DueOccurrences:
    if not due.backlog:
        return due
    return replace(due, to_run=due.backlog[0], backlog=due.backlog[1:])


def _to_skipped_range(span: OccurrenceRange | None) -> SkippedRange | None:
    return None if span is None else SkippedRange(count=span.count, first=span.first, last=span.last)


CLAIM_MARGIN = timedelta(seconds=15)  # a claim outlives its attempt by this: flushing, and clocks that differ
CLAIM_LEAD_TIME = timedelta(seconds=1)  # how long before its attempt a claim may be made


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Claim the task with these changes and make the attempt.

    Attributes:
        late: True for work that was missed and is being caught up; it yields to work that is on time.
    """

    changes: Mapping[str, Any]
    is_catch_up: bool


@dataclass(frozen=True, slots=True)
class ApplyTransition:
    """Write this without an attempt. The task may be due again right after."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class RecoverClaim:
    """The claim has expired: ask the ledger what the tick with this id recorded, then see `recovery`."""

    tick_id: str


Decision = StartAttempt | ApplyTransition | RecoverClaim


def decide(task: Task, *, token: str, now: datetime) -> Decision:
    """Say what *task*, found due at *now*, needs next.

    Args:
        token: For the claim, should there be one: `<tick id>.<number>`, never used before.
    """
    match task.status:
        case Status.RUNNING if task.claim is not None:
            return RecoverClaim(task.claim.token.rpartition(".")[0])
        case Status.RETRYING if task.retry_at is not None and task.retry_at > now:
            return ApplyTransition(claim_delivery(task, now=now))
        case Status.RETRYING if _next_run_supersedes_retry(task, now=now):
            return ApplyTransition(_drop_retry(task, now=now))
        case Status.RETRYING if task.occurrence is not None:
            return StartAttempt(
                _claim(task, {"attempt": task.attempt + 1}, token=token, now=now), is_catch_up=False
            )
        case Status.PAUSED if task.pause and task.pause.until and task.pause.until <= now:
            return ApplyTransition(end_pause(task, now=now))
        case Status.SCHEDULED:
            return _decide_scheduled(task, token=token, now=now)
        case Status.PAUSED | Status.ENDED if (extra := next_manual_run(task)) is not None:
            return StartAttempt(
                _claim(task, _start_queued_run(task, extra), token=token, now=now), is_catch_up=False
            )
        case _ if task.alert.pending or task.outbox.events:
            return ApplyTransition(claim_delivery(task, now=now))
        case _:
            return ApplyTransition(Transition(_repair_state(task, now=now), ()))


def end_pause(task: Task, *, now: datetime, catch_up: bool = False) -> Transition:
    """End a pause. What was missed in it is skipped and counted, unless it is to be caught up."""
    runs: tuple[Run, ...] = ()
    upcoming = task.next_occurrence
    span = None if catch_up else due_range(task, until=now)
    if span is not None:
        which = SkippedRange(count=span.count, first=span.first, last=span.last)
        runs = (skipped_run(task, which, SkipReason.PAUSED, "The task was paused", now=now),)
        upcoming = next_occurrence(task, after=now)
    changes: dict[str, Any] = {"pause": None, "enabled": True, "next_occurrence": upcoming}
    changes |= {"consecutive_failures": 0, "expired_claims": 0}
    if (alert := restart_monitoring(task, now=now)) is not task.alert:
        changes["alert"] = alert
    return Transition(changes | idle_state(task, changes, now=now), runs)


def release_claim(task: Task, *, now: datetime) -> dict[str, Any]:
    """The changes that give back a claim whose attempt was never begun; the occurrence is due at once."""
    return {
        "status": Status.RETRYING,
        "attempt": task.attempt - 1,
        "retry_at": now,
        "next_run_at": now,
        "claim": None,
    }


def time_left(task: Task, *, now: datetime) -> timedelta:
    """How long an attempt begun *now* may take, so that its result is written before its claim expires."""
    assert task.claim is not None  # only claimed tasks are attempted
    return task.claim.until - CLAIM_MARGIN - now


def build_job(task: Task, *, started_at: datetime, timeout_s: float, max_tokens: int | None = None) -> Job:
    """What the task's type is handed for the attempt just claimed."""
    assert task.occurrence is not None  # claimed tasks have one in hand
    return Job(
        task_id=task.id,
        title=task.title,
        type=task.type,
        params=task.params,
        timezone=task.timezone,
        idempotency_key=occurrence_id(task.id, task.occurrence),
        scheduled_at=task.occurrence,
        started_at=started_at,
        attempt=task.attempt,
        trigger=task.trigger,
        missed=task.missed,
        memory=task.memory,
        timeout_s=timeout_s,
        max_tokens=max_tokens,
        event=task.event,
    )


def _decide_scheduled(task: Task, *, token: str, now: datetime) -> Decision:
    """A task at rest: gather what the schedule owes by now, then take the oldest thing that waits."""
    owed = due_occurrences(task, now=now)
    alert = (
        with_late_start_notification(task, now=now)
        if owed.next_occurrence != task.next_occurrence
        else task.alert
    )
    if owed.to_run is None:
        changes: dict[str, Any] = {"next_occurrence": owed.next_occurrence, "backlog": owed.backlog}
        runs = () if owed.skipped is None else (run_of_skipped_range(task, owed.skipped, now=now),)
        word = next_notification_at(task)
        if not runs and word is not None and word <= now:
            return ApplyTransition(claim_delivery(task, now=now))
        if alert is not task.alert:
            changes["alert"] = schedule_delivery(alert, now=now)
        return ApplyTransition(Transition(changes | idle_state(task, changes, now=now), runs))
    changes = {
        "next_occurrence": owed.next_occurrence,
        "backlog": owed.backlog,
        "missed": owed.skipped,
        "occurrence": owed.to_run.at,
        "trigger": owed.to_run.trigger,
        "attempt": 1,
    }
    if owed.to_run.event is not task.event:
        changes["event"] = owed.to_run.event
    if alert is not task.alert:
        changes["alert"] = alert
    late = owed.to_run.trigger in (Trigger.CATCH_UP, Trigger.BACKFILL)
    return StartAttempt(_claim(task, changes, token=token, now=now), is_catch_up=late)


def _start_queued_run(task: Task, queued: QueuedRun) -> dict[str, Any]:
    """Hand out *extra*, which a person asked for; the schedule stays where it is."""
    backlog = tuple(other for other in task.backlog if other is not queued)
    return {
        "backlog": backlog,
        "occurrence": queued.at,
        "trigger": queued.trigger,
        "attempt": 1,
        "missed": None,
    }


def _repair_state(task: Task, *, now: datetime) -> dict[str, Any]:
    """A state no tick leaves behind (a document edited by hand), made one that it could have left."""
    if task.status not in (Status.RUNNING, Status.RETRYING):
        return {"next_run_at": None}
    changes = {"claim": None, "occurrence": None, "event": None, "attempt": 0, "retry_at": None}
    return changes | idle_state(task, changes, now=now)


def _claim(task: Task, changes: dict[str, Any], *, token: str, now: datetime) -> dict[str, Any]:
    until = now + CLAIM_LEAD_TIME + timedelta(seconds=task.timeout_seconds) + CLAIM_MARGIN
    return changes | {
        "status": Status.RUNNING,
        "claim": Claim(token=token, until=until, started_at=now),
        "next_run_at": until,
        "retry_at": None,
    }


def _next_run_supersedes_retry(task: Task, *, now: datetime) -> bool:
    """Whether the next occurrence is the better retry: the one in hand was tried, and failed.

    An occurrence nobody knows to have been tried (its process died) does not give way, and none does
    where every occurrence counts.
    """
    if task.next_occurrence is None or task.occurrence is None or task.misfire.policy == "run_all":
        return False
    return task.attempt > 0 and task.expired_claims == 0 and jittered_start(task, task.next_occurrence) <= now


def _drop_retry(task: Task, *, now: datetime) -> Transition:
    """The next occurrence has come before the retry: the occurrence in hand is over, as it last failed."""
    why = "No further try, the next occurrence has come"
    run = run_of_dropped_retry(task, task.last_outcome or OutcomeKind.FAILED, why, now=now)
    return complete_occurrence(task, run, now=now)
