"""The transitions around a delivery: claim it before, keep what failed or waits after."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from functions.domain.alerts.outbox import DeliveryAttempt, Undelivered, after_attempt
from functions.domain.alerts.overdue import next_delivery_retry_at, with_due_notifications
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL
from functions.domain.event_outbox import postpone, remove_delivered
from functions.domain.lifecycle.complete import (
    Transition,
    idle_state,
    next_check_while_retrying,
    schedule_delivery,
)
from functions.domain.task import Task
from functions.domain.types import Status


def after_delivery(
    task: Task, attempts: Mapping[str, DeliveryAttempt], *, now: datetime
) -> tuple[dict[str, Any], tuple[Undelivered, ...]]:
    """The changes that follow one attempt at delivery, and what some channels will never get.

    Args:
        task: As it is now; notifications decided since the attempt began stay pending.
        attempts: By the id of the notification.
    """
    in_order = [
        attempts.get(notice.id) or DeliveryAttempt(failed_channels=notice.channels or (DEFAULT_CHANNEL,))
        for notice in task.alert.pending
    ]
    alert, undelivered = after_attempt(task.alert, in_order, now=now)
    return {"alert": alert} | next_wake_up(task, {"alert": alert}, now=now), undelivered


def remove_delivered_events(
    task: Task, delivered: Collection[tuple[str, str]], *, now: datetime
) -> Transition:
    """Remove the events *delivered* from the task's outbox, each a pair of `Event.key` and `Event.to`."""
    changes: dict[str, Any] = {"outbox": remove_delivered(task, delivered)}
    return Transition(changes | next_wake_up(task, changes, now=now), ())


def claim_delivery(task: Task, *, now: datetime) -> Transition:
    """Add the notifications that are due and postpone delivery by a minute, so that one tick delivers.

    The tick whose write succeeds delivers; if it dies before that, the first tick after the minute does.
    """
    alert = task.alert if task.status is Status.QUARANTINED else with_due_notifications(task, now=now)
    changes: dict[str, Any] = {"alert": schedule_delivery(alert, now=now)}
    if (outbox := postpone(task.outbox, now=now)) is not task.outbox:
        changes["outbox"] = outbox
    return Transition(changes | next_wake_up(task, changes, now=now), ())


def next_wake_up(task: Task, changes: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """When the task is due next after *changes* to its alert or outbox."""
    match task.status:
        case Status.RUNNING:
            return {}  # the expiry of its claim stays
        case Status.RETRYING:
            return {"next_run_at": next_check_while_retrying(task.model_copy(update=dict(changes)))}
        case Status.QUARANTINED:
            return {"next_run_at": next_delivery_retry_at(task.model_copy(update=dict(changes)))}
        case _:
            return idle_state(task, changes, now=now)
