"""The forecast of a bill: what is counted, and where the free tier ends."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from functions.domain.costs import pricing
from functions.domain.costs.pricing import FIXED_COSTS, CostEstimate, estimate_change, estimate_costs
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.task import Group, Task
from tests.conftest import NOON

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

MakeTask = Callable[..., Task]


def estimate_cost(tasks: Iterable[Task], *, now: datetime, defers: bool = False) -> CostEstimate:
    return estimate_costs(tasks, now=now)[defers]


def _a_day(cost: CostEstimate) -> dict[str, float]:
    return {item.name: item.per_day for item in cost.items}


def test_no_tasks_cost_one_read_a_minute() -> None:
    cost = estimate_cost([], now=NOON)

    assert (1440, 0, 1440) == (
        _a_day(cost)["Firestore reads"],
        _a_day(cost)["Firestore writes"],
        _a_day(cost)["Cloud Run requests"],
    )
    assert 0 == cost.usd_per_month


def test_a_run_is_one_read_two_writes_and_its_share_of_the_ledger(make_task: MakeTask) -> None:
    cost = estimate_cost([make_task(schedule="* * * * *")], now=NOON)

    assert (1440, 1440, 3 * 1440) == (
        cost.runs_per_day,
        _a_day(cost)["Firestore reads"],
        _a_day(cost)["Firestore writes"],
    )


def test_runs_of_the_same_minute_share_a_ledger_entry(make_task: MakeTask) -> None:
    tasks = [make_task(f"t{n}", schedule="0 * * * *") for n in range(101)]

    cost = estimate_cost(tasks, now=NOON)

    assert 24 * (2 * 101 + 2) == _a_day(cost)["Firestore writes"]


@pytest.mark.slow
def test_a_run_of_a_group_is_a_read_and_two_writes_more(make_task: MakeTask) -> None:
    limited = make_task(schedule="* * * * *", group=Group(name="shop-api", max_concurrent=2))

    cost = estimate_cost([limited], now=NOON)

    assert (2 * 1440, 5 * 1440) == (_a_day(cost)["Firestore reads"], _a_day(cost)["Firestore writes"])


def test_days_without_a_run_cost_nothing(make_task: MakeTask) -> None:
    """Two tasks of one schedule, one of them from Monday to Friday."""
    tasks = [
        make_task("all", schedule="0 * * * *"),
        make_task("work", schedule="0 * * * *", excluded=("weekends",)),
    ]

    assert pytest.approx(24 + 24 * 5 / 7) == estimate_cost(tasks, now=NOON).runs_per_day


def test_a_change_is_costed_in_one_walk_and_as_if_each_were_alone(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To find the occurrences is what takes the time; most tasks are the same before and after."""
    kept = [make_task(f"t{n}", schedule="0 * * * *") for n in range(3)]
    before, after = [*kept, make_task("gone", schedule="30 6 * * *")], [*kept[:2], make_task("new")]
    alone = [estimate_cost(tasks, now=NOON, defers=True) for tasks in (before, after)]
    found: list[str] = []

    def count(task: Task, *, after: datetime) -> datetime | None:
        found.append(task.schedule)
        return next_occurrence(task, after=after)

    monkeypatch.setattr(pricing, "next_occurrence", count)
    change = estimate_change(before, after, now=NOON, defers=True)

    assert alone == list(change)
    assert 28 * 24 + 1 == found.count("0 * * * *"), "every hour of four weeks, and the one behind them"


def test_tasks_that_do_not_run_cost_nothing(make_task: MakeTask) -> None:
    assert 0 == estimate_cost([make_task(enabled=False)], now=NOON).runs_per_day


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "free"), [(6, True), (8, False)])
def test_the_free_tier_ends_with_its_writes(make_task: MakeTask, tasks: int, free: bool) -> None:
    """Seven tasks of every minute, at 2,880 writes each a day and 1,440 for the ledger, are too many."""
    cost = estimate_cost([make_task(f"t{n}", schedule="* * * * *") for n in range(tasks)], now=NOON)

    assert free is (cost.usd_per_month < 0.01)


