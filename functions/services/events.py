"""An event from outside, or from a person, is brought to the tasks that start on it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from functions.domain.events import RESERVED_PREFIX, Event
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.receive_event import matches, receive_events
from functions.domain.task import Task
from functions.errors import InputError, NotFoundError
from functions.interfaces import Store
from functions.services.compare_and_set import update_task
from functions.services.dependencies import subscribers


@dataclass(frozen=True, slots=True)
class PublishResult:
    """Who heard an event.

    Attributes:
        started: Tasks that will run because of it, now or when their turn comes.
        skipped: Tasks that listen but did not heed it (paused, say): it is on record with each.
        known: Tasks that had heard the same event before.
    """

    started: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()


async def publish_event(
    store: Store, event: Event, *, now: datetime, new_id: Callable[[], str]
) -> PublishResult:
    """Let all tasks that listen hear *event*, or the one it is for. The same event is heard once.

    Raises:
        InputError: Its type is one of the scheduler's own, or the one task it is for is not there.
        StoreUnavailableError: Not all could be told; send the same event again.
    """
    if event.type.startswith(RESERVED_PREFIX):
        raise InputError(f"type: {RESERVED_PREFIX}* are the scheduler's own events; choose another name")
    all_ = await subscribers(store, [event.type]) if not event.to else {}
    found = await store.get_tasks([event.to] if event.to else list(all_.get(event.type, ())))
    if event.to and not any(event.owner in ("", one.task.owner) for one in found.tasks):
        raise InputError(f"to: there is no task {event.to!r}")
    told: dict[str, list[str]] = {"started": [], "skipped": [], "known": []}
    for stored in found.tasks:
        if matches(stored.task, event):
            with suppress(NotFoundError):  # deleted meanwhile: nobody is there to hear it
                told[await _deliver(store, stored.task.id, event, now=now, new_id=new_id)].append(
                    stored.task.id
                )
    return PublishResult(tuple(told["started"]), tuple(told["skipped"]), tuple(told["known"]))


async def _deliver(
    store: Store, task_id: str, event: Event, *, now: datetime, new_id: Callable[[], str]
) -> str:
    """Let one task hear *event*; say what became of it, as `Announced` names that."""
    became = "known"

    def decide(task: Task) -> Transition:
        nonlocal became
        settlement = receive_events(task, [event], now=now)
        became = "skipped" if settlement.runs else "started" if settlement.changes else "known"
        return settlement

    await update_task(store, task_id, decide, now=now, new_id=new_id)
    return became
