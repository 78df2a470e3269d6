"""Lets go what is past keeping: history and documents whose time is over."""

from contextlib import suppress
from datetime import datetime, timedelta

from functions.errors import StoreUnavailable
from functions.store.bitable_ledger import Ledger
from functions.store.bitable_shelf import ShelfTable

TIDY_EVERY = timedelta(hours=6)  # two calls, where nothing is past


class Tidying:
    """Removes rows of the two tables beside the tasks."""

    def __init__(self, ledger: Ledger, shelf: ShelfTable) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._done_at: datetime | None = None

    async def all_past(self, now: datetime) -> int:
        """Remove all that is past; return how many entries and documents went."""
        return await self._ledger.prune(now) + await self._shelf.prune(now)

    async def now_and_then(self, now: datetime) -> None:
        """As `all_past`, if that was long ago. A fault is no reason not to tick."""
        if self._done_at is not None and timedelta() <= now - self._done_at < TIDY_EVERY:
            return
        self._done_at = now
        with suppress(StoreUnavailable):
            await self.all_past(now)
