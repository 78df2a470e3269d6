"""One pinger at a time: a row of the base says who it is, and until when.

Bitable writes without a condition, so a lock is taken by Fischer's rule: see that it is free, write your
name, wait, and go on only if it is still yours. That is safe as long as nobody's name arrives later, after he
saw the lock free, than the others wait; who took longer steps back and tries again.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from functions.domain.types import instant_text
from functions.errors import StoreError
from functions.stores.bitable.cells import text
from functions.stores.bitable.config import SETUP, SHARE
from functions.stores.bitable.table import Change, Record, Records, is_
from functions.stores.editable.model import moment
from functions.stores.json_text import mapping

# Two rows that a base which was set up always has: who pings, and whether there ever were tasks.

KIND = "note"  # no kind of document that anybody else asks for
PINGER = "pinger-lock"
TASKS = "had-tasks"
EMPTY = f"Feishu answers without any data. Either it hides them: {SHARE}. Or the base was not set up: {SETUP}"


class Notes:
    """Small notes, each a row of the table with what is kept."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._places: dict[str, str] = {}
        self._said: dict[str, Mapping[str, Any]] = {}

    async def read(self, name: str) -> Mapping[str, Any]:
        """What the note says.

        Raises:
            StoreError: It is not there, so that nothing else can be believed to be missing either.
        """
        found = await self._records.search(is_("kind", KIND))
        notes = {
            text(one.fields.get("id")): one for one in sorted(found, key=lambda one: one.age, reverse=True)
        }
        if name not in notes:
            raise StoreError(EMPTY)
        self._places |= {each: one.id for each, one in notes.items()}
        self._said |= {each: _says(one) for each, one in notes.items()}
        return self._said[name]

    def known(self, name: str) -> Mapping[str, Any]:
        """What the note said when any of them was read last; nothing when none was."""
        return self._said.get(name, {})

    async def write(self, name: str, says: Mapping[str, Any]) -> None:
        """Have the note say something else; after `read`. Errors as from `Records.update`."""
        await self._records.update([Change(self._places[name], {"data": json.dumps(says)})])
        self._said[name] = says

    async def make(self) -> list[str]:
        """Make those that are missing, and clear what they say; return which were missing."""
        found = {text(one.fields.get("id")): one for one in await self._records.search(is_("kind", KIND))}
        missing = [name for name in (PINGER, TASKS) if name not in found]
        rows = [{"name": f"{KIND} {name}", "kind": KIND, "id": name, "data": "{}"} for name in missing]
        if rows:
            await self._records.create(rows)
        if TASKS in found:
            await self._records.update([Change(found[TASKS].id, {"data": "{}"})])
        return missing


def _says(record: Record) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(text(record.fields.get("data"))))
    except ValueError:
        return {}


log = logging.getLogger(__name__)

ROUNDS = 3  # tries to write a name in time
PINGS = 2.5  # a lease outlasts so many of them: taking the lock costs more than keeping it
SAME_TICK = timedelta(seconds=30)  # questions nearer to one another tell nothing of the pinger's pace
LONGEST_LEASE = timedelta(hours=1)
GIVE_BACK_WITHIN_S = 3.0


class PingerLock:
    """The right to look for due tasks.

    Args:
        lease: The least it lasts without being renewed: so long others wait for a process that died.
        settle_s: What a name may take to arrive, and how long one waits for others'.
    """

    def __init__(self, notes: Notes, *, lease: timedelta, settle_s: float, new_id: Callable[[], str]) -> None:
        self._notes = notes
        self._lease = self._least_lease = self._granted = lease
        self._settle_s = settle_s
        self._new_id = new_id
        self._name = ""
        self._until: datetime | None = None
        self._seen: tuple[datetime, float] | None = None  # the last time told, in two clocks
        self._told_of = ""

    async def held(self, now: datetime) -> bool:
        """Whether this process may look for due tasks; it is taken, or renewed, where that is due.

        Raises:
            StoreError: It cannot be known.
        """
        self._keep_pace(now)
        self._seen = (now, asyncio.get_running_loop().time())
        if self._until is not None and now < self._until - self._granted / 2:
            return True
        if self._until is not None and now < self._until and await self._renewed(now):
            return True
        self._until = None
        for _ in range(ROUNDS):
            taken = await self._taken(now)
            if taken is not None:
                return taken
        log.warning("pinger_lock_too_slow", extra={"settle_s": self._settle_s})
        return False

    async def refresh(self) -> None:
        """Renew it during a long tick, if it is held. A fault is for the next tick to find."""
        if self._until is None or self._seen is None:
            return
        now = self._now()
        if self._until - self._granted / 2 <= now < self._until:
            with suppress(StoreError):
                await self._renewed(now)

    async def give_back(self) -> None:
        """Let others have it at once. What fails is healed by time."""
        if self._until is None or self._seen is None or self._now() >= self._until:
            return
        self._until = None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(GIVE_BACK_WITHIN_S):
                await self._notes.write(PINGER, {})

    def _keep_pace(self, now: datetime) -> None:
        """Have the lease outlast the next ping, however rare pings are."""
        if self._seen is not None and now - self._seen[0] >= SAME_TICK:
            pace = (now - self._seen[0]) * PINGS
            self._lease = max(self._least_lease, min(pace, LONGEST_LEASE))

    def _now(self) -> datetime:
        assert self._seen is not None
        at, loop_s = self._seen
        return at + timedelta(seconds=asyncio.get_running_loop().time() - loop_s)

    async def _renewed(self, now: datetime) -> bool:
        if (await self._notes.read(PINGER)).get("holder") != self._name:
            self._until = None
            return False
        await self._write(now)
        return True

    async def _taken(self, now: datetime) -> bool | None:
        """Whether it is ours now; None when our name was too long in coming."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        note = await self._notes.read(PINGER)
        holder, until = str(note.get("holder", "")), moment(note.get("until"))
        if holder not in ("", self._name) and until is not None and now < until:
            if self._told_of != holder:
                log.warning("pinger_lock_held", extra={"until": instant_text(until)})
            self._told_of = holder
            return False
        self._name = self._new_id()
        await self._write(now)
        if loop.time() - started > self._settle_s:
            self._until = None
            return None
        await asyncio.sleep(self._settle_s)
        if (await self._notes.read(PINGER)).get("holder") != self._name:
            self._until = None
            return False
        self._told_of = ""
        return True

    async def _write(self, now: datetime) -> None:
        self._granted = self._lease
        until = now + self._granted
        await self._notes.write(PINGER, {"holder": self._name, "until": instant_text(until)})
        self._until = until
