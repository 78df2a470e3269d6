"""Excluded days in ticks: no run, no skip, nothing missed; the library is loaded for who needs it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.lifecycle.edit import backfill_instants, new_task
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskCalendar, TaskSpec
from functions.engine import due_tasks
from tests.conftest import NOON
from tests.unit.engine.test_groups import World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(str(tmp_path / "days.db"))
    yield world
    await world.store.close()


async def put(world: World, **fields: object) -> None:
    whole = {"id": "daily", "title": "Daily", "type": "http", "schedule": "0 12 * * *"}
    spec = TaskSpec.model_validate(whole | fields)
    calendars = (TaskCalendar(name="company", revision="1", entries=("2026-11-24",)),)
    task = new_task(spec, now=NOON - DAY, origin="", calendars=calendars)
    await world.store.write([ConditionalWrite(task, None)])


async def test_an_excluded_day_leaves_no_trace(world: World) -> None:
    """NOON is a Friday; Saturday and Sunday are excluded, and Tuesday by the calendar."""
    await put(world, **{"except": ["weekends", "calendar:company"]})
    for number in range(6):
        world.now = NOON + number * DAY
        await world.tick()

    runs = await world.store.runs(task_id="daily")
    assert [0, 3, 5] == [(run.occurrence - NOON).days for run in reversed(runs)]
    assert {"succeeded"} == {run.outcome for run in runs}


async def test_an_outage_over_excluded_days_misses_none_of_them(world: World) -> None:
    await put(world, **{"except": ["weekends", "calendar:company"]})
    await world.tick()
    world.now = NOON + 6 * DAY  # Thursday; Monday and Wednesday were missed
    await world.tick()

    assert world.jobs[-1].missed is not None
    assert (2, NOON + 3 * DAY, NOON + 5 * DAY) == (
        world.jobs[-1].missed.count,
        world.jobs[-1].missed.first,
        world.jobs[-1].missed.last,
    )


async def test_a_moved_run_has_the_id_of_the_instant_it_moved_to(world: World) -> None:
    await put(world, schedule="0 12 21 * *", onExcluded="next")
    world.now = NOON + 3 * DAY
    await world.tick()

    [job] = world.jobs
    assert "daily@2026-11-23T12:00:00Z" == job.idempotency_key


@pytest.mark.parametrize(
    ("days", "loads"), [(["holidays:LV"], 1), (["weekends"], 0), ([], 0)], ids=["holidays", "days", "none"]
)
async def test_the_library_is_loaded_for_tasks_that_need_it(
    world: World, days: list[str], loads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    monkeypatch.setattr(due_tasks, "load_holidays", lambda: loaded.append(1))
    await put(world, **{"except": days})
    await world.tick()

    assert (loads, 1) == (len(loaded), len(world.jobs))


def test_a_backfill_leaves_excluded_days_out() -> None:
    fields = {
        "id": "daily",
        "title": "Daily",
        "type": "http",
        "schedule": "0 12 * * *",
        "except": ["weekends"],
    }
    task = new_task(TaskSpec.model_validate(fields), now=NOON - 9 * DAY, origin="")

    found = backfill_instants(task, first=NOON - 7 * DAY, until=NOON - DAY, now=NOON)

    assert [-7, -4, -3, -2, -1] == [(at - NOON).days for at in found]


def test_a_heartbeat_is_not_expected_on_excluded_days() -> None:
    fields = {"id": "backup", "title": "Backup", "type": "heartbeat", "schedule": "0 13 * * *"}
    spec = TaskSpec.model_validate(fields | {"except": ["weekends"], "params": {"graceSeconds": 60}})
    task = new_task(spec, now=NOON + 2 * HOUR, origin="")

    assert NOON + 3 * DAY + HOUR == task.next_occurrence
