"""What to do with a task the due query found: attempt it, settle it without an attempt, or look first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.overdue import awaiting, lateness_told, word_at
from functions.domain.lifecycle.after_delivery import about_to_tell
from functions.domain.lifecycle.complete import BACKLOG_LIMIT, Settlement, asked_for, close, rest, to_be_told
from functions.domain.lifecycle.run_records import given_up, missed_run, skip_run
from functions.domain.run import Run
from functions.domain.schedule.occurrences import is_on_time, newest, next_occurrence, older, owed, start_of
from functions.domain.schedule.parse import Span
from functions.domain.task import Claim, Extra, Job, Missed, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger, occurrence_id

# What the schedule owes when a task is found due: one occurrence as a rule, many after an outage.


@dataclass(frozen=True, slots=True)
class Owed:
    """What a task at rest owes by now.

    Attributes:
        chosen: What to attempt first; None when nothing is due.
        backlog: What waits behind it.
        upcoming: The schedule's next occurrence after all of these.
        missed: Occurrences nobody will attempt; recorded with the run that stands in for them.
    """

    chosen: Extra | None
    backlog: tuple[Extra, ...]
    upcoming: datetime | None
    missed: Missed | None = None


def owed_by(task: Task, *, now: datetime) -> Owed:
    """Gather the occurrences that have come by *now* and apply the misfire policy to them."""
    span = owed(task, until=now)
    if span is not None and start_of(task, span.last) > now:  # its jitter has not run out yet
        span = older(task, span, than=span.last)
    if span is None:
        return _oldest(Owed(None, task.backlog, task.upcoming))
    upcoming = next_occurrence(task, after=span.last)
    on_time = is_on_time(task, span.last, now=now)
    if task.misfire.policy == "run_all" and (span.count > 1 or task.backlog or not on_time):
        room = BACKLOG_LIMIT - len(task.backlog)
        if room <= 0:  # the schedule waits until the backlog is shorter
            return _oldest(Owed(None, task.backlog, task.upcoming))
        times = newest(task, span, room)
        waiting = [Extra(at=at, trigger=Trigger.CATCH_UP) for at in times]
        if on_time:
            waiting[-1] = Extra(at=times[-1], trigger=Trigger.SCHEDULE)
        left_out = older(task, span, than=times[0])
        missed = _missed(left_out)
        return _oldest(Owed(None, (*task.backlog, *waiting), upcoming, missed))
    if task.misfire.policy == "skip" and not on_time:
        missed = _missed(span)
        return replace(_oldest(Owed(None, task.backlog, upcoming)), missed=missed)
    chosen = Extra(at=span.last, trigger=Trigger.SCHEDULE if on_time else Trigger.CATCH_UP)
    missed = _missed(older(task, span, than=span.last))
    if task.backlog:  # whoever waits longest goes first
        return _oldest(Owed(None, (*task.backlog, chosen), upcoming, missed))
    return Owed(chosen, (), upcoming, missed)


def _oldest(owed: Owed) -> Owed:
    if not owed.backlog:
        return owed
    return replace(owed, chosen=owed.backlog[0], backlog=owed.backlog[1:])


def _missed(span: Span | None) -> Missed | None:
    return None if span is None else Missed(count=span.count, first=span.first, last=span.last)


CLAIM_MARGIN = timedelta(seconds=15)  # a claim outlives its attempt by this: flushing, and clocks that differ
CLAIMED_AHEAD = timedelta(seconds=1)  # how long before its attempt a claim may be made


@dataclass(frozen=True, slots=True)
class Start:
    """Claim the task with these changes and make the attempt.

    Attributes:
        late: True for work that was missed and is being caught up; it yields to work that is on time.
    """

    changes: Mapping[str, Any]
    late: bool


@dataclass(frozen=True, slots=True)
class Settle:
    """Write this without an attempt. The task may be due again right after."""

    settlement: Settlement


@dataclass(frozen=True, slots=True)
class LookUp:
    """The claim has expired: ask the ledger what the tick with this id recorded, then see `recovery`."""

    tick_id: str


Verdict = Start | Settle | LookUp


def judge(task: Task, *, token: str, now: datetime) -> Verdict:
    """Say what *task*, found due at *now*, needs next.

    Args:
        token: For the claim, should there be one: `<tick id>.<number>`, never used before.
    """
    match task.status:
        case Status.RUNNING if task.claim is not None:
            return LookUp(task.claim.token.rpartition(".")[0])
        case Status.RETRYING if task.retry_at is not None and task.retry_at > now:
            return Settle(about_to_tell(task, now=now))
        case Status.RETRYING if _gives_way(task, now=now):
            return Settle(_give_way(task, now=now))
        case Status.RETRYING if task.occurrence is not None:
            return Start(_claim(task, {"attempt": task.attempt + 1}, token=token, now=now), late=False)
        case Status.PAUSED if task.pause and task.pause.until and task.pause.until <= now:
            return Settle(resume(task, now=now))
        case Status.SCHEDULED:
            return _scheduled(task, token=token, now=now)
        case Status.PAUSED | Status.ENDED if (extra := asked_for(task)) is not None:
            return Start(_claim(task, _take(task, extra), token=token, now=now), late=False)
        case _ if task.alert.pending or task.outbox.events:
            return Settle(about_to_tell(task, now=now))
        case _:
            return Settle(Settlement(_mended(task, now=now), ()))


def resume(task: Task, *, now: datetime, catch_up: bool = False) -> Settlement:
    """End a pause. What was missed in it is skipped and counted, unless it is to be caught up."""
    runs: tuple[Run, ...] = ()
    upcoming = task.upcoming
    span = None if catch_up else owed(task, until=now)
    if span is not None:
        which = Missed(count=span.count, first=span.first, last=span.last)
        runs = (skip_run(task, which, SkipReason.PAUSED, "The task was paused", now=now),)
        upcoming = next_occurrence(task, after=now)
    changes: dict[str, Any] = {"pause": None, "enabled": True, "upcoming": upcoming}
    changes |= {"consecutive_failures": 0, "crashes": 0}
    if (alert := awaiting(task, now=now)) is not task.alert:
        changes["alert"] = alert
    return Settlement(changes | rest(task, changes, now=now), runs)


def release(task: Task, *, now: datetime) -> dict[str, Any]:
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


def job_of(task: Task, *, started_at: datetime, timeout_s: float, max_tokens: int | None = None) -> Job:
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


def _scheduled(task: Task, *, token: str, now: datetime) -> Verdict:
    """A task at rest: gather what the schedule owes by now, then take the oldest thing that waits."""
    owed = owed_by(task, now=now)
    alert = lateness_told(task, now=now) if owed.upcoming != task.upcoming else task.alert
    if owed.chosen is None:
        changes: dict[str, Any] = {"upcoming": owed.upcoming, "backlog": owed.backlog}
        runs = () if owed.missed is None else (missed_run(task, owed.missed, now=now),)
        word = word_at(task)
        if not runs and word is not None and word <= now:
            return Settle(about_to_tell(task, now=now))
        if alert is not task.alert:
            changes["alert"] = to_be_told(alert, now=now)
        return Settle(Settlement(changes | rest(task, changes, now=now), runs))
    changes = {
        "upcoming": owed.upcoming,
        "backlog": owed.backlog,
        "missed": owed.missed,
        "occurrence": owed.chosen.at,
        "trigger": owed.chosen.trigger,
        "attempt": 1,
    }
    if owed.chosen.event is not task.event:
        changes["event"] = owed.chosen.event
    if alert is not task.alert:
        changes["alert"] = alert
    late = owed.chosen.trigger in (Trigger.CATCH_UP, Trigger.BACKFILL)
    return Start(_claim(task, changes, token=token, now=now), late=late)


def _take(task: Task, extra: Extra) -> dict[str, Any]:
    """Hand out *extra*, which a person asked for; the schedule stays where it is."""
    backlog = tuple(other for other in task.backlog if other is not extra)
    return {
        "backlog": backlog,
        "occurrence": extra.at,
        "trigger": extra.trigger,
        "attempt": 1,
        "missed": None,
    }


def _mended(task: Task, *, now: datetime) -> dict[str, Any]:
    """A state no tick leaves behind (a document edited by hand), made one that it could have left."""
    if task.status not in (Status.RUNNING, Status.RETRYING):
        return {"next_run_at": None}
    changes = {"claim": None, "occurrence": None, "event": None, "attempt": 0, "retry_at": None}
    return changes | rest(task, changes, now=now)


def _claim(task: Task, changes: dict[str, Any], *, token: str, now: datetime) -> dict[str, Any]:
    until = now + CLAIMED_AHEAD + timedelta(seconds=task.timeout_seconds) + CLAIM_MARGIN
    return changes | {
        "status": Status.RUNNING,
        "claim": Claim(token=token, until=until, started_at=now),
        "next_run_at": until,
        "retry_at": None,
    }


def _gives_way(task: Task, *, now: datetime) -> bool:
    """Whether the next occurrence is the better retry: the one in hand was tried, and failed.

    An occurrence nobody knows to have been tried (its process died) does not give way, and none does
    where every occurrence counts.
    """
    if task.upcoming is None or task.occurrence is None or task.misfire.policy == "run_all":
        return False
    return task.attempt > 0 and task.crashes == 0 and start_of(task, task.upcoming) <= now


def _give_way(task: Task, *, now: datetime) -> Settlement:
    """The next occurrence has come before the retry: the occurrence in hand is over, as it last failed."""
    why = "No further try, the next occurrence has come"
    run = given_up(task, task.last_outcome or OutcomeKind.FAILED, why, now=now)
    return close(task, run, now=now)
