"""Guarded writes to the table of tasks, in batches, and what the answers mean."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from functions.errors import StoreError
from functions.rules.storage import Result, Write, Written
from functions.store import hand_tasks
from functions.store.bitable_account import Reading
from functions.store.bitable_faults import Busy, Conflict, RefusedError, Unanswered
from functions.store.bitable_records import Change, Records, batches, halves, is_gone, is_one_rows
from functions.store.bitable_rows import Finished, finished, placed
from functions.store.bitable_tasks import Looked, TaskTable

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
        after, answers = hand_tasks.apply(looked.tasks, list(left.values()))
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
