"""Guarded writes to the table of tasks, in batches, and what the answers mean."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from functions.errors import StoreError
from functions.rules.storage import Result, Write, Written
from functions.store import hand_tasks
from functions.store.bitable_account import Reads
from functions.store.bitable_faults import Busy, RefusedError, Unanswered
from functions.store.bitable_records import Change, Records, batches, is_gone
from functions.store.bitable_rows import Finished, finished, placed
from functions.store.bitable_tasks import Looked, TaskTable

T = TypeVar("T")

REFUSED, APPLIED = Written(Result.REFUSED), Result.APPLIED


class TaskWrites:
    """Writes to the table of tasks; one call at a time, which is for the caller to see to."""

    def __init__(self, records: Records, table: TaskTable, *, reads: Reads) -> None:
        self._records = records
        self._table = table
        self._reads = reads

    async def write(self, writes: Sequence[Write], results: list[Written], at: datetime) -> None:
        """Do each write whose guard holds by what is read just before; fill in *results* as they are known.

        Raises:
            StoreError: Nothing was done, and trying again will not mend it.
        """
        looked = await self._guarded_by(writes, at)
        after, answers = hand_tasks.apply(looked.tasks, writes)
        new: list[tuple[int, Finished]] = []
        changes: list[tuple[int, Finished]] = []
        removed: list[tuple[int, str]] = []
        fault: StoreError | None = None
        for index, (write, answer) in enumerate(zip(writes, answers, strict=True)):
            name = write.task.id
            if answer.result is not APPLIED:
                results[index] = answer
                continue
            records = looked.records.get(name, ())
            if write.delete:
                removed.append((index, records[0].id))
                continue
            record = records[0] if records else None
            try:
                done = finished(after.rows[name], looked.tasks.rows.get(name), record, reads=self._reads)
            except StoreError as exc:  # too large for a cell: it stops no other
                fault = exc
                continue
            (changes if record else new).append((index, done))
        for step in (
            self._create(new, results),
            self._change(changes, results),
            self._remove(removed, results),
        ):
            try:
                await step
            except RefusedError as exc:
                fault = exc
        if fault is not None and all(one.result is Result.UNKNOWN for one in results):
            raise fault

    async def _guarded_by(self, writes: Sequence[Write], at: datetime) -> Looked:
        """The rows that the guards of *writes* speak of."""
        places = [place for write in writes if (place := _place(write.revision))]
        new = [write.task.id for write in writes if write.revision is None]
        found = {one.id: one for one in await self._records.get(places)} if places else {}
        if new:
            there = await self._table.named(new, at)
            found |= {one.id: one for same in there.records.values() for one in same}
        return self._table.understood(list(found.values()), at)

    async def _create(self, new: Sequence[tuple[int, Finished]], results: list[Written]) -> None:
        for some in batches(new):
            try:
                made = await self._records.create([done.fields for _, done in some])
            except (Unanswered, Busy):
                continue
            for (index, done), name in zip(some, made, strict=True):
                results[index] = Written(APPLIED, placed(done.row, name).revision)

    async def _change(self, changes: Sequence[tuple[int, Finished]], results: list[Written]) -> None:
        for some in batches(changes):
            await self._change_some(some, results)

    async def _change_some(self, some: Sequence[tuple[int, Finished]], results: list[Written]) -> None:
        try:
            await self._records.update([Change(done.row.place, done.fields) for _, done in some])
        except (Unanswered, Busy):
            return
        except RefusedError as exc:
            if not is_gone(exc):
                raise
            left = await self._left(some, [done.row.place for _, done in some], results)
            if 0 < len(left) < len(some):
                await self._change_some(left, results)
            return
        for index, done in some:
            results[index] = Written(APPLIED, done.row.revision)

    async def _remove(self, removed: Sequence[tuple[int, str]], results: list[Written]) -> None:
        for some in batches(removed):
            try:
                await self._records.delete([place for _, place in some])
            except (Unanswered, Busy):
                continue
            except RefusedError as exc:
                if not is_gone(exc):
                    raise
                left = await self._left(some, [place for _, place in some], results)
                if 0 < len(left) < len(some):
                    await self._remove(left, results)
                continue
            for index, _ in some:
                results[index] = Written(APPLIED)
        if removed and await self._records.total() == 0:
            await self._table.remember(has_tasks=False)

    async def _left(
        self, some: Sequence[tuple[int, T]], places: Sequence[str], results: list[Written]
    ) -> list[tuple[int, T]]:
        """Those of a refused batch that are still there; the others are answered."""
        there = {one.id for one in await self._records.get(places)}
        left = []
        for item, place in zip(some, places, strict=True):
            if place in there:
                left.append(item)
            else:
                results[item[0]] = REFUSED
        return left


def _place(revision: object) -> str:
    """The row that a revision is of; empty for one of another store's make."""
    return revision.rpartition("@")[2] if isinstance(revision, str) and "@rec" in revision else ""
