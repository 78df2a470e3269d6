"""Notifications that no run causes: reminders, a success that is overdue, a start that is late."""

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
from functions.domain.schedule.occurrences import MIN_GRACE, earliest_start, is_within_grace
from functions.domain.task import MAX_SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import earliest, format_instant

REMINDER_DELAYS = (
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
)
REMINDER_PERIOD = timedelta(days=1)


def next_reminder(
    remind: Literal["auto", "never"] | int, *, first_notified_at: datetime, after: datetime
) -> datetime | None:
    """The first reminder later than *after* of a failure first notified of at *first_notified_at*.

    With "auto" they come 1, 4 and 12 hours after that, then each day; otherwise every *remind* seconds.
    """
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
    """When the next reminder of *task* is due by any of its rules; None when none will be."""
    return earliest(due_at for _, due_at in _reminders(task))


def due_reminders(task: Task, *, now: datetime) -> tuple[list[NotifyRule], datetime | None]:
    """The rules whose reminders are due by *now*, and when the first of these was due."""
    due = [(rule, due_at) for rule, due_at in _reminders(task) if due_at <= now]
    return [rule for rule, _ in due], earliest(due_at for _, due_at in due)


def _reminders(task: Task) -> list[tuple[NotifyRule, datetime]]:
    alert = task.alert
    if alert.first_notified_at is None or not alert.notified or alert.acknowledged_by:
        return []
    after = alert.reminded_at or alert.first_notified_at
    ran_again = task.last_run_at is not None and task.last_run_at > after
    reminders = []
    for rule in subscribed_to(task, "failure"):
        due_at = next_reminder(rule.remind, first_notified_at=alert.first_notified_at, after=after)
        if due_at is None or not has_reached_threshold(rule, task, task.consecutive_failures):
            continue
        if rule.remind == "auto" and not ran_again:  # there is nothing to add yet: once a day will do
            due_at = max(due_at, after + REMINDER_PERIOD)
        reminders.append((rule, due_at))
    return reminders


def next_notification_at(task: Task) -> datetime | None:
    """When the next notification about *task*, or the next delivery of one, is due; None when none is."""
    return earliest((task.alert.retry_at, task.outbox.retry_at, next_overdue_at(task)))


def next_overdue_at(task: Task) -> datetime | None:
    """When a reminder of *task*, or a notification of a missing success, is due next; None when none is."""
    if not (task.alert.first_notified_at or task.expect_seconds) or not _is_monitored(task):
        return None
    return earliest((next_reminder_at(task), _missing_success_at(task)))


def next_delivery_retry_at(task: Task) -> datetime | None:
    """When to try again to deliver what waits in *task*: notifications, and events for other tasks."""
    return earliest((task.alert.retry_at, task.outbox.retry_at))


def with_due_notifications(task: Task, *, now: datetime) -> AlertState:
    """The task's alert with the notifications due by *now*; a task that is stopped has none.

    What is due counts as done afterwards, even when no rule subscribes to it.
    """
    if not _is_monitored(task):
        return task.alert
    alert = _with_missing_success_notification(task, now=now)
    rules, due_at = due_reminders(task, now=now)
    if due_at is None:
        return alert
    summary, failures = task.last_error, task.consecutive_failures
    notice = _notification(task, "reminder", rules, at=due_at, now=now, summary=summary, failures=failures)
    return append(alert.model_copy(update={"reminded_at": now}), notice)


def with_late_start_notification(task: Task, *, now: datetime) -> AlertState:
    """The alert of a task whose due occurrences are about to be started or skipped.

    A start is late when its grace is over before a tick finds it. One notification says so, and no other
    follows until a start is on time.
    """
    if task.next_occurrence is None:
        return task.alert
    due = max(earliest_start(task, task.next_occurrence), task.next_run_at or task.next_occurrence)
    if due > now:
        return task.alert
    spare = due - earliest_start(task, task.next_occurrence)  # no tick could have found it before then
    late = now - due > MIN_GRACE and not is_within_grace(task, task.next_occurrence, now=now - spare)
    if late is task.alert.late_notified:
        return task.alert
    alert = task.alert.model_copy(update={"late_notified": late})
    rules = subscribed_to(task, "late")
    if not late or not rules:
        return alert
    minutes = (now - due) // timedelta(minutes=1)
    fate = " and skipped" if task.misfire.policy == "skip" else ""
    summary = f"Due at {format_instant(due)}, looked at {minutes} min later{fate}: was the scheduler pinged?"
    return append(
        alert, _notification(task, "late", rules, at=task.next_occurrence, now=now, summary=summary)
    )


def restart_monitoring(task: Task, *, now: datetime) -> AlertState:
    """The alert of a task whose pause ends: the wait for a success begins anew, reminders are over."""
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
    """Whether anything can still start the task."""
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
    alert = alert.failing(since).model_copy(update={"missing_success_notified": True})
    rules = [
        rule
        for rule in subscribed_to(task, "silent", "failure")
        if not (
            alert.first_notified_at  # so that reminders follow; after a pause none do
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
    """The notification that belongs to the instant *at*, the same whichever tick makes it."""
    return Notification.about(
        task,
        kind,
        occurrence=at,
        now=now,
        summary=summary[:MAX_SUMMARY_CHARS],
        channels=omit_default_channel(channel_names(rules)),
        since=task.alert.failing_since,
        failures=failures,
    )
