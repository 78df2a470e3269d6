"""What follows an attempt: the next wake-up, the new state, the records to keep, the people to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.decide import FAILURES, decide, paused_notice
from functions.domain.alerts.model import Alert, Notice
from functions.domain.alerts.outbox import appended
from functions.domain.alerts.overdue import spoken, undelivered_at, word_at
from functions.domain.event_outbox import put_down
from functions.domain.lifecycle.run_records import attempt_run, missed_run, skip_run
from functions.domain.run import Outcome, Run
from functions.domain.schedule.occurrences import newest, next_occurrence, older, owed, start_of
from functions.domain.task import RECENT_RUNS, SUMMARY_CHARS, Extra, Missed, Pause, Task
from functions.domain.task_budget import charged
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger, earliest

# Whether, and when, a failed occurrence is tried again.

PACE = timedelta(minutes=1)  # how often a pinger comes; a retry waits for its tick like everything else
NEVER_AGAIN = {OutcomeKind.SUCCEEDED, OutcomeKind.CANCELLED, OutcomeKind.SKIPPED}


def retry_at(task: Task, outcome: Outcome, *, now: datetime, dice: float) -> datetime | None:
    """When to try the occurrence in hand again, or None when it is over.

    The wait is drawn between the least backoff and a ceiling that doubles with each attempt, and is
    never shorter than the other side asked for. There is no retry on errors that trying again cannot
    mend, nor one whose tick would come later than half-way to the next occurrence: the next occurrence
    is the better retry.

    Args:
        dice: In [0, 1); where between floor and ceiling this wait falls.
    """
    if (
        outcome.kind in NEVER_AGAIN
        or outcome.permanent
        or task.delivery == "at_most_once"
        or task.attempt >= task.retry.max_attempts
        or task.cancel_requested
        or task.pause is not None
    ):
        return None
    at = now + max(_backoff(task, dice), outcome.retry_after or timedelta(0))
    if task.upcoming is not None and _tick_after(at) > now + (task.upcoming - now) / 2:
        return None
    return at


def _backoff(task: Task, dice: float) -> timedelta:
    floor = task.retry.min_backoff_seconds
    ceiling = min(floor * 2.0**task.attempt, task.retry.max_backoff_seconds)
    return timedelta(seconds=floor + dice * (ceiling - floor))


def _tick_after(at: datetime) -> datetime:
    """The first whole minute not before *at*: when a pinger that comes each minute will find it."""
    floored = at.replace(second=0, microsecond=0)
    return floored if floored == at else floored + PACE


BACKLOG_LIMIT = 100  # occurrences that may wait beside the schedule; older ones are skipped and counted
DELIVERY_GRACE = timedelta(minutes=1)  # then another tick delivers the notices this one did not

BREAKERS = {"agent": 5}  # failures in a row after which tasks of a type pause, unless they say otherwise
ASKED_FOR = {Trigger.MANUAL, Trigger.BACKFILL}  # by a person, so they count for no limit of runs


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be written about one task, and kept in the ledger before that.

    Attributes:
        changes: Fields of the task by Python name, with their new values.
        runs: The attempt's record first, then those of occurrences skipped with it.
    """

    changes: dict[str, Any]
    runs: tuple[Run, ...]


def settle(
    task: Task,
    outcome: Outcome,
    *,
    started_at: datetime,
    now: datetime,
    dice: float,
    notices: Sequence[Notice] = (),
) -> Settlement:
    """Decide what follows when the attempt in hand came to *outcome*.

    Args:
        task: As claimed: `claim`, `occurrence` and `attempt` say which attempt this was.
        now: When the attempt ended; also the one "now" of the whole decision.
        dice: In [0, 1), for the backoff.
        notices: What people are to be told besides.
    """
    task = carrying(task, notices, now=now)
    again = retry_at(task, outcome, now=now, dice=dice)
    run = attempt_run(task, outcome, started_at=started_at, now=now, final=again is None)
    if again is not None:
        word = {"alert": task.alert} if notices else {}
        return Settlement(_retrying(task, _seen(task, run), again) | word, (run,))
    return close(task, run, now=now, memory=outcome.memory)


