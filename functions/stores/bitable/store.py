"""The store in a Feishu table, where users write tasks and read results; one process ticks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from functions.domain.run import Run
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    Document,
    DocumentKind,
    DuePosition,
    OrderedPage,
    OrderPosition,
    QueryResult,
    RunBatch,
    StoreStats,
    TaskFilter,
    TaskOrder,
    WriteResult,
    WriteStatus,
)
from functions.errors import StoreError, StoreUnavailableError
from functions.stores.bitable.client import FeishuClient, LoopLock
from functions.stores.bitable.config import (
    DEFAULT_CELL_PARSER,
    DEFAULT_TIMEOUTS,
    CellParser,
    FeishuCredentials,
    NoAnswerError,
    TableRef,
    Timeouts,
    limit_time,
    random_id,
)
from functions.stores.bitable.documents import DocumentTable
from functions.stores.bitable.lease import LeaderLease, MetaRows
from functions.stores.bitable.runs import RunTable
from functions.stores.bitable.setup import Setup, Step, TableCatalog
from functions.stores.bitable.table import RecordsApi
from functions.stores.bitable.tasks import TaskTable, TaskWriter
from functions.stores.codec import encode_documents
from functions.stores.editable import queries
from functions.stores.editable.model import EditableTasks
from functions.stores.metering import MeteredStore, add_operations

log = logging.getLogger(__name__)

SNAPSHOT_TTL_S = 10.0  # a page requested later reads the table again


class PageSnapshot:
    """Remembers what the last page was cut from, for who asks for the next one at once.

    Each page would else cost a reading of the whole table.
    """

    def __init__(self) -> None:
        self._tasks: EditableTasks | None = None
        self._cursor = ""
        self._saved_at = 0.0

    def resume(self, after: str) -> EditableTasks | None:
        """The tasks to cut the next page from, if *after* is where the last page ended."""
        late = asyncio.get_running_loop().time() - self._saved_at > SNAPSHOT_TTL_S
        return None if not after or after != self._cursor or late else self._tasks

    def save(self, found: QueryResult, tasks: EditableTasks) -> None:
        """A page ended with *found*, cut from *tasks*."""
        names = [stored.task.id for stored in found.tasks] + [one.id for one in found.invalid]
        self._tasks, self._cursor = (tasks, max(names)) if names else (None, "")
        self._saved_at = asyncio.get_running_loop().time()

    def clear(self) -> None:
        """Something was written: the next page is of what there is now."""
        self._tasks, self._cursor = None, ""


# Pruning: history and documents that have expired are removed.

PRUNE_EVERY = timedelta(hours=6)  # two calls, where nothing is past


class Pruner:
    """Removes rows of the two tables beside the tasks."""

    def __init__(self, runs: RunTable, documents: DocumentTable) -> None:
        self._runs = runs
        self._documents = documents
        self._pruned_at: datetime | None = None

    async def prune_all(self, now: datetime) -> int:
        """Remove all that is past; return how many entries and documents went."""
        return await self._runs.prune(now) + await self._documents.prune(now)

    async def prune_sometimes(self, now: datetime) -> None:
        """As `prune_all`, if that was long ago. A fault is no reason not to tick."""
        if self._pruned_at is not None and timedelta() <= now - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = now
        try:
            await self.prune_all(now)
        except StoreError as exc:  # no right to remove rows, for example
            log.warning("rows_not_removed", extra={"error": str(exc)})


NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class BitableStore(MeteredStore):
    """Tasks in the table at *table_ref*, runs and documents in two tables beside it.

    Operations are counted as Firestore would bill them. Bitable has no conditional write: a revision is
    compared with what is read just before. Two processes that write one task at the same instant may both
    get a success; two callers in one process never do.

    Args:
        cell_parser: How cells that users wrote are parsed.
    """

    def __init__(
        self,
        table_ref: TableRef,
        credentials: FeishuCredentials,
        *,
        cell_parser: CellParser = DEFAULT_CELL_PARSER,
        new_id: Callable[[], str] = random_id,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self._timeouts = timeouts
        self._limit_time = partial(limit_time, timeouts.operation_s)
        self._new_id = new_id
        self._client = FeishuClient(
            credentials, table_ref, call_timeout_s=timeouts.call_s, retry_delay_s=timeouts.write_gap_s
        )
        self._catalog = TableCatalog(self._client, table_ref.table_id)
        table = partial(RecordsApi, self._client, write_gap_s=timeouts.write_gap_s, new_id=new_id)
        kept = table(self._catalog.document_table_id)
        self._meta = MetaRows(kept)
        rows = table(self._catalog.task_table_id)
        self._task_table = TaskTable(rows, self._meta, parser=cell_parser)
        self._task_writer = TaskWriter(rows, self._task_table, parser=cell_parser)
        self._run_table = RunTable(table(self._catalog.run_table_id))
        self._document_table = DocumentTable(kept)
        self._lease = LeaderLease(
            self._meta, min_duration=timeouts.lease, settle_s=timeouts.settle_s, new_id=new_id
        )
        self._task_lock = LoopLock()
        self._document_lock = LoopLock()
        self._page_snapshot = PageSnapshot()
        self._last_seen_at = NEVER
        self._pruner = Pruner(self._run_table, self._document_table)

    async def fetch_due(
        self,
        now: datetime,
        *,
        limit: int,
        after: DuePosition | None = None,
        shards: tuple[int, int] | None = None,
    ) -> QueryResult:
        """Return the tasks that are due, earliest first. Edits made by hand are imported first.

        Nothing, as long as another process holds the lease.
        """
        self._last_seen_at = now
        async with self._limit_time():
            if not await self._lease.acquire(now):
                return QueryResult(())
            async with self._task_lock.acquire():
                found, accepted = await self._fetch_due(now, limit, after, shards)
        add_operations(writes=accepted)
        return found

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """Return the tasks that are due, earliest first, whichever process holds the lease.

        All rows are read: to read as a tick does would put off its next scan.
        """
        async with self._limit_time():
            snapshot = await self._task_table.fetch_all(now)
        return queries.fetch_due(snapshot.tasks, now, limit, None, None)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return QueryResult(())
        async with self._limit_time():
            snapshot = await self._task_table.fetch_by_id(ids, self._last_seen_at)
        return queries.get_tasks(snapshot.tasks, ids)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Keep *batch*, then do each write whose precondition holds by what is read just before."""
        if batch is None and not writes:
            return []
        results = [WriteResult(WriteStatus.UNKNOWN)] * len(writes)
        self._page_snapshot.clear()
        try:
            async with self._limit_time(), self._task_lock.acquire():
                await self._lease.renew()
                if batch is not None:
                    await self._run_table.save(batch)
                if writes:
                    await self._task_writer.write(writes, results, self._last_seen_at)
        except StoreUnavailableError:  # answered writes have their result; the others stay UNKNOWN
            if not writes:
                raise
        return results

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """Return all runs of one tick."""
        async with self._limit_time():
            return await self._run_table.of_tick(tick_id)

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        tasks = self._page_snapshot.resume(after)
        if tasks is None:
            async with self._limit_time():
                tasks = (await self._task_table.fetch_all(self._last_seen_at)).tasks
        found = queries.list_tasks(tasks, which, after, limit)
        self._page_snapshot.save(found, tasks)
        return found

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """A page of all tasks in *order*, which begins behind *after*."""
        async with self._limit_time():
            snapshot = await self._task_table.fetch_all(self._last_seen_at)
        return queries.list_ordered(snapshot.tasks, order, after, limit)

    async def count_tasks(self, which: TaskFilter) -> int:
        """How many tasks match *which*."""
        async with self._limit_time():
            snapshot = await self._task_table.fetch_all(self._last_seen_at)
        return queries.count_tasks(snapshot.tasks, which)

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records, newest first; of one task, or of all."""
        async with self._limit_time():
            return await self._run_table.runs(task_id, since, before, limit)

    async def stats(self, now: datetime) -> StoreStats:
        """The figures of the status page."""
        async with self._limit_time():
            snapshot = await self._task_table.fetch_all(now)
            last_at = await self._run_table.last_saved_at()
        return queries.compute_stats(snapshot.tasks, now, last_at)

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        async with self._limit_time():
            return await self._document_table.get_documents(kind, ids)

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        async with self._limit_time():
            return await self._document_table.list_documents(kind, after, limit)

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Create or replace each document whose precondition holds by what is read just before."""
        rows = encode_documents(documents)
        return await self._apply_document_changes(
            documents, lambda: self._document_table.put_documents(documents, rows)
        )

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose precondition holds by what is read just before."""
        return await self._apply_document_changes(
            documents, lambda: self._document_table.delete_documents(documents)
        )

    async def prune(self, now: datetime) -> int:
        """Remove run batches past `RUN_RETENTION` and expired documents; return how many."""
        async with self._limit_time():
            return await self._pruner.prune_all(now)

    async def set_up(self, *, types: Sequence[str] = (), dry_run: bool = False) -> list[Step]:
        """Make the columns and tables that are missing, or only say which are; see `Setup`."""
        setup = Setup(self._catalog, self._client, self._meta, types=types)
        async with limit_time(self._timeouts.setup_s):
            return await (setup.plan() if dry_run else setup.apply())

    async def close(self) -> None:
        """Let others ping, and release connections. The store is not used afterwards."""
        await self._lease.release()
        await self._client.close()

    async def _fetch_due(
        self, now: datetime, limit: int, after: DuePosition | None, shards: tuple[int, int] | None
    ) -> tuple[QueryResult, int]:
        snapshot = await self._task_table.fetch_due(now)
        await self._pruner.prune_sometimes(now)
        imported, runs, changes = await self._task_table.import_edits(snapshot, now)
        for start in range(0, len(runs), RUNS_PER_BATCH):
            batch = tuple(runs[start : start + RUNS_PER_BATCH])
            await self._run_table.save(RunBatch(f"edit-{self._new_id()}.1", now, batch))
        doubtful = await self._task_table.write_updates(changes)
        certain = {name: row for name, row in imported.rows.items() if row.row_id not in doubtful}
        if changes:
            self._page_snapshot.clear()
        return queries.fetch_due(
            EditableTasks(certain), now, limit, after, shards
        ), imported.last_revision - snapshot.tasks.last_revision

    async def _apply_document_changes(
        self, documents: Sequence[Document], change: Callable[[], Awaitable[list[WriteResult]]]
    ) -> list[WriteResult]:
        if not documents:
            return []
        try:
            async with self._limit_time(), self._document_lock.acquire():
                return await change()
        except NoAnswerError:
            return [WriteResult(WriteStatus.UNKNOWN)] * len(documents)
