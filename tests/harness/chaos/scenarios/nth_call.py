"""The real tick on the real embedded store, of whose calls exactly one goes wrong."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, DuePosition, RunBatch, WriteResult, WriteStatus
from functions.domain.task import Job, TaskSpec
from functions.domain.types import format_instant
from functions.engine.tick import tick
from functions.errors import StoreError, StoreUnavailableError
from functions.interfaces import TickDependencies
from functions.services.access.settled_store import SettledStore
from functions.services.apply import apply_plan
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.harness.chaos.checker.history import Call, Fault, History, Op
from tests.harness.chaos.scenarios.deaths import spec
from tests.harness.chaos.world.standstill import StandstillLoop
from tests.support.same_thread import in_this_thread

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))
MADE = NOON - timedelta(minutes=20, seconds=20)  # two occurrences are owed at noon, every ten minutes
PINGS = 9
PING_EVERY_S = 30.0
OFTEN_PINGS = 15  # where tasks run every other minute
OFTEN_HEALED = timedelta(minutes=5)  # by then two of their settlements were deferred; nothing fails any more
GIVES_UP_AFTER_S = 8.0  # as the real stores do
READS = {"fetch_due", "get_tasks", "runs_of_tick", "runs"}

# What goes wrong: the call never arrives; or it is done, and the answer is lost, or late, or says "unknown".
KINDS = ("cut", "lost", "late", "unknown", "dropped", "refused")


class FailingStore:
    """Passes calls on; the *nth* goes wrong in the manner of *kind*."""

    def __init__(self, inner: SqliteStore, *, nth: int, kind: str) -> None:
        self.calls: list[str] = []
        self.failed_at: float | None = None
        self._inner = inner
        self._nth = nth
        self._kind = kind

    def heal(self) -> None:
        """Let no further call fail."""
        self._nth = 0

    def count_operations(self) -> Any:
        return self._inner.count_operations()

    async def fetch_due(self, now: datetime, *, limit: int, after: DuePosition | None = None) -> Any:
        return await self._call("fetch_due", lambda: self._inner.fetch_due(now, limit=limit, after=after), 0)

    async def get_tasks(self, ids: Sequence[str]) -> Any:
        return await self._call("get_tasks", lambda: self._inner.get_tasks(ids), 0)

    async def runs_of_tick(self, tick_id: str) -> Any:
        return await self._call("runs_of_tick", lambda: self._inner.runs_of_tick(tick_id), 0)

    async def runs(self, **wanted: Any) -> Any:
        return await self._call("runs", lambda: self._inner.runs(**wanted), 0)

    async def write(self, writes: Sequence[ConditionalWrite]) -> Any:
        return await self._call("write", lambda: self._inner.write(writes), len(writes))

    async def write_with_runs(self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]) -> Any:
        return await self._call(
            "write_with_runs", lambda: self._inner.write_with_runs(batch, writes), len(writes)
        )

    async def _call(self, name: str, work: Callable[[], Any], writes: int) -> Any:
        self.calls.append(name)
        if len(self.calls) != self._nth:
            return await _in_thread(work)
        self.failed_at = asyncio.get_running_loop().time()
        match self._kind:
            case "refused":
                raise StoreError("refused, for good")
            case "dropped" if name not in READS and writes:
                return [WriteResult(WriteStatus.UNKNOWN)] * writes
            case "unknown" if name not in READS:
                await _in_thread(work)
                return [WriteResult(WriteStatus.UNKNOWN)] * writes
            case "late":
                await _in_thread(work)
                await asyncio.sleep(GIVES_UP_AFTER_S)
            case "lost":
                await _in_thread(work)
        raise StoreUnavailableError("no answer")


def play(file: Path, *, nth: int, kind: str, defers: bool = False) -> tuple[History, list[str]]:
    """Ping for some minutes with the *nth* call failing; return what came of it, and the calls made.

    Args:
        defers: Whether settlements are deferred, of tasks that run often.
    """
    with asyncio.Runner(loop_factory=StandstillLoop) as runner:
        return runner.run(_play(file, nth=nth, kind=kind, defers=defers))


async def _in_thread(work: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StandstillLoop)
    loop.busy += 1
    try:
        return await work()
    finally:
        loop.busy -= 1


async def _play(file: Path, *, nth: int, kind: str, defers: bool) -> tuple[History, list[str]]:
    inner = in_this_thread(SqliteStore(str(file)))
    store = FailingStore(inner, nth=nth, kind=kind)
    outside = _Outside()
    wanted = _frequent_specs() if defers else _specs()
    await _in_thread(lambda: _made(inner, wanted))
    names = count(1)
    parts = TickDependencies(
        store=store,
        run_task=outside.perform,
        notify=outside.tell,
        clock=outside.now,
        new_tick_id=lambda: f"tick{next(names)}",
        random=lambda: 0.5,
        defers_settlements=defers,
    )
    for _ in range(OFTEN_PINGS if defers else PINGS):
        if outside.now() >= NOON + OFTEN_HEALED:
            store.heal()
        with suppress(StoreError):  # the endpoint answers "degraded"; the next ping comes all the same
            await tick(parts, BUDGET)
        await asyncio.sleep(PING_EVERY_S)
    history = await _in_thread(lambda: _seen(inner, outside, wanted, store))
    if defers:
        history = replace(history, healed=(NOON + OFTEN_HEALED).timestamp())
    await _in_thread(inner.close)
    return history, store.calls


async def _made(store: SqliteStore, wanted: Sequence[dict[str, Any]]) -> None:
    specs = [TaskSpec.model_validate(one) for one in wanted]
    await apply_plan(store, specs, origin="chaos", now=MADE, new_id=lambda: "made")


async def _seen(
    store: SqliteStore, outside: "_Outside", wanted: Sequence[dict[str, Any]], failing: FailingStore
) -> History:
    found = await cast("SqliteStore", SettledStore(store)).get_tasks([one["id"] for one in wanted])
    runs = await store.runs(limit=10_000)
    at = MADE.timestamp()
    faults: list[Fault] = []
    if (
        failing._kind == "refused" and failing.failed_at is not None
    ):  # what is refused for good is not written
        failed_at = NOON.timestamp() + failing.failed_at
        faults.append(Fault("store", failed_at, failed_at + BUDGET.response_limit.total_seconds()))  # type: ignore[union-attr]  # it is set
    return History(
        healed=NOON.timestamp(),
        read=outside.now().timestamp() + 300,
        ops=tuple(Op("create", one["id"], at, at, spec=one, at=format_instant(MADE)) for one in wanted),
        calls=tuple(outside.calls),
        faults=tuple(faults),
        told=tuple(outside.told),
        tasks=tuple(stored.task.model_dump(mode="json", by_alias=True) for stored in found.tasks),
        runs=tuple(run.model_dump(mode="json", by_alias=True) for run in runs),
    )


def _specs() -> list[dict[str, Any]]:
    retry = {"maxAttempts": 3, "minBackoffSeconds": 1, "maxBackoffSeconds": 5}
    return [
        spec("well", "http://x/"),
        spec("once", "http://x/", delivery="at_most_once"),
        spec("ill-at-first", "http://x/", retry=retry),
        spec("ill", "http://x/"),
        spec("each", "http://x/", misfire={"policy": "run_all"}),
    ]


def _frequent_specs() -> list[dict[str, Any]]:
    often = {"schedule": "every 2m"}
    return [
        spec("well", "http://x/", **often),
        spec("once", "http://x/", delivery="at_most_once", **often),
        spec("ill-at-first", "http://x/", retry={"maxAttempts": 2, "minBackoffSeconds": 1}, **often),
    ]


class _Outside:
    """The world around: who is called, who is told, what time it is."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.told: list[str] = []

    def now(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())

    async def perform(self, job: Job) -> Outcome:
        arrived = self.now().timestamp()
        await asyncio.sleep(0.5)
        ill = job.task_id == "ill" or (job.task_id == "ill-at-first" and job.attempt == 1)
        ended = self.now().timestamp()
        answer = "500" if ill else "ok"
        self.calls.append(Call(job.idempotency_key, job.attempt, "p0/1", arrived, ended, answer))
        return failed("Answered 500") if ill else succeeded("Answered 200")

    async def tell(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.told += [notice.id for notice in notifications]
        return [() for _ in notifications]
