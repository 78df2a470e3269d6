"""SETTLEMENTS: what it changes in a scheduler built from its settings, and that it may be taken back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Job, Task
from functions.domain.types import Status
from functions.interfaces import Store
from tests.conftest import NOON

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))
MINUTE = timedelta(minutes=1)


def _app(file: Path, settlements: str, moment: list[datetime]) -> App:
    settings = {"STORE_URL": f"sqlite:///{file}", "CRON_SECRET": "s" * 40, "SETTLEMENTS": settlements}
    app = App(Settings.from_env(settings), clock=lambda: moment[0])

    async def run_task(job: Job) -> Outcome:
        return succeeded(f"Done at {job.started_at:%H:%M}")

    app.tick_dependencies = replace(app.tick_dependencies, run_task=run_task)
    return app


async def _status(store: Store) -> Status:
    return (await store.get_tasks(["water-plants"])).tasks[0].task.status


async def test_people_see_results_that_documents_do_not_hold_yet(
    tmp_path: Path, make_task: Callable[..., Task]
) -> None:
    moment = [NOON]
    app = _app(tmp_path / "tasks.db", "deferred", moment)
    await app.store.write([ConditionalWrite(make_task(schedule="* * * * *", last_outcome="succeeded"), None)])

    figures = await app.tick(BUDGET)

    assert (1, 2) == (figures["reads"], figures["writes"])
    assert (Status.SCHEDULED, Status.RUNNING) == (await _status(app.store), await _status(app.tick_store))
    [seen] = (await app.store.get_tasks(["water-plants"])).tasks
    assert "Done at 12:00" == seen.task.last_result_summary
    assert 0 == (await app.status())["tasksCurrentlyDue"]
    await app.close()


async def test_the_setting_may_be_taken_back_at_any_time(
    tmp_path: Path, make_task: Callable[..., Task]
) -> None:
    moment = [NOON]
    before, after = (_app(tmp_path / "tasks.db", name, moment) for name in ("deferred", "at_once"))
    task = make_task(schedule="* * * * *", last_outcome="succeeded")
    await before.store.write([ConditionalWrite(task, None)])
    await before.tick(BUDGET)
    moment[0] += MINUTE

    await after.tick(BUDGET)

    [stored] = (await after.store.get_tasks(["water-plants"])).tasks
    assert (Status.SCHEDULED, 2) == (stored.task.status, stored.task.run_count)
    assert [NOON + MINUTE, NOON] == [run.occurrence for run in await after.store.runs()]
    await before.close()
    await after.close()
