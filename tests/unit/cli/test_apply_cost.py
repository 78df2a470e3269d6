"""`cost` says what tasks come to on Google's bill; `plan` says in one line what a change does to it."""

import json
from pathlib import Path

import pytest

from functions.domain.costs.pricing import ASSUMPTIONS
from tests.unit.cli.conftest import Said, Scheduler, WriteTasks

EVERY_MINUTE = {"schedule": "* * * * *"}


def a_day(said: Said) -> dict[str, float]:
    return {item["name"]: item["aDay"] for item in said.data["items"]}


@pytest.mark.slow
def test_files_are_costed_without_being_applied(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("cost", write_tasks({"id": "a", **EVERY_MINUTE}), "--json")

    assert (0, 1, 1440.0) == (said.code, said.data["tasks"], said.data["runsADay"])
    assert (1440, 3 * 1440) == (a_day(said)["Firestore reads"], a_day(said)["Firestore writes"])
    assert [] == scheduler("list", "--json").data


@pytest.mark.slow
def test_without_files_the_stored_tasks_are_costed(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a", **EVERY_MINUTE}, {"id": "b", **EVERY_MINUTE}))

    said = scheduler("cost", "--json")

    assert (2, 2880.0) == (said.data["tasks"], said.data["runsADay"])


def test_an_empty_store_costs_its_idle_ticks_and_no_money(scheduler: Scheduler) -> None:
    said = scheduler("cost", "--json")

    assert (0, 1440, 0) == (
        said.data["usdAMonth"],
        a_day(said)["Firestore reads"],
        a_day(said)["Firestore writes"],
    )


@pytest.mark.slow
def test_shares_of_the_free_tier_and_the_price_above_it(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    """100 tasks of every minute: 2 x 144,000 settlements and claims, and 1,440 entries of the ledger."""
    said = scheduler("cost", write_tasks(*({"id": f"t{n}", **EVERY_MINUTE} for n in range(100))), "--json")

    [writes] = [item for item in said.data["items"] if item["name"] == "Firestore writes"]
    assert pytest.approx(289_440 / 20_000, abs=1e-4) == writes["shareOfFree"]
    assert pytest.approx((289_440 - 20_000) * 30.4 * 0.9 / 1e6, abs=0.01) == writes["usdAMonth"]
    assert writes["usdAMonth"] <= said.data["usdAMonth"]


@pytest.mark.slow
def test_people_see_every_item_and_every_assumption(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("cost", write_tasks({"id": "a", **EVERY_MINUTE}))

    first, _, *rows = said.out.splitlines()
    assert "1 task, 1,440 runs a day: 0.00 USD a month" == first
    assert ["Firestore", "writes", "4,320", "131,328", "21.6%", "0.90", "0.00"] == rows[1].split()
    assert [f"  {assumption}" for assumption in ASSUMPTIONS] == rows[-len(ASSUMPTIONS) :]


@pytest.mark.slow
def test_what_deferred_settlements_save_is_said(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    often = scheduler("cost", write_tasks({"id": "a", **EVERY_MINUTE}))
    seldom = scheduler("cost", write_tasks({"id": "a", **EVERY_MINUTE, "schedule": "@hourly"}))

    line = "with SETTLEMENTS=deferred: 2,880 writes a day, 14.4% of the free tier, 0.00 USD a month"
    assert line in often.out.splitlines()
    assert "SETTLEMENTS" not in seldom.out


def test_json_has_the_assumptions_too(scheduler: Scheduler) -> None:
    assert list(ASSUMPTIONS) == scheduler("cost", "--json").data["assumptions"]


def test_files_with_faults_are_not_costed(scheduler: Scheduler, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"tasks": [{"id": "a", "title": "a", "type": "no"}]}))

    said = scheduler("cost", str(tmp_path / "bad.json"), "--json")

    assert 2 == said.code
    assert said.data["problems"]
    assert "bad.json" in said.err


def test_a_schedule_that_is_over_costs_nothing(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("cost", write_tasks({"id": "past", "schedule": "at 2020-01-01T09:00"}), "--json")

    assert (0, 0.0) == (said.code, said.data["runsADay"])


@pytest.mark.slow
def test_plan_says_in_one_line_what_the_change_does_to_the_cost(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "kept", **EVERY_MINUTE}, {"id": "gone", **EVERY_MINUTE}))
    file = write_tasks({"id": "kept", **EVERY_MINUTE}, *({"id": f"n{n}", **EVERY_MINUTE} for n in range(9)))

    said, planned = scheduler("plan", file), scheduler("plan", file, "--json").data["cost"]

    writes = "36.0% → 151.2% of the free Firestore writes"
    expected = f"cost: 2,880 → 14,400 runs a day, {writes}, 0.00 → 0.28 USD a month"
    assert expected == said.out.splitlines()[-1]
    assert (2880.0, 14400.0) == (planned["before"]["runsADay"], planned["after"]["runsADay"])


def test_apply_does_not_count_the_cost(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    """It would read every task a second time."""
    file = write_tasks({"id": "a"})

    assert "cost" not in scheduler("apply", file, "--json").data
    assert "cost:" not in scheduler("apply", file).out
