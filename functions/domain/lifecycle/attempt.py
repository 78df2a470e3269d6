"""The transition that follows an attempt: the end of its occurrence, another try, or the same again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.lifecycle.complete import (
    TICK_INTERVAL,
    Transition,
    attempt_facts,
    complete_occurrence,
    next_check_while_retrying,
    with_notifications,
)
from functions.domain.lifecycle.run_records import run_of_attempt
from functions.domain.run import Outcome
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status

NOT_RETRIED = {OutcomeKind.SUCCEEDED, OutcomeKind.CANCELLED, OutcomeKind.SKIPPED}


def next_retry_at(task: Task, outcome: Outcome, *, now: datetime, random_fraction: float) -> datetime | None:
    """When to try the current occurrence again, or None when it is over.

    The wait is drawn between the least backoff and a ceiling that doubles with each attempt, and is
    never shorter than the other side asked for. Permanent errors are not retried, nor is anything whose tick
    would come later than half-way to the next occurrence: the next occurrence is the better retry.

    Example: `minBackoffSeconds: 10`, second attempt failed, fraction 0.5: from 10 s to 40 s, wait 25 s.

    Args:
        random_fraction: In [0, 1); where between floor and ceiling this wait falls.
    """
    if (
        outcome.kind in NOT_RETRIED
        or outcome.permanent
        or task.delivery == "at_most_once"
        or task.attempt - task.interruptions >= task.retry.max_attempts
        or task.cancel_requested
        or task.pause is not None
    ):
        return None
    at = now + max(_backoff(task, random_fraction), outcome.retry_after or timedelta(0))
    if task.next_occurrence is not None and _tick_after(at) > now + (task.next_occurrence - now) / 2:
        return None
    return at


def _backoff(task: Task, random_fraction: float) -> timedelta:
    floor = task.retry.min_backoff_seconds
    ceiling = min(floor * 2.0 ** (task.attempt - task.interruptions), task.retry.max_backoff_seconds)
    return timedelta(seconds=floor + random_fraction * (ceiling - floor))


def _tick_after(at: datetime) -> datetime:
    """The first whole minute not before *at*: when a tick each minute finds it."""
    floored = at.replace(second=0, microsecond=0)
    return floored if floored == at else floored + TICK_INTERVAL


def complete_attempt(
    task: Task,
    outcome: Outcome,
    *,
    started_at: datetime,
    now: datetime,
    random_fraction: float,
    notifications: Sequence[Notification] = (),
) -> Transition:
    """Decide what follows an attempt that ended with *outcome*.

    Args:
        task: As claimed: `claim`, `occurrence` and `attempt` say which attempt this was.
        now: When the attempt ended; also the one "now" of the whole decision.
        random_fraction: In [0, 1), for the backoff.
        notifications: Others that are to be delivered with the task's own.
    """
    if notifications:
        task = with_notifications(task, notifications, now=now)
    if outcome.kind is OutcomeKind.ABANDONED:
        return _after_interruption(task, outcome, started_at=started_at, now=now)
    retry_at = next_retry_at(task, outcome, now=now, random_fraction=random_fraction)
    run = run_of_attempt(task, outcome, started_at=started_at, now=now, final=retry_at is None)
    if retry_at is not None:
        alert = {"alert": task.alert} if notifications else {}
        return Transition(_retry_state(task, attempt_facts(task, run), retry_at) | alert, (run,))
    return complete_occurrence(task, run, now=now, memory=outcome.memory)


INTERRUPTION_LIMIT = 3  # attempts at one occurrence that are cut short; it is over with the last of them


def _after_interruption(task: Task, outcome: Outcome, *, started_at: datetime, now: datetime) -> Transition:
    """Decide what follows an attempt that was cut short from outside: it has not failed, and is made again.

    It is due at once and goes first in the next tick, with its whole timeout. The occurrence is over when it
    may be tried only once, when a user wants it to end, and when it was cut too often: it needs longer than
    any tick has.
    """
    last = task.interruptions + 1 >= INTERRUPTION_LIMIT
    final = last or task.delivery == "at_most_once" or task.cancel_requested
    why = outcome.summary
    if last:
        why = (
            f"{why}, as at {INTERRUPTION_LIMIT} attempts: if it needs longer than a tick has, "
            "raise TICK_BUDGET_SECONDS or set WORKER_QUEUE"
        )
    run = run_of_attempt(task, replace(outcome, summary=why), started_at=started_at, now=now, final=final)
    if final:
        return complete_occurrence(task, run, now=now)
    state = _retry_state(task, attempt_facts(task, run), now)
    return Transition(state | {"interruptions": task.interruptions + 1, "alert": task.alert}, (run,))


def _retry_state(task: Task, facts: dict[str, Any], retry_at: datetime) -> dict[str, Any]:
    changes = facts | {"status": Status.RETRYING, "retry_at": retry_at, "claim": None, "expired_claims": 0}
    return changes | {"next_run_at": next_check_while_retrying(task.model_copy(update=changes))}
