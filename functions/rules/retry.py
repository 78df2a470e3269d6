"""Whether, and when, a failed occurrence is tried again."""

from datetime import datetime, timedelta

from functions.rules.outcome import Outcome
from functions.rules.task import Task
from functions.rules.words import OutcomeKind

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
