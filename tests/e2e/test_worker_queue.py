"""The function with a queue of workers: what a tick is too short for is run by `/work`, once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from functions.services.apply import apply_plan
from functions.stores import create_store
from tests.fakes.cloud_tasks import FakeCloudTasks
from tests.support.serving import ROOT, answered, free_port, serving

SECRET = "a-secret-of-the-tests-with-32-characters"
QUEUE = "projects/p/locations/europe-west1/queues/work"


@pytest.fixture
async def calls() -> AsyncIterator[tuple[str, Counter[str]]]:
    """A server on loopback that counts how often each path was asked for."""
    counted: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        counted[request.path] += 1
        await asyncio.sleep(0.1)
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", counted
    await runner.cleanup()


@asynccontextmanager
async def function(folder: Path, queue: FakeCloudTasks, **variables: str) -> AsyncIterator[str]:
    """The function over a store in *folder*, with *queue* for its workers; its address."""
    port = free_port()
    known = {
        "CRON_SECRET": SECRET,
        "STORE_URL": f"sqlite:///{folder}/queue.db",
        "ALLOW_PRIVATE_NETWORKS": "1",
        "WORKER_QUEUE": QUEUE,
        "WORKER_URL": f"http://127.0.0.1:{port}/work",
        "CLOUD_TASKS_EMULATOR_HOST": queue.host,
    }
    with serving(ROOT / "main.py", folder, port, **(known | variables)) as address:
        async with aiohttp.ClientSession() as session:
            await answered(session, address)
        yield address


async def due(folder: Path, target: str, *, timeouts: dict[str, float]) -> None:
    """Tasks of these names and time-outs that were due ten minutes ago."""
    specs = [
        TaskSpec.model_validate(
            {
                "id": name,
                "title": name,
                "type": "http",
                "params": {"url": f"{target}/{name}"},
                "schedule": "0 0 1 1 *",
                "timeoutSeconds": timeout,
            }
        )
        for name, timeout in timeouts.items()
    ]
    store = create_store(f"sqlite:///{folder}/queue.db")
    now = datetime.now(UTC)
    await apply_plan(store, specs, origin="file", now=now, new_id=lambda: "e2e")
    found = await store.get_tasks(list(timeouts))
    past = now - timedelta(seconds=30)
    await store.write(
        [
            ConditionalWrite.for_changes(one, {"next_occurrence": past, "next_run_at": past})
            for one in found.tasks
        ]
    )
    await store.close()


async def ping(address: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/tick", headers=headers) as response,
    ):
        assert 200 == response.status
        report: dict[str, Any] = await response.json()
        return report


async def test_a_task_too_long_for_the_tick_is_run_by_a_worker_however_often_it_is_handed_over(
    tmp_path: Path, calls: tuple[str, Counter[str]]
) -> None:
    target, counted = calls
    await due(tmp_path, target, timeouts={"long": 120, "short": 5})

    async with FakeCloudTasks().serving() as queue, function(tmp_path, queue) as address:
        first, second = await asyncio.gather(ping(address), ping(address))
        await queue.drained()

    assert {"/long": 1, "/short": 1} == dict(counted)
    assert 1 == len(queue.names)
    assert first["handedOff"] + second.get("handedOff", 0) >= 1
    [(status, answer)] = queue.answers
    assert (200, 1) == (status, json.loads(answer)["succeeded"])


async def test_a_backlog_is_worked_off_by_shares(tmp_path: Path, calls: tuple[str, Counter[str]]) -> None:
    """Forty tasks of 100 ms one after the other are too many for a tick of four seconds."""
    target, counted = calls
    names = [f"t{number}" for number in range(40)]

    async with (
        FakeCloudTasks().serving() as queue,
        function(tmp_path, queue, TICK_BUDGET_SECONDS="4", MAX_CONCURRENCY="1") as address,
    ):
        await due(tmp_path, target, timeouts={"warm-up": 20})
        await ping(address)  # or the first of the forty would pay for the libraries, of its one second
        await queue.drained()
        counted.clear()
        await due(tmp_path, target, timeouts=dict.fromkeys(names, 1))
        report = await ping(address)
        await queue.drained()

    assert dict.fromkeys((f"/{name}" for name in names), 1) == dict(counted)
    assert (4, True) == (report["handedOff"], report["postponed"] > 0)
    assert {200} == {status for status, _ in queue.answers}


async def test_a_queue_that_is_down_fails_no_tick(tmp_path: Path, calls: tuple[str, Counter[str]]) -> None:
    target, counted = calls
    await due(tmp_path, target, timeouts={"long": 120, "short": 5})
    nobody = FakeCloudTasks(address=f"http://127.0.0.1:{free_port()}")

    async with function(tmp_path, nobody) as address:
        report = await ping(address)

    assert ("ok", 1, 1) == (report["status"], report["succeeded"], report["postponed"])
    assert {"/short": 1} == dict(counted)
