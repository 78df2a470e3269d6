"""The embedded store: one SQLite file, safe for any number of processes on one machine."""

import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime

from functions.domain.run import Run
from functions.domain.storage import (
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
from functions.stores.metering import cost, count, metered
from functions.stores.sqlite import documents as shelf
from functions.stores.sqlite import runs as ledger
from functions.stores.sqlite import tasks
from functions.stores.sqlite.connection import SqliteFile, Unanswered
from functions.stores.sqlite.schema import transaction

PRUNE_EVERY = 200  # entries; as each is kept, some of those that are past go
LOCK_WAIT_S = 5.0
ANSWER_WITHIN_S = 8.0  # the wait for a lock and the work itself, and those of what was asked before


class SqliteStore:
    """Tasks and ledger in one file. Errors and bounds are those of `SqliteFile.ask`.

    Operations are counted as Firestore would bill them, so that the figures of a trial run here are those
    of production.

    Args:
        prunes: Whether history past its time goes by itself as new is kept.
    """

    def __init__(
        self,
        path: str,
        *,
        lock_wait_s: float = LOCK_WAIT_S,
        answer_within_s: float = ANSWER_WITHIN_S,
        prunes: bool = True,
    ) -> None:
        self._prunes = prunes
        self._file = SqliteFile(path, lock_wait_s=lock_wait_s, answer_within_s=answer_within_s)

    async def due(self, now: datetime, *, limit: int, shards: tuple[int, int] | None = None) -> Found:
        """Tasks whose next look has come, earliest first; see `sqlite_tasks.due` for unreadable ones."""
        found = await self._file.ask(lambda connection: tasks.due(connection, now, limit, shards))
        count(reads=cost(found))
        return found

    async def read(self, ids: Sequence[str]) -> Found:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return Found(())
        found = await self._file.ask(lambda connection: tasks.read(connection, ids))
        count(reads=len(ids))
        return found

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Do each write whose guard holds; all of them in one transaction."""
        return await self.finish(None, writes)

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """Keep *entry* and do each write whose guard holds; all of it in one transaction."""
        if entry is None and not writes:
            return []
        # Python's part is done here: in the thread it would wait for the loop to let go of the interpreter.
        kept = None if entry is None else ledger.rows_of(entry)
        rows = tasks.rows_of(writes)
        try:
            written = await self._file.ask(lambda connection: _finish(connection, kept, writes, rows))
        except Unanswered:
            written = [Written(Result.UNKNOWN)] * len(writes)
            if not written:
                raise
        if self._prunes and entry is not None and zlib.crc32(entry.id.encode()) % PRUNE_EVERY == 0:
            with suppress(Unanswered):  # the next one's turn comes as well
                await self._file.ask(lambda connection: _prune_some(connection, entry.at))
        deletes = sum(write.delete for write in writes)
        count(writes=len(writes) - deletes + (entry is not None), deletes=deletes)
        return written

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs in the ledger entries of one tick, in the order they were kept."""
        found = await self._file.ask(lambda connection: ledger.runs_of_tick(connection, tick_id))
        count(reads=1)
        return found

    async def page(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        found = await self._file.ask(lambda connection: tasks.page(connection, which, after, limit))
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
        found = await self._file.ask(
            lambda connection: ledger.runs(connection, task_id, since, before, limit)
        )
        count(reads=max(1, len(found)))
        return found

    async def counts(self, now: datetime) -> Counts:
        """The figures of the status page."""
        found = await self._file.ask(lambda connection: tasks.counts(connection, now))
        count(reads=3)  # two counts and the last entry
        return found

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        found = await self._file.ask(lambda connection: shelf.documents(connection, kind, ids))
        count(reads=len(ids))
        return found

    async def shelf(self, kind: Kind, *, after: str = "", limit: int = 100) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        found = await self._file.ask(lambda connection: shelf.shelf(connection, kind, after, limit))
        count(reads=max(1, len(found)))
        return found

    async def put(self, documents: Sequence[Document]) -> list[Written]:
        """Create or replace each document whose guard holds; all of them in one transaction."""
        rows = shelf.rows_of(documents)
        written = await self._changed(documents, lambda connection: shelf.put(connection, documents, rows))
        count(writes=len(documents))
        return written

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds; all of them in one transaction."""
        written = await self._changed(documents, lambda connection: shelf.discard(connection, documents))
        count(deletes=len(documents))
        return written

    async def prune(self, now: datetime) -> int:
        """Remove ledger entries past `storage.RUNS_KEPT` and expired documents; return how many."""
        removed = 0
        while some := await self._file.ask(lambda connection: _prune_some(connection, now)):
            removed += some
        count(deletes=removed)
        return removed

    def metered(self) -> AbstractContextManager[Operations]:
        """Count the operations of this asyncio task, and those it starts, while inside."""
        return metered()

    async def _changed(
        self, documents: Sequence[Document], change: Callable[[sqlite3.Connection], list[Written]]
    ) -> list[Written]:
        if not documents:
            return []
        try:
            return await self._file.ask(lambda connection: _in_transaction(connection, change))
        except Unanswered:
            return [Written(Result.UNKNOWN)] * len(documents)

    async def close(self) -> None:
        """Close the file. The store is not used afterwards."""
        await self._file.close()


def _finish(
    connection: sqlite3.Connection, kept: ledger.EntryRows | None, writes: Sequence[Write], rows: tasks.Rows
) -> list[Written]:
    with transaction(connection):
        if kept is not None:
            ledger.keep(connection, kept)
        return tasks.apply(connection, writes, rows)


def _in_transaction(
    connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], list[Written]]
) -> list[Written]:
    with transaction(connection):
        return change(connection)


def _prune_some(connection: sqlite3.Connection, now: datetime) -> int:
    with transaction(connection):
        entries = ledger.past(connection, now)
        ledger.forget(connection, entries)
        return len(entries) + shelf.forget(connection, now)
