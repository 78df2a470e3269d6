"""The calendars of task files: for whom they are, what of them is new, and how they are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from functions.domain.access import ADMINISTRATOR
from functions.domain.lifecycle.complete import Transition
from functions.domain.schedule.days.entries import calendar_names
from functions.domain.storage import VersionedTask
from functions.domain.task import TaskFields
from functions.errors import InputError
from functions.interfaces import DocumentStore, Store
from functions.services.calendars.book import Calendar, OwnedName, calendar_id, task_calendar
from functions.services.calendars.service import CalendarService, with_days
from functions.services.compare_and_set import update_document


def calendars_for(
    specs: Sequence[TaskFields], calendars: Mapping[str, Sequence[str]]
) -> dict[OwnedName, Sequence[str]]:
    """Return *calendars* by owner and name: of the owners whose tasks name them; else of the operator."""
    found: dict[OwnedName, Sequence[str]] = {}
    for name, entries in calendars.items():
        owners = {spec.owner for spec in specs if name in calendar_names(spec.excluded)}
        found |= {(owner, name): entries for owner in sorted(owners or {""})}
    return found


async def changed_calendars(
    store: DocumentStore, given: Mapping[OwnedName, Sequence[str]]
) -> dict[OwnedName, Literal["create", "update", "unchanged"]]:
    """Return what writing *given* would do to each calendar; a read for all of them."""
    if not given:
        return {}
    documents = await store.get_documents("calendars", [calendar_id(*key) for key in given])
    known = {(one.owner, one.name): one for one in map(Calendar.of_document, documents)}
    return {
        key: "create"
        if key not in known
        else "update"
        if known[key].entries != tuple(entries) or known[key].behind is not None  # a copy that was cut off
        else "unchanged"
        for key, entries in given.items()
    }


def others_with_new_days(
    tasks: Iterable[VersionedTask], given: Mapping[OwnedName, Sequence[str]], *, now: datetime
) -> Iterator[tuple[VersionedTask, Transition]]:
    """Yield those of *tasks* to which `copy_days` gives other days, and what that changes in each.

    A task of which nothing would be left keeps its days.

    Args:
        given: The calendars that change.
    """
    days = {(owner, name): task_calendar(name, entries) for (owner, name), entries in given.items()}
    for stored in tasks:
        owner = stored.task.owner
        names = calendar_names(stored.task.excluded) if days else ()
        new = [days[owner, name] for name in names if (owner, name) in days]
        try:
            transition = with_days(stored.task, *new, now=now) if new else None
        except InputError:
            continue
        if transition and transition.changes:
            yield stored, transition


async def write_calendar(
    store: DocumentStore, key: OwnedName, entries: Sequence[str], *, by: str, now: datetime
) -> None:
    """Write a calendar; tasks that are not of the same files have its former days until `copy_days`."""
    new = Calendar(*key, tuple(entries), now, by, behind="").to_data()
    await update_document(
        store, "calendars", calendar_id(*key), lambda known: None if known and known.data == new else new
    )


async def copy_days(store: Store, key: OwnedName, *, now: datetime, new_id: Callable[[], str]) -> None:
    """Copy the days of a calendar into all tasks that use it and have others."""
    service = CalendarService(store, ADMINISTRATOR, clock=lambda: now, new_id=new_id)
    owner, name = key
    while not (await service.refresh(name, owner=owner)).is_complete:
        pass
