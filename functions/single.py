"""A store that shows a tick some tasks and no others: for a run that somebody waits for."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from functions.ports import Store
from functions.rules.outcome import Run
from functions.rules.storage import Found, LedgerEntry, Operations, Write, Written


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
