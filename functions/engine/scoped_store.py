"""Views of a store in which only some tasks are due: for a run that a user waits for, and for a worker."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from functions.domain.run import Run
from functions.domain.storage import (
    ConditionalWrite,
    DuePosition,
    OperationCounts,
    QueryResult,
    RunBatch,
    WriteResult,
)
from functions.interfaces import ShardedTickStore, TickStore


class TaskSubsetStore:
    """*store*, in which nothing is due but *ids*. A tick claims and writes them as it does any task."""

    def __init__(self, store: TickStore, ids: Collection[str]) -> None:
        self._store = store
        self._ids = tuple(ids)

    async def fetch_due(self, now: datetime, *, limit: int, after: DuePosition | None = None) -> QueryResult:
        """Return those of the tasks that are due. They are few, and all in one window."""
        result = await self._store.get_tasks(self._ids[:limit])
        tasks = (one for one in result.tasks if one.task.next_run_at and one.task.next_run_at <= now)
        return QueryResult(tuple(tasks), result.invalid)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """As in `TickStore`."""
        return await self._store.get_tasks(ids)

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """As in `TickStore`."""
        return await self._store.write(writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """As in `TickStore`."""
        return await self._store.write_with_runs(batch, writes)

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """As in `TickStore`."""
        return await self._store.runs_of_tick(tick_id)

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """As in `TickStore`."""
        return await self._store.runs(task_id=task_id, since=since, before=before, limit=limit)

    def count_operations(self) -> AbstractContextManager[OperationCounts]:
        """As in `TickStore`."""
        return self._store.count_operations()


class ShardRangeStore(TaskSubsetStore):
    """*store*, in which nothing is due but the tasks of *shards*, from the first to the last."""

    def __init__(self, store: ShardedTickStore, shards: tuple[int, int]) -> None:
        super().__init__(store, ())
        self._sharded = store
        self._shards = shards

    async def fetch_due(self, now: datetime, *, limit: int, after: DuePosition | None = None) -> QueryResult:
        """Return those of the shards' tasks that are due."""
        return await self._sharded.fetch_due(now, limit=limit, after=after, shards=self._shards)
