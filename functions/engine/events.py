"""Delivers the events in the outboxes of tasks to the tasks they are for, and publishes them to programs."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from functions.domain.cloud_events import CloudEvent
from functions.domain.event_outbox import run_finished_event, task_paused_event, to_published_event
from functions.domain.events import RUN_FINISHED, Audience, Event
from functions.domain.lifecycle.after_delivery import remove_delivered_events
from functions.domain.lifecycle.receive_event import receive_events
from functions.domain.run import Run
from functions.domain.storage import VersionedTask
from functions.engine.report import TickReport
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import StoreError
from functions.interfaces import PublishEvents, TickDependencies

log = logging.getLogger(__name__)

MAX_TRIES = 3  # at a task that another writer changes at the same moment
MAX_TIMEOUT = timedelta(seconds=5)  # for publishing
MIN_TIMEOUT = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """The result of one round of delivery.

    Attributes:
        now_due: Tasks that are due because of it.
        senders: Tasks whose outbox has fewer events now.
        delivered: Events for all subscribers that have reached all of them, for programs outside.
    """

    now_due: tuple[VersionedTask, ...] = ()
    senders: tuple[VersionedTask, ...] = ()
    delivered: tuple[Event, ...] = ()


async def deliver_events(
    tasks: Sequence[VersionedTask], *, dependencies: TickDependencies, writer: TickWriter, report: TickReport
) -> EventDelivery:
    """Deliver the events in the outboxes of *tasks* to the tasks they are for.

    First the subscribers get their run, then the event is removed from the outbox: a process that dies in
    between leaves it to a later tick, and a task that has seen an event ignores it the second time. What
    cannot be delivered now stays; a later tick tries again.
    """
    try:
        subscribers = await _find_subscribers(tasks, dependencies)
        targets = {stored.task.id: _targets(stored, subscribers) for stored in tasks}
        reached, now_due = await _deliver_to(
            _group_by_target(tasks, targets), dependencies=dependencies, writer=writer, report=report
        )
    except StoreError as exc:
        log.warning("events_wait", extra={"tasks": len(tasks), "error": type(exc).__name__})
        return EventDelivery()
    now = dependencies.clock()
    transitions: list[PendingTransition] = []
    delivered: list[Event] = []
    for stored in tasks:
        done = [event for event, ids in targets[stored.task.id] if reached.issuperset(ids)]
        delivered += [event for event in done if event.type != RUN_FINISHED and not event.to]
        if done:
            keys = {(event.key, event.to) for event in done}
            recompute = partial(remove_delivered_events, delivered=keys, now=now)
            transitions.append(PendingTransition(stored, recompute(stored.task), recompute))
    senders = [after for after in await writer.apply(transitions) if after is not None]
    return EventDelivery(now_due, tuple(senders), tuple(delivered))


async def _find_subscribers(
    tasks: Sequence[VersionedTask], dependencies: TickDependencies
) -> Mapping[Audience, Collection[str]]:
    """Return the subscribers of the events that name no task."""
    audiences = {event.audience for stored in tasks for event in stored.task.outbox.events if not event.to}
    return await dependencies.subscribers(audiences) if audiences and dependencies.subscribers else {}


def _targets(
    stored: VersionedTask, subscribers: Mapping[Audience, Collection[str]]
) -> list[tuple[Event, tuple[str, ...]]]:
    """Return each event of an outbox with the ids of the tasks it is for."""
    return [
        (event, (event.to,) if event.to else tuple(subscribers.get(event.audience, ())))
        for event in stored.task.outbox.events
    ]


def _group_by_target(
    tasks: Sequence[VersionedTask], targets: Mapping[str, Sequence[tuple[Event, tuple[str, ...]]]]
) -> dict[str, list[Event]]:
    events_by_target: dict[str, list[Event]] = {}
    for stored in tasks:
        for event, ids in targets[stored.task.id]:
            for task_id in ids:
                events_by_target.setdefault(task_id, []).append(event)
    return events_by_target


async def _deliver_to(
    events_by_target: Mapping[str, Sequence[Event]],
    *,
    dependencies: TickDependencies,
    writer: TickWriter,
    report: TickReport,
) -> tuple[set[str], tuple[VersionedTask, ...]]:
    """Give each task its events; return the ids of those that have all of them, and the tasks now due."""
    remaining, reached = dict(events_by_target), set[str]()
    now_due: list[VersionedTask] = []
    for _ in range(MAX_TRIES):
        if not remaining:
            break
        now = dependencies.clock()
        result = await dependencies.store.get_tasks(list(remaining))
        transitions = _receiving_transitions(result.tasks, remaining, now=now)
        # The others are deleted or unreadable, so that nothing can receive the event, or need no change.
        reached |= remaining.keys() - {item.task.task.id for item in transitions}
        for item, after in zip(transitions, await writer.apply(transitions), strict=True):
            if after is None:
                continue
            reached.add(after.task.id)
            for run in item.transition.runs:
                report.count(run)
            if after.task.next_run_at is not None and after.task.next_run_at <= now:
                now_due.append(after)
        remaining = {task_id: events for task_id, events in remaining.items() if task_id not in reached}
    return reached, tuple(now_due)


def _receiving_transitions(
    tasks: Sequence[VersionedTask], events_by_target: Mapping[str, Sequence[Event]], *, now: datetime
) -> list[PendingTransition]:
    """Return the transitions of those *tasks* that their events change."""
    pending = []
    for stored in tasks:
        recompute = partial(receive_events, events=events_by_target[stored.task.id], now=now)
        transition = recompute(stored.task)
        if transition.changes:
            pending.append(PendingTransition(stored, transition, recompute))
    return pending


class EventBuffer:
    """The events of one tick for programs outside, each published when its transition is written."""

    def __init__(self, publish: PublishEvents, *, clock: Callable[[], datetime]) -> None:
        self._publish = publish
        self._clock = clock
        self._events: list[CloudEvent] = []

    def collect(self, before: VersionedTask, after: VersionedTask, runs: Sequence[Run]) -> None:
        """Collect the events of a transition that was written with its *runs*."""
        self._events += (run_finished_event(after.task, run) for run in runs)
        if (paused := task_paused_event(before.task, after.task)) is not None:
            self._events.append(paused)

    def add(self, events: Sequence[Event]) -> None:
        """Collect events that tasks have sent to all subscribers."""
        self._events += (to_published_event(event) for event in events)

    async def publish(self, *, answer_by: datetime | None) -> int:
        """Publish what was collected; return how many events were lost. Never raises."""
        events, self._events = self._events, []
        if not events:
            return 0
        left = MAX_TIMEOUT if answer_by is None else answer_by - self._clock()
        return await self._publish(events, within=min(MAX_TIMEOUT, max(MIN_TIMEOUT, left)))
