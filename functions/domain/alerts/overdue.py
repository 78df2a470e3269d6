"""What must be said of a task without a run to say it: reminders, a success overdue, a start that is late."""

from datetime import datetime, timedelta
from typing import Literal

from functions.domain.alerts.model import AlertState, Notification, NotificationKind
from functions.domain.alerts.outbox import append
from functions.domain.alerts.subscriptions import (
    channel_names,
    has_reached_threshold,
    omit_default_channel,
    subscribed_to,
)
from functions.domain.schedule.occurrences import MIN_GRACE, is_within_grace, jittered_start
from functions.domain.task import MAX_SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import earliest, format_instant

# When people are reminded of a failure that lasts: at moments that grow apart.

REMINDER_DELAYS = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))  # after the first word
REMINDER_PERIOD = timedelta(days=1)


def next_reminder(
    remind: Literal["auto", "never"] | int, *, first_notified_at: datetime, after: datetime
) -> datetime | None:
    """The first reminder later than *after* of a failure told first at *told_at*."""
    if remind == "never":
        return None
    if remind == "auto":
        for wait in REMINDER_DELAYS:
            if first_notified_at + wait > after:
                return first_notified_at + wait
        start, step = first_notified_at + REMINDER_DELAYS[-1], REMINDER_PERIOD
    else:
        start, step = first_notified_at, timedelta(seconds=remind)
    return start + ((after - start) // step + 1) * step


def next_reminder_at(task: Task) -> datetime | None:
    """The next moment at which some rule of *task* wants a reminder; None when none does."""
    return earliest(moment for _, moment in _reminders(task))


def due_reminders(task: Task, *, now: datetime) -> tuple[list[NotifyRule], datetime | None]:
    """The rules whose reminders have come due by *now*, and the earliest moment of those."""
    due = [(rule, moment) for rule, moment in _reminders(task) if moment <= now]
    return [rule for rule, _ in due], earliest(moment for _, moment in due)


def _reminders(task: Task) -> list[tuple[NotifyRule, datetime]]:
    alert = task.alert
    if alert.first_notified_at is None or not alert.notified:
        return []
    after = alert.reminded_at or alert.first_notified_at
    ran_again = task.last_run_at is not None and task.last_run_at > after
    found = []
    for rule in subscribed_to(task, "failure"):
        moment = next_reminder(rule.remind, first_notified_at=alert.first_notified_at, after=after)
        if moment is None or not has_reached_threshold(rule, task, task.consecutive_failures):
            continue
        if rule.remind == "auto" and not ran_again:  # there is nothing to add yet: once a day will do
            moment = max(moment, after + REMINDER_PERIOD)
        found.append((rule, moment))
    return found


def next_notification_at(task: Task) -> datetime | None:
    """The next moment at which something is to be said of a task that is neither paused nor at its end."""
    if not _is_monitored(task):
        return next_delivery_retry_at(task)
    return earliest(
        (task.alert.retry_at, task.outbox.retry_at, next_reminder_at(task), _missing_success_at(task))
    )


def next_delivery_retry_at(task: Task) -> datetime | None:
    """When to try again what people, or other tasks, have not been told yet."""
    return earliest((task.alert.retry_at, task.outbox.retry_at))


def with_due_notifications(task: Task, *, now: datetime) -> AlertState:
    """The task's alert with what has come due to be said by *now*; of a task that was stopped nothing does.

    Whatever is due is due no more afterwards, even if nobody listens.
    """
    if not _is_monitored(task):
        return task.alert
    alert = _with_missing_success_notification(task, now=now)
    rules, moment = due_reminders(task, now=now)
    if moment is None:
        return alert
    summary, failures = task.last_error, task.consecutive_failures
    notice = _notification(task, "reminder", rules, at=moment, now=now, summary=summary, failures=failures)
    return append(alert.model_copy(update={"reminded_at": now}), notice)


def with_late_start_notification(task: Task, *, now: datetime) -> AlertState:
    """The alert of a task that is about to start what its schedule owes, or to skip it.

    Late is what begins later than its grace after it could: people hear of it once, until one is on time.
    """
    if task.next_occurrence is None:
        return task.alert
    due = max(jittered_start(task, task.next_occurrence), task.next_run_at or task.next_occurrence)
    if due > now:
        return task.alert
    spare = due - jittered_start(task, task.next_occurrence)  # nobody could have looked at it before then
    late = now - due > MIN_GRACE and not is_within_grace(task, task.next_occurrence, now=now - spare)
    if late is task.alert.late_notified:
        return task.alert
    alert = task.alert.model_copy(update={"late_notified": late})
    rules = subscribed_to(task, "late")
    if not late or not rules:
        return alert
    minutes = (now - due) // timedelta(minutes=1)
    summary = f"Due at {format_instant(due)}, looked at {minutes} min later: was the scheduler pinged?"
    return append(
        alert, _notification(task, "late", rules, at=task.next_occurrence, now=now, summary=summary)
    )


def restart_monitoring(task: Task, *, now: datetime) -> AlertState:
    """The alert of a task that goes on after a pause: a success is awaited anew, and nobody is reminded."""
    since = now if task.expect_seconds else None
    update = {
        "awaiting_since": since,
        "missing_success_notified": False,
        "first_notified_at": None,
        "reminded_at": None,
    }
    if all(getattr(task.alert, name) == value for name, value in update.items()):
        return task.alert
    return task.alert.model_copy(update=update)


def _is_monitored(task: Task) -> bool:
    """Whether the task is meant to run again."""
    stopped = task.pause is not None or not task.enabled
    return not stopped and bool(
        task.next_occurrence or task.occurrence or task.backlog or task.has_event_triggers
    )


def _missing_success_at(task: Task) -> datetime | None:
    if task.expect_seconds is None or task.alert.missing_success_notified:
        return None
    return _awaiting_since(task) + timedelta(seconds=task.expect_seconds)


def _awaiting_since(task: Task) -> datetime:
    return task.alert.awaiting_since or task.updated_at


def _with_missing_success_notification(task: Task, *, now: datetime) -> AlertState:
    due, alert = _missing_success_at(task), task.alert
    if due is None or due > now:
        return alert
    since = _awaiting_since(task)
    alert = alert.model_copy(
        update={"missing_success_notified": True, "failing_since": alert.failing_since or since}
    )
    rules = [
        rule
        for rule in subscribed_to(task, "silent", "failure")
        if not (
            alert.notified
            and "failure" in rule.on
            and has_reached_threshold(rule, task, task.consecutive_failures)
        )
    ]
    if not rules:
        return alert
    summary = f"No success since {format_instant(since)}"
    summary += f"; last: {task.last_error}" if task.last_error else ""
    notice = _notification(
        task, "silent", rules, at=due, now=now, summary=summary, failures=task.consecutive_failures
    )
    alert = alert.model_copy(
        update={"notified": True, "first_notified_at": alert.first_notified_at or now, "reminded_at": now}
    )
    return append(alert, notice)


def _notification(
    task: Task,
    kind: NotificationKind,
    rules: list[NotifyRule],
    *,
    at: datetime,
    now: datetime,
    summary: str,
    failures: int = 0,
) -> Notification:
    """A notice that belongs to the moment *at*, and is the same whoever finds that it has come."""
    return Notification(
        id=f"{task.id}@{format_instant(at)}#{kind}",
        kind=kind,
        task_id=task.id,
        title=task.title,
        type=task.type,
        schedule=task.schedule,
        timezone=task.timezone,
        occurrence=at,
        at=now,
        summary=summary[:MAX_SUMMARY_CHARS],
        channels=omit_default_channel(channel_names(rules)),
        since=task.alert.failing_since,
        failures=failures,
        next_run_at=task.next_occurrence if task.next_occurrence and task.next_occurrence > now else None,
        priority=task.priority,
        tags=task.tags,
    )
