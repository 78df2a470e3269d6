"""An event from outside, or from a person, is brought to the tasks that start on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from functions.control import write_change
from functions.errors import InputError, StoreUnavailable
from functions.following import LinkStore, listeners
from functions.rules.events import OURS, Event
from functions.rules.hearing import heard, listens_to
from functions.rules.storage import Stored

TRIES = 5


@dataclass(frozen=True, slots=True)
class Announced:
    """Who heard an event.

    Attributes:
        started: Tasks that will run because of it, now or when their turn comes.
        skipped: Tasks that listen but did not heed it (paused, say): it is on record with each.
        known: Tasks that had heard the same event before.
    """

    started: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


async def announce(store: LinkStore, event: Event, *, now: datetime, new_id: Callable[[], str]) -> Announced:
    """Let all tasks that listen hear *event*, or the one it is for. The same event is heard once.

    Raises:
        InputError: Its type is one of the scheduler's own, or the one task it is for is not there.
        StoreUnavailable: Not all could be told; send the same event again.
    """
    if event.type.startswith(OURS):
        raise InputError(f"type: {OURS}* are the scheduler's own events; choose another name")
    all_ = await listeners(store, [event.type]) if not event.to else {}
    found = await store.read([event.to] if event.to else list(all_.get(event.type, ())))
    if event.to and not any(event.owner in ("", one.task.owner) for one in found.tasks):
        raise InputError(f"to: there is no task {event.to!r}")
    started: list[str] = []
    skipped: list[str] = []
    known: list[str] = []
    for stored in found.tasks:
        if not listens_to(stored.task, event):
            continue
        if event.mark in stored.task.heard:
            known.append(stored.task.id)
            continue
        await _told(store, stored, event, now=now, new_id=new_id, started=started, skipped=skipped)
    return Announced(tuple(started), tuple(skipped), tuple(known))


async def _told(
    store: LinkStore,
    stored: Stored,
    event: Event,
    *,
    now: datetime,
    new_id: Callable[[], str],
    started: list[str],
    skipped: list[str],
) -> None:
    current: Stored | None = stored
    for _ in range(TRIES):
        if current is None:  # somebody else was faster; on what he left
            again = await store.read([stored.task.id])
            if not again.tasks:
                return
            current = again.tasks[0]
        settlement = heard(current.task, [event], now=now)
        if not settlement.changes:
            return
        if await write_change(store, current, settlement, now=now, new_id=new_id) is not None:
            (skipped if settlement.runs else started).append(stored.task.id)
            return
        current = None
    raise StoreUnavailable(f"{stored.task.id} changes too quickly; send the event again")
