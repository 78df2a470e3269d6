"""The embedded store: one SQLite file, safe for any number of processes on one machine."""

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime

from functions.domain.run import Run
from functions.domain.storage import (
    ConditionalWrite,
    Document,
    DocumentKind,
    OperationCounts,
    QueryResult,
    RunBatch,
    StoreStats,
    TaskFilter,
    WriteResult,
    WriteStatus,
)
from functions.stores.metering import add_operations, count_operations, operation_cost
from functions.stores.sqlite import documents as document_sql
from functions.stores.sqlite import runs as run_sql
from functions.stores.sqlite import tasks as task_sql
from functions.stores.sqlite.connection import SqliteConnection, StoreTimeoutError
from functions.stores.sqlite.schema import transaction

PRUNE_EVERY_BATCHES = 200  # entries; as each is kept, some of those that are past go
LOCK_TIMEOUT_S = 5.0
OPERATION_TIMEOUT_S = 8.0  # the wait for a lock and the work itself, and those of what was asked before


class SqliteStore:
    """Tasks and ledger in one file. Errors and bounds are those of `SqliteConnection.run`.

    Operations are counted as Firestore would bill them, so that the figures of a trial run here are those
    of production.

    Args:
        auto_prune: Whether history past its time goes by itself as new is kept.
    """

    def __init__(
        self,
        path: str,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        operation_timeout_s: float = OPERATION_TIMEOUT_S,
        auto_prune: bool = True,
    ) -> None:
        self._auto_prune = auto_prune
        self._connection = SqliteConnection(
            path, lock_timeout_s=lock_timeout_s, operation_timeout_s=operation_timeout_s
        )

    async def fetch_due(
        self, now: datetime, *, limit: int, shards: tuple[int, int] | None = None
    ) -> QueryResult:
        """Tasks whose next look has come, earliest first; see `tasks.fetch_due` for unreadable ones."""
        found = await self._connection.run(
            lambda connection: task_sql.fetch_due(connection, now, limit, shards)
        )
        add_operations(reads=operation_cost(found))
        return found

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return QueryResult(())
        found = await self._connection.run(lambda connection: task_sql.get_tasks(connection, ids))
        add_operations(reads=len(ids))
        return found

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """Do each write whose guard holds; all of them in one transaction."""
        return await self.write_with_runs(None, writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Keep *batch* and do each write whose guard holds; all of it in one transaction."""
        if batch is None and not writes:
            return []
        # Python's part is done here: in the thread it would wait for the loop to let go of the interpreter.
        kept = None if batch is None else run_sql.encode_batch(batch)
        rows = task_sql.encode_writes(writes)
        try:
            written = await self._connection.run(
                lambda connection: _write_with_runs(connection, kept, writes, rows)
            )
        except StoreTimeoutError:
            written = [WriteResult(WriteStatus.UNKNOWN)] * len(writes)
            if not written:
                raise
        if (
            self._auto_prune
            and batch is not None
            and zlib.crc32(batch.id.encode()) % PRUNE_EVERY_BATCHES == 0
        ):
            with suppress(StoreTimeoutError):  # the next one's turn comes as well
                await self._connection.run(lambda connection: _prune_batch(connection, batch.at))
        deletes = sum(write.delete for write in writes)
        add_operations(writes=len(writes) - deletes + (batch is not None), deletes=deletes)
        return written

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs in the ledger entries of one tick, in the order they were kept."""
        found = await self._connection.run(lambda connection: run_sql.runs_of_tick(connection, tick_id))
        add_operations(reads=1)
        return found

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        found = await self._connection.run(
            lambda connection: task_sql.list_tasks(connection, which, after, limit)
        )
        add_operations(reads=operation_cost(found))
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
        found = await self._connection.run(
            lambda connection: run_sql.runs(connection, task_id, since, before, limit)
        )
        add_operations(reads=max(1, len(found)))
        return found

    async def stats(self, now: datetime) -> StoreStats:
        """The figures of the status page."""
        found = await self._connection.run(lambda connection: task_sql.read_stats(connection, now))
        add_operations(reads=3)  # two counts and the last entry
        return found

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        found = await self._connection.run(
            lambda connection: document_sql.get_documents(connection, kind, ids)
        )
        add_operations(reads=len(ids))
        return found

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        found = await self._connection.run(
            lambda connection: document_sql.list_documents(connection, kind, after, limit)
        )
        add_operations(reads=max(1, len(found)))
        return found

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Create or replace each document whose guard holds; all of them in one transaction."""
        rows = document_sql.encode_rows(documents)
        written = await self._apply_document_changes(
            documents, lambda connection: document_sql.put_documents(connection, documents, rows)
        )
        add_operations(writes=len(documents))
        return written

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose guard holds; all of them in one transaction."""
        written = await self._apply_document_changes(
            documents, lambda connection: document_sql.delete_documents(connection, documents)
        )
        add_operations(deletes=len(documents))
        return written

    async def prune(self, now: datetime) -> int:
        """Remove ledger entries past `storage.RUNS_KEPT` and expired documents; return how many."""
        removed = 0
        while some := await self._connection.run(lambda connection: _prune_batch(connection, now)):
            removed += some
        add_operations(deletes=removed)
        return removed

    def count_operations(self) -> AbstractContextManager[OperationCounts]:
        """Count the operations of this asyncio task, and those it starts, while inside."""
        return count_operations()

    async def _apply_document_changes(
        self, documents: Sequence[Document], change: Callable[[sqlite3.Connection], list[WriteResult]]
    ) -> list[WriteResult]:
        if not documents:
            return []
        try:
            return await self._connection.run(lambda connection: _run_in_transaction(connection, change))
        except StoreTimeoutError:
            return [WriteResult(WriteStatus.UNKNOWN)] * len(documents)

    async def close(self) -> None:
        """Close the file. The store is not used afterwards."""
        await self._connection.close()


def _write_with_runs(
    connection: sqlite3.Connection,
    encoded_batch: run_sql.BatchRows | None,
    writes: Sequence[ConditionalWrite],
    rows: task_sql.EncodedWrites,
) -> list[WriteResult]:
    with transaction(connection):
        if encoded_batch is not None:
            run_sql.save_batch(connection, encoded_batch)
        return task_sql.apply_writes(connection, writes, rows)


def _run_in_transaction(
    connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], list[WriteResult]]
) -> list[WriteResult]:
    with transaction(connection):
        return change(connection)


def _prune_batch(connection: sqlite3.Connection, now: datetime) -> int:
    with transaction(connection):
        entries = run_sql.select_expired(connection, now)
        run_sql.delete_expired(connection, entries)
        return len(entries) + document_sql.delete_expired(connection, now)
