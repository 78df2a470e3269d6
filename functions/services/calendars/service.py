"""Commands on calendars, for a principal; a changed one is copied into the tasks that use it, in steps."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from functions.domain.access import AuditVerb, Principal, audit_subject
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.edit import replace_calendars
from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.entries import calendar_names, check_calendar_name, names_holidays
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    Document,
    RunBatch,
    TaskFilter,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import Task, TaskCalendar
from functions.domain.types import NOT_A_NAME, is_owner_name
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError, StoreUnavailableError
from functions.interfaces import Store
from functions.services.access import audit
from functions.services.calendars.book import (
    MAX_CALENDARS,
    Calendar,
    calendar_id,
    check_entries,
    list_calendars,
)
from functions.services.calendars.loading import load_holidays, load_holidays_for_text
from functions.services.compare_and_set import update_document, update_task
from functions.services.paging import iter_task_pages

PAGE_SIZE = RUNS_PER_BATCH  # tasks read and written together
MAX_PAGES = 50  # of them, in one step: 5,000 tasks
MAX_NAMED = 10  # tasks named in a refusal


@dataclass(frozen=True, slots=True)
class CalendarUpdate:
    """What became of the tasks that use a changed calendar, in one step.

    Attributes:
        updated: How many have its days now that had others.
        failed: The ids of those that keep the former days, with the reasons: nothing of them would be left.
        is_complete: Whether all tasks were looked at; otherwise another `refresh` goes on.
    """

    calendar: Calendar
    updated: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    is_complete: bool = True


class CalendarService:
    """The commands on calendars that one principal may use, on those of its owner or, without one, on all.

    Every method raises NotAllowedError without its scope, NotFoundError for a calendar that does not exist,
    and StoreError as `Store` does.
    """

    def __init__(
        self,
        store: Store,
        principal: Principal,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._principal = principal
        self._clock = clock
        self._new_id = new_id

    async def list_all(self, *, owner: str | None = None) -> list[Calendar]:
        """Return the calendars that the caller may see, of *owner* alone where one is given."""
        self._principal.require_scope("read")
        if self._principal.owner:
            owner = self._owner(owner or "")
        return await list_calendars(self._store, owner=owner)

    async def get(self, name: str, *, owner: str = "") -> Calendar:
        """Return a calendar."""
        self._principal.require_scope("read")
        return (await self._read(name, self._owner(owner)))[0]

    async def save(self, name: str, entries: Sequence[str], *, owner: str = "") -> CalendarUpdate:
        """Create or replace a calendar, and begin to copy its days into the tasks that use it.

        Raises:
            InputError: The name or an entry is none, or the owner has too many calendars.
        """
        self._principal.require_scope("write")
        owner = self._owner(owner)
        try:
            check_calendar_name(name)
        except ScheduleError as exc:
            raise InputError(f"name: {exc}") from None
        if not is_owner_name(owner):
            raise InputError(f"owner: {NOT_A_NAME}")
        await load_holidays_for_text(list(entries))
        checked = check_entries(entries, name=name)
        new = Calendar(owner, name, checked, self._clock(), self._principal.author, behind="")
        is_new = not await self._store.get_documents("calendars", [calendar_id(owner, name)])
        if is_new and len(await list_calendars(self._store, owner=owner)) >= MAX_CALENDARS:
            raise InputError(f"name: there are {MAX_CALENDARS} calendars already; remove one")
        await update_document(
            self._store,
            "calendars",
            calendar_id(owner, name),
            lambda known: None if known and known.data == new.to_data() else new.to_data(),
        )
        await self._audit("calendar changed", name)
        return await self._copy(new)

    async def refresh(self, name: str, *, owner: str = "") -> CalendarUpdate:
        """Go on copying the days of a calendar into the tasks that use it, from the first task on if done."""
        self._principal.require_scope("write")
        calendar, _ = await self._read(name, self._owner(owner))
        return await self._copy(calendar)

    async def remove(self, name: str, *, owner: str = "") -> None:
        """Remove a calendar that no task names.

        Raises:
            ConflictError: Tasks name it; the text names the first of them.
        """
        self._principal.require_scope("write")
        owner = self._owner(owner)
        _, document = await self._read(name, owner)
        users = [task.id async for task in self._users(name, owner)]
        if users:
            more = f" and {len(users) - MAX_NAMED} more" if len(users) > MAX_NAMED else ""
            raise ConflictError(
                f"{name} is used by {', '.join(users[:MAX_NAMED])}{more}; take it out of their except first"
            )
        [written] = await self._store.delete_documents([document])
        if written.status is WriteStatus.CONFLICT:
            raise ConflictError(f"{name} was changed at the same moment; look at it again")
        if written.status is not WriteStatus.APPLIED:
            raise StoreUnavailableError(
                f"The store did not say whether {name} was removed; look, and try again"
            )
        await self._audit("calendar removed", name)

    # -- tasks --------------------------------------------------------------------------------------------

    async def _users(self, name: str, owner: str) -> AsyncIterator[Task]:
        async for page in iter_task_pages(self._store, TaskFilter(owner=owner or None)):
            for stored in page.tasks:
                if _uses(stored.task, name, owner):
                    yield stored.task

    async def _copy(self, calendar: Calendar) -> CalendarUpdate:
        """Copy the days into tasks, from `behind` on, and keep how far that came."""
        after = calendar.behind or ""
        updated = 0
        failed: list[tuple[str, str]] = []
        is_complete = False
        if names_holidays(calendar.entries):
            await load_holidays()
        for _ in range(MAX_PAGES):
            page = await self._store.list_tasks(
                TaskFilter(owner=calendar.owner or None), after=after, limit=PAGE_SIZE
            )
            users = [one for one in page.tasks if _uses(one.task, calendar.name, calendar.owner)]
            updated += await self._copy_into(calendar.for_tasks, users, failed)
            ids = [one.task.id for one in page.tasks] + [one.id for one in page.invalid]
            if len(ids) < PAGE_SIZE:
                is_complete = True
                break
            after = max(ids)
        done = replace(calendar, behind=None if is_complete else after)
        await self._keep_progress(done)
        return CalendarUpdate(done, updated, tuple(failed), is_complete)

    async def _copy_into(
        self, days: TaskCalendar, users: Sequence[VersionedTask], failed: list[tuple[str, str]]
    ) -> int:
        """Write the days into those of *users* that have others; return how many these are."""
        now = self._clock()
        changed: list[tuple[VersionedTask, Transition]] = []
        for stored in users:
            try:
                transition = with_days(stored.task, days, now=now)
            except InputError as exc:
                failed.append((stored.task.id, str(exc)))
                continue
            if transition.changes:
                changed.append((stored, transition))
        if not changed:
            return 0
        runs = tuple(run for _, transition in changed for run in transition.runs)
        again = [stored.task.id for stored, _ in changed]
        if len(runs) <= RUNS_PER_BATCH:
            batch = RunBatch(f"{self._new_id()}.1", now, runs) if runs else None
            writes = [ConditionalWrite.for_changes(stored, one.changes) for stored, one in changed]
            written = await self._store.write_with_runs(batch, writes)
            results = zip(again, written, strict=True)
            again = [task_id for task_id, result in results if result.status is not WriteStatus.APPLIED]
        for task_id in again:  # a tick has written it meanwhile, mostly
            await self._copy_alone(task_id, days)
        return len(changed)

    async def _copy_alone(self, task_id: str, days: TaskCalendar) -> None:
        now = self._clock()
        try:
            await update_task(
                self._store,
                task_id,
                lambda task: with_days(task, days, now=now),
                now=now,
                new_id=self._new_id,
            )
        except NotFoundError:
            return

    async def _keep_progress(self, done: Calendar) -> None:
        def decide(known: Document | None) -> dict[str, object] | None:
            if known is None or Calendar.of_document(known).entries != done.entries:
                return None  # changed again meanwhile, by somebody who copies as well
            return None if known.data == done.to_data() else done.to_data()

        await update_document(self._store, "calendars", calendar_id(done.owner, done.name), decide)

    # -- access -------------------------------------------------------------------------------------------

    async def _read(self, name: str, owner: str) -> tuple[Calendar, Document]:
        found = await self._store.get_documents("calendars", [calendar_id(owner, name)])
        if not found:
            raise NotFoundError(f"There is no calendar {name!r}")
        return Calendar.of_document(found[0]), found[0]

    def _owner(self, owner: str) -> str:
        """Return whose calendars are meant.

        Raises:
            NotAllowedError: Those of somebody else.
        """
        if self._principal.owner and owner not in ("", self._principal.owner):
            raise NotAllowedError(f"owner: this key has the calendars of {self._principal.owner} alone")
        return self._principal.owner or owner

    async def _audit(self, verb: AuditVerb, name: str) -> None:
        await audit.record_change(
            self._store,
            verb,
            audit_subject("calendar", name),
            by=self._principal.author,
            at=self._clock(),
            new_id=self._new_id,
        )


def _uses(task: Task, name: str, owner: str) -> bool:
    return task.owner == owner and name in calendar_names(task.excluded)


def with_days(task: Task, *days: TaskCalendar, now: datetime) -> Transition:
    """Return what *days*, of calendars that *task* uses, change in it.

    Raises:
        InputError: No occurrence is left.
    """
    known = {one.name: one for one in (*task.calendars, *days)}
    names = [name for name in calendar_names(task.excluded) if name in known]
    return replace_calendars(task, [known[name] for name in names], now=now)
