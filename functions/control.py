"""What people do to tasks: apply, pause, resume, cancel, run now. Says what it needs of a store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from functions.rules.outcome import Run
from functions.rules.storage import Counts, Filter, Found, LedgerEntry, Write, Written


class Catalogue(Protocol):
    """What people's commands need of a store; errors as in `tick.Store`."""

    async def read(self, ids: Sequence[str]) -> Found:
        """As in `tick.Store`."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """As in `tick.Store`."""
        ...

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """As in `tick.Store`."""
        ...

    async def page(self, which: Filter, *, after: str = "", limit: int = 100) -> Found:
        """Return tasks that match *which*, by id, those with ids greater than *after* only.

        At most *limit* tasks; fewer than *limit* (broken ones included) means there are no more.
        """
        ...

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return run records by `finished_at`, newest first: not before *since*, earlier than *before*."""
        ...

    async def counts(self, now: datetime) -> Counts:
        """Return the figures of the status page."""
        ...

    async def prune(self, now: datetime) -> int:
        """Remove ledger entries past `storage.RUNS_KEPT`; return how many. A store may do it by itself."""
        ...

    async def close(self) -> None:
        """Release connections. The store is not used afterwards."""
        ...
