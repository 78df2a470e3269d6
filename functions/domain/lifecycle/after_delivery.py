"""What a try at delivering a task's notices means for the task, before and after it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.alerts.outbox import ChannelHolds, after_attempt
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


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """What became of one notice.

    Attributes:
        failed: Channels that could not be told.
        held: Until when others are closed to it.
    """

    failed_channels: tuple[str, ...] = ()
    held_until: ChannelHolds = field(default_factory=dict)


def after_delivery(
    task: Task, attempts: Mapping[str, DeliveryAttempt], *, now: datetime
) -> tuple[dict[str, Any], tuple[Notification, ...]]:
    """The changes that follow one try at delivery, and the notices given up for good.

    Args:
        task: As it stands now; it may hold notices decided since the try began. They stay.
        tried: Each notice tried, by id.
    """
    tries = [
        attempts.get(notice.id) or DeliveryAttempt(failed_channels=notice.channels or (DEFAULT_CHANNEL,))
        for notice in task.alert.pending
    ]
    alert, given_up = after_attempt(
        task.alert,
        [one.failed_channels for one in tries],
        now=now,
        channel_holds=[one.held_until for one in tries],
    )
    return {"alert": alert} | next_wake_up(task, {"alert": alert}, now=now), given_up


def remove_delivered_events(
    task: Task, delivered: Collection[tuple[str, str]], *, now: datetime
) -> Transition:
    """Take from the task's outbox the events of these marks, each with whom it was for."""
    changes: dict[str, Any] = {"outbox": remove_delivered(task, delivered)}
    return Transition(changes | next_wake_up(task, changes, now=now), ())


def claim_delivery(task: Task, *, now: datetime) -> Transition:
    """Add what has come due to be said, and put it off by a minute, so that of several ticks one tells.

    Who gets this write through tells; should it not live to do so, the next tick after that minute will.
    """
    alert = task.alert if task.status is Status.QUARANTINED else with_due_notifications(task, now=now)
    changes: dict[str, Any] = {"alert": schedule_delivery(alert, now=now)}
    if (outbox := postpone(task.outbox, now=now)) is not task.outbox:
        changes["outbox"] = outbox
    return Transition(changes | next_wake_up(task, changes, now=now), ())


def next_wake_up(task: Task, changes: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """When to look at a task again after *changes* to what is to be said of it."""
    match task.status:
        case Status.RUNNING:
            return {}  # its claim's expiry stands
        case Status.RETRYING:
            return {"next_run_at": next_check_while_retrying(task.model_copy(update=dict(changes)))}
        case Status.QUARANTINED:
            return {"next_run_at": next_delivery_retry_at(task.model_copy(update=dict(changes)))}
        case _:
            return idle_state(task, changes, now=now)
