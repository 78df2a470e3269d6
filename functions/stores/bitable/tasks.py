"""The table of tasks: looked at for what is due and for what people did, written under guard."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from functions.domain.run import Run
from functions.domain.storage import Result, Write, Written
from functions.errors import StoreError, StoreUnavailable
from functions.stores.bitable.cells import seconds
from functions.stores.bitable.config import Busy, Conflict, Reading, RefusedError, Unanswered
from functions.stores.bitable.lease import TASKS, Notes
from functions.stores.bitable.rows import Finished, cell, finished, is_new, placed, tasks_of, to_be_told
from functions.stores.bitable.table import (
    Change,
    Record,
    Records,
    any_of,
    batches,
    compared,
    halves,
    is_,
    is_empty,
    is_gone,
    is_one_rows,
)
from functions.stores.editable import queries
from functions.stores.editable.model import Row, Tasks, changed_rows

log = logging.getLogger(__name__)

FULL_LOOK_EVERY = timedelta(minutes=5)  # an edit of a task that is not due is noticed so soon
ASKED_BY_ID = 150  # of more tasks than this, all rows are read
HIDDEN = (
    "The table had tasks and has no row at all now. If you removed them all yourself, run `scheduler bitable "
    "setup`; if not: Feishu hides rows from an app that is no manager where advanced permissions are on"
)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the table brought.

    Attributes:
        tasks: The rows as they were found.
        records: The cells of each, by its name.
    """

    tasks: Tasks
    records: Mapping[str, Sequence[Record]]


class TaskTable:
    """The table of tasks, as one process sees it."""

    def __init__(self, records: Records, notes: Notes, *, reads: Reading) -> None:
        self._records = records
        self._notes = notes
        self._reads = reads
        self._full_look_at: datetime | None = None
        self._canary = ""  # a task that must come along with every look
        self._known_to_have_tasks = False
        self._known_to_be_set_up = False

    async def look(self, now: datetime) -> Looked:
        """What is due by *now*, or was never looked at; now and then all there is."""
        if self._full_look_at is None or not timedelta() <= now - self._full_look_at < FULL_LOOK_EVERY:
            return await self._full_look(now)
        canary = [is_("id", self._canary)] if self._canary else []
        due = compared("nextRunAt", "isLessEqual", seconds(now))
        found = await self._records.search(due, is_empty("nextRunAt"), *canary)
        # A new row may have the id of any other; and where the canary is missing, what else is?
        missing = self._canary and not any(cell(one, "id") == self._canary for one in found)
        if missing or any(is_new(one) for one in found):
            return await self._full_look(now)
        return self.understood(found, now)

    async def everything(self, at: datetime) -> Looked:
        """All rows."""
        found = await self._records.search()
        await self._check_not_hidden(found)
        return self.understood(found, at)

    async def named(self, ids: Sequence[str], at: datetime) -> Looked:
        """The rows of these tasks, perhaps with others. Rows without an id come along: one may be meant."""
        if len(ids) > ASKED_BY_ID:
            return await self.everything(at)
        found: dict[str, Record] = {}
        for some in any_of("id", ids):
            rows = await self._records.search(is_empty("id"), *some)
            found |= {one.id: one for one in rows}
        if not found and await self._records.total() == 0:
            await self._check_not_hidden([])
        return self.understood(list(found.values()), at)

    async def take_in(self, looked: Looked, now: datetime) -> tuple[Tasks, list[Run], list[Change]]:
        """What people did by hand, as the tasks it makes, what is to be recorded, what is to be written."""
        after, runs = queries.accept(looked.tasks, now)
        changes: list[Change] = []
        rows: dict[str, Row | None] = {}
        for name, row in after.rows.items():
            records = looked.records[name]
            before = looked.tasks.rows[name]
            if row is before:
                changes += to_be_told(row, records)
                continue
            try:
                done = finished(row, before, records[0], reads=self._reads)
            except StoreError as exc:  # one that is too large stops no other
                log.warning("row_not_taken_in", extra={"task_id": name, "reason": str(exc)})
                rows[name] = None
                continue
            rows[name] = done.row
            changes.append(Change(records[0].id, done.fields))
        return (changed_rows(after, rows, last=after.last) if rows else after), runs, changes

    async def tell(self, changes: Sequence[Change]) -> frozenset[str]:
        """Write *changes* as far as that goes; return the rows it cannot be said of."""
        doubtful: set[str] = set()
        left = batches(changes)
        while left:
            some = left.pop()
            try:
                await self._records.update(some)
            except RefusedError as exc:
                if not is_one_rows(exc):
                    raise
                if len(some) > 1:
                    left += halves(some)
                    continue
                log.warning("row_refused", extra={"row": some[0].record_id, "code": exc.code})
                doubtful.add(some[0].record_id)
            except StoreUnavailable as exc:
                log.warning("rows_not_written", extra={"rows": len(some), "error": type(exc).__name__})
                doubtful |= {one.record_id for one in some}
        return frozenset(doubtful)

    async def _full_look(self, now: datetime) -> Looked:
        found = await self._records.search()
        await self._check_not_hidden(found)
        self._full_look_at = now
        self._canary = next((name for one in found if (name := cell(one, "id"))), "")
        return self.understood(found, now)

    async def _check_not_hidden(self, found: Sequence[Record]) -> None:
        """Tell a table without rows from one whose rows are hidden from us.

        Raises:
            StoreError: They are, or the base was never set up.
        """
        if any(cell(one, "id") for one in found):
            if not self._known_to_have_tasks:
                await self.remember(has_tasks=True)
            return
        self._known_to_have_tasks = False
        if found and self._known_to_be_set_up:
            return  # blank rows, as every new table has them
        note = await self._notes.read(TASKS)
        self._known_to_be_set_up = True
        if not found and note.get("hadTasks"):
            raise StoreError(HIDDEN)

    async def remember(self, *, has_tasks: bool) -> None:
        """Keep it in the base whether the table has tasks."""
        try:
            says = (self._notes.known(TASKS) if has_tasks else {}) or await self._notes.read(TASKS)
            if bool(says.get("hadTasks")) is not has_tasks:
                await self._notes.write(TASKS, {"hadTasks": has_tasks})
        except StoreUnavailable:  # next time, then
            return
        self._known_to_have_tasks = has_tasks

    def understood(self, found: Sequence[Record], at: datetime) -> Looked:
        """These rows as tasks."""
        return Looked(*tasks_of(found, at=at, reads=self._reads))


