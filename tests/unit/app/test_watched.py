"""The function, watched from outside and from within: the heartbeat, and the notice that it was late."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from functions.app import application
from functions.app.application import App, now
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from functions.services.apply import apply_plan

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))


class Outside:
    """What is outside: an address for heartbeats and one for notices."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.said: list[str] = []
        self.status = 200
        self.hangs = False
        self.address = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        self.said.append(await request.text())
        if self.hangs and request.path == "/beat":
            await asyncio.Event().wait()
        return web.Response(status=self.status)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    one = Outside()
    app = web.Application()
    app.router.add_post("/{path:.*}", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


@asynccontextmanager
async def scheduler(folder: Path, outside: Outside, **more: str) -> AsyncIterator[App]:
    env = {
        "STORE_URL": f"sqlite:///{folder}/watched.db",
        "HEARTBEAT_URL": f"{outside.address}/beat",
        "WEBHOOK_URL": f"{outside.address}/notices",
    }
    wired = App(Settings.from_env(env | more, serves_http=False), clock=now)
    yield wired
    await wired.close()


async def test_a_complete_tick_is_a_heartbeat_and_costs_the_store_nothing(
    tmp_path: Path, outside: Outside
) -> None:
    async with scheduler(tmp_path, outside, LATE_AFTER_MINUTES="5") as wired:
        report = await wired.tick(BUDGET)

    assert {"/beat": 1} == dict(outside.asked)
    assert (1, 0) == (report["reads"], report["writes"])


async def test_a_tick_that_failed_is_no_heartbeat(tmp_path: Path, outside: Outside) -> None:
    (tmp_path / "watched.db").write_text("not a database, and long enough to be looked at" * 100)

    async with scheduler(tmp_path, outside) as wired:
        with pytest.raises(Exception, match="database"):
            await wired.tick(BUDGET)

    assert {} == dict(outside.asked)


@pytest.mark.parametrize("fault", ["refused", "hangs", "nobody"])
async def test_a_heartbeat_that_is_not_heard_fails_no_tick(
    tmp_path: Path,
    outside: Outside,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(application, "AFTER_TICK_OVERRUN", timedelta())
    outside.status = 500 if fault == "refused" else 200
    outside.hangs = fault == "hangs"
    nobody = {"HEARTBEAT_URL": "http://127.0.0.1:9/canary"} if fault == "nobody" else {}

    async with scheduler(tmp_path, outside, **nobody) as wired:
        report = await wired.tick(TimeBudget(timedelta(), timedelta()))

    assert "ok" == report["status"]
    assert ["heartbeat_missed"] == [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert "canary" not in caplog.text


@pytest.mark.parametrize(("minutes", "notices"), [("5", 1), ("0", 0)])
async def test_people_hear_once_that_the_scheduler_was_silent_if_they_want_to(
    tmp_path: Path, outside: Outside, minutes: str, notices: int
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=20)
    spec = TaskSpec.model_validate(
        {
            "id": "ping",
            "title": "Ping",
            "type": "python",
            "params": {"call": "json:dumps"},
            "schedule": "@daily",
        }
    )
    async with scheduler(tmp_path, outside, LATE_AFTER_MINUTES=minutes) as wired:
        await apply_plan(wired.store, [spec], origin="file", now=past, new_id=lambda: "e2e")
        [stored] = (await wired.store.get_tasks(["ping"])).tasks
        await wired.store.write(
            [ConditionalWrite.for_changes(stored, {"next_occurrence": past, "next_run_at": past})]
        )

        await wired.tick(BUDGET)
        await wired.tick(BUDGET)

    late = [text for text in outside.said if "No tick was requested" in text]
    assert (notices, 2) == (len(late), outside.asked["/beat"])
