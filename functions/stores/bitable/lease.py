"""One process at a time runs ticks: a row of the base names it, and until when.

Bitable writes without a condition, so a lock is taken by Fischer's rule: see that it is free, write your
name, wait, and go on only if it is still yours. That is safe as long as no name arrives later, after its
writer saw the lock free, than the others wait; a slower writer gives up and tries again.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from functions.domain.types import format_instant, parse_stored_instant
from functions.errors import StoreError
from functions.stores.bitable.cells import to_text
from functions.stores.bitable.config import SETUP_HINT, SHARE_HINT
from functions.stores.bitable.table import Record, RecordsApi, RowUpdate, equals
from functions.stores.json_text import as_mapping

# -- the two rows that every base has after setup: the lease, and whether there ever were tasks

META_KIND = "note"  # no kind of document that anybody else asks for
LEASE_ROW = "leader-lease"
HAD_TASKS_ROW = "had-tasks"
NO_DATA = (
    f"Feishu answers without any data. Either it hides them: {SHARE_HINT}. "
    f"Or the base was not set up: {SETUP_HINT}"
)


class MetaRows:
    """Small notes, each a row of the table of documents."""

    def __init__(self, records: RecordsApi) -> None:
        self._records = records
        self._row_ids: dict[str, str] = {}
        self._values: dict[str, Mapping[str, Any]] = {}

    async def read(self, name: str) -> Mapping[str, Any]:
        """Return the note.

        Raises:
            StoreError: It is not there, so that nothing else can be believed to be missing either.
        """
        found = await self._records.search(equals("kind", META_KIND))
        notes = {
            to_text(one.fields.get("id")): one
            for one in sorted(found, key=lambda one: one.creation_order, reverse=True)
        }
        if name not in notes:
            raise StoreError(NO_DATA)
        self._row_ids |= {each: one.id for each, one in notes.items()}
        self._values |= {each: _decode(one) for each, one in notes.items()}
        return self._values[name]

    def get_cached(self, name: str) -> Mapping[str, Any]:
        """Return the note as last read; empty when it was not read."""
        return self._values.get(name, {})

    async def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Have the note say something else; after `read`. Errors as from `RecordsApi.update`."""
        await self._records.update([RowUpdate(self._row_ids[name], {"data": json.dumps(value)})])
        self._values[name] = value

    async def create_missing(self) -> list[str]:
        """Make those that are missing, and clear what they say; return which were missing."""
        found = {
            to_text(one.fields.get("id")): one
            for one in await self._records.search(equals("kind", META_KIND))
        }
        missing = [name for name in (LEASE_ROW, HAD_TASKS_ROW) if name not in found]
        rows = [
            {"name": f"{META_KIND} {name}", "kind": META_KIND, "id": name, "data": "{}"} for name in missing
        ]
        if rows:
            await self._records.create(rows)
        if HAD_TASKS_ROW in found:
            await self._records.update([RowUpdate(found[HAD_TASKS_ROW].id, {"data": "{}"})])
        return missing


def _decode(record: Record) -> Mapping[str, Any]:
    try:
        return as_mapping(json.loads(to_text(record.fields.get("data"))))
    except ValueError:
        return {}


log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # tries to write a name in time
LEASE_TICKS = 2.5  # a lease outlasts so many of them: taking the lock costs more than keeping it
SAME_TICK_WINDOW = timedelta(seconds=30)  # calls closer together say nothing about the interval of ticks
MAX_LEASE = timedelta(hours=1)
RELEASE_TIMEOUT_S = 3.0


class LeaderLease:
    """The right of one process to run ticks.

    Args:
        min_duration: How long it lasts at least without renewal: the others wait that long for one that died.
        settle_s: What a name may take to arrive, and how long one waits for others'.
    """

    def __init__(
        self, meta: MetaRows, *, min_duration: timedelta, settle_s: float, new_id: Callable[[], str]
    ) -> None:
        self._meta = meta
        self._duration = self._min_duration = self._granted_duration = min_duration
        self._settle_s = settle_s
        self._new_id = new_id
        self._holder_id = ""
        self._expires_at: datetime | None = None
        self._last_seen: tuple[datetime, float] | None = None  # the time of the last call, on two clocks
        self._logged_holder = ""

    async def acquire(self, now: datetime) -> bool:
        """Whether this process may look for due tasks; it is taken, or renewed, where that is due.

        Raises:
            StoreError: It cannot be known.
        """
        self._adapt_duration(now)
        self._last_seen = (now, asyncio.get_running_loop().time())
        if self._expires_at is not None and now < self._expires_at - self._granted_duration / 2:
            return True
        if self._expires_at is not None and now < self._expires_at and await self._try_renew(now):
            return True
        self._expires_at = None
        for _ in range(MAX_ATTEMPTS):
            taken = await self._try_acquire(now)
            if taken is not None:
                return taken
        log.warning("leader_lease_too_slow", extra={"settle_s": self._settle_s})
        return False

    async def renew(self) -> None:
        """Renew it during a long tick, if it is held. A fault is for the next tick to find."""
        if self._expires_at is None or self._last_seen is None:
            return
        now = self._current_time()
        if self._expires_at - self._granted_duration / 2 <= now < self._expires_at:
            with suppress(StoreError):
                await self._try_renew(now)

    async def release(self) -> None:
        """Let others have it at once. What fails is healed by time."""
        if self._expires_at is None or self._last_seen is None or self._current_time() >= self._expires_at:
            return
        self._expires_at = None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._meta.write(LEASE_ROW, {})

    def _adapt_duration(self, now: datetime) -> None:
        """Have the lease outlast the next ping, however rare pings are."""
        if self._last_seen is not None and now - self._last_seen[0] >= SAME_TICK_WINDOW:
            pace = (now - self._last_seen[0]) * LEASE_TICKS
            self._duration = max(self._min_duration, min(pace, MAX_LEASE))

    def _current_time(self) -> datetime:
        assert self._last_seen is not None
        at, loop_s = self._last_seen
        return at + timedelta(seconds=asyncio.get_running_loop().time() - loop_s)

    async def _try_renew(self, now: datetime) -> bool:
        if (await self._meta.read(LEASE_ROW)).get("holder") != self._holder_id:
            self._expires_at = None
            return False
        await self._write(now)
        return True

    async def _try_acquire(self, now: datetime) -> bool | None:
        """Whether it is ours now; None when our name was too long in coming."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        note = await self._meta.read(LEASE_ROW)
        holder, until = str(note.get("holder", "")), parse_stored_instant(note.get("until"))
        if holder not in ("", self._holder_id) and until is not None and now < until:
            if self._logged_holder != holder:
                log.warning("leader_lease_held", extra={"until": format_instant(until)})
            self._logged_holder = holder
            return False
        self._holder_id = self._new_id()
        await self._write(now)
        if loop.time() - started > self._settle_s:
            self._expires_at = None
            return None
        await asyncio.sleep(self._settle_s)
        if (await self._meta.read(LEASE_ROW)).get("holder") != self._holder_id:
            self._expires_at = None
            return False
        self._logged_holder = ""
        return True

    async def _write(self, now: datetime) -> None:
        self._granted_duration = self._duration
        until = now + self._granted_duration
        await self._meta.write(LEASE_ROW, {"holder": self._holder_id, "until": format_instant(until)})
        self._expires_at = until