@pytest.mark.parametrize(("tasks", "free"), [(12, True), (13, False)])
def test_with_deferred_settlements_twice_as_many_are_free(
    make_task: MakeTask, tasks: int, free: bool
) -> None:
    """A task of every minute takes 1,440 writes a day, and the ledger of all of them as many."""
    many = [make_task(f"t{n}", schedule="* * * * *") for n in range(tasks)]

    cost = estimate_cost(many, now=NOON, defers=True)

    assert (tasks + 1) * 1440 == _a_day(cost)["Firestore writes"] == _a_day(cost)["Firestore reads"]
    assert free is (_a_day(cost)["Firestore writes"] <= 20_000)


@pytest.mark.parametrize(
    ("changes", "writes"),
    [
        ({"schedule": "*/5 * * * *"}, 2 * 288),
        ({"schedule": "*/6 * * * *"}, 3 * 240),
        ({"timeout_seconds": 34}, 2 * 1440),
        ({"timeout_seconds": 35}, 3 * 1440),
        ({"delivery": "at_most_once"}, 3 * 1440),
    ],
)
def test_what_is_looked_at_too_late_is_not_deferred(
    make_task: MakeTask, changes: dict[str, Any], writes: int
) -> None:
    cost = estimate_cost([make_task(**({"schedule": "* * * * *"} | changes))], now=NOON, defers=True)

    assert writes == _a_day(cost)["Firestore writes"]


@pytest.mark.slow
def test_what_is_above_the_free_quota_has_its_price(make_task: MakeTask) -> None:
    cost = estimate_cost([make_task(f"t{n}", schedule="* * * * *") for n in range(100)], now=NOON)

    [writes] = [item for item in cost.items if item.name == "Firestore writes"]
    above = 100 * 2880 + 1440 - 20_000
    assert pytest.approx(above * 30.4 * 0.9 / 1e6) == writes.usd_per_month


@pytest.mark.slow
def test_history_that_expires_is_paid_from_the_first_delete(make_task: MakeTask) -> None:
    cost = estimate_cost([make_task(schedule="* * * * *")], now=NOON)

    [deletes] = [item for item in cost.items if item.name == "Firestore TTL deletes"]
    assert (1440, 0.0) == (deletes.per_day, deletes.fraction_of_free)
    assert pytest.approx(1440 * 30.4 * 0.1 / 1e6) == deletes.usd_per_month


def test_alert_conditions_are_paid_and_the_one_job_is_not() -> None:
    prices = {item.name: round(item.usd_per_month, 2) for item in FIXED_COSTS}

    assert 0.3 == prices["alert conditions"]
    assert 0 == prices["Cloud Scheduler jobs"] == prices["secret versions"]


def test_what_is_counted_as_fixed_is_what_terraform_makes() -> None:
    infra = Path(__file__).parents[4] / "infra"
    alarms = (infra / "alarms.tf").read_text(encoding="utf-8")
    secrets = (infra / "secrets.tf").read_text(encoding="utf-8").split("own_secrets = {")[1].split("\n  }")[0]

    amounts = {item.name: item.amount for item in FIXED_COSTS}
    assert 1 + len(["degraded", "lost"]) == amounts["alert conditions"]
    assert 1 == alarms.count("condition_absent {") == alarms.count("condition_threshold {")
    assert len(re.findall(r"^    [A-Z_]+ += ", secrets, re.M)) == amounts["secret versions"]


def test_the_guide_counts_what_is_free_and_used_as_the_estimate_does() -> None:
    guide = " ".join((Path(__file__).parents[4] / "docs/guide/deploy.md").read_text(encoding="utf-8").split())
    words: dict[float, str] = {1: "one", 3: "three", 5: "five", 6: "six"}
    costs = {item.name: item for item in FIXED_COSTS}
    jobs, versions, alerts = (
        costs[name] for name in ("Cloud Scheduler jobs", "secret versions", "alert conditions")
    )

    assert f"Cloud Scheduler has {words[jobs.free]} jobs free" in guide
    assert f"Secret Manager {words[versions.free]} versions" in guide
    assert f"; {words[jobs.amount]} and {words[versions.amount]} are used" in guide
    assert f"**Alerts**: {words[alerts.amount]} conditions, at {alerts.usd_each:.2f} USD" in guide
