"""The table of tasks: due tasks, edits by users, and conditional writes."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, WriteResult, WriteStatus
from functions.errors import InvalidWriteError, StoreError, StoreUnavailableError
from functions.stores.bitable.cells import to_seconds
from functions.stores.bitable.config import (
    CELL_TOO_LARGE,
    BusyError,
    CellParser,
    FeishuRequestError,
    NoAnswerError,
    WriteConflictError,
)
from functions.stores.bitable.lease import HAD_TASKS_ROW, MetaRows
from functions.stores.bitable.rows import (
    EncodedRow,
    cell_text,
    encode_row,
    is_new,
    parse_rows,
    status_updates,
    with_row_id,
)
from functions.stores.bitable.table import (
    Record,
    RecordsApi,
    RowUpdate,
    any_of,
    compare_number,
    equals,
    is_empty,
    is_missing,
    is_row_error,
    split_batch,
    split_into_batches,
)
from functions.stores.editable import queries
from functions.stores.editable.model import EditableRow, EditableTasks, replace_rows

log = logging.getLogger(__name__)

FULL_SCAN_INTERVAL = timedelta(minutes=5)  # an edit of a task that is not due is noticed so soon
MAX_IDS_PER_LOOKUP = 150  # of more tasks than this, all rows are read
HIDDEN_ROWS = (
    "The table had tasks and has no row at all now. If you removed them all yourself, run `scheduler bitable "
    "setup`; if not: Feishu hides rows from an app that is no manager where advanced permissions are on"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a look at the table brought.

    Attributes:
        tasks: The rows as they were found.
        records: The cells of each, by its name.
    """

    tasks: EditableTasks
    records: Mapping[str, Sequence[Record]]


class TaskTable:
    """The table of tasks, as one process sees it."""

    def __init__(self, records: RecordsApi, meta: MetaRows, *, parser: CellParser) -> None:
        self._records = records
        self._meta = meta
        self._parser = parser
        self._full_scan_at: datetime | None = None
        self._canary = ""  # a task that must come along with every look
        self._has_tasks_saved = False
        self._is_set_up = False

    async def fetch_due(self, now: datetime) -> Snapshot:
        """Return rows that are due by *now* or were never read; at intervals, all rows."""
        if self._full_scan_at is None or not timedelta() <= now - self._full_scan_at < FULL_SCAN_INTERVAL:
            return await self._full_scan(now)
        canary = [equals("id", self._canary)] if self._canary else []
        due = compare_number("nextRunAt", "isLessEqual", to_seconds(now))
        found = await self._records.search(due, is_empty("nextRunAt"), *canary)
        # A new row may have the id of any other; and where the canary is missing, what else is?
        missing = self._canary and not any(cell_text(one, "id") == self._canary for one in found)
        if missing or any(is_new(one) for one in found):
            return await self._full_scan(now)
        return self.parse(found, now)

    async def fetch_all(self, at: datetime) -> Snapshot:
        """All rows."""
        found = await self._records.search()
        await self._check_not_hidden(found)
        return self.parse(found, at)

    async def fetch_by_id(self, ids: Sequence[str], at: datetime) -> Snapshot:
        """The rows of these tasks, perhaps with others. Rows without an id come along: one may be meant."""
        if len(ids) > MAX_IDS_PER_LOOKUP:
            return await self.fetch_all(at)
        found: dict[str, Record] = {}
        for conditions in any_of("id", ids):
            rows = await self._records.search(is_empty("id"), *conditions)
            found |= {one.id: one for one in rows}
        if not found and await self._records.count_rows() == 0:
            await self._check_not_hidden([])
        return self.parse(list(found.values()), at)

    async def import_edits(
        self, snapshot: Snapshot, now: datetime
    ) -> tuple[EditableTasks, list[Run], list[RowUpdate]]:
        """Return the tasks that users' edits make, the runs to record and the rows to write."""
        after, runs = queries.import_edits(snapshot.tasks, now)
        changes: list[RowUpdate] = []
        rows: dict[str, EditableRow | None] = {}
        for name, row in after.rows.items():
            records = snapshot.records[name]
            before = snapshot.tasks.rows[name]
            if row is before:
                changes += status_updates(row, records)
                continue
            try:
                done = encode_row(row, before, records[0], parser=self._parser)
            except StoreError as exc:  # one that is too large stops no other
                log.warning("row_not_imported", extra={"task_id": name, "reason": str(exc)})
                rows[name] = None
                continue
            rows[name] = done.row
            changes.append(RowUpdate(records[0].id, done.fields))
        return (
            (replace_rows(after, rows, last_revision=after.last_revision) if rows else after),
            runs,
            changes,
        )

    async def write_updates(self, updates: Sequence[RowUpdate]) -> frozenset[str]:
        """Write *updates*; return the rows whose result is unknown."""
        doubtful: set[str] = set()
        left = split_into_batches(updates)
        while left:
            batch = left.pop()
            try:
                await self._records.update(batch)
            except FeishuRequestError as exc:
                if not is_row_error(exc):
                    raise
                if len(batch) > 1:
                    left += split_batch(batch)
                    continue
                log.warning("row_refused", extra={"row": batch[0].record_id, "code": exc.code})
                doubtful.add(batch[0].record_id)
            except StoreUnavailableError as exc:
                log.warning("rows_not_written", extra={"rows": len(batch), "error": type(exc).__name__})
                doubtful |= {one.record_id for one in batch}
        return frozenset(doubtful)

    async def _full_scan(self, now: datetime) -> Snapshot:
        found = await self._records.search()
        await self._check_not_hidden(found)
        self._full_scan_at = now
        self._canary = next((name for one in found if (name := cell_text(one, "id"))), "")
        return self.parse(found, now)

    async def _check_not_hidden(self, found: Sequence[Record]) -> None:
        """Distinguish a table without rows from one whose rows are hidden from us.

        Raises:
            StoreError: They are, or the base was never set up.
        """
        if any(cell_text(one, "id") for one in found):
            if not self._has_tasks_saved:
                await self.save_has_tasks(has_tasks=True)
            return
        self._has_tasks_saved = False
        if found and self._is_set_up:
            return  # blank rows, as every new table has them
        note = await self._meta.read(HAD_TASKS_ROW)
        self._is_set_up = True
        if not found and note.get("hadTasks"):
            raise StoreError(HIDDEN_ROWS)

    async def save_has_tasks(self, *, has_tasks: bool) -> None:
        """Keep it in the base whether the table has tasks."""
        try:
            says = (self._meta.get_cached(HAD_TASKS_ROW) if has_tasks else {}) or await self._meta.read(
                HAD_TASKS_ROW
            )
            if bool(says.get("hadTasks")) is not has_tasks:
                await self._meta.write(HAD_TASKS_ROW, {"hadTasks": has_tasks})
        except StoreUnavailableError:  # next time, then
            return
        self._has_tasks_saved = has_tasks

    def parse(self, found: Sequence[Record], at: datetime) -> Snapshot:
        """These rows as tasks."""
        return Snapshot(*parse_rows(found, at=at, parser=self._parser))


