"""The real parts with the places to die at, and the faults on demand, put round them."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.alerts.model import Notification
from functions.domain.storage import (
    ConditionalWrite,
    DuePosition,
    QueryResult,
    RunBatch,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.domain.types import Status
from functions.engine import due_tasks, tick
from functions.errors import InvalidWriteError, StoreUnavailableError
from functions.http_client.client import HttpClient
from functions.http_client.httpx import httpx
from functions.interfaces import Notify, RunTask
from functions.task_types.registry import run_job
from functions.task_types.support.context import Tools
from tests.harness.chaos.checker.delays import timed, watch_loop
from tests.harness.chaos.faults.points import Orders
from tests.harness.chaos.mutants import apply
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.tasks import DEADLY, REFUSED

HANG_S = 9.0  # longer than any store takes to give up


def wire(settings: Settings) -> App:
    """Build the parts as `wiring.build` does, each behind its wrapper."""
    orders = Orders(Path(os.environ["CHAOS_DIR"]), os.environ["CHAOS_PROCESS"], Clock.of(os.environ))
    if window := int(os.environ.get("CHAOS_WINDOW", 0)):
        for module in (tick, due_tasks):
            setattr(module, "QUERY_LIMIT", window)  # noqa: B010  # mypy would not let a constant be assigned
    apply(os.environ.get("CHAOS_MUTANT", ""), orders)
    wired = App(settings, clock=orders.now)
    store: Any = ChaosStore(wired.tick_store, orders)
    wired.tick_store = wired.store = store
    parts = wired.tick_dependencies
    wired.tick_dependencies = replace(
        parts,
        store=store,
        run_task=_through_chaos(wired.toolbox.tools, orders),
        notify=ChaosTell(parts.notify, orders),
    )
    return wired


def _through_chaos(tools: Tools, orders: Orders) -> RunTask:
    """Attempts by a client that has places to die at."""
    client = HttpClient(ChaosTransport(tools.open_http, orders))
    return partial(run_job, tools=replace(tools, open_http=lambda: client))


class ChaosStore:
    """The store, with places to die at. `write_with_runs` is done in its two steps, as Firestore does it."""

    def __init__(self, inner: Any, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders
        self._watch: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def fetch_due(self, now: datetime, *, limit: int, after: DuePosition | None = None) -> QueryResult:
        if self._watch is None:  # here a loop runs for certain
            self._watch = asyncio.create_task(watch_loop(self._orders.time, self._late("loop")))
        if self._orders.drawn(self._orders.odds().get("before", 0)):
            raise StoreUnavailableError("chaos: no connection")
        found: QueryResult = await self._inner.fetch_due(now, limit=limit, after=after)
        if found.tasks:
            self._orders.reach("after_query")
        return found

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        async with timed(self._orders.time, self._late("store")):
            written = await self._faulty(writes)
        if any(write.fields is not None and "claim" in write.fields and write.task.claim for write in writes):
            self._orders.reach("after_claim")
        return written

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        async with timed(self._orders.time, self._late("store")):
            found: QueryResult = await self._inner.get_tasks(ids)
        return found

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        async with timed(self._orders.time, self._late("store")):
            return await self._write_in_steps(batch, writes)

    async def _write_in_steps(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        if any(_is_refused(write.task) for write in writes):
            raise InvalidWriteError("chaos: this document is never taken")
        if batch is None:
            return await self._faulty(writes)
        self._orders.reach("before_ledger")
        if self._orders.drawn(self._orders.odds().get("ledger", 0)):
            raise StoreUnavailableError("chaos: no connection, and no record")
        await self._inner.write_with_runs(batch, [])
        self._orders.reach("after_ledger")
        written = await self._faulty(writes)
        self._orders.reach("after_settlement")
        return written

    def _late(self, what: str) -> Callable[[float], None]:
        return partial(self._orders.late, what)

    async def _faulty(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        odds = self._orders.odds()
        if self._orders.drawn(odds.get("before", 0)):
            raise StoreUnavailableError("chaos: no connection")
        written: list[WriteResult] = await self._inner.write(writes)
        if self._orders.drawn(odds.get("lost", 0)):
            raise StoreUnavailableError("chaos: the answer was lost")
        if self._orders.drawn(odds.get("hang", 0)):
            await asyncio.sleep(HANG_S)
            raise StoreUnavailableError("chaos: no answer in time")
        if self._orders.drawn(odds.get("unknown", 0)):
            return [WriteResult(WriteStatus.UNKNOWN)] * len(writes)
        return written


def _is_refused(task: Task) -> bool:
    """Whether the store never takes this document: the result of a task that is to blame for it."""
    is_result = task.claim is None and task.status is not Status.QUARANTINED
    return is_result and task.last_run_at is not None and str(task.params.get("url", "")).endswith(REFUSED)


class ChaosTransport(httpx.AsyncBaseTransport):
    """The guarded client as a transport; each request says which process sent it."""

    def __init__(self, inner: Callable[[], httpx.AsyncClient], orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._orders.reach("before_send")
        if request.url.path.endswith(DEADLY):
            self._orders.die(DEADLY)
        request.headers["X-Process"] = self._orders.process
        response = await self._inner().send(request, stream=True)
        self._orders.reach("after_send")
        return response


class ChaosTell:
    """The dispatcher of notifications, with places to die at."""

    def __init__(self, inner: Notify, orders: Orders) -> None:
        self._inner = inner
        self._orders = orders

    async def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self._orders.reach("before_notice")
        left = await self._inner(notifications, within=within)
        self._orders.reach("after_notice")
        return left