def close(task: Task, run: Run, *, now: datetime, memory: Mapping[str, Any] | None = None) -> Settlement:
    """Decide what follows *run*, the last record of the occurrence in hand.

    Args:
        memory: The type's new notes; None leaves them, as when only the record survived a crash.
    """
    skipped = [] if task.missed is None else [missed_run(task, task.missed, now=now)]
    after, overlapped = overlapping(task, now=now)
    failures = _failures(task, run)
    counted = task.run_count + (run.trigger not in ASKED_FOR and run.outcome is not OutcomeKind.SKIPPED)
    alert, _ = decide(task, run, now=now)
    if task.max_runs is not None and counted >= task.max_runs:
        after, dropped = _ended(task, after["backlog"], now=now)
        overlapped += dropped
    pause = task.pause or _breaker(task, run, failures, now=now)
    if pause is not None and pause is not task.pause:
        alert = appended(alert, paused_notice(task, pause.note, now=now))
    changes = _seen(task, run) | after
    changes |= {
        "occurrence": None,
        "trigger": Trigger.SCHEDULE,
        "attempt": 0,
        "retry_at": None,
        "claim": None,
        "cancel_requested": False,
        "missed": None,
        "crashes": 0 if run.outcome is not OutcomeKind.ABANDONED else task.crashes,
        "consecutive_failures": failures,
        "run_count": counted,
        "pause": pause,
        "alert": alert,
    }
    if alert.told_at or task.expect_seconds:
        changes["alert"] = spoken(task.model_copy(update=changes), now=now)
    changes["alert"] = to_be_told(changes["alert"], now=now)
    if (outbox := put_down(task, run, now=now)) is not task.outbox:
        changes["outbox"] = outbox
    if task.event is not None:
        changes["event"] = None
    if memory is not None:
        changes["memory"] = dict(memory)
    return Settlement(changes | rest(task, changes, now=now), (run, *skipped, *overlapped))


