"""A whole scheduler on SQLite, and a target on loopback whose answers take as long as their path says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.lifecycle.edit import new_task
from functions.domain.lifecycle.time_budget import TimeBudget
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Task, TaskSpec
from functions.engine.tick import tick
from functions.taskfiles import check_task

DEFAULT_BUDGET = TimeBudget(timedelta(seconds=18), timedelta(seconds=24))
MINUTE = timedelta(minutes=1)


@dataclass
class Installation:
    """The application over a store, and the address of its target.

    Attributes:
        calls: How often each path of the target was asked for.
        ahead: How far the scheduler's clock is before the machine's.
        released: Set when what calls a path under `held/` is to have its answer.
    """

    app: App
    address: str
    calls: Counter[str]
    ahead: list[timedelta] = field(default_factory=lambda: [timedelta()])
    released: asyncio.Event = field(default_factory=asyncio.Event)

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
        tasks = []
        for task_id in ids:
            fields = {"id": task_id, "title": task_id, "type": "http", "schedule": "* * * * *"}
            params = {"url": f"{self.address}/{path}", "method": "GET"}
            spec = check_task(fields | {"params": params} | given)
            assert isinstance(spec, TaskSpec), spec
            minute = self.now().replace(second=0, microsecond=0)
            due = {"next_occurrence": minute, "next_run_at": minute}
            tasks.append(
                new_task(spec, now=minute - MINUTE, origin="test").model_copy(update=due | (state or {}))
            )
        await self.app.store.write([ConditionalWrite(task, None) for task in tasks])

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
    environment = {"STORE_URL": f"sqlite:///{tmp_path}/tasks.db", "ALLOW_PRIVATE_NETWORKS": "1"}
    machine = datetime.now(UTC)
    ahead = [machine.replace(second=0, microsecond=0) + MINUTE - machine]  # no test crosses a minute
    app = App(Settings.from_env(environment, serves_http=False), clock=lambda: datetime.now(UTC) + ahead[0])
    yield Installation(app, f"http://127.0.0.1:{runner.addresses[0][1]}", calls, ahead, released)
    await app.close()
    await runner.cleanup()
