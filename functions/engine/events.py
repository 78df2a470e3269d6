"""Passes on what tasks have put down for others, and strikes it out of their outboxes when it was heard."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from functions.domain.cloud_events import CloudEvent
from functions.domain.event_outbox import run_finished_event, task_paused_event, to_published_event
from functions.domain.events import RUN_FINISHED, Event
from functions.domain.lifecycle.after_delivery import remove_delivered_events
from functions.domain.lifecycle.receive_event import receive_events
from functions.domain.run import Run
from functions.domain.storage import VersionedTask
from functions.engine.report import TickReport
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import StoreError
from functions.interfaces import PublishEvents, TickDependencies

log = logging.getLogger(__name__)

MAX_TRIES = 3  # tries at a task that somebody else changes at the same moment


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """What one round of passing on came to.

    Attributes:
        due: Tasks that are to run now because of it.
        told: What was sent to all that listen, as programs outside hear it.
    """

    now_due: tuple[VersionedTask, ...] = ()
    delivered: tuple[Event, ...] = ()


async def deliver_events(
    tasks: Sequence[VersionedTask], *, dependencies: TickDependencies, writer: TickWriter, report: TickReport
) -> EventDelivery:
    """Bring the events in the outboxes of *tasks* to whom they are for.

    First those who listen are given their run, then the event is struck out: who dies between the two
    leaves it to a later tick, and those who have heard it do not hear it again. What cannot be brought to
    somebody now stays; a later tick tries again.
    """
    try:
        listeners = await _find_subscribers(tasks, dependencies)
        reach = {stored.task.id: _targets(stored, listeners) for stored in tasks}
        reached, due = await _deliver_to(
            _group_by_target(tasks, reach), dependencies=dependencies, writer=writer, report=report
        )
    except StoreError as exc:
        log.warning("events_wait", extra={"tasks": len(tasks), "error": type(exc).__name__})
        return EventDelivery()
    now = dependencies.clock()
    decided, told = [], []
    for stored in tasks:
        done = [event for event, ids in reach[stored.task.id] if reached.issuperset(ids)]
        told += [event for event in done if event.type != RUN_FINISHED and not event.to]
        marks = {(event.key, event.to) for event in done}
        again = partial(remove_delivered_events, delivered=marks, now=now)
        if marks:
            decided.append(PendingTransition(stored, again(stored.task), again))
    await writer.apply(decided)
    return EventDelivery(due, tuple(told))


async def _find_subscribers(
    tasks: Sequence[VersionedTask], dependencies: TickDependencies
) -> Mapping[str, Collection[str]]:
    """Who listens to the events that are for nobody in particular, by type."""
    types = {event.type for stored in tasks for event in stored.task.outbox.events if not event.to}
    return await dependencies.subscribers(types) if types and dependencies.subscribers else {}


def _targets(
    stored: VersionedTask, subscribers: Mapping[str, Collection[str]]
) -> list[tuple[Event, tuple[str, ...]]]:
    """Each event of an outbox with the tasks that may listen to it."""
    return [
        (event, (event.to,) if event.to else tuple(subscribers.get(event.type, ())))
        for event in stored.task.outbox.events
    ]


def _group_by_target(
    tasks: Sequence[VersionedTask], targets: Mapping[str, Sequence[tuple[Event, tuple[str, ...]]]]
) -> dict[str, list[Event]]:
    wanted: dict[str, list[Event]] = {}
    for stored in tasks:
        for event, ids in targets[stored.task.id]:
            for task_id in ids:
                wanted.setdefault(task_id, []).append(event)
    return wanted


async def _deliver_to(
    events_by_target: Mapping[str, Sequence[Event]],
    *,
    dependencies: TickDependencies,
    writer: TickWriter,
    report: TickReport,
) -> tuple[set[str], tuple[VersionedTask, ...]]:
    """Let each task hear its events; return who has heard all of them, and who is due because of it."""
    left, reached, due = dict(events_by_target), set(), []
    for _ in range(MAX_TRIES):
        if not left:
            break
        now = dependencies.clock()
        found = await dependencies.store.get_tasks(list(left))
        there = {stored.task.id for stored in found.tasks}
        reached |= left.keys() - there  # deleted, or unreadable: nobody is there to hear it
        decided = []
        for stored in found.tasks:
            again = partial(receive_events, events=left[stored.task.id], now=now)
            settlement = again(stored.task)
            if settlement.changes:
                decided.append(PendingTransition(stored, settlement, again))
            else:
                reached.add(stored.task.id)
        for item, written in zip(decided, await writer.apply(decided), strict=True):
            if written is None:
                continue
            reached.add(written.task.id)
            for run in item.transition.runs:
                report.count(run)
            if written.task.next_run_at is not None and written.task.next_run_at <= now:
                due.append(written)
        left = {task_id: events for task_id, events in left.items() if task_id not in reached}
    return reached, tuple(due)


# The events of one tick: gathered as settlements are written, published together when all of them are.

MAX_TIMEOUT = timedelta(seconds=5)
MIN_TIMEOUT = timedelta(seconds=0.5)


class EventBuffer:
    """Gathers nothing, and costs nothing, when nobody listens.

    Args:
        publish: None when nobody does.
    """

    def __init__(self, publish: PublishEvents | None, *, clock: Callable[[], datetime]) -> None:
        self._publish = publish
        self._clock = clock
        self._events: list[CloudEvent] = []

    def collect(self, before: VersionedTask, after: VersionedTask, runs: Sequence[Run]) -> None:
        """Take note of a settlement that was written, and of the records that were kept before it."""
        if self._publish is None:
            return
        self._events += (run_finished_event(after.task, run) for run in runs)
        if (paused := task_paused_event(before.task, after.task)) is not None:
            self._events.append(paused)

    def add(self, events: Sequence[Event]) -> None:
        """Take note of events that tasks have sent to all."""
        if self._publish is not None:
            self._events += (to_published_event(event) for event in events)

    async def publish(self, *, answer_by: datetime | None) -> int:
        """Publish what was gathered; return how many events were lost. Never raises."""
        events, self._events = self._events, []
        if self._publish is None or not events:
            return 0
        left = MAX_TIMEOUT if answer_by is None else answer_by - self._clock()
        return await self._publish(events, within=min(MAX_TIMEOUT, max(MIN_TIMEOUT, left)))
