"""Groups over real processes: two ticks at once on one store, and one that is killed while it holds slots."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from functions.cli.main import main
from functions.domain.capacity.flow_control import GroupState
from functions.stores import create_store
from tests.support.firestore_emulator import emulator_host, fresh_project
from tests.support.serving import ROOT

TASKS = 8


@pytest.fixture(params=["sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/groups.db"
    emulator_host()
    return f"firestore://{fresh_project()}"


class Service:
    """A service on loopback that counts its callers.

    Attributes:
        calls: The paths that were asked for, in order.
        most: How many callers there were at once, at most.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.now = self.most = 0
        self.called = asyncio.Event()
        self.is_slow = False

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(request.path)
        self.now += 1
        self.most = max(self.most, self.now)
        self.called.set()
        try:
            await asyncio.sleep(30 if self.is_slow else 0.05)
        finally:
            self.now -= 1
        return web.Response()


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_get("/{path:.*}", service.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield service, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def variables(store_url: str) -> dict[str, str]:
    return {**os.environ, "STORE_URL": store_url, "ALLOW_PRIVATE_NETWORKS": "1", "PYTHONPATH": str(ROOT)}


async def start(store_url: str, folder: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "functions.cli", *words),
        cwd=folder,
        env=variables(store_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def said(process: asyncio.subprocess.Process) -> Any:
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return json.loads(out)


async def create_and_run(store_url: str, folder: Path, address: str, count: int) -> None:
    tasks = [
        {"id": f"t{n}", "type": "http", "group": "shop-api", "timeoutSeconds": 40}
        | {"params": {"url": f"{address}/t{n}"}}
        for n in range(count)
    ]
    (folder / "tasks.json").write_text(
        json.dumps({"groups": {"shop-api": {"maxConcurrent": 2}}, "tasks": tasks})
    )
    words = ("run", "--file", f"{folder}/tasks.json", "--json")
    code = await asyncio.to_thread(main, words, variables(store_url), out=StringIO(), err=StringIO())
    assert 0 == code


async def test_two_processes_together_keep_to_the_limit(
    store_url: str, tmp_path: Path, service: tuple[Service, str]
) -> None:
    """Processes of a second each: a limit within one process would let twice as many through."""
    counted, address = service
    await create_and_run(store_url, tmp_path, address, TASKS)

    reports: list[Any] = []
    while len(set(counted.calls)) < TASKS and len(reports) < 12:
        ticks = [await start(store_url, tmp_path, "tick", "--json") for _ in range(2)]
        reports += [await said(one) for one in ticks]

    assert sorted(f"/t{n}" for n in range(TASKS)) == sorted(counted.calls)
    assert (2, TASKS) == (counted.most, sum(one["succeeded"] for one in reports))


async def test_a_process_that_is_killed_holds_its_slots_until_its_claims_expire(
    store_url: str, tmp_path: Path, service: tuple[Service, str]
) -> None:
    counted, address = service
    counted.is_slow = True
    await create_and_run(store_url, tmp_path, address, 3)

    tick = await start(store_url, tmp_path, "tick", "--json")
    async with asyncio.timeout(30):
        while counted.now < 2:
            counted.called.clear()
            await counted.called.wait()
    tick.kill()
    await tick.wait()
    waited = await said(await start(store_url, tmp_path, "tick", "--json"))
    store = create_store(store_url, emulator=os.environ.get("FIRESTORE_EMULATOR_HOST"))
    [document] = await store.get_documents("groups", ["all.shop-api"])
    found = (await store.get_tasks([f"t{n}" for n in range(3)])).tasks
    await store.close()

    claims = [one.task.claim for one in found if one.task.claim is not None]
    held = GroupState.from_data(document.data).holders
    assert {claim.token: claim.until for claim in claims} == held
    assert (2, 0, 1) == (len(held), waited["started"], waited["postponed"])