# -- conditional writes, in batches ---------------------------------------------------------

T = TypeVar("T")

MAX_ATTEMPTS = 5  # tries at a write, each with its guard compared anew
CONFLICT, APPLIED = WriteResult(WriteStatus.CONFLICT), WriteStatus.APPLIED
INVALID = WriteResult(WriteStatus.INVALID)


class TaskWriter:
    """Writes to the table of tasks; one call at a time, which is for the caller to see to."""

    def __init__(self, records: RecordsApi, table: TaskTable, *, parser: CellParser) -> None:
        self._records = records
        self._table = table
        self._parser = parser

    async def write(
        self, writes: Sequence[ConditionalWrite], results: list[WriteResult], at: datetime
    ) -> None:
        """Do each write whose precondition holds by what is read just before; fill in *results* meanwhile.

        Raises:
            InvalidWriteError: A cell takes none of the tasks, and never will.
            StoreError: Nothing was done, and trying again will not mend it.
        """
        left = dict(enumerate(writes))
        for number in range(1, MAX_ATTEMPTS + 1):
            plan = _WritePlan(results)
            await self._plan(left, plan, at)
            await self._execute(plan, at)
            statuses = {result.status for result in results}
            if plan.error is not None and statuses in ({WriteStatus.UNKNOWN}, {WriteStatus.INVALID}):
                raise plan.error
            left = {index: writes[index] for index in plan.conflicts}
            if not left:
                return
            await self._records.wait_before_retry(number)

    async def _plan(self, left: Mapping[int, ConditionalWrite], plan: "_WritePlan", at: datetime) -> None:
        """Compare guards with what is there now, and say what is to be done."""
        await self._records.wait_for_write_gap()
        looked = await self._read_expected_rows(list(left.values()), at)
        after, answers = queries.apply_writes(looked.tasks, list(left.values()))
        for (index, write), answer in zip(left.items(), answers, strict=True):
            name = write.task.id
            if answer.status is not APPLIED:
                plan.results[index] = answer
                continue
            records = looked.records.get(name, ())
            if write.delete:
                plan.deletes.append((index, records[0].id))
                continue
            record = records[0] if records else None
            try:
                done = encode_row(after.rows[name], looked.tasks.rows.get(name), record, parser=self._parser)
            except InvalidWriteError as exc:  # it stops no other
                plan.refuse(index, exc)
                continue
            (plan.updates if record else plan.creates).append((index, done))

    async def _execute(self, plan: "_WritePlan", at: datetime) -> None:
        """Do it, batch by batch; what is refused stops no other batch."""
        await self._run_in_batches(plan.creates, plan, partial(self._create, at=at))
        await self._run_in_batches(plan.updates, plan, self._update)
        await self._run_in_batches(plan.deletes, plan, self._delete)
        if plan.deletes and await self._records.count_rows() == 0:
            await self._table.save_has_tasks(has_tasks=False)

    async def _run_in_batches(
        self,
        items: Sequence[tuple[int, T]],
        plan: "_WritePlan",
        run_batch: Callable[[Sequence[tuple[int, T]], "_WritePlan"], Awaitable[None]],
    ) -> None:
        left = split_into_batches(items)[::-1]
        while left:
            batch = left.pop()
            try:
                await run_batch(batch, plan)
            except FeishuRequestError as exc:
                if is_row_error(exc) and len(batch) > 1:
                    left += split_batch(batch)
                elif exc.code == CELL_TOO_LARGE:
                    plan.refuse(batch[0][0], InvalidWriteError(str(exc)))
                else:
                    plan.error = exc
            except (NoAnswerError, BusyError):  # they stay unknown
                continue

    async def _read_expected_rows(self, writes: Sequence[ConditionalWrite], at: datetime) -> Snapshot:
        """The rows that the guards of *writes* speak of."""
        places = [place for write in writes if (place := _row_id_of(write.revision))]
        new = [write.task.id for write in writes if write.revision is None]
        found = {one.id: one for one in await self._records.get(places)} if places else {}
        if new:
            there = await self._table.fetch_by_id(new, at)
            found |= {one.id: one for same in there.records.values() for one in same}
        return self._table.parse(list(found.values()), at)

    async def _create(
        self, rows: Sequence[tuple[int, EncodedRow]], plan: "_WritePlan", *, at: datetime
    ) -> None:
        made = await self._records.create([done.fields for _, done in rows])
        late = await self._find_duplicates(rows, made, at)
        if late:
            await self._records.delete([name for name in made if name in late])
        for (index, done), name in zip(rows, made, strict=True):
            applied = WriteResult(APPLIED, with_row_id(done.row, name).revision)
            plan.results[index] = CONFLICT if name in late else applied

    async def _find_duplicates(
        self, rows: Sequence[tuple[int, EncodedRow]], made: Sequence[str], at: datetime
    ) -> frozenset[str]:
        """Those of the rows just made whose task another process had made by then."""
        looked = await self._table.fetch_by_id([done.row.task_id for _, done in rows], at)
        late = set()
        for (_, done), name in zip(rows, made, strict=True):
            same = looked.records.get(done.row.task_id, ())
            if same and min(same, key=lambda one: one.creation_order).id != name:
                late.add(name)
        return frozenset(late)

    async def _update(self, rows: Sequence[tuple[int, EncodedRow]], plan: "_WritePlan") -> None:
        try:
            changes = [RowUpdate(done.row.row_id, done.fields) for _, done in rows]
            await self._records.update(changes, conditional=True)
        except Exception as exc:
            if not _is_stale(exc):
                raise
            plan.conflicts += [index for index, _ in rows]
            return
        for index, done in rows:
            plan.results[index] = WriteResult(APPLIED, done.row.revision)

    async def _delete(self, rows: Sequence[tuple[int, str]], plan: "_WritePlan") -> None:
        try:
            await self._records.delete([place for _, place in rows], conditional=True)
        except Exception as exc:
            if not _is_stale(exc):
                raise
            plan.conflicts += [index for index, _ in rows]
            return
        for index, _ in rows:
            plan.results[index] = WriteResult(APPLIED)


@dataclass(slots=True)
class _WritePlan:
    """One try at some writes.

    Attributes:
        conflicts: Those whose guard has to be compared anew, for others wrote meanwhile.
    """

    results: list[WriteResult]
    creates: list[tuple[int, EncodedRow]] = field(default_factory=list)
    updates: list[tuple[int, EncodedRow]] = field(default_factory=list)
    deletes: list[tuple[int, str]] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)
    error: StoreError | None = None

    def refuse(self, index: int, error: InvalidWriteError) -> None:
        """Take in that a cell will never hold what write *index* has."""
        self.results[index], self.error = INVALID, error


def _is_stale(exc: Exception) -> bool:
    """Whether a batch was not done because the table is another than when its guards were compared."""
    return isinstance(exc, WriteConflictError) or is_missing(exc)


def _row_id_of(revision: object) -> str:
    """The row that a revision is of; empty for one of another store's make."""
    return revision.rpartition("@")[2] if isinstance(revision, str) and "@rec" in revision else ""
