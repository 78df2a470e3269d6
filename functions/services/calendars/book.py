"""Calendars as they are stored, and their days for the tasks that name them.

Owners have calendars of their own; a task names those of its owner. A task keeps the days of its calendars,
so that no tick reads a calendar:

    calendars  company   {"name": "company", "entries": ["12-24..01-02"], ...}
    tasks      report    {"except": ["calendar:company"], "calendars": [{"name": "company", "entries": ...}]}
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, Self

from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.edit import replace_calendars
from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days import public_holidays
from functions.domain.schedule.days.entries import calendar_names, names_holidays
from functions.domain.storage import Document, VersionedTask
from functions.domain.task import Task, TaskCalendar, TaskFields
from functions.domain.types import format_instant, parse_stored_instant
from functions.errors import InputError
from functions.interfaces import DocumentStore, Store
from functions.services.calendars.loading import load_holidays
from functions.services.compare_and_set import update_task
from functions.services.paging import iter_documents

MAX_CALENDARS = 200  # of one owner
OwnedName = tuple[str, str]  # an owner, empty for the operator, and the name of a calendar


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar.

    Attributes:
        entries: In their plainest spelling.
        updated_by: Who changed it last, see `Principal.author`.
        behind: The id of the task behind which tasks may still have its former days; None when none has.
    """

    owner: str
    name: str
    entries: tuple[str, ...]
    updated_at: datetime | None = None
    updated_by: str = ""
    behind: str | None = None

    @classmethod
    def of_document(cls, document: Document) -> Self:
        """Return the calendar of *document*; entries that cannot be read are left as they are."""
        data = document.data
        written, behind = data.get("entries"), data.get("behind")
        return cls(
            owner=str(data.get("owner", "")),
            name=str(data.get("name", document.id)),
            entries=tuple(str(one) for one in written) if isinstance(written, (list, tuple)) else (),
            updated_at=parse_stored_instant(data.get("updatedAt")),
            updated_by=str(data.get("updatedBy", "")),
            behind=behind if isinstance(behind, str) else None,
        )

    def to_data(self) -> dict[str, Any]:
        """Return the data of its document."""
        found: dict[str, Any] = {"owner": self.owner, "name": self.name, "entries": list(self.entries)}
        if self.updated_at is not None:
            found |= {"updatedAt": format_instant(self.updated_at), "updatedBy": self.updated_by}
        return found if self.behind is None else found | {"behind": self.behind}

    @property
    def for_tasks(self) -> TaskCalendar:
        """What tasks keep of it."""
        return task_calendar(self.name, self.entries)


def task_calendar(name: str, entries: Sequence[str]) -> TaskCalendar:
    """Return what tasks keep of a calendar; the revision is that of its days, of whichever write."""
    revision = sha256("\n".join(entries).encode()).hexdigest()[:12]
    return TaskCalendar(name=name, revision=revision, entries=tuple(entries))


def calendar_id(owner: str, name: str) -> str:
    """Return the id of a calendar's document."""
    return f"{name}@{sha256(owner.encode()).hexdigest()[:16]}" if owner else name


def check_entries(texts: Iterable[str], *, name: str) -> tuple[str, ...]:
    """Return the entries of the calendar *name* in their plainest spelling.

    Raises:
        InputError: Some are not understood, or there are none or too many.
    """
    try:
        entries = public_holidays.check_entries(texts, may_name_calendars=False)
    except ScheduleError as exc:
        raise InputError(f"entries: {exc}") from None
    if not entries:
        raise InputError(f"entries: {name} has none; write at least one day, or remove the calendar")
    return entries


async def list_calendars(store: DocumentStore, *, owner: str | None = None) -> list[Calendar]:
    """Return the calendars of *owner*, by name; of all owners for None."""
    found = [Calendar.of_document(one) async for one in iter_documents(store, "calendars")]
    return sorted(
        (one for one in found if owner is None or one.owner == owner), key=lambda one: (one.owner, one.name)
    )


async def resolve_calendars(
    store: DocumentStore,
    specs: Sequence[TaskFields],
    *,
    given: Mapping[OwnedName, Sequence[str]] | None = None,
) -> dict[str, tuple[TaskCalendar, ...]]:
    """Return the calendars of each of *specs* that names any, by its id: one read for all of them.

    Args:
        given: Entries of calendars that are about to be written, and count already.

    Raises:
        InputError: A calendar does not exist.
    """
    names = {(spec.owner, name) for spec in specs if spec.excluded for name in calendar_names(spec.excluded)}
    known = await find_days(store, names, given=given)
    return {
        spec.id: tuple(known[spec.owner, name] for name in calendar_names(spec.excluded))
        for spec in specs
        if calendar_names(spec.excluded)
    }


async def find_days(
    store: DocumentStore,
    wanted: Collection[OwnedName],
    *,
    given: Mapping[OwnedName, Sequence[str]] | None = None,
) -> dict[OwnedName, TaskCalendar]:
    """Return the days of the *wanted* calendars; no read for none. As `resolve_calendars` otherwise."""
    if not wanted:
        return {}
    known = {key: task_calendar(key[1], entries) for key, entries in (given or {}).items()}
    if missing := set(wanted) - known.keys():
        documents = await store.get_documents("calendars", [calendar_id(*key) for key in sorted(missing)])
        for calendar in map(Calendar.of_document, documents):
            known.setdefault((calendar.owner, calendar.name), calendar.for_tasks)
    for owner, name in sorted(set(wanted) - known.keys()):
        raise InputError(await _missing_text(store, owner, name))
    return known


async def calendars_of(store: DocumentStore, spec: TaskFields) -> tuple[TaskCalendar, ...]:
    """Return the calendars that *spec* names; no read for one that names none.

    Raises:
        InputError: One does not exist.
    """
    if not spec.excluded:
        return ()
    found = (await resolve_calendars(store, [spec])).get(spec.id, ())
    if names_holidays(spec.excluded) or any(names_holidays(one.entries) for one in found):
        await load_holidays()
    return found


async def with_current_days(
    store: Store, stored: VersionedTask, *, now: datetime, new_id: Callable[[], str]
) -> VersionedTask:
    """Return *stored*, which was just written, with the days that its calendars have by now.

    A calendar that was changed between the read of its days and this write may have passed the task by.
    """
    if not stored.task.calendars:
        return stored
    task = stored.task
    ids = [calendar_id(task.owner, one.name) for one in task.calendars]
    found = await store.get_documents("calendars", ids)
    known = {one.name: one.for_tasks for one in map(Calendar.of_document, found)}

    def decide(current: Task) -> Transition:
        days = [known.get(one.name, one) for one in current.calendars]
        return replace_calendars(current, days, now=now)

    if all(known.get(one.name, one) == one for one in task.calendars):
        return stored
    return await update_task(store, task.id, decide, now=now, new_id=new_id)


async def _missing_text(store: DocumentStore, owner: str, name: str) -> str:
    there = [one.name for one in await list_calendars(store, owner=owner)]
    near = get_close_matches(name, there, n=2) or there[:5]
    known = f"there is {', '.join(near)}" if near else "there is none yet"
    whose = f" of the owner {owner}" if owner else ""
    return (
        f"except: there is no calendar {name!r}{whose}; {known}. Make it first: scheduler calendars set "
        f"{name} DAYS, or PUT /api/calendars/{name}"
    )
