"""The forecast of a bill: what is counted, and where the free tier ends."""

from collections.abc import Callable

import pytest

from functions.domain.pricing import Cost, cost_of
from functions.domain.task import Task
from tests.conftest import NOON

MakeTask = Callable[..., Task]


def _a_day(cost: Cost) -> dict[str, float]:
    return {item.name: item.a_day for item in cost.items}


def test_no_tasks_cost_one_read_a_minute() -> None:
    cost = cost_of([], now=NOON)

    assert (1440, 0, 1440) == (
        _a_day(cost)["Firestore reads"],
        _a_day(cost)["Firestore writes"],
        _a_day(cost)["Cloud Run requests"],
    )
    assert 0 == cost.usd_a_month


def test_a_run_is_one_read_two_writes_and_its_share_of_the_ledger(make_task: MakeTask) -> None:
    cost = cost_of([make_task(schedule="* * * * *")], now=NOON)

    assert (1440, 1440, 3 * 1440) == (
        cost.runs_a_day,
        _a_day(cost)["Firestore reads"],
        _a_day(cost)["Firestore writes"],
    )


def test_runs_of_the_same_minute_share_a_ledger_entry(make_task: MakeTask) -> None:
    tasks = [make_task(f"t{n}", schedule="0 * * * *") for n in range(101)]

    cost = cost_of(tasks, now=NOON)

    assert 24 * (2 * 101 + 2) == _a_day(cost)["Firestore writes"]


def test_tasks_that_do_not_run_cost_nothing(make_task: MakeTask) -> None:
    assert 0 == cost_of([make_task(enabled=False)], now=NOON).runs_a_day


@pytest.mark.parametrize(("tasks", "free"), [(6, True), (8, False)])
def test_the_free_tier_ends_with_its_writes(make_task: MakeTask, tasks: int, free: bool) -> None:
    """Seven tasks of every minute, at 2,880 writes each a day and 1,440 for the ledger, are too many."""
    cost = cost_of([make_task(f"t{n}", schedule="* * * * *") for n in range(tasks)], now=NOON)

    assert free is (cost.usd_a_month == 0)


def test_what_is_above_the_free_quota_has_its_price(make_task: MakeTask) -> None:
    cost = cost_of([make_task(f"t{n}", schedule="* * * * *") for n in range(100)], now=NOON)

    [writes] = [item for item in cost.items if item.name == "Firestore writes"]
    above = 100 * 2880 + 1440 - 20_000
    assert pytest.approx(above * 30.4 * 0.9 / 1e6) == writes.usd_a_month
