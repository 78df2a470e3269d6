"""The real parts with the places to die at, and the faults on demand, put round them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from functions.app.application import Wired
from functions.config.settings import Settings
from functions.domain.alerts.model import Notice
from functions.domain.storage import Found, LedgerEntry, Result, Write, Written
from functions.errors import StoreUnavailable
from functions.interfaces import Tell
from functions.task_types.support.context import Http, Response
from tests.harness.chaos.clock import Clock
from tests.harness.chaos.mutants import apply
from tests.harness.chaos.points import Orders

HANG_S = 9.0  # longer than any store takes to give up


def wire(settings: Settings) -> Wired:
    """Build the parts as `wiring.build` does, each behind its wrapper."""
    orders = Orders(Path(os.environ["CHAOS_DIR"]), os.environ["CHAOS_PROCESS"], Clock.of(os.environ))
    apply(os.environ.get("CHAOS_MUTANT", ""), orders)
    wired = Wired(settings, clock=orders.now)
    store: Any = ChaosStore(wired.store, orders)
    wired.store = store
    wired._tools = replace(wired._tools, http=ChaosHttp(wired._http, orders))
    wired.parts = replace(wired.parts, store=store, tell=ChaosTell(wired.parts.tell, orders))
    return wired


class ChaosStore:
    """The store, with places to die at. `finish` is done in its two steps, as Firestore does it."""

    def __init__(self, inner: Any, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def due(self, now: datetime, *, limit: int) -> Found:
        if self._orders.drawn(self._orders.odds().get("before", 0)):
            raise StoreUnavailable("chaos: no connection")
        found: Found = await self._inner.due(now, limit=limit)
        if found.tasks:
            self._orders.reach("after_query")
        return found

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        written = await self._faulty(writes)
        if any(write.fields is not None and "claim" in write.fields and write.task.claim for write in writes):
            self._orders.reach("after_claim")
        return written

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        if entry is None:
            return await self._faulty(writes)
        self._orders.reach("before_ledger")
        await self._inner.finish(entry, [])
        self._orders.reach("after_ledger")
        written = await self._faulty(writes)
        self._orders.reach("after_settlement")
        return written

    async def _faulty(self, writes: Sequence[Write]) -> list[Written]:
        odds = self._orders.odds()
        if self._orders.drawn(odds.get("before", 0)):
            raise StoreUnavailable("chaos: no connection")
        written: list[Written] = await self._inner.write(writes)
        if self._orders.drawn(odds.get("lost", 0)):
            raise StoreUnavailable("chaos: the answer was lost")
        if self._orders.drawn(odds.get("hang", 0)):
            await asyncio.sleep(HANG_S)
            raise StoreUnavailable("chaos: no answer in time")
        if self._orders.drawn(odds.get("unknown", 0)):
            return [Written(Result.UNKNOWN)] * len(writes)
        return written


class ChaosHttp:
    """The guarded client; each request says which process sent it."""

    def __init__(self, inner: Http, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **how: Any
    ) -> Response:
        self._orders.reach("before_send")
        named = {**(headers or {}), "X-Process": self._orders.process}
        response = await self._inner.request(method, url, headers=named, **how)
        self._orders.reach("after_send")
        return response


class ChaosTell:
    """The teller, with places to die at."""

    def __init__(self, inner: Tell, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    async def __call__(self, notices: Sequence[Notice], *, within: timedelta) -> list[tuple[str, ...]]:
        self._orders.reach("before_notice")
        left = await self._inner(notices, within=within)
        self._orders.reach("after_notice")
        return left
