"""The table of tasks: looked at for what is due and for what people did, written under guard."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.errors import StoreError, StoreUnavailable
from functions.rules.outcome import Run
from functions.store import hand_tasks
from functions.store.bitable_account import Reading
from functions.store.bitable_cells import seconds
from functions.store.bitable_faults import RefusedError
from functions.store.bitable_filters import any_of, compared, is_, is_empty
from functions.store.bitable_notes import TASKS, Notes
from functions.store.bitable_records import Change, Record, Records, batches, halves, is_one_rows
from functions.store.bitable_rows import (
    cell,
    finished,
    is_new,
    tasks_of,
    to_be_told,
)
from functions.store.hand_row import Row
from functions.store.hand_table import Tasks, changed

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
        after, runs = hand_tasks.accept(looked.tasks, now)
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
        return (changed(after, rows, last=after.last) if rows else after), runs, changes

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