def rest(task: Task, changes: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The status and the next wake-up of a task with nothing in hand, after *changes*."""
    after = task.model_copy(update=changes)
    if after.pause is not None or not after.enabled:
        status = Status.PAUSED
    elif _is_over(after, now=now):
        status = Status.ENDED
    else:
        status = Status.SCHEDULED
    return {"status": status, "next_run_at": _wake_at(after, status, now=now)}


def _is_over(task: Task, *, now: datetime) -> bool:
    """Whether nothing can start a task any more but a person."""
    if task.upcoming is not None or any(extra.trigger not in ASKED_FOR for extra in task.backlog):
        return False
    spent = task.max_runs is not None and task.run_count >= task.max_runs
    late = task.end_at is not None and now > task.end_at
    return spent or late or not task.listens


def asked_for(task: Task) -> Extra | None:
    """The oldest waiting run that a person asked for: it is made even of a task that is paused."""
    return next((extra for extra in task.backlog if extra.trigger in ASKED_FOR), None)


def to_be_told(alert: Alert, *, now: datetime) -> Alert:
    """*alert* with a wake-up for its pending notices, should this process not live to deliver them.

    Notices that wait for a better moment keep it.
    """
    if alert.pending and (alert.retry_at is None or alert.retry_at <= now):
        return alert.model_copy(update={"retry_at": now + DELIVERY_GRACE})
    return alert


def carrying(task: Task, notices: Sequence[Notice], *, now: datetime) -> Task:
    """*task* with *notices* that wait in it, to be delivered with its own."""
    if not notices:
        return task
    alert = to_be_told(appended(task.alert, *notices), now=now)
    return task.model_copy(update={"alert": alert})


def look_while_retrying(task: Task) -> datetime | None:
    """When to look at a task with an occurrence that is to be tried again: for that, or to tell of it."""
    return earliest((task.retry_at, word_at(task)))


def spent_with(task: Task, run: Run) -> dict[str, Any]:
    """What a task with a budget has spent after *run*; nothing for one without."""
    credits = charged(run.metrics)
    if task.budget is None or not credits:
        return {}
    return {"spent": task.spent.plus(credits, now=run.finished_at)}


def overlapping(task: Task, *, now: datetime) -> tuple[dict[str, Any], list[Run]]:
    """Deal with the occurrences that came while the one in hand was still in work.

    What was owed before this attempt began (it was a second try, say) did not overlap: it stays owed.
    """
    began = task.claim.started_at if task.claim else now
    overlaps = task.upcoming is not None and task.upcoming > began
    span = owed(task, until=now) if overlaps else None
    if span is None:
        return {"upcoming": task.upcoming, "backlog": task.backlog}, []
    room = {"skip": 0, "queue_one": 1, "queue_all": BACKLOG_LIMIT}[task.overlap]
    free = max(0, room - sum(extra.trigger is Trigger.QUEUED for extra in task.backlog))
    queued = newest(task, span, free) if free else []
    left_out = older(task, span, than=queued[0]) if queued else span
    after = {
        "upcoming": next_occurrence(task, after=span.last),
        "backlog": (*task.backlog, *(Extra(at=at, trigger=Trigger.QUEUED) for at in queued)),
    }
    if left_out is None:
        return after, []
    which = Missed(count=left_out.count, first=left_out.first, last=left_out.last)
    summary = "The run before was still in work"
    return after, [skip_run(task, which, SkipReason.OVERLAP, summary, now=now)]


def _seen(task: Task, run: Run) -> dict[str, Any]:
    """What every attempt leaves behind, whether it was the last one or not."""
    fields: dict[str, Any] = {
        "last_run_at": run.started_at,
        "last_outcome": run.outcome,
        "last_duration_ms": run.duration_ms,
        "recent": (*task.recent, run.compact)[-RECENT_RUNS:],
    } | spent_with(task, run)
    if run.outcome is OutcomeKind.SUCCEEDED:
        return fields | {"last_result_summary": run.summary, "last_error": ""}
    return fields | {"last_error": run.summary}


def _retrying(task: Task, seen: dict[str, Any], again: datetime) -> dict[str, Any]:
    changes = seen | {"status": Status.RETRYING, "retry_at": again, "claim": None, "crashes": 0}
    return changes | {"next_run_at": look_while_retrying(task.model_copy(update=changes))}


def _ended(task: Task, backlog: tuple[Extra, ...], *, now: datetime) -> tuple[dict[str, Any], list[Run]]:
    """What is left when the last of `maxRuns` is done: only what a person asked for."""
    waiting = [extra.at for extra in backlog if extra.trigger not in ASKED_FOR]
    after = {"upcoming": None, "backlog": tuple(extra for extra in backlog if extra.trigger in ASKED_FOR)}
    if not waiting:
        return after, []
    which = Missed(count=len(waiting), first=min(waiting), last=max(waiting))
    summary = f"The task has had its {task.max_runs} runs"
    return after, [skip_run(task, which, SkipReason.ENDED, summary, now=now)]


def _failures(task: Task, run: Run) -> int:
    if run.outcome is OutcomeKind.SUCCEEDED:
        return 0
    return task.consecutive_failures + (run.outcome in FAILURES)


def _breaker(task: Task, run: Run, failures: int, *, now: datetime) -> Pause | None:
    limit = task.pause_after_failures or BREAKERS.get(task.type)
    if limit is None or failures < limit or run.outcome not in FAILURES:
        return None
    return Pause(
        note=f"Failed {failures} times in a row: {run.summary}"[:SUMMARY_CHARS], by="scheduler", at=now
    )


def _wake_at(task: Task, status: Status, *, now: datetime) -> datetime | None:
    """The earliest of all reasons to look at a task with nothing in hand; never in the past."""
    reasons = [word_at(task) if status is Status.SCHEDULED else undelivered_at(task)]
    if (status is Status.SCHEDULED and task.backlog) or asked_for(task):
        reasons.append(now)
    if status is Status.PAUSED:
        reasons.append(task.pause.until if task.pause else None)
    if status is Status.SCHEDULED:
        reasons.append(start_of(task, task.upcoming) if task.upcoming else None)
    first = earliest(reasons)
    return None if first is None else max(first, now)
