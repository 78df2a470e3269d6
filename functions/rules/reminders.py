"""When people are reminded of a failure that lasts: at moments that grow apart."""

from datetime import datetime, timedelta
from typing import Literal

from functions.rules.listeners import heard, listening
from functions.rules.policies import NotifyRule
from functions.rules.task import Task
from functions.rules.words import earliest

GROWING = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))  # after the first word
THEN_EACH = timedelta(days=1)


def next_reminder(
    remind: Literal["auto", "never"] | int, *, told_at: datetime, after: datetime
) -> datetime | None:
    """The first reminder later than *after* of a failure told first at *told_at*."""
    if remind == "never":
        return None
    if remind == "auto":
        for wait in GROWING:
            if told_at + wait > after:
                return told_at + wait
        start, step = told_at + GROWING[-1], THEN_EACH
    else:
        start, step = told_at, timedelta(seconds=remind)
    return start + ((after - start) // step + 1) * step


def remind_at(task: Task) -> datetime | None:
    """The next moment at which some rule of *task* wants a reminder; None when none does."""
    return earliest(moment for _, moment in _reminders(task))


def reminded(task: Task, *, now: datetime) -> tuple[list[NotifyRule], datetime | None]:
    """The rules whose reminders have come due by *now*, and the earliest moment of those."""
    due = [(rule, moment) for rule, moment in _reminders(task) if moment <= now]
    return [rule for rule, _ in due], earliest(moment for _, moment in due)


def _reminders(task: Task) -> list[tuple[NotifyRule, datetime]]:
    alert = task.alert
    if alert.told_at is None or not alert.told:
        return []
    after = alert.reminded_at or alert.told_at
    ran_again = task.last_run_at is not None and task.last_run_at > after
    found = []
    for rule in listening(task, "failure"):
        moment = next_reminder(rule.remind, told_at=alert.told_at, after=after)
        if moment is None or not heard(rule, task, task.consecutive_failures):
            continue
        if rule.remind == "auto" and not ran_again:  # there is nothing to add yet: once a day will do
            moment = max(moment, after + THEN_EACH)
        found.append((rule, moment))
    return found
