"""The platform ends an instance: SIGTERM, and ten seconds later SIGKILL. Nothing may hang or be forgotten."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from functions.domain.task import TaskSpec
from functions.domain.types import OutcomeKind, Status
from functions.services.apply import apply
from functions.stores.sqlite.store import SqliteStore
from tests.support.serving import ROOT, answered, environment, free_port

SECRET = "a-secret-of-the-tests-with-32-characters"


@pytest.fixture
async def slow_target() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server on loopback that accepts a call and does not answer it; the event says that one has come."""
    called, never = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        called.set()
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hang)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", called
    never.set()
    await runner.cleanup()


async def test_a_tick_told_to_stop_ends_in_time_and_leaves_its_tasks_in_order(
    tmp_path: Path, slow_target: tuple[str, asyncio.Event]
) -> None:
    """The running attempt is ended, recorded and waits for its retry; no claim is left to expire."""
    url, called = slow_target
    store = SqliteStore(str(tmp_path / "stop.db"))
    spec = TaskSpec(
        id="slow", title="Slow", type="health_check_url", params={"url": url}, schedule="0 0 * * *"
    )
    await apply(store, [spec], origin="file", now=datetime.now(UTC) - timedelta(days=1), new_id=lambda: "e2e")
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "scheduler", "--port", str(port)]
    variables = environment(
        CRON_SECRET=SECRET, STORE_URL=f"sqlite:///{tmp_path}/stop.db", ALLOW_PRIVATE_NETWORKS="1"
    )
    with (tmp_path / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=variables, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        async with aiohttp.ClientSession() as session:
            address = f"http://127.0.0.1:{port}"
            await answered(session, address)
            headers = {"Authorization": f"Bearer {SECRET}"}
            ping = asyncio.create_task(_posted(session, f"{address}/tick", headers))
            await asyncio.wait_for(called.wait(), 10)

            process.send_signal(signal.SIGTERM)
            report = await asyncio.wait_for(ping, 8)
            await asyncio.wait_for(process.wait(), 8)
    finally:
        if process.returncode is None:
            process.kill()

    [stored] = (await store.read(["slow"])).tasks
    [run] = await store.runs()
    await store.close()
    assert (Status.RETRYING, None) == (stored.task.status, stored.task.claim)
    assert (OutcomeKind.ABANDONED, False) == (run.outcome, run.final)
    assert 1 == report["retrying"]


async def _posted(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> dict[str, int]:
    async with session.post(url, headers=headers) as response:
        answer: dict[str, int] = await response.json()
        return answer
