"""The store a person can read: files of JSON to edit and to commit, safe for the processes of one machine."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path

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
from functions.stores.codec import document_rows
from functions.stores.editable import queries as tasks
from functions.stores.jsonfile.documents import ShelfFile
from functions.stores.jsonfile.files import JsonThread, Unanswered, locked
from functions.stores.jsonfile.runs import History
from functions.stores.jsonfile.tasks import Table
from functions.stores.metering import cost, count, metered

LOCK_WAIT_S = 5.0
ANSWER_WITHIN_S = 8.0  # the wait for a lock and the work itself, and those of what was asked before


class JsonStore:
    """Tasks in the file at *path*, which people edit; what the scheduler keeps, in three files beside it.

    `tasks.json` is what to do and when, `tasks.state.json` where each task stands, `tasks.history.jsonl` what
    happened, `tasks.shelf.json` the rest. Errors and bounds are those of `JsonThread.ask`; operations are
    counted as Firestore would bill them.
    """

    def __init__(
        self, path: str, *, lock_wait_s: float = LOCK_WAIT_S, answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        place = Path(os.path.realpath(path))  # so that a link stays one when the file is replaced
        self._thread = JsonThread(place, answer_within_s=answer_within_s)
        self._locked = partial(locked, place, wait_s=lock_wait_s)
        self._table = Table(place, partial(self._locked, shared=True))
        self._shelf = ShelfFile(place, partial(self._locked, shared=True))
        self._history = History(place)

    async def due(self, now: datetime, *, limit: int, shards: tuple[int, int] | None = None) -> Found:
        """Tasks whose next look has come, earliest first. What people did by hand is taken in before."""
        found, accepted = await self._thread.ask(partial(self._due, now, limit, shards))
        count(reads=cost(found), writes=accepted)
        return found

    async def read(self, ids: Sequence[str]) -> Found:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return Found(())
        found = await self._thread.ask(lambda: tasks.read(self._table.now(), ids))
        count(reads=len(ids))
        return found

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Do each write whose guard holds; all of them at once."""
        return await self.finish(None, writes)

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """Keep *entry*, then do each write whose guard holds; all of them at once."""
        if entry is None and not writes:
            return []
        try:
            written = await self._thread.ask(partial(self._finish, entry, writes))
        except Unanswered:
            written = [Written(Result.UNKNOWN)] * len(writes)
            if not written:
                raise
        deletes = sum(write.delete for write in writes)
        count(writes=len(writes) - deletes + (entry is not None), deletes=deletes)
        return written

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """All runs in the ledger entries of one tick."""
        found = await self._thread.ask(lambda: self._history.of_tick(tick_id))
        count(reads=1)
        return found

    async def page(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        found = await self._thread.ask(lambda: tasks.page(self._table.now(), which, after, limit))
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
        found = await self._thread.ask(lambda: self._history.runs(task_id, since, before, limit))
        count(reads=max(1, len(found)))
        return found

    async def counts(self, now: datetime) -> Counts:
        """The figures of the status page."""
        found = await self._thread.ask(lambda: tasks.counts(self._table.now(), now, self._history.last_at()))
        count(reads=3)  # two counts and the last entry
        return found

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        found = await self._thread.ask(lambda: self._shelf.documents(kind, ids))
        count(reads=len(ids))
        return found

    async def shelf(self, kind: Kind, *, after: str = "", limit: int = 100) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        found = await self._thread.ask(lambda: self._shelf.shelf(kind, after, limit))
        count(reads=max(1, len(found)))
        return found

    async def put(self, documents: Sequence[Document]) -> list[Written]:
        """Create or replace each document whose guard holds; all of them at once."""
        rows = document_rows(documents)
        written = await self._changed(documents, lambda: self._shelf.put(documents, rows))
        count(writes=len(documents))
        return written

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds; all of them at once."""
        written = await self._changed(documents, lambda: self._shelf.discard(documents))
        count(deletes=len(documents))
        return written

    async def prune(self, now: datetime) -> int:
        """Remove ledger entries past `storage.RUNS_KEPT` and expired documents; return how many."""
        removed = await self._thread.ask(partial(self._prune, now))
        count(deletes=removed)
        return removed

    def metered(self) -> AbstractContextManager[Operations]:
        """Count the operations of this asyncio task, and those it starts, while inside."""
        return metered()

    async def close(self) -> None:
        """Take no more questions. Nothing is open in between."""
        self._thread.close()

    async def _changed(
        self, documents: Sequence[Document], change: Callable[[], list[Written]]
    ) -> list[Written]:
        if not documents:
            return []
        try:
            return await self._thread.ask(partial(self._with_lock, change))
        except Unanswered:
            return [Written(Result.UNKNOWN)] * len(documents)

    def _with_lock(self, change: Callable[[], list[Written]]) -> list[Written]:
        with self._locked():
            return change()

    def _due(self, now: datetime, limit: int, shards: tuple[int, int] | None) -> tuple[Found, int]:
        known = self._table.now()
        accepted = 0
        if tasks.by_hand(known):
            with self._locked():
                accepted = self._accept(now)
            known = self._table.now()
        return tasks.due(known, now, limit, shards), accepted

    def _accept(self, now: datetime) -> int:
        """Take in what people did by hand; return how many tasks that was."""
        before = self._table.read()
        after, runs = tasks.accept(before, now)
        self._table.keep_backup()
        for start in range(0, len(runs), RUNS_PER_ENTRY):
            some = tuple(runs[start : start + RUNS_PER_ENTRY])
            self._history.keep(LedgerEntry(f"edit-{after.last}.{start // RUNS_PER_ENTRY + 1}", now, some))
        if after is not before:
            self._table.write(after)
        return after.last - before.last

    def _finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        with self._locked():
            if entry is not None:
                if self._history.is_long(entry.at):
                    self._history.prune(entry.at)
                self._history.keep(entry)
            if not writes:
                return []
            before = self._table.read()
            after, answers = tasks.apply(before, writes)
            if after is not before:
                self._table.write(after)
            return answers

    def _prune(self, now: datetime) -> int:
        with self._locked():
            return self._history.prune(now) + self._shelf.prune(now)
