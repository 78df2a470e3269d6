"""The decision on a task that the due query returned: attempt it, write without an attempt, or recover."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.model import AlertState
from functions.domain.alerts.overdue import (
    next_notification_at,
    with_late_start_notification,
)
from functions.domain.capacity.time_budget import expected_duration
from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.heartbeat.transitions import miss_ping
from functions.domain.lifecycle.after_delivery import claim_delivery
from functions.domain.lifecycle.complete import (
    BACKLOG_LIMIT,
    Transition,
    complete_occurrence,
    end_pause,
    idle_state,
    next_manual_run,
    schedule_delivery,
)
from functions.domain.lifecycle.deferral import with_later_look
from functions.domain.lifecycle.permissions import named_channels
from functions.domain.lifecycle.run_records import run_of_dropped_retry, run_of_skipped_range
from functions.domain.run import Run
from functions.domain.schedule.occurrences import (
    DueRange,
    earliest_start,
    grace_period,
    is_within_grace,
    last_n,
    next_occurrence,
    range_before,
    started_lately,
    started_range,
)
from functions.domain.schedule.parse import OccurrenceRange
from functions.domain.task import Claim, Job, QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, Status, Trigger, earliest, occurrence_id
from functions.errors import InputError


@dataclass(frozen=True, slots=True)
class DueOccurrences:
    """The occurrences of an idle task that are due: one as a rule, many after an outage.

    Attributes:
        to_run: What to attempt first; None when nothing is due.
        backlog: What waits behind it.
        next_occurrence: The schedule's next occurrence after all of these.
        skipped: Occurrences that will not be attempted; recorded with the run that stands in for them.
    """

    to_run: QueuedRun | None
    backlog: tuple[QueuedRun, ...]
    next_occurrence: datetime | None
    skipped: SkippedRange | None = None


def due_occurrences(task: Task, *, now: datetime) -> DueOccurrences:
    """Apply the misfire policy to the occurrences of *task* that are due by *now*.

    An hourly task with a grace of 30 min that was not ticked since 9:30 has 10:00, 11:00 and 12:00 due:

        policy     at 12:10                           at 12:40
        run_once   run 12:00; skip 10:00, 11:00       run 12:00 as catch-up; skip 10:00, 11:00
        run_all    run 10:00, 11:00 as catch-up,      run 10:00, 11:00, 12:00 as catch-up
                   then 12:00
        skip       run 12:00; skip 10:00, 11:00       skip 10:00, 11:00, 12:00

    Runs that wait in the backlog already go first. With jitter, several may begin to be due between two
    ticks: each of them runs.
    """
    span = started_range(task, until=now)
    if span is None:
        return _in_turn(task.backlog, task.next_occurrence)
    on_time = is_within_grace(task, span.last, now=now)
    if task.misfire.policy == "run_all":
        return _run_all(task, span, on_time=on_time)
    if task.jitter_seconds and span.count > 1 and (lately := started_lately(task, span, now=now)):
        return _run_each(task, span, lately)
    if task.misfire.policy == "skip" and not on_time:
        return _run_none(task, span)
    return _run_newest(task, span, on_time=on_time)


def has_missed(task: Task, *, now: datetime) -> bool:
    """Whether occurrences of *task* are due that will not be attempted; False where that is not known."""
    upcoming, grace = task.next_occurrence, task.misfire.grace_seconds
    shortest = min(MIN_PERIOD_S, grace) if isinstance(grace, int) else MIN_PERIOD_S
    if (
        task.status is not Status.SCHEDULED
        or upcoming is None
        or now < upcoming + timedelta(seconds=shortest)
    ):
        return False
    try:
        return due_occurrences(task, now=now).skipped is not None
    except InputError:
        return False


def has_newer_run(task: Task, *, now: datetime) -> bool:
    """Whether a later occurrence of *task* stands in for the next one; False where that is not known."""
    if task.status is not Status.SCHEDULED or task.next_occurrence is None:
        return False
    try:
        following = next_occurrence(task, after=task.next_occurrence)
    except InputError:
        return False
    return task.misfire.policy != "run_all" and following is not None and following <= now


def is_on_time(task: Task, *, now: datetime) -> bool:
    """Whether an attempt of *task* is on time, if only by its grace; False where that is not known.

    One whose claim was released has not begun: it is what it was before.
    """
    if task.status is Status.RETRYING:
        return task.attempt == 0 and task.trigger not in MISSED_TRIGGERS
    if task.status is not Status.SCHEDULED or task.next_occurrence is None:
        return False
    try:
        to_run = due_occurrences(task, now=now).to_run
    except InputError:
        return False
    return to_run is not None and to_run.trigger not in MISSED_TRIGGERS


def _run_newest(task: Task, span: DueRange, *, on_time: bool) -> DueOccurrences:
    newest = QueuedRun(at=span.last, trigger=Trigger.SCHEDULE if on_time else Trigger.CATCH_UP)
    skipped = _to_skipped_range(range_before(task, span, than=span.last))
    return _in_turn((*task.backlog, newest), span.following, skipped)


def _run_each(task: Task, span: DueRange, instants: list[datetime]) -> DueOccurrences:
    """Run *instants*, the newest of *span*: they are on time, whatever the misfire policy."""
    free = max(BACKLOG_LIMIT - len(task.backlog), 1)
    queued = [QueuedRun(at=at, trigger=Trigger.SCHEDULE) for at in instants[-free:]]
    skipped = _to_skipped_range(range_before(task, span, than=queued[0].at))
    return _in_turn((*task.backlog, *queued), span.following, skipped)


def _run_none(task: Task, span: DueRange) -> DueOccurrences:
    return _in_turn(task.backlog, span.following, _to_skipped_range(span))


def _run_all(task: Task, span: DueRange, *, on_time: bool) -> DueOccurrences:
    """All of *span*, as far as the backlog has space: the oldest that have none are skipped."""
    free = BACKLOG_LIMIT - len(task.backlog)
    if free <= 0:  # the schedule stands still until the backlog is shorter
        return _in_turn(task.backlog, task.next_occurrence)
    instants = last_n(task, span, free)
    queued = [QueuedRun(at=at, trigger=Trigger.CATCH_UP) for at in instants]
    if on_time:
        queued[-1] = QueuedRun(at=instants[-1], trigger=Trigger.SCHEDULE)
    skipped = _to_skipped_range(range_before(task, span, than=instants[0]))
    return _in_turn((*task.backlog, *queued), span.following, skipped)


def _in_turn(
    waiting: tuple[QueuedRun, ...], upcoming: datetime | None, skipped: SkippedRange | None = None
) -> DueOccurrences:
    """The first of *waiting* is to run, the others behind it."""
    return DueOccurrences(waiting[0] if waiting else None, waiting[1:], upcoming, skipped)


def _to_skipped_range(span: OccurrenceRange | None) -> SkippedRange | None:
    return None if span is None else SkippedRange(count=span.count, first=span.first, last=span.last)


MIN_PERIOD_S = 60  # between two occurrences of a schedule
CLAIM_MARGIN = timedelta(seconds=15)  # a claim outlives its attempt by this: writing, and clocks that differ
CLAIM_LEAD_TIME = timedelta(seconds=10)  # how long before its attempt a claim may be made


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Claim the task with these changes and make the attempt.

    Attributes:
        is_catch_up: True for an occurrence that was missed; it yields to those that are on time.
    """

    changes: Mapping[str, Any]
    is_catch_up: bool


