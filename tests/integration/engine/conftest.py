"""A whole scheduler on SQLite, and a target on loopback whose answers take as long as their path says."""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.sharding import shard_of
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Task, TaskSpec
from functions.engine.tick import tick
from functions.taskfiles.validation import check_task
from tests.conftest import NOON
from tests.harness.chaos.world.standstill import StandstillLoop

DEFAULT_BUDGET = TimeBudget(timedelta(seconds=18), timedelta(seconds=24))
MINUTE = timedelta(minutes=1)


@dataclass
class Installation:
    """The application over a store, and the address of its target.

    Attributes:
        calls: How often each path of the target was asked for.
        ahead: How far the scheduler's clock is before the machine's.
        released: Set when what calls a path under `held/` is to have its answer.
        delays: How long the store takes for its next writes, at a standstill.
    """

    app: App
    address: str
    calls: Counter[str]
    ahead: list[timedelta] = field(default_factory=lambda: [timedelta()])
    released: asyncio.Event = field(default_factory=asyncio.Event)
    delays: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.app.now()

    async def put(
        self, task_id: str, *, path: str, state: dict[str, Any] | None = None, **given: Any
    ) -> None:
        await self.put_all([task_id], path=path, state=state, **given)

    async def put_all(
        self, ids: Sequence[str], *, path: str, state: dict[str, Any] | None = None, **given: Any
    ) -> None:
        """Store tasks that are due now, as if they had been saved before; *state* has Python names."""
        fields = {"id": ids[0], "title": "It", "type": "http", "schedule": "* * * * *"}
        params = {"url": f"{self.address}/{path}", "method": "GET"}
        spec = check_task(fields | {"params": params} | given)
        assert isinstance(spec, TaskSpec), spec
        minute = self.now().replace(second=0, microsecond=0)
        due = {"next_occurrence": minute, "next_run_at": minute}
        one = new_task(spec, now=minute - MINUTE, origin="test").model_copy(update=due | (state or {}))
        own = ({"id": task_id, "title": task_id, "shard": shard_of(task_id)} for task_id in ids)
        await self.app.store.write([ConditionalWrite(one.model_copy(update=each), None) for each in own])

    async def tick(self, budget: TimeBudget = DEFAULT_BUDGET) -> dict[str, Any]:
        return (await tick(self.app.tick_dependencies, budget)).as_json()

    async def task(self, task_id: str) -> Task:
        return (await self.app.store.get_tasks([task_id])).tasks[0].task

    async def outcomes(self) -> Counter[str]:
        runs = await self.app.store.runs(limit=100_000)
        return Counter(str(run.skip_reason or run.outcome) for run in runs for _ in range(run.count))

    def pass_time(self, duration: timedelta) -> None:
        self.ahead[0] += duration


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    machine = datetime.now(UTC)
    ahead = [machine.replace(second=0, microsecond=0) + MINUTE - machine]  # no test crosses a minute
    async with installed(tmp_path, clock=lambda: datetime.now(UTC) + ahead[0]) as made:
        made.ahead = ahead
        yield made


def at_a_standstill(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Have *test* run by a clock that stands still while anything works: on any machine only waits take time.

    Its first parameter is the installation; others are pytest's.
    """
    _, *others = inspect.signature(test).parameters.values()

    def run(tmp_path: Path, **given: Any) -> None:
        with asyncio.Runner(loop_factory=StandstillLoop) as runner:
            runner.run(_play(test, tmp_path, given))

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    first = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    setattr(run, "__signature__", inspect.Signature([first, *others]))  # noqa: B010  # functions declare none
    return run


async def _play(test: Callable[..., Awaitable[None]], folder: Path, given: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StandstillLoop)
    ahead = [timedelta()]
    async with installed(folder, clock=lambda: NOON + timedelta(seconds=loop.time()) + ahead[0]) as made:
        store: Any = _Awaited(made.app.store, loop, made)
        made.app.store, made.ahead = store, ahead
        made.app.tick_dependencies = replace(made.app.tick_dependencies, store=store)
        await test(made, **given)


class _Awaited:
    """A store of which each answer is awaited by the clock: it comes from a thread."""

    def __init__(self, inner: Any, loop: StandstillLoop, made: Installation) -> None:
        self._inner = inner
        self._loop = loop
        self._made = made

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def answered(*given: Any, **named: Any) -> Any:
            self._loop.busy += 1
            try:
                result = await found(*given, **named)
            finally:
                self._loop.busy -= 1
            if name == "write" and self._made.delays:
                await asyncio.sleep(self._made.delays.pop(0))
            return result

        return answered


@asynccontextmanager
async def installed(folder: Path, *, clock: Callable[[], datetime]) -> AsyncIterator[Installation]:
    calls: Counter[str] = Counter()
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        calls[request.path] += 1
        if request.path.startswith("/held/"):
            await released.wait()
        await asyncio.sleep(float(request.path.rsplit("/", 1)[1]))
        return web.Response(text="ok")

    target = web.Application()
    target.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(target, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    environment = {"STORE_URL": f"sqlite:///{folder}/tasks.db", "ALLOW_PRIVATE_NETWORKS": "1"}
    app = App(Settings.from_env(environment, serves_http=False), clock=clock)
    yield Installation(app, f"http://127.0.0.1:{runner.addresses[0][1]}", calls, released=released)
    await app.close()
    await runner.cleanup()
