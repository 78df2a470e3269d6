"""The store that is a table of Feishu's: people write tasks and read results there; one process pings."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

from functions.errors import StoreUnavailable
from functions.rules.outcome import Run
from functions.rules.storage import (
    RUNS_PER_ENTRY,
    Counts,
    Document,
    Filter,
    Found,
    Kind,
    LedgerEntry,
    Operations,
    Result,
    Write,
    Written,
)
from functions.store import hand_tasks
from functions.store.bitable_account import PLAIN, USUAL, Address, Bounds, FeishuApp, Reading, random_name
from functions.store.bitable_calls import Calls
from functions.store.bitable_faults import Unanswered, within
from functions.store.bitable_ledger import Ledger
from functions.store.bitable_lock import PingerLock
from functions.store.bitable_notes import Notes
from functions.store.bitable_records import Records
from functions.store.bitable_setup import Setup, Step
from functions.store.bitable_shelf import ShelfTable
from functions.store.bitable_tables import Base
from functions.store.bitable_tasks import TaskTable
from functions.store.bitable_tidying import Tidying
from functions.store.bitable_turns import Turns
from functions.store.bitable_walk import Walk
from functions.store.bitable_writes import TaskWrites
from functions.store.hand_table import Tasks
from functions.store.json_shelf import rows_of
from functions.store.meter import cost, count, metered

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class BitableStore:
    """Tasks in the table at *address*, history and the rest in two tables beside it.

    Operations are counted as Firestore would bill them. Bitable has no conditional write: a guard is compared
    with what is read just before. Of two processes that write one task in the same instant both may be told
    that they did; of two callers in one process never.

    Args:
        reads: How people's cells are to be understood.
    """

    def __init__(
        self,
        address: Address,
        app: FeishuApp,
        *,
        reads: Reading = PLAIN,
        new_id: Callable[[], str] = random_name,
        bounds: Bounds = USUAL,
    ) -> None:
        self._bounds = bounds
        self._within = partial(within, bounds.answer_within_s)
        self._new_id = new_id
        self._calls = Calls(app, address, within_s=bounds.call_within_s, again_s=bounds.gap_s)
        self._base = Base(self._calls, address.table_id)
        table = partial(Records, self._calls, gap_s=bounds.gap_s, new_id=new_id)
        kept = table(self._base.kept)
        self._notes = Notes(kept)
        rows = table(self._base.tasks)
        self._tasks = TaskTable(rows, self._notes, reads=reads)
        self._writes = TaskWrites(rows, self._tasks, reads=reads)
        self._ledger = Ledger(table(self._base.runs))
        self._shelf = ShelfTable(kept)
        self._lock = PingerLock(self._notes, lease=bounds.lease, settle_s=bounds.settle_s, new_id=new_id)
        self._turns = Turns()
        self._shelf_turns = Turns()
        self._walk = Walk()
        self._seen_at = NEVER
        self._tidying = Tidying(self._ledger, self._shelf)

    async def due(self, now: datetime, *, limit: int, shards: tuple[int, int] | None = None) -> Found:
        """Tasks whose next look has come, earliest first. What people did by hand is taken in before.

        Nothing, as long as another process is the pinger.
        """
        self._seen_at = now
        async with self._within():
            if not await self._lock.held(now):
                count(reads=1)
                return Found(())
            async with self._turns.one():
                found, accepted = await self._due(now, limit, shards)
        count(reads=cost(found), writes=accepted)
        return found

    async def read(self, ids: Sequence[str]) -> Found:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return Found(())
        async with self._within():
            looked = await self._tasks.named(ids, self._seen_at)
        count(reads=len(ids))
        return hand_tasks.read(looked.tasks, ids)

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Do each write whose guard holds by what is read just before."""
        return await self.finish(None, writes)

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """Keep *entry*, then do each write whose guard holds by what is read just before."""
        if entry is None and not writes:
            return []
        results = [Written(Result.UNKNOWN)] * len(writes)
        self._walk.end()
        try:
            async with self._within(), self._turns.one():
                await self._lock.refresh()
                if entry is not None:
                    await self._ledger.keep(entry)
                if writes:
                    await self._writes.write(writes, results, self._seen_at)
        except StoreUnavailable:  # what was answered counts; of the rest nobody knows
            if not writes:
                raise
        deletes = sum(write.delete for write in writes)
        count(writes=len(writes) - deletes + (entry is not None), deletes=deletes)
        return results

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs in the ledger entries of one tick."""
        async with self._within():
            found = await self._ledger.of_tick(tick_id)
        count(reads=1)
        return found

    async def page(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        tasks = self._walk.goes_on(after)
        if tasks is None:
            async with self._within():
                tasks = (await self._tasks.everything(self._seen_at)).tasks
        found = hand_tasks.page(tasks, which, after, limit)
        self._walk.stands_at(found, tasks)
        count(reads=cost(found))
        return found

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records, newest first; of one task, or of all."""
        async with self._within():
            found = await self._ledger.runs(task_id, since, before, limit)
        count(reads=max(1, len(found)))
        return found

    async def counts(self, now: datetime) -> Counts:
        """The figures of the status page."""
        async with self._within():
            looked = await self._tasks.everything(now)
            last_at = await self._ledger.last_at()
        count(reads=3)  # two counts and the last entry
        return hand_tasks.counts(looked.tasks, now, last_at)

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        async with self._within():
            found = await self._shelf.documents(kind, ids)
        count(reads=len(ids))
        return found

    async def shelf(self, kind: Kind, *, after: str = "", limit: int = 100) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        async with self._within():
            found = await self._shelf.shelf(kind, after, limit)
        count(reads=max(1, len(found)))
        return found

    async def put(self, documents: Sequence[Document]) -> list[Written]:
        """Create or replace each document whose guard holds by what is read just before."""
        rows = rows_of(documents)
        written = await self._changed(documents, lambda: self._shelf.put(documents, rows))
        count(writes=len(documents))
        return written

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds by what is read just before."""
        written = await self._changed(documents, lambda: self._shelf.discard(documents))
        count(deletes=len(documents))
        return written

    async def prune(self, now: datetime) -> int:
        """Remove ledger entries past `storage.RUNS_KEPT` and expired documents; return how many."""
        async with self._within():
            removed = await self._tidying.all_past(now)
        count(deletes=removed)
        return removed

    async def set_up(self, *, types: Sequence[str] = (), dry_run: bool = False) -> list[Step]:
        """Make the columns and tables that are missing, or only say which are; see `Setup`."""
        one = Setup(self._base, self._calls, self._notes, types=types)
        async with within(self._bounds.set_up_within_s):
            return await (one.examined() if dry_run else one.done())

    def metered(self) -> AbstractContextManager[Operations]:
        """Count the operations of this asyncio task, and those it starts, while inside."""
        return metered()

    async def close(self) -> None:
        """Let others ping, and release connections. The store is not used afterwards."""
        await self._lock.give_back()
        await self._calls.close()

    async def _due(self, now: datetime, limit: int, shards: tuple[int, int] | None) -> tuple[Found, int]:
        looked = await self._tasks.look(now)
        await self._tidying.now_and_then(now)
        after, runs, changes = await self._tasks.take_in(looked, now)
        for start in range(0, len(runs), RUNS_PER_ENTRY):
            some = tuple(runs[start : start + RUNS_PER_ENTRY])
            await self._ledger.keep(LedgerEntry(f"edit-{self._new_id()}.1", now, some))
        doubtful = await self._tasks.tell(changes)
        certain = {name: row for name, row in after.rows.items() if row.place not in doubtful}
        if changes:
            self._walk.end()
        return hand_tasks.due(Tasks(certain), now, limit, shards), after.last - looked.tasks.last

    async def _changed(
        self, documents: Sequence[Document], change: Callable[[], Awaitable[list[Written]]]
    ) -> list[Written]:
        if not documents:
            return []
        try:
            async with self._within(), self._shelf_turns.one():
                return await change()
        except Unanswered:
            return [Written(Result.UNKNOWN)] * len(documents)
