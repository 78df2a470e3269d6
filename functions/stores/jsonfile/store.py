"""The store in JSON files to read, edit and commit, safe for the processes of one machine."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

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
from functions.errors import StoreTimeoutError
from functions.stores.codec import encode_documents
from functions.stores.editable import queries as tasks
from functions.stores.jsonfile.documents import DocumentFile
from functions.stores.jsonfile.files import FileThread, hold_lock
from functions.stores.jsonfile.runs import RunLog
from functions.stores.jsonfile.tasks import TaskFiles
from functions.stores.metering import MeteredStore, add_operations

LOCK_TIMEOUT_S = 5.0
OPERATION_TIMEOUT_S = 8.0  # the wait for a lock and the work itself, and those of earlier calls


class JsonStore(MeteredStore):
    """Tasks in the file at *path*, which users edit; the scheduler's own data in three files beside it.

    `tasks.json` is what to do and when, `tasks.state.json` where each task stands, `tasks.history.jsonl` what
    happened, `tasks.documents.json` the rest. Errors and bounds are those of `FileThread.run`; operations are
    counted as Firestore would bill them.
    """

    def __init__(
        self,
        path: str,
        *,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        operation_timeout_s: float = OPERATION_TIMEOUT_S,
    ) -> None:
        place = Path(os.path.realpath(path))  # so that a link stays one when the file is replaced
        self._thread = FileThread(place, operation_timeout_s=operation_timeout_s)
        self._hold_lock = partial(hold_lock, place, timeout_s=lock_timeout_s)
        self._task_files = TaskFiles(place, partial(self._hold_lock, shared=True))
        self._document_file = DocumentFile(place, partial(self._hold_lock, shared=True))
        self._run_log = RunLog(place)

    async def fetch_due(
        self,
        now: datetime,
        *,
        limit: int,
        after: DuePosition | None = None,
        shards: tuple[int, int] | None = None,
    ) -> QueryResult:
        """Return the tasks that are due, earliest first. Edits made by hand are imported first."""
        found, accepted = await self._thread.run(partial(self._fetch_due, now, limit, after, shards))
        add_operations(writes=accepted)
        return found

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """Return the tasks that are due, earliest first."""
        return await self._thread.run(
            lambda: tasks.fetch_due(self._task_files.load(), now, limit, None, None)
        )

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """The tasks with these ids; those that do not exist are left out."""
        if not ids:
            return QueryResult(())
        return await self._thread.run(lambda: tasks.get_tasks(self._task_files.load(), ids))

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Keep *batch*, then do each write whose precondition holds; all of them at once."""
        if batch is None and not writes:
            return []
        try:
            written = await self._thread.run(partial(self._write_with_runs, batch, writes))
        except StoreTimeoutError:
            written = [WriteResult(WriteStatus.UNKNOWN)] * len(writes)
            if not written:
                raise
        return written

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """Return all runs of one tick."""
        return await self._thread.run(lambda: self._run_log.of_tick(tick_id))

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Tasks that match *which*, by id, those with ids greater than *after* only."""
        return await self._thread.run(lambda: tasks.list_tasks(self._task_files.load(), which, after, limit))

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """A page of all tasks in *order*, which begins behind *after*."""
        return await self._thread.run(
            lambda: tasks.list_ordered(self._task_files.load(), order, after, limit)
        )

    async def count_tasks(self, which: TaskFilter) -> int:
        """How many tasks match *which*."""
        return await self._thread.run(lambda: tasks.count_tasks(self._task_files.load(), which))

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Run records, newest first; of one task, or of all."""
        return await self._thread.run(lambda: self._run_log.runs(task_id, since, before, limit))

    async def stats(self, now: datetime) -> StoreStats:
        """The figures of the status page."""
        return await self._thread.run(
            lambda: tasks.compute_stats(self._task_files.load(), now, self._run_log.last_saved_at())
        )

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        if not ids:
            return []
        return await self._thread.run(lambda: self._document_file.get_documents(kind, ids))

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        return await self._thread.run(lambda: self._document_file.list_documents(kind, after, limit))

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Create or replace each document whose precondition holds; all of them at once."""
        rows = encode_documents(documents)
        return await self._apply_document_changes(
            documents, lambda: self._document_file.put_documents(documents, rows)
        )

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose precondition holds; all of them at once."""
        return await self._apply_document_changes(
            documents, lambda: self._document_file.delete_documents(documents)
        )

    async def prune(self, now: datetime) -> int:
        """Remove run batches past `RUN_RETENTION` and expired documents; return how many."""
        return await self._thread.run(partial(self._prune, now))

    async def close(self) -> None:
        """Take no more questions. Nothing is open in between."""
        self._thread.close()

    async def _apply_document_changes(
        self, documents: Sequence[Document], change: Callable[[], list[WriteResult]]
    ) -> list[WriteResult]:
        if not documents:
            return []
        try:
            return await self._thread.run(partial(self._run_locked, change))
        except StoreTimeoutError:
            return [WriteResult(WriteStatus.UNKNOWN)] * len(documents)

    def _run_locked(self, change: Callable[[], list[WriteResult]]) -> list[WriteResult]:
        with self._hold_lock():
            return change()

    def _fetch_due(
        self, now: datetime, limit: int, after: DuePosition | None, shards: tuple[int, int] | None
    ) -> tuple[QueryResult, int]:
        known = self._task_files.load()
        accepted = 0
        if tasks.find_user_edits(known):
            with self._hold_lock():
                accepted = self._import_edits(now)
            known = self._task_files.load()
        return tasks.fetch_due(known, now, limit, after, shards), accepted

    def _import_edits(self, now: datetime) -> int:
        """Import edits made by hand; return how many tasks changed."""
        before = self._task_files.load_locked()
        after, runs = tasks.import_edits(before, now)
        self._task_files.save_backup()
        for start in range(0, len(runs), RUNS_PER_BATCH):
            batch = tuple(runs[start : start + RUNS_PER_BATCH])
            self._run_log.save(
                RunBatch(f"edit-{after.last_revision}.{start // RUNS_PER_BATCH + 1}", now, batch)
            )
        if after is not before:
            self._task_files.write(after)
        return after.last_revision - before.last_revision

    def _write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        with self._hold_lock():
            if batch is not None:
                with suppress(OSError):  # a disk that is nearly full has room for a line more
                    self._prune_if_due(batch.at)
                self._run_log.save(batch)
            if not writes:
                return []
            before = self._task_files.load_locked()
            after, answers = tasks.apply_writes(before, writes)
            if after is not before:
                self._task_files.write(after)
            return answers

    def _prune_if_due(self, now: datetime) -> None:
        if self._run_log.is_prune_due(now):
            self._run_log.prune(now)
        if self._document_file.is_prune_due(now):
            self._document_file.prune(now)

    def _prune(self, now: datetime) -> int:
        with self._hold_lock():
            return self._run_log.prune(now) + self._document_file.prune(now)
