"""Delivers the notices that wait in tasks, and writes down what is left of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.alerts.routing import Route, still_worth_saying
from functions.domain.lifecycle.after_delivery import Try, told
from functions.domain.lifecycle.complete import Settlement
from functions.domain.storage import Stored
from functions.domain.task import Task
from functions.engine.writer import Books, Decided
from functions.interfaces import Routes, Tell

log = logging.getLogger(__name__)

AT_MOST = timedelta(seconds=10)  # for all channels together; they are told in parallel
AT_LEAST = timedelta(seconds=0.5)  # even of a tick that has used up its time


async def deliver(
    tasks: Sequence[Stored],
    *,
    tell: Tell,
    routes: Routes | None,
    books: Books,
    clock: Callable[[], datetime],
    answer_by: datetime | None,
) -> None:
    """Tell people what is pending in *tasks*: one message a channel. What fails waits for a later tick.

    Args:
        routes: Knows which channels are closed to what; None when all are always open.
    """
    if not any(stored.task.alert.pending for stored in tasks):
        return
    ways = await _ways(tasks, routes)
    notices = [notice for stored in tasks for notice in stored.task.alert.pending]
    ready = [
        notice.model_copy(update={"channels": ways[notice.id].send}) if ways else notice
        for notice in notices
        if not ways or ways[notice.id].send
    ]
    remaining = await tell(ready, within=_within(clock, answer_by)) if ready else []
    failed = {notice.id: left for notice, left in zip(ready, remaining, strict=True)}
    held = {id_: way.held for id_, way in ways.items()}
    tried = {notice.id: Try(failed.get(notice.id, ()), held.get(notice.id, {})) for notice in notices}
    now = clock()
    await books.settle([_told(stored, tried, now=now) for stored in tasks])
    if routes is not None:
        await _say_what_became_of_channels(routes, tell, within=_within(clock, answer_by))


async def _ways(tasks: Sequence[Stored], routes: Routes | None) -> Mapping[str, Route]:
    """The way of each notice by its id; nothing when all channels are open."""
    if routes is None:
        return {}
    notices = [notice for stored in tasks for notice in stored.task.alert.pending]
    ways = dict(zip((notice.id for notice in notices), await routes.ways(notices), strict=True))
    for stored in tasks:
        pending = stored.task.alert.pending
        if any(ways[notice.id].held for notice in pending):
            kept = still_worth_saying(pending, [ways[notice.id] for notice in pending])
            ways.update(zip((notice.id for notice in pending), kept, strict=True))
    return ways


async def _say_what_became_of_channels(routes: Routes, tell: Tell, *, within: timedelta) -> None:
    """Tell on the channels that are left of those that were switched off."""
    notices = routes.untold()
    if notices:
        await routes.told(notices, await tell(notices, within=within))


def _within(clock: Callable[[], datetime], answer_by: datetime | None) -> timedelta:
    return AT_MOST if answer_by is None else min(AT_MOST, max(AT_LEAST, answer_by - clock()))


def _told(stored: Stored, tried: Mapping[str, Try], *, now: datetime) -> Decided:
    changes, given_up = told(stored.task, tried, now=now)
    for notice in given_up:
        log.error("notice_given_up", extra={"task_id": notice.task_id, "kind": notice.kind})

    def again(task: Task) -> Settlement:
        return Settlement(told(task, tried, now=now)[0], ())

    return Decided(stored, Settlement(changes, ()), again)
