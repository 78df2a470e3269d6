"""The store that is a table of Feishu's: people write tasks and read results there; one process pings."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from functions.domain.run import Run
from functions.domain.storage import (
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
from functions.errors import StoreUnavailable
from functions.stores.bitable.client import Calls, Turns
from functions.stores.bitable.config import (
    PLAIN,
    USUAL,
    Address,
    Bounds,
    FeishuApp,
    Reading,
    Unanswered,
    random_name,
    within,
)
from functions.stores.bitable.documents import ShelfTable
from functions.stores.bitable.lease import Notes, PingerLock
from functions.stores.bitable.runs import Ledger
from functions.stores.bitable.setup import Base, Setup, Step
from functions.stores.bitable.table import Records
from functions.stores.bitable.tasks import TaskTable, TaskWrites
from functions.stores.codec import document_rows
from functions.stores.editable import queries
from functions.stores.editable.model import Tasks
from functions.stores.metering import cost, count, metered

# A walk through all tasks, page by page, over one reading of the table.

GOES_ON_FOR_S = 10.0  # a page asked for later is a question of its own


class Walk:
    """Remembers what the last page was cut from, for who asks for the next one at once.

    Each page would else cost a reading of the whole table.
    """

    def __init__(self) -> None:
        self._tasks: Tasks | None = None
        self._last = ""
        self._at = 0.0

    def goes_on(self, after: str) -> Tasks | None:
        """The tasks to cut the next page from, if *after* is where the last page ended."""
        late = asyncio.get_running_loop().time() - self._at > GOES_ON_FOR_S
        return None if not after or after != self._last or late else self._tasks

    def stands_at(self, found: Found, tasks: Tasks) -> None:
        """A page ended with *found*, cut from *tasks*."""
        names = [stored.task.id for stored in found.tasks] + [one.id for one in found.broken]
        self._tasks, self._last = (tasks, max(names)) if names else (None, "")
        self._at = asyncio.get_running_loop().time()

    def end(self) -> None:
        """Something was written: the next page is of what there is now."""
        self._tasks, self._last = None, ""


# Lets go what is past keeping: history and documents whose time is over.

TIDY_EVERY = timedelta(hours=6)  # two calls, where nothing is past


class Tidying:
    """Removes rows of the two tables beside the tasks."""

    def __init__(self, ledger: Ledger, shelf: ShelfTable) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._done_at: datetime | None = None

    async def all_past(self, now: datetime) -> int:
        """Remove all that is past; return how many entries and documents went."""
        return await self._ledger.prune(now) + await self._shelf.prune(now)

    async def now_and_then(self, now: datetime) -> None:
        """As `all_past`, if that was long ago. A fault is no reason not to tick."""
        if self._done_at is not None and timedelta() <= now - self._done_at < TIDY_EVERY:
            return
        self._done_at = now
        with suppress(StoreUnavailable):
            await self.all_past(now)


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
        return queries.read(looked.tasks, ids)

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
        found = queries.page(tasks, which, after, limit)
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
        return queries.counts(looked.tasks, now, last_at)

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
        rows = document_rows(documents)
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
        return queries.due(Tasks(certain), now, limit, shards), after.last - looked.tasks.last

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
