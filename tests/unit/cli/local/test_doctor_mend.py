"""`doctor --mend` undoes what a tick with a clock far ahead did; before it says so, and `/status` is red."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from functions.app.application import App, now
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from tests.unit.cli.conftest import Said, Scheduler, WriteTasks

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))
AHEAD = timedelta(days=30)


@pytest.fixture(params=["sqlite:///{}/tasks.db", "json:///{}/store.json"])
def environment(request: pytest.FixtureRequest, tmp_path: Any) -> dict[str, str]:
    return {"STORE_URL": request.param.format(tmp_path), "ALLOW_PRIVATE_NETWORKS": "1"}


def of_check(said: Said, check: str) -> list[tuple[str, str]]:
    return [(one["status"], one["text"]) for one in said.data if one["check"] == check]


@pytest.mark.slow
def test_it_is_red_before_and_green_after(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str, environment: dict[str, str]
) -> None:
    hourly = {"schedule": "0 * * * *", "params": {"url": site}}
    scheduler("apply", write_tasks({"id": "one", **hourly}, {"id": "two", **hourly}))
    asyncio.run(tick_ahead(environment))

    red, dry = status(environment), scheduler("doctor", "--json")
    mended = scheduler("doctor", "--mend", "--json")
    green, again = status(environment), scheduler("doctor", "--mend", "--json")

    assert "degraded" == red["status"]
    assert 1 == dry.code
    [(verdict, text)] = of_check(dry, "tasks")[:1]
    assert "FAIL" == verdict
    assert "has put off 2 tasks; mended, one from 20" in text
    assert ["ok", "ok"] == [verdict for verdict, _ in of_check(mended, "mend")]
    assert of_check(mended, "mend")[0][1].startswith("next run of one from ")
    assert "healthy" == green["status"]
    assert [("ok", "no task waits because a clock was far ahead")] == of_check(again, "mend")
    assert "FAIL" not in again.out
    [*_, line] = [one for one in scheduler("list", "--json").data if one["id"] == "one"]
    assert line["nextRunAt"] <= (now() + timedelta(hours=1)).isoformat()


def status(environment: dict[str, str]) -> Mapping[str, object]:
    async def read() -> Mapping[str, object]:
        app = App(Settings.from_env(environment, serves_http=False), clock=now)
        try:
            return await app.status()
        finally:
            await app.close()

    return asyncio.run(read())


async def tick_ahead(environment: dict[str, str]) -> None:
    app = App(Settings.from_env(environment, serves_http=False), clock=lambda: now() + AHEAD)
    assert 2 == (await app.tick(BUDGET))["succeeded"]
    await app.close()
