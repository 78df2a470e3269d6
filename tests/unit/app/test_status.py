"""`GET /status` is red while the scheduler does not work: ticks that fail or stop, a clock far ahead."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from functions.app.application import App, now
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Run
from functions.domain.storage import RunBatch
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import StoreError
from tests.contract.documents import create

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))


def an_app(file: Path) -> App:
    return App(Settings.from_env({"STORE_URL": f"sqlite:///{file}", "CRON_SECRET": "s" * 40}), clock=now)


async def test_status_is_red_from_a_tick_that_fails_until_one_that_works(tmp_path: Path) -> None:
    file = tmp_path / "tasks.db"
    app = an_app(file)
    await app.tick(BUDGET)
    assert "healthy" == (await app.status())["status"]

    kept = file.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="removed while in use"):
        await app.tick(BUDGET)
    kept.rename(file)

    red = await app.status()
    assert "degraded" == red["status"]
    assert "removed while in use" in str(red["problem"])
    await app.tick(BUDGET)
    assert "healthy" == (await app.status())["status"]
    await app.close()


@pytest.mark.parametrize(("minutes", "status"), [(14, "healthy"), (20, "degraded")])
async def test_status_is_red_when_no_tick_comes_for_what_is_due(
    tmp_path: Path, make_task: Callable[..., Task], minutes: int, status: str
) -> None:
    app = an_app(tmp_path / "tasks.db")
    await create(app.store, make_task("ping", next_run_at=now() - timedelta(minutes=minutes)))

    found = await app.status()

    assert status == found["status"]
    assert (status == "degraded") == ("is the pinger switched off?" in str(found.get("problem")))
    await app.close()


async def test_status_is_red_when_a_tick_wrote_in_the_future(tmp_path: Path) -> None:
    app = an_app(tmp_path / "tasks.db")
    ahead = now() + timedelta(days=30)
    times = {"occurrence": ahead, "started_at": ahead, "finished_at": ahead}
    run = Run(task_id="a", attempt=1, token="a.1", outcome=OutcomeKind.SUCCEEDED, **times)
    await app.store.write_with_runs(RunBatch("a.1", ahead, (run,)), [])

    red = await app.status()

    assert "degraded" == red["status"]
    assert "one of two clocks is wrong" in str(red["problem"])
    await app.close()