# Guarded writes to the table of tasks, in batches, and what the answers mean.

T = TypeVar("T")

ROUNDS = 5  # tries at a write, each with its guard compared anew
REFUSED, APPLIED = Written(Result.REFUSED), Result.APPLIED


class TaskWrites:
    """Writes to the table of tasks; one call at a time, which is for the caller to see to."""

    def __init__(self, records: Records, table: TaskTable, *, reads: Reading) -> None:
        self._records = records
        self._table = table
        self._reads = reads

    async def write(self, writes: Sequence[Write], results: list[Written], at: datetime) -> None:
        """Do each write whose guard holds by what is read just before; fill in *results* as they are known.

        Raises:
            StoreError: Nothing was done, and trying again will not mend it.
        """
        left = dict(enumerate(writes))
        for number in range(1, ROUNDS + 1):
            one = _Round(results)
            await self._decide(left, one, at)
            await self._do(one, at)
            if one.fault is not None and all(result.result is Result.UNKNOWN for result in results):
                raise one.fault
            left = {index: writes[index] for index in one.conflicts}
            if not left:
                return
            await self._records.pause(number)

    async def _decide(self, left: Mapping[int, Write], one: "_Round", at: datetime) -> None:
        """Compare guards with what is there now, and say what is to be done."""
        await self._records.rested()
        looked = await self._guarded_by(list(left.values()), at)
        after, answers = queries.apply(looked.tasks, list(left.values()))
        for (index, write), answer in zip(left.items(), answers, strict=True):
            name = write.task.id
            if answer.result is not APPLIED:
                one.results[index] = answer
                continue
            records = looked.records.get(name, ())
            if write.delete:
                one.removed.append((index, records[0].id))
                continue
            record = records[0] if records else None
            try:
                done = finished(after.rows[name], looked.tasks.rows.get(name), record, reads=self._reads)
            except StoreError as exc:  # too large for a cell: it stops no other
                one.fault = exc
                continue
            (one.changes if record else one.new).append((index, done))

    async def _do(self, one: "_Round", at: datetime) -> None:
        """Do it, batch by batch; what is refused stops no other batch."""
        await self._by_batches(one.new, one, partial(self._create, at=at))
        await self._by_batches(one.changes, one, self._change)
        await self._by_batches(one.removed, one, self._remove)
        if one.removed and await self._records.total() == 0:
            await self._table.remember(has_tasks=False)

    async def _by_batches(
        self, items: Sequence[T], one: "_Round", does: Callable[[Sequence[T], "_Round"], Awaitable[None]]
    ) -> None:
        left = batches(items)[::-1]
        while left:
            some = left.pop()
            try:
                await does(some, one)
            except RefusedError as exc:
                if is_one_rows(exc) and len(some) > 1:
                    left += halves(some)
                else:
                    one.fault = exc
            except (Unanswered, Busy):  # they stay unknown
                continue

    async def _guarded_by(self, writes: Sequence[Write], at: datetime) -> Looked:
        """The rows that the guards of *writes* speak of."""
        places = [place for write in writes if (place := _place(write.revision))]
        new = [write.task.id for write in writes if write.revision is None]
        found = {one.id: one for one in await self._records.get(places)} if places else {}
        if new:
            there = await self._table.named(new, at)
            found |= {one.id: one for same in there.records.values() for one in same}
        return self._table.understood(list(found.values()), at)

    async def _create(self, some: Sequence[tuple[int, Finished]], one: "_Round", *, at: datetime) -> None:
        made = await self._records.create([done.fields for _, done in some])
        late = await self._too_late(some, made, at)
        if late:
            await self._records.delete([name for name in made if name in late])
        for (index, done), name in zip(some, made, strict=True):
            applied = Written(APPLIED, placed(done.row, name).revision)
            one.results[index] = REFUSED if name in late else applied

    async def _too_late(
        self, some: Sequence[tuple[int, Finished]], made: Sequence[str], at: datetime
    ) -> frozenset[str]:
        """Those of the rows just made whose task another process had made by then."""
        looked = await self._table.named([done.row.name for _, done in some], at)
        late = set()
        for (_, done), name in zip(some, made, strict=True):
            same = looked.records.get(done.row.name, ())
            if same and min(same, key=lambda one: one.age).id != name:
                late.add(name)
        return frozenset(late)

    async def _change(self, some: Sequence[tuple[int, Finished]], one: "_Round") -> None:
        try:
            changes = [Change(done.row.place, done.fields) for _, done in some]
            await self._records.update(changes, guarded=True)
        except Exception as exc:
            if not _is_outdated(exc):
                raise
            one.conflicts += [index for index, _ in some]
            return
        for index, done in some:
            one.results[index] = Written(APPLIED, done.row.revision)

    async def _remove(self, some: Sequence[tuple[int, str]], one: "_Round") -> None:
        try:
            await self._records.delete([place for _, place in some], guarded=True)
        except Exception as exc:
            if not _is_outdated(exc):
                raise
            one.conflicts += [index for index, _ in some]
            return
        for index, _ in some:
            one.results[index] = Written(APPLIED)


@dataclass(slots=True)
class _Round:
    """One try at some writes.

    Attributes:
        conflicts: Those whose guard has to be compared anew, for others wrote meanwhile.
    """

    results: list[Written]
    new: list[tuple[int, Finished]] = field(default_factory=list)
    changes: list[tuple[int, Finished]] = field(default_factory=list)
    removed: list[tuple[int, str]] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)
    fault: StoreError | None = None


def _is_outdated(exc: Exception) -> bool:
    """Whether a batch was not done because the table is another than when its guards were compared."""
    return isinstance(exc, Conflict) or is_gone(exc)


def _place(revision: object) -> str:
    """The row that a revision is of; empty for one of another store's make."""
    return revision.rpartition("@")[2] if isinstance(revision, str) and "@rec" in revision else ""
