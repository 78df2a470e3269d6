"""A store for all but ticks: it shows tasks settled whose settlement waits for their next claim.

A deferred settlement (see `lifecycle.deferral`) leaves a task's document as it was claimed. Who looks at it,
or changes it, reads what the tick has recorded as well: one read for each tick that has tasks in the answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from functions.domain.lifecycle.deferral import claiming_ticks, settle_by_records
from functions.domain.storage import (
    OrderedPage,
    OrderPosition,
    QueryResult,
    TaskFilter,
    TaskOrder,
    VersionedTask,
)
from functions.domain.types import Status
from functions.interfaces import Store

LEDGER_READS = 20  # at once
PAGE_SIZE = 300  # running tasks read at once, where a filter is about the status
MAX_COUNTED = 3000  # running tasks looked at for a count; more count as what their documents say


class SettledStore:
    """*store*, with tasks as their documents and their records say together.

    A task that is settled here has its document's revision: a change writes both, or nothing.
    All other methods are those of *store*.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """As in `TickStore`."""
        return await self._settle(await self._store.get_tasks(ids))

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """As in `TaskStore`."""
        return await self._settle(await self._store.list_due(now, limit=limit))

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """As in `TaskStore`."""
        page = await self._store.list_ordered(order, after=after, limit=limit)
        return replace(page, tasks=(await self._settle(QueryResult(page.tasks))).tasks)

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """As in `TaskStore`. By status, those that seem to run are read as well."""
        if not which.status:
            return await self._settle(await self._store.list_tasks(which, after=after, limit=limit))
        running = await self._find_among_running(which, after=after, limit=limit)
        page = QueryResult(tuple(running))
        if which.status != Status.RUNNING:
            page = await self._store.list_tasks(which, after=after, limit=limit)
            page = replace(page, tasks=(*page.tasks, *running))
        return _first(page, limit)

    async def count_tasks(self, which: TaskFilter) -> int:
        """As in `TaskStore`; by status, each that seems to run is a read of its own."""
        count = await self._store.count_tasks(which)
        if not which.status:
            return count
        if which.status == Status.RUNNING:
            return len(await self._find_among_running(which, limit=MAX_COUNTED)) if count else 0
        return count + len(await self._find_among_running(which, limit=MAX_COUNTED))

    async def _find_among_running(
        self, which: TaskFilter, *, after: str = "", limit: int
    ) -> list[VersionedTask]:
        """Return at least the first *limit* tasks that match *which* among those whose documents run."""
        found: list[VersionedTask] = []
        seeming = replace(which, status=Status.RUNNING)
        while True:
            page = await self._store.list_tasks(seeming, after=after, limit=PAGE_SIZE)
            settled = await self._settle(page)
            found += (stored for stored in settled.tasks if which.matches(stored.task))
            ids = _ids(page)
            if len(ids) < PAGE_SIZE or len(found) >= limit:
                return found
            after = max(ids)

    async def _settle(self, result: QueryResult) -> QueryResult:
        ticks = claiming_ticks(result.tasks)
        runs = []
        for start in range(0, len(ticks), LEDGER_READS):
            batch = ticks[start : start + LEDGER_READS]
            runs += await asyncio.gather(*(self._store.runs_of_tick(tick_id) for tick_id in batch))
        return (
            replace(result, tasks=tuple(settle_by_records(result.tasks, chain(*runs)))) if ticks else result
        )


def _first(page: QueryResult, limit: int) -> QueryResult:
    """The first *limit* documents of *page* by id, unreadable ones included."""
    ids = set(sorted(_ids(page))[:limit])
    tasks = sorted((one for one in page.tasks if one.task.id in ids), key=lambda one: one.task.id)
    return QueryResult(tuple(tasks), tuple(one for one in page.invalid if one.id in ids))


def _ids(page: QueryResult) -> list[str]:
    return [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
