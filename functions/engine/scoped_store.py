"""Stores that show a tick some tasks alone: for a run that somebody waits for, and for a worker's share."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from functions.domain.run import Run
from functions.domain.storage import Found, LedgerEntry, Operations, Write, Written
from functions.interfaces import Sharded, Store


class OnlyThese:
    """*store*, in which nothing is due but *ids*. A tick claims and settles them as it does any task."""

    def __init__(self, store: Store, ids: Collection[str]) -> None:
        self._store = store
        self._ids = tuple(ids)

    async def due(self, now: datetime, *, limit: int) -> Found:
        """Those of the tasks whose next look has come."""
        found = await self._store.read(self._ids[:limit])
        tasks = (one for one in found.tasks if one.task.next_run_at and one.task.next_run_at <= now)
        return Found(tuple(tasks), found.broken)

    async def read(self, ids: Sequence[str]) -> Found:
        """As in `Store`."""
        return await self._store.read(ids)

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """As in `Store`."""
        return await self._store.write(writes)

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """As in `Store`."""
        return await self._store.finish(entry, writes)

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """As in `Store`."""
        return await self._store.runs_of_tick(tick_id)

    def metered(self) -> AbstractContextManager[Operations]:
        """As in `Store`."""
        return self._store.metered()


class OnlyShards(OnlyThese):
    """*store*, in which nothing is due but what is in *shards*, from the first to the last."""

    def __init__(self, store: Sharded, shards: tuple[int, int]) -> None:
        super().__init__(store, ())
        self._sharded = store
        self._shards = shards

    async def due(self, now: datetime, *, limit: int) -> Found:
        """Those of the shards' tasks whose next look has come."""
        return await self._sharded.due(now, limit=limit, shards=self._shards)


class OldestSeen(OnlyThese):
    """*store*, which remembers the earliest look that was due in it.

    Attributes:
        oldest: None when nothing was due.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store, ())
        self.oldest: datetime | None = None

    async def due(self, now: datetime, *, limit: int) -> Found:
        """As in `Store`."""
        found = await self._store.due(now, limit=limit)
        looks = [one.task.next_run_at for one in found.tasks if one.task.next_run_at is not None]
        self.oldest = min([*looks, *([self.oldest] if self.oldest else [])], default=None)
        return found
