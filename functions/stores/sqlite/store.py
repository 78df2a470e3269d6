"""The embedded store: one SQLite file, safe for any number of processes on one machine."""

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from functions.domain.run import Run
from functions.domain.storage import (
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
from functions.errors import StoreError, StoreTimeoutError
from functions.stores.metering import MeteredStore
from functions.stores.sqlite import documents as document_sql
from functions.stores.sqlite import runs as run_sql
from functions.stores.sqlite import tasks as task_sql
from functions.stores.sqlite.connection import SqliteConnection
from functions.stores.sqlite.schema import migrate

PRUNE_EVERY_BATCHES = 200  # batches; saving one in so many removes some expired ones
LOCK_TIMEOUT_S = 5.0
OPERATION_TIMEOUT_S = 8.0  # the wait for a lock and the work itself, and those of earlier calls


class SqliteStore(MeteredStore):
    """Tasks, runs and documents in one file. Errors and bounds are those of `SqliteConnection.run`.

    Operations are counted as Firestore would bill them, so that the figures of a trial run here are those
    of production.

    Args:
        auto_prune: Whether saving new runs removes expired ones.
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
            path,
            prepare=migrate,
            lock_timeout_s=lock_timeout_s,
            operation_timeout_s=operation_timeout_s,
        )

    async def fetch_due(
        self,
        now: datetime,
        *,
        limit: int,
        after: DuePosition | None = None,
        shards: tuple[int, int] | None = None,
    ) -> QueryResult:
        """Return the tasks that are due, earliest first; see `tasks.fetch_due` for unreadable ones."""
        return await self._connection.run(
            lambda connection: task_sql.fetch_due(connection, now, limit, after, shards)
        )

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """Return the tasks that are due, earliest first."""
        return await self._connection.run(
            lambda connection: task_sql.fetch_due(connection, now, limit, None, None, may_be_hidden=True)
        )

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return QueryResult(())
        return await self._connection.run(lambda connection: task_sql.get_tasks(connection, ids))

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Keep *batch* and do each write whose precondition holds; all of it in one transaction."""
        if batch is None and not writes:
            return []
        # Python's part is done here: in the thread it would wait for the loop to let go of the interpreter.
        batch_rows = None if batch is None else run_sql.encode_batch(batch)
        rows = task_sql.encode_writes(writes)
        try:
            written = await self._connection.run_in_transaction(
                lambda connection: _write_with_runs(connection, batch_rows, writes, rows)
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
            with suppress(StoreError):  # what is written is written; the next one's turn comes as well
                await self._connection.run_in_transaction(partial(_prune_batch, now=batch.at))
        return written

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """Return all runs of one tick, in the order they were saved."""
        return await self._connection.run(lambda connection: run_sql.runs_of_tick(connection, tick_id))

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        return await self._connection.run(
            lambda connection: task_sql.list_tasks(connection, which, after, limit)
        )

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """A page of all tasks in *order*, which begins behind *after*."""
        return await self._connection.run(
            lambda connection: task_sql.list_ordered(connection, order, after, limit)
        )

    async def count_tasks(self, which: TaskFilter) -> int:
        """How many tasks match *which*."""
        return await self._connection.run(lambda connection: task_sql.count_tasks(connection, which))

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records, newest first; of one task, or of all."""
        return await self._connection.run(
            lambda connection: run_sql.runs(connection, task_id, since, before, limit)
        )

    async def stats(self, now: datetime) -> StoreStats:
        """The figures of the status page."""
        return await self._connection.run(lambda connection: task_sql.read_stats(connection, now))

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        return await self._connection.run(
            lambda connection: document_sql.get_documents(connection, kind, ids)
        )

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        return await self._connection.run(
            lambda connection: document_sql.list_documents(connection, kind, after, limit)
        )

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Create or replace each document whose precondition holds; all of them in one transaction."""
        rows = document_sql.encode_rows(documents)
        return await self._apply_document_changes(
            documents, lambda connection: document_sql.put_documents(connection, documents, rows)
        )

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose precondition holds; all of them in one transaction."""
        return await self._apply_document_changes(
            documents, lambda connection: document_sql.delete_documents(connection, documents)
        )

    async def prune(self, now: datetime) -> int:
        """Remove run batches past `RUN_RETENTION` and expired documents; return how many."""
        removed = 0
        while some := await self._connection.run_in_transaction(partial(_prune_batch, now=now)):
            removed += some
        return removed

    async def _apply_document_changes(
        self, documents: Sequence[Document], change: Callable[[sqlite3.Connection], list[WriteResult]]
    ) -> list[WriteResult]:
        if not documents:
            return []
        try:
            return await self._connection.run_in_transaction(change)
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
    if encoded_batch is not None:
        run_sql.save_batch(connection, encoded_batch)
    return task_sql.apply_writes(connection, writes, rows)


def _prune_batch(connection: sqlite3.Connection, *, now: datetime) -> int:
    entries = run_sql.select_expired(connection, now)
    run_sql.delete_expired(connection, entries)
    return len(entries) + document_sql.delete_expired(connection, now)
