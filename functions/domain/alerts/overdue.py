"""What must be said of a task without a run to say it: reminders, a success overdue, a start that is late."""

from datetime import datetime, timedelta
from typing import Literal

from functions.domain.alerts.model import Alert, Notice, NoticeKind
from functions.domain.alerts.outbox import appended
from functions.domain.alerts.subscriptions import channels, heard, listening, named
from functions.domain.schedule.occurrences import GRACE_MIN, is_on_time, start_of
from functions.domain.task import SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import earliest, instant_text

# When people are reminded of a failure that lasts: at moments that grow apart.

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


def word_at(task: Task) -> datetime | None:
    """The next moment at which something is to be said of a task that is neither paused nor at its end."""
    if not _is_watched(task):
        return undelivered_at(task)
    return earliest((task.alert.retry_at, task.outbox.retry_at, remind_at(task), _silent_at(task)))


def undelivered_at(task: Task) -> datetime | None:
    """When to try again what people, or other tasks, have not been told yet."""
    return earliest((task.alert.retry_at, task.outbox.retry_at))


def spoken(task: Task, *, now: datetime) -> Alert:
    """The task's alert with what has come due to be said by *now*; of a task that was stopped nothing does.

    Whatever is due is due no more afterwards, even if nobody listens.
    """
    if not _is_watched(task):
        return task.alert
    alert = _silence_told(task, now=now)
    rules, moment = reminded(task, now=now)
    if moment is None:
        return alert
    summary, failures = task.last_error, task.consecutive_failures
    notice = _notice(task, "reminder", rules, at=moment, now=now, summary=summary, failures=failures)
    return appended(alert.model_copy(update={"reminded_at": now}), notice)


def lateness_told(task: Task, *, now: datetime) -> Alert:
    """The alert of a task that is about to start what its schedule owes, or to skip it.

    Late is what begins later than its grace after it could: people hear of it once, until one is on time.
    """
    if task.upcoming is None:
        return task.alert
    due = max(start_of(task, task.upcoming), task.next_run_at or task.upcoming)
    if due > now:
        return task.alert
    spare = due - start_of(task, task.upcoming)  # nobody could have looked at it before then
    late = now - due > GRACE_MIN and not is_on_time(task, task.upcoming, now=now - spare)
    if late is task.alert.late:
        return task.alert
    alert = task.alert.model_copy(update={"late": late})
    rules = listening(task, "late")
    if not late or not rules:
        return alert
    minutes = (now - due) // timedelta(minutes=1)
    summary = f"Due at {instant_text(due)}, looked at {minutes} min later: was the scheduler pinged?"
    return appended(alert, _notice(task, "late", rules, at=task.upcoming, now=now, summary=summary))


def awaiting(task: Task, *, now: datetime) -> Alert:
    """The alert of a task that goes on after a pause: a success is awaited anew, and nobody is reminded."""
    since = now if task.expect_seconds else None
    update = {"awaiting_since": since, "silent": False, "told_at": None, "reminded_at": None}
    if all(getattr(task.alert, name) == value for name, value in update.items()):
        return task.alert
    return task.alert.model_copy(update=update)


def _is_watched(task: Task) -> bool:
    """Whether the task is meant to run again."""
    stopped = task.pause is not None or not task.enabled
    return not stopped and bool(task.upcoming or task.occurrence or task.backlog or task.listens)


def _silent_at(task: Task) -> datetime | None:
    if task.expect_seconds is None or task.alert.silent:
        return None
    return _awaiting_since(task) + timedelta(seconds=task.expect_seconds)


def _awaiting_since(task: Task) -> datetime:
    return task.alert.awaiting_since or task.updated_at


def _silence_told(task: Task, *, now: datetime) -> Alert:
    due, alert = _silent_at(task), task.alert
    if due is None or due > now:
        return alert
    since = _awaiting_since(task)
    alert = alert.model_copy(update={"silent": True, "failing_since": alert.failing_since or since})
    rules = [
        rule
        for rule in listening(task, "silent", "failure")
        if not (alert.told and "failure" in rule.on and heard(rule, task, task.consecutive_failures))
    ]
    if not rules:
        return alert
    summary = f"No success since {instant_text(since)}"
    summary += f"; last: {task.last_error}" if task.last_error else ""
    notice = _notice(
        task, "silent", rules, at=due, now=now, summary=summary, failures=task.consecutive_failures
    )
    alert = alert.model_copy(update={"told": True, "told_at": alert.told_at or now, "reminded_at": now})
    return appended(alert, notice)


def _notice(
    task: Task,
    kind: NoticeKind,
    rules: list[NotifyRule],
    *,
    at: datetime,
    now: datetime,
    summary: str,
    failures: int = 0,
) -> Notice:
    """A notice that belongs to the moment *at*, and is the same whoever finds that it has come."""
    return Notice(
        id=f"{task.id}@{instant_text(at)}#{kind}",
        kind=kind,
        task_id=task.id,
        title=task.title,
        type=task.type,
        schedule=task.schedule,
        timezone=task.timezone,
        occurrence=at,
        at=now,
        summary=summary[:SUMMARY_CHARS],
        channels=channels(named(rules)),
        since=task.alert.failing_since,
        failures=failures,
        next_run_at=task.upcoming if task.upcoming and task.upcoming > now else None,
        priority=task.priority,
        tags=task.tags,
    )
