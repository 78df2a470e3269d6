"""Delivers the notices that wait in tasks, and writes down what is left of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.alerts.routing import Route, drop_superseded
from functions.domain.lifecycle.after_delivery import DeliveryAttempt, after_delivery
from functions.domain.lifecycle.complete import Transition
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.engine.writer import PendingTransition, TickWriter
from functions.interfaces import NotificationRouting, Notify

log = logging.getLogger(__name__)

MAX_TIMEOUT = timedelta(seconds=10)  # for all channels together; they are told in parallel
MIN_TIMEOUT = timedelta(seconds=0.5)  # even of a tick that has used up its time


async def deliver_notifications(
    tasks: Sequence[VersionedTask],
    *,
    notify: Notify,
    routing: NotificationRouting | None,
    writer: TickWriter,
    clock: Callable[[], datetime],
    answer_by: datetime | None,
) -> None:
    """Tell people what is pending in *tasks*: one message a channel. What fails waits for a later tick.

    Args:
        routes: Knows which channels are closed to what; None when all are always open.
    """
    if not any(stored.task.alert.pending for stored in tasks):
        return
    ways = await _route(tasks, routing)
    notices = [notice for stored in tasks for notice in stored.task.alert.pending]
    ready = [
        notice.model_copy(update={"channels": ways[notice.id].send_now}) if ways else notice
        for notice in notices
        if not ways or ways[notice.id].send_now
    ]
    remaining = await notify(ready, within=_timeout(clock, answer_by)) if ready else []
    failed = {notice.id: left for notice, left in zip(ready, remaining, strict=True)}
    held = {id_: way.hold for id_, way in ways.items()}
    tried = {
        notice.id: DeliveryAttempt(failed.get(notice.id, ()), held.get(notice.id, {})) for notice in notices
    }
    now = clock()
    await writer.apply([_after_delivery(stored, tried, now=now) for stored in tasks])
    if routing is not None:
        await _report_disabled_channels(routing, notify, within=_timeout(clock, answer_by))


async def _route(tasks: Sequence[VersionedTask], routing: NotificationRouting | None) -> Mapping[str, Route]:
    """The way of each notice by its id; nothing when all channels are open."""
    if routing is None:
        return {}
    notices = [notice for stored in tasks for notice in stored.task.alert.pending]
    ways = dict(zip((notice.id for notice in notices), await routing.route(notices), strict=True))
    for stored in tasks:
        pending = stored.task.alert.pending
        if any(ways[notice.id].hold for notice in pending):
            kept = drop_superseded(pending, [ways[notice.id] for notice in pending])
            ways.update(zip((notice.id for notice in pending), kept, strict=True))
    return ways


async def _report_disabled_channels(
    routing: NotificationRouting, notify: Notify, *, within: timedelta
) -> None:
    """Tell on the channels that are left of those that were switched off."""
    notices = routing.undelivered()
    if notices:
        await routing.mark_delivered(notices, await notify(notices, within=within))


def _timeout(clock: Callable[[], datetime], answer_by: datetime | None) -> timedelta:
    return MAX_TIMEOUT if answer_by is None else min(MAX_TIMEOUT, max(MIN_TIMEOUT, answer_by - clock()))


def _after_delivery(
    stored: VersionedTask, attempts: Mapping[str, DeliveryAttempt], *, now: datetime
) -> PendingTransition:
    changes, given_up = after_delivery(stored.task, attempts, now=now)
    for notice in given_up:
        log.error("notice_given_up", extra={"task_id": notice.task_id, "kind": notice.kind})

    def again(task: Task) -> Transition:
        return Transition(after_delivery(task, attempts, now=now)[0], ())

    return PendingTransition(stored, Transition(changes, ()), again)
