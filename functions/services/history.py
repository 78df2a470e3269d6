"""History, whole: the pages of run records put together, none missing and none twice."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Protocol

from functions.domain.run import Run

PAGE_SIZE = 300
TIME_RESOLUTION = timedelta(microseconds=1)


class RunQuery(Protocol):
    """What gives a page of records; see `Catalogue.runs`."""

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]: ...


async def iter_runs(
    store: RunQuery,
    *,
    task_id: str | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
    page_size: int = PAGE_SIZE,
) -> AsyncIterator[Run]:
    """All records that finished at *since* or later and earlier than *before*, newest first.

    Many may have finished at the same moment, at the end of a page too. The next page therefore begins
    with that moment once more, and those that were seen are left out; a page is made larger where one moment
    alone fills it.
    """
    seen: set[str] = set()
    while True:
        found = await store.runs(task_id=task_id, since=since, before=before, limit=page_size)
        fresh = [run for run in found if run.key not in seen]
        for run in fresh:
            yield run
        if len(found) < page_size:
            return
        last = found[-1].finished_at
        page_size *= 1 if fresh else 2
        if last + TIME_RESOLUTION != before:
            seen = set()
        seen |= {run.key for run in found if run.finished_at == last}
        before = last + TIME_RESOLUTION
