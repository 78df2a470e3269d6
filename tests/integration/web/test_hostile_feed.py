"""A feed made to be slow, on the server as deployed: its attempt alone fails, everybody else is served."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from functions.app.application import build_app
from functions.config.settings import Settings
from functions.domain.lifecycle.edit import new_task
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from functions.taskfiles.validation import check_task
from tests.support.serving import ROOT, answered, serving

SECRET = "s" * 32
FEED = "<rss version='2.0'><channel><item><author>%s</author></item></channel></rss>" % ("a" * 120_000)


@pytest.fixture
async def site() -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=FEED, content_type="application/rss+xml")

    app = web.Application()
    app.router.add_get("/feed", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    await runner.cleanup()


async def add_due_tasks(store_url: str, *given: dict[str, Any]) -> None:
    scheduler = build_app(Settings.from_env({"STORE_URL": store_url}, serves_http=False))
    for fields in given:
        spec = check_task({"title": fields["id"], "schedule": "@yearly", "timeoutSeconds": 5} | fields)
        assert isinstance(spec, TaskSpec), spec
        task = new_task(spec, now=scheduler.now(), origin="test")
        due = task.model_copy(update={"next_occurrence": scheduler.now(), "next_run_at": scheduler.now()})
        await scheduler.store.write([ConditionalWrite(due, None)])
    await scheduler.close()


async def slowest_answer(session: aiohttp.ClientSession, address: str, until: "asyncio.Task[Any]") -> float:
    slowest_s = 0.0
    while not until.done():
        began = time.monotonic()
        async with session.get(f"{address}/healthz") as response:
            assert 200 == response.status
        slowest_s = max(slowest_s, time.monotonic() - began)
        await asyncio.sleep(0.02)
    return slowest_s


async def test_others_are_served_while_a_feed_is_stopped(site: str, tmp_path: Path) -> None:
    store_url = f"sqlite:///{tmp_path}/tasks.db"
    await add_due_tasks(
        store_url,
        {"id": "hostile", "type": "rss_watch", "params": {"feedUrl": site}},
        {"id": "other", "type": "health_check_url", "params": {"url": site}},
    )
    variables = {"STORE_URL": store_url, "CRON_SECRET": SECRET, "ALLOW_PRIVATE_NETWORKS": "1"}
    with serving(ROOT / "main.py", tmp_path, **variables) as address:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as session:
            await answered(session, address)

            async def tick() -> dict[str, Any]:
                async with session.post(f"{address}/tick") as response:
                    report: dict[str, Any] = await response.json()
                    return report

            ticking = asyncio.create_task(tick())
            slowest_s = await slowest_answer(session, address, ticking)
            report = await ticking

    assert {"started": 2, "succeeded": 1, "retrying": 1} == {
        name: report[name] for name in ("started", "succeeded", "retrying")
    }, report
    assert slowest_s < 4  # the feed takes eight and more; the machine may be used by others
