"""A scheduler starts processes that parse when a task needs one, keeps them, and ends them with itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from functions.app.application import App, build_app
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from functions.taskfiles.validation import check_task
from tests.unit.parsing.test_feeds import rss


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=rss("<title>First</title>"), content_type="application/rss+xml")

    app = web.Application()
    app.router.add_get("/feed", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    await runner.cleanup()


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[App]:
    env = {"STORE_URL": f"sqlite:///{tmp_path}/feeds.db", "ALLOW_PRIVATE_NETWORKS": "1"}
    wired = build_app(Settings.from_env(env, serves_http=False))
    yield wired
    await wired.close()


async def tick_with(scheduler: App, task_id: str, type_name: str, params: dict[str, str]) -> None:
    """Run a task of this type once, by a tick."""
    given = {"id": task_id, "title": task_id, "type": type_name, "schedule": "@yearly", "params": params}
    spec = check_task(given)
    assert isinstance(spec, TaskSpec), spec
    task = new_task(spec, now=scheduler.now(), origin="test")
    due = task.model_copy(update={"next_occurrence": scheduler.now(), "next_run_at": scheduler.now()})
    await scheduler.store.write([ConditionalWrite(due, None)])
    report = await scheduler.tick(TimeBudget(None, None))
    assert 1 == report["succeeded"], report


def parsing_processes() -> set[str]:
    """Ids of the processes that this one, or a thread of it, has started to parse."""
    children = " ".join(one.read_text() for one in Path("/proc/self/task").glob("*/children"))
    command_lines = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in children.split()}
    return {one for one, line in command_lines.items() if b"functions.parsing.worker" in line}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
async def test_a_process_comes_with_the_first_feed_and_goes_with_the_scheduler(
    scheduler: App, base: str
) -> None:
    await scheduler.tick(TimeBudget(None, None))
    await tick_with(scheduler, "other", "health_check_url", {"url": base})
    assert set() == parsing_processes()

    await tick_with(scheduler, "feed", "rss_watch", {"feedUrl": base})
    first = parsing_processes()
    await tick_with(scheduler, "feed-2", "rss_watch", {"feedUrl": base})

    assert 1 == len(first)
    assert first == parsing_processes()
    await scheduler.close()
    assert set() == parsing_processes()
