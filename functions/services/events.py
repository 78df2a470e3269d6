"""Publishes events from outside the scheduler: delivers each to the tasks that start on it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from functions.domain.events import RESERVED_PREFIX, Event
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.lifecycle.receive_event import matches, receive_events
from functions.domain.task import Task
from functions.errors import InputError, NotAllowedError, NotFoundError
from functions.interfaces import Store
from functions.services.compare_and_set import update_task
from functions.services.dependencies import subscribers

Delivery = Literal["started", "skipped", "duplicate"]


@dataclass(frozen=True, slots=True)
class PublishResult:
    """Which tasks received an event.

    Attributes:
        started: Tasks that will run because of it, now or after the runs before it.
        skipped: Tasks that do not run on it (paused ones, say); each has a run record of the skip.
        duplicate: Tasks that had received the same event before.
        refused: Tasks that the sender may not start, and that did not receive it.
    """

    started: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


async def publish_event(
    store: Store,
    event: Event,
    *,
    now: datetime,
    new_id: Callable[[], str],
    sender: Capabilities | None = None,
) -> PublishResult:
    """Deliver *event* to the tasks of its reach that start on it, or to the one it names.

    A duplicate starts nothing.

    Args:
        sender: What tasks that the sender starts may use; None means anything.

    Raises:
        InputError: Its type is one of the scheduler's own, or the task it names does not exist.
        NotAllowedError: The sender may not start the task it names.
        StoreUnavailableError: Not all tasks received it; send the same event again.
    """
    if event.type.startswith(RESERVED_PREFIX):
        raise InputError(f"type: {RESERVED_PREFIX}* are the scheduler's own events; choose another name")
    receivers = {} if event.to else await subscribers(store, [event.audience])
    ids = [event.to] if event.to else list(receivers.get(event.audience, ()))
    found = await store.get_tasks(ids)
    if event.to and not any(event.reaches(one.task.owner) for one in found.tasks):
        raise InputError(f"to: there is no task {event.to!r}")
    problems = {} if sender is None else {one.task.id: sender.problem(one.task) for one in found.tasks}
    if problem := problems.get(event.to):
        raise NotAllowedError(f"{problem} to this key")
    receiving = [one.task.id for one in found.tasks if matches(one.task, event)]
    delivered: dict[Delivery, list[str]] = {"started": [], "skipped": [], "duplicate": []}
    for task_id in [one for one in receiving if not problems.get(one)]:
        with suppress(NotFoundError):  # the task was deleted since it was read
            delivered[await _deliver(store, task_id, event, now=now, new_id=new_id)].append(task_id)
    return PublishResult(
        tuple(delivered["started"]),
        tuple(delivered["skipped"]),
        tuple(delivered["duplicate"]),
        tuple(one for one in receiving if problems.get(one)),
    )


async def _deliver(
    store: Store, task_id: str, event: Event, *, now: datetime, new_id: Callable[[], str]
) -> Delivery:
    """Let one task receive *event*; return how it did."""
    delivery: Delivery = "duplicate"

    def decide(task: Task) -> Transition:
        nonlocal delivery
        transition = receive_events(task, [event], now=now)
        delivery = "skipped" if transition.runs else "started" if transition.changes else "duplicate"
        return transition

    await update_task(store, task_id, decide, now=now, new_id=new_id)
    return delivery
