"""Delivers the notifications that wait in tasks, and writes which of them are left."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.alerts.outbox import DeliveryAttempt, Undelivered
from functions.domain.alerts.routing import Route, drop_superseded
from functions.domain.alerts.subscriptions import DEFAULT_CHANNEL
from functions.domain.lifecycle.after_delivery import after_delivery
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.removal import has_delivered_all
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.engine.writer import PendingTransition, TickWriter
from functions.interfaces import NotificationRouting, Notify

log = logging.getLogger(__name__)

MAX_TIMEOUT = timedelta(seconds=10)  # for all channels together; they receive in parallel
MIN_TIMEOUT = timedelta(seconds=0.5)  # even of a tick that has used up its time


async def deliver_notifications(
    tasks: Sequence[VersionedTask],
    *,
    notify: Notify,
    routing: NotificationRouting | None,
    writer: TickWriter,
    clock: Callable[[], datetime],
    answer_by: datetime | None,
) -> int:
    """Deliver what is pending in *tasks*: one message per channel. What fails waits for a later tick.

    Returns:
        How many notifications reached nobody and never will.

    Args:
        routing: Knows which channels are closed to what; None when all are always open.
    """
    if not any(stored.task.alert.pending for stored in tasks):
        return 0
    routes = await _route(tasks, routing)
    pending = [one for stored in tasks for one in stored.task.alert.pending]
    dropped = {
        stored.task.alert.pending[-1].id: stored.task.alert.dropped
        for stored in tasks
        if stored.task.alert.pending
    }
    ready = [
        one.model_copy(
            update={
                "channels": routes[one.id].send_now if routes else one.channels,
                "dropped_before": dropped.get(one.id, 0),
            }
        )
        for one in pending
        if not routes or routes[one.id].send_now
    ]
    remaining = await notify(ready, within=_timeout(clock, answer_by)) if ready else []
    failed = {one.id: channels for one, channels in zip(ready, remaining, strict=True)}
    attempts = {one.id: _attempt(one, routes.get(one.id), failed.get(one.id, ()), routing) for one in pending}
    now = clock()
    lost: list[Undelivered] = []
    await writer.apply([_after_delivery(stored, attempts, lost, now=now) for stored in tasks])
    if routing is not None:
        if lost:
            await routing.record_lost(lost)
        await _report_disabled_channels(routing, notify, within=_timeout(clock, answer_by))
    return len(lost)


def _attempt(
    notification: Notification,
    route: Route | None,
    failed: tuple[str, ...],
    routing: NotificationRouting | None,
) -> DeliveryAttempt:
    """Return the result of one attempt, as the channels and *routing* say."""
    id_ = notification.id
    if route is None or routing is None:
        names = notification.channels or (DEFAULT_CHANNEL,)
        return DeliveryAttempt(failed, accepted=tuple(name for name in names if name not in failed))
    rejected = routing.take_rejections(id_)
    lacking = routing.take_lacking(id_)
    refusing = {*failed, *rejected}.difference(lacking)
    failing = {name: until for name, until in routing.failing_until().items() if name in failed}
    open_channels = routing.open_channels()
    return DeliveryAttempt(
        failed,
        route.hold,
        failing_until={**route.failing, **failing},
        rejected=rejected,
        unconfirmed=routing.take_unconfirmed(id_),
        # A name without a channel, where none is set up, is nobody.
        accepted=tuple(name for name in route.send_now if name in open_channels and name not in refusing),
        lacking=lacking,
        lost=route.lost,
        open_channels=open_channels,
    )


async def _route(tasks: Sequence[VersionedTask], routing: NotificationRouting | None) -> Mapping[str, Route]:
    """Return the route of each notification by its id; nothing when all channels are open."""
    if routing is None:
        return {}
    notifications = [one for stored in tasks for one in stored.task.alert.pending]
    routes = dict(zip((one.id for one in notifications), await routing.route(notifications), strict=True))
    for stored in tasks:
        pending = stored.task.alert.pending
        if any(routes[one.id].hold for one in pending):
            kept = drop_superseded(
                pending, [routes[one.id] for one in pending], notified=stored.task.alert.notified_channels
            )
            routes.update(zip((one.id for one in pending), kept, strict=True))
    return routes


async def _report_disabled_channels(
    routing: NotificationRouting, notify: Notify, *, within: timedelta
) -> None:
    """Say on the other channels which ones were disabled."""
    notifications = routing.undelivered()
    if notifications:
        await routing.mark_delivered(notifications, await notify(notifications, within=within))


def _timeout(clock: Callable[[], datetime], answer_by: datetime | None) -> timedelta:
    return MAX_TIMEOUT if answer_by is None else min(MAX_TIMEOUT, max(MIN_TIMEOUT, answer_by - clock()))


def _after_delivery(
    stored: VersionedTask, attempts: Mapping[str, DeliveryAttempt], lost: list[Undelivered], *, now: datetime
) -> PendingTransition:
    """Return the transition that keeps what is left to deliver; add to *lost* what reached nobody."""
    changes, undelivered = after_delivery(stored.task, attempts, now=now)
    for one in undelivered:
        facts = {"task_id": stored.task.id, "kind": one.notification.kind, "reasons": dict(one.reasons)}
        log.error("notice_given_up", extra=facts | {"lost": one.is_lost})
    lost += [one for one in undelivered if one.is_lost]

    def transition(task: Task, changes: dict[str, Any]) -> Transition:
        return Transition(changes, (), removes=has_delivered_all(task.model_copy(update=changes)))

    def recompute(task: Task) -> Transition:
        return transition(task, after_delivery(task, attempts, now=now)[0])

    return PendingTransition(stored, transition(stored.task, changes), recompute)