@dataclass(frozen=True, slots=True)
class ApplyTransition:
    """Write the transition without an attempt. The task may be due again right after."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class RecoverClaim:
    """The claim has expired: look up what the tick with this id recorded, then see `recover`."""

    tick_id: str


Decision = StartAttempt | ApplyTransition | RecoverClaim


MISSED_TRIGGERS = (Trigger.CATCH_UP, Trigger.BACKFILL)  # of runs that yield to those on time


class KnownTicks:
    """The moments at which earlier ticks are known to have started attempts."""

    def __init__(self, moments: Iterable[datetime] = ()) -> None:
        self._moments = sorted(moments)

    def add(self, moments: Iterable[datetime]) -> None:
        """Note more of them."""
        self._moments = sorted({*self._moments, *moments})

    def remove(self, moments: Iterable[datetime]) -> None:
        """Note that no tick is known of *moments*."""
        self._moments = sorted({*self._moments}.difference(moments))

    def any_between(self, since: datetime, before: datetime | None) -> bool:
        """Whether one is not before *since*, and before *before* unless that is None."""
        place = bisect_left(self._moments, since)
        return place < len(self._moments) and (before is None or self._moments[place] < before)


NO_TICKS = KnownTicks()


def decide(
    task: Task, *, token: str, now: datetime, ticks: KnownTicks = NO_TICKS, defers: bool = False
) -> Decision:
    """Return what to do with *task*, which is due at *now*.

    Args:
        token: For the claim, if one is made: `<tick id>.<number>`, never used before.
        ticks: They show whether what was missed was missed for want of a tick.
        defers: Whether settlements may be deferred, see `lifecycle.deferral`.
    """
    match task.status:
        case Status.RUNNING if task.claim is not None and task.occurrence is not None:
            return RecoverClaim(task.claim.token.rpartition(".")[0])
        case Status.RETRYING if task.retry_at is not None and task.retry_at > now:
            return ApplyTransition(claim_delivery(task, now=now))
        case Status.RETRYING if _next_run_supersedes_retry(task, now=now):
            return ApplyTransition(_drop_retry(task, now=now))
        case Status.RETRYING if task.occurrence is not None:
            # One whose claim was released has not begun: what was missed goes on yielding.
            is_catch_up = task.attempt == 0 and task.trigger in MISSED_TRIGGERS
            changes = _claim(task, {"attempt": task.attempt + 1}, token=token, now=now)
            return StartAttempt(changes, is_catch_up=is_catch_up)
        case Status.PAUSED if task.pause and task.pause.until and task.pause.until <= now:
            return ApplyTransition(end_pause(task, now=now))
        case Status.SCHEDULED if _has_lost_its_place(task):
            return ApplyTransition(Transition(_return_to_schedule(task, now=now), ()))
        case Status.SCHEDULED:
            return _decide_scheduled(task, token=token, now=now, ticks=ticks, defers=defers)
        case Status.PAUSED | Status.ENDED if (extra := next_manual_run(task)) is not None:
            return StartAttempt(
                _claim(task, _start_queued_run(task, extra), token=token, now=now), is_catch_up=False
            )
        case _ if task.alert.pending or task.outbox.events:
            return ApplyTransition(claim_delivery(task, now=now))
        case _:
            return ApplyTransition(Transition(_repair_state(task, now=now), ()))


def release_claim(task: Task, *, now: datetime, wait: timedelta | None = None) -> dict[str, Any]:
    """The changes that release a claim whose attempt never began: it counts for nothing, and is due again.

    One of the schedule that was never tried is due since its time again, as it was before the claim; it goes
    first in the next tick: see `by_priority`.

    Args:
        wait: How long it is not due; None where it may begin at once.
    """
    due_at = now
    if wait is not None:
        due_at = now + wait
    elif task.attempt <= 1 and task.trigger is Trigger.SCHEDULE and task.occurrence is not None:
        due_at = min(now, earliest_start(task, task.occurrence))
    return {
        "status": Status.RETRYING,
        "attempt": task.attempt - 1,
        "retry_at": due_at,
        "next_run_at": due_at,
        "claim": None,
    }


def time_left(task: Task, *, now: datetime) -> timedelta:
    """How long an attempt begun *now* may take, so that its result is written before its claim expires.

    Nothing where that is less than it is expected to take, or than the whole timeout of one that is never
    made again: better no attempt than one that is cut, for its claim can be released.
    """
    assert task.claim is not None  # only claimed tasks are attempted
    left = task.claim.until - CLAIM_MARGIN - now
    whole = timedelta(seconds=task.timeout_seconds)
    if left >= whole:
        return left
    needed = whole if task.delivery == "at_most_once" else expected_duration(task)
    return left if left >= needed else timedelta()


def claim_until(task: Task, *, now: datetime) -> datetime:
    """When a claim made *now* expires."""
    return now + CLAIM_LEAD_TIME + timedelta(seconds=task.timeout_seconds) + CLAIM_MARGIN


def build_job(task: Task, *, started_at: datetime, timeout_s: float, max_tokens: int | None = None) -> Job:
    """The job of the attempt just claimed, as the task type receives it."""
    assert task.occurrence is not None  # a claim always has one
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
        owner=task.owner,
        channels=named_channels(task) if task.owner else (),
    )


def _decide_scheduled(task: Task, *, token: str, now: datetime, ticks: KnownTicks, defers: bool) -> Decision:
    if task.type == HEARTBEAT and (missed := miss_ping(task, now=now)):
        return ApplyTransition(missed)
    due = due_occurrences(task, now=now)
    if due.skipped and _tick_came_for(task, due.skipped.last, ticks):
        due = replace(due, skipped=due.skipped.model_copy(update={"tick_came": True}))
    has_moved = due.next_occurrence != task.next_occurrence
    is_for_load = task.next_occurrence is not None and ticks.any_between(
        earliest_start(task, task.next_occurrence), None
    )
    # What the scheduler's own load delays is hundreds of tasks at once: the watchdog notifies of it once.
    alert = task.alert
    if has_moved and not is_for_load:
        alert = with_late_start_notification(task, now=now)
    if due.to_run is None:
        return ApplyTransition(_skip_due(task, due, alert, now=now))
    changes: dict[str, Any] = {
        "next_occurrence": due.next_occurrence,
        "backlog": due.backlog,
        "missed": due.skipped,
        "occurrence": due.to_run.at,
        "trigger": due.to_run.trigger,
        "attempt": 1,
    }
    if due.to_run.event is not task.event:
        changes["event"] = due.to_run.event
    if alert is not task.alert:
        changes["alert"] = alert
    is_catch_up = due.to_run.trigger in MISSED_TRIGGERS
    claimed: Mapping[str, Any] = _claim(task, changes, token=token, now=now)
    if defers:
        claimed = with_later_look(task, claimed, now=now)
    return StartAttempt(claimed, is_catch_up=is_catch_up)


def _tick_came_for(task: Task, missed: datetime, ticks: KnownTicks) -> bool:
    """Whether a tick came that could have started *missed*: it was due, and neither too late nor replaced."""
    since = earliest_start(task, missed)
    if not ticks.any_between(since, None):
        return False
    following = next_occurrence(task, after=missed)
    limits = [earliest_start(task, following) if following else None]
    if task.misfire.policy == "skip":
        limits.append(since + grace_period(task, around=missed))
    return ticks.any_between(since, earliest(limits))


def _skip_due(task: Task, due: DueOccurrences, alert: AlertState, *, now: datetime) -> Transition:
    """Nothing is to run: record what is skipped, or else deliver the notifications that are due."""
    runs: tuple[Run, ...] = ()
    if due.skipped is not None:
        runs = (run_of_skipped_range(task, due.skipped, now=now, has_later_run=False),)
    notify_at = next_notification_at(task)
    if not runs and notify_at is not None and notify_at <= now:
        return claim_delivery(task, now=now)
    changes: dict[str, Any] = {"next_occurrence": due.next_occurrence, "backlog": due.backlog}
    if alert is not task.alert:
        changes["alert"] = schedule_delivery(alert, now=now)
    return Transition(changes | idle_state(task, changes, now=now), runs)


def _start_queued_run(task: Task, queued: QueuedRun) -> dict[str, Any]:
    """Start *queued*, which a user asked for; the schedule stays where it is."""
    backlog = tuple(other for other in task.backlog if other is not queued)
    return {
        "backlog": backlog,
        "occurrence": queued.at,
        "trigger": queued.trigger,
        "attempt": 1,
        "missed": None,
    }


def _has_lost_its_place(task: Task) -> bool:
    """Whether *task* waits for a schedule without knowing its next occurrence: no tick writes that.

    Somebody has removed it by hand, or a version wrote it that had another name for it. The task would count
    as ended, and nobody would know.
    """
    if task.next_occurrence is not None or not task.schedule:
        return False
    is_used_up = task.max_runs is not None and task.run_count >= task.max_runs
    return not (task.has_event_triggers or task.backlog or is_used_up)


def _return_to_schedule(task: Task, *, now: datetime) -> dict[str, Any]:
    """Its next occurrence is the first behind all that is known to have been; it may be due."""
    known = [task.created_at, task.updated_at, task.last_run_at or task.created_at]
    changes = {"next_occurrence": next_occurrence(task, after=max(known))}
    return changes | idle_state(task, changes, now=now)


def _repair_state(task: Task, *, now: datetime) -> dict[str, Any]:
    """A valid state in place of one that no tick writes, such as a document edited by hand."""
    if task.status not in (Status.RUNNING, Status.RETRYING):
        return {"next_run_at": None}
    changes = {"claim": None, "occurrence": None, "event": None, "attempt": 0, "interruptions": 0}
    changes["retry_at"] = None
    return changes | idle_state(task, changes, now=now)


def _claim(task: Task, changes: dict[str, Any], *, token: str, now: datetime) -> dict[str, Any]:
    until = claim_until(task, now=now)
    return changes | {
        "status": Status.RUNNING,
        "claim": Claim(token=token, until=until, started_at=now),
        "next_run_at": until,
        "retry_at": None,
    }


def _next_run_supersedes_retry(task: Task, *, now: datetime) -> bool:
    """Whether the next occurrence replaces the retry: it is due, and the current one was tried and failed.

    An occurrence whose attempt was cut short (its tick ended, or its process died) is never replaced, and
    none is where every occurrence counts.
    """
    if task.next_occurrence is None or task.occurrence is None or task.misfire.policy == "run_all":
        return False
    was_tried = task.attempt > task.interruptions and not _was_cut_short(task)
    return was_tried and earliest_start(task, task.next_occurrence) <= now


def _was_cut_short(task: Task) -> bool:
    """Whether the last attempt at the current occurrence ended without a result."""
    return task.expired_claims > 0 or (task.interruptions > 0 and task.last_outcome is OutcomeKind.ABANDONED)


def _drop_retry(task: Task, *, now: datetime) -> Transition:
    """Complete the current occurrence as it last failed: the next one is due before the retry."""
    why = "No further try, the next occurrence has come"
    run = run_of_dropped_retry(task, task.last_outcome or OutcomeKind.FAILED, why, now=now)
    return complete_occurrence(task, run, now=now)
