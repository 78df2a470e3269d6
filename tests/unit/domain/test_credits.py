"""What attempts cost, what owners and tasks may spend, and what is said when it is spent."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from functions.domain.credits import (
    KEPT_AFTER_CLAIM,
    MOST_HELD,
    Account,
    Grant,
    Later,
    Rates,
    Refusal,
    decide,
    level_notice,
)
from functions.domain.lifecycle.complete import settle
from functions.domain.lifecycle.recover import over_budget, recover
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Claim, Task
from functions.domain.task_budget import Spent, TaskBudget, month_text
from functions.domain.types import OutcomeKind, SkipReason, Status
from tests.conftest import NOON

MakeTask = Callable[..., Task]
RATES = Rates({"agent": 5, "http": 1}, per_1k_tokens=2)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def agent(make_task: MakeTask, **changes: Any) -> Task:
    """An agent's task, claimed for an attempt."""
    state: dict[str, Any]
    claim = Claim(token="tick.1", until=NOON + timedelta(minutes=1), started_at=NOON)
    defaults: dict[str, Any] = {"type": "agent", "params": {"goal": "x", "maxTokens": 10_000}, "owner": "ann"}
    state = {"status": Status.RUNNING, "claim": claim, "occurrence": NOON, "attempt": 1}
    state |= {"upcoming": NOON + timedelta(minutes=5)}
    return make_task(**defaults | state | changes)


def account(**changes: Any) -> Account:
    return Account.model_validate({"name": "ann", "period": "2026-11", "monthly_credits": 100} | changes)


def used(prompt: Any, completion: Any) -> dict[str, Any]:
    return {"promptTokens": prompt, "completionTokens": completion}


# -- what attempts cost -----------------------------------------------------------------------------------


def test_only_types_with_a_price_cost_anything() -> None:
    assert [True, True, False] == [RATES.priced(name) for name in ("agent", "http", "rss_watch")]
    assert [False, True] == [Rates({}, 0).priced("agent"), Rates({}, 0.001).priced("agent")]
    assert False is Rates({"http": 0}).priced("http")


@pytest.mark.parametrize(
    ("task_type", "outcome", "cost"),
    [
        ("agent", succeeded("", metrics=used(1000, 500)), 8.0),
        ("agent", succeeded(""), 5.0),
        ("agent", failed("", metrics=used(1000, 0)), 7.0),
        ("agent", failed("", metrics=used(0, 0)), 0.0),
        ("agent", failed("set LLM_BASE_URL"), 0.0),
        ("agent", Outcome(OutcomeKind.TIMED_OUT, ""), 25.0),
        ("agent", Outcome(OutcomeKind.CANCELLED, ""), 25.0),
        ("agent", Outcome(OutcomeKind.ABANDONED, ""), 0.0),
        ("agent", succeeded("", metrics=used("many", -5)), 5.0),
        ("http", succeeded(""), 1.0),
        ("http", failed(""), 1.0),
        ("http", Outcome(OutcomeKind.TIMED_OUT, ""), 1.0),
        ("http", Outcome(OutcomeKind.ABANDONED, ""), 0.0),
        ("http", succeeded("", metrics=used(10**9, 10**9)), 1.0),
    ],
)
def test_an_attempt_costs_what_it_used(task_type: str, outcome: Outcome, cost: float) -> None:
    assert cost == RATES.cost(task_type, outcome, reserved=25.0)


# -- whether one may be made ------------------------------------------------------------------------------


def test_all_that_a_run_may_use_is_set_aside(make_task: MakeTask) -> None:
    assert Grant(25.0, None) == decide(agent(make_task), account(), RATES, now=NOON)
    assert Grant(65.0, None) == decide(agent(make_task, params={"goal": "x"}), account(), RATES, now=NOON)


def test_what_is_left_is_granted_in_tokens_when_it_is_less(make_task: MakeTask) -> None:
    assert Grant(15.0, 5000) == decide(agent(make_task), account(used_credits=85), RATES, now=NOON)


def test_the_last_credits_are_no_use_when_they_are_too_few(make_task: MakeTask) -> None:
    answer = decide(agent(make_task), account(used_credits=95), RATES, now=NOON)

    assert answer == Refusal(
        "ann has used 95 of 100 credits of November 2026 (the plan); a run takes 6 or more. "
        "There are new ones on 1 December 2026 (UTC)",
        owner_spent=True,
    )


def test_credits_set_aside_for_others_are_waited_for(make_task: MakeTask) -> None:
    busy = account(used_credits=50).reserved("other.1", 48, until=NOON)

    assert Later() == decide(agent(make_task), busy, RATES, now=NOON)


def test_no_limit_is_no_limit(make_task: MakeTask) -> None:
    unlimited = account(monthly_credits=None, used_credits=1e6)

    assert Grant(25.0, None) == decide(agent(make_task), unlimited, RATES, now=NOON)
    assert Grant(25.0, None) == decide(agent(make_task, owner=""), None, RATES, now=NOON)


def test_no_credits_at_all_stop_everything(make_task: MakeTask) -> None:
    assert isinstance(decide(agent(make_task), account(monthly_credits=0), RATES, now=NOON), Refusal)


@pytest.mark.parametrize(
    ("budget", "spent", "answer"),
    [
        ({"credits_per_run": 10}, Spent(), Grant(10.0, 2500)),
        ({"credits_per_month": 30}, Spent(period="2026-11", credits=22), Grant(8.0, 1500)),
        ({"credits_per_month": 30}, Spent(period="2026-10", credits=30), Grant(25.0, None)),
        ({"credits_per_month": 90, "credits_per_run": 90}, Spent(), Grant(25.0, None)),
        (
            {"credits_per_run": 5},
            Spent(),
            Refusal("A run takes 6 credits or more, but budget.creditsPerRun is 5; raise it"),
        ),
        (
            {"credits_per_month": 30},
            Spent(period="2026-11", credits=25),
            Refusal(
                "This task has used 25 of 30 credits of November 2026 (budget.creditsPerMonth); "
                "a run takes 6 or more. There are new ones on 1 December 2026 (UTC)"
            ),
        ),
    ],
)
def test_a_budget_limits_the_task_beside_its_owner(
    make_task: MakeTask, budget: dict[str, float], spent: Spent, answer: Any
) -> None:
    task = agent(make_task, budget=TaskBudget(**budget), spent=spent)

    assert answer == decide(task, account(), RATES, now=NOON) == decide(task, None, RATES, now=NOON)


def test_a_flat_price_needs_no_tokens(make_task: MakeTask) -> None:
    assert Grant(1.0, None) == decide(agent(make_task, type="http"), account(), RATES, now=NOON)


def test_december_is_followed_by_january(make_task: MakeTask) -> None:
    answer = decide(agent(make_task), account(period="2026-12", used_credits=100), RATES, now=DECEMBER)

    assert isinstance(answer, Refusal)
    assert "1 January 2027" in answer.reason
    assert "February 2027" == month_text("2027-02")


@pytest.mark.parametrize("budget", [{}, {"creditsPerRun": -1}, {"creditsPerDay": 3}])
def test_a_budget_that_limits_nothing_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TaskBudget.model_validate(budget)


# -- accounts ---------------------------------------------------------------------------------------------


def test_a_reservation_is_settled_once() -> None:
    before = account().reserved("tick.1", 25, until=NOON).reserved("tick.2", 10, until=NOON)

    after = before.settled("tick.1", 8.5).settled("tick.1", 8.5)

    assert (35.0, 0.0) == (before.reserved_credits, before.used_credits)
    assert (10.0, 8.5, 91.5) == (after.reserved_credits, after.used_credits, after.left)
    assert {} == after.settled("tick.2", 0).held


def test_a_reservation_made_twice_is_made_once() -> None:
    """After a write that was not answered it may be."""
    twice = account().reserved("tick.1", 25, until=NOON).reserved("tick.1", 25, until=NOON)

    assert 25.0 == twice.reserved_credits


def test_a_reservation_whose_tick_died_is_free_again() -> None:
    held = account().reserved("tick.1", 25, until=NOON)

    assert 25.0 == held.at(NOON + KEPT_AFTER_CLAIM - SECOND).reserved_credits
    assert 0.0 == held.at(NOON + KEPT_AFTER_CLAIM).reserved_credits


def test_a_new_month_brings_new_credits_at_midnight_utc() -> None:
    spent = account(used_credits=100, told=100).reserved("tick.1", 5, until=DECEMBER)

    before, after = spent.at(DECEMBER - SECOND), spent.at(DECEMBER)

    assert ("2026-11", 100.0, 100) == (before.period, before.used_credits, before.told)
    assert ("2026-12", 0.0, 0, 5.0) == (after.period, after.used_credits, after.told, after.reserved_credits)
    assert after == after.at(DECEMBER - SECOND)


@pytest.mark.parametrize(
    ("used_credits", "level"), [(0, 0), (79.99, 0), (80, 80), (99.9, 80), (100, 100), (130, 100)]
)
def test_levels_are_reached_exactly(used_credits: float, level: int) -> None:
    assert level == account(used_credits=used_credits).level


def test_raised_credits_may_be_told_of_again() -> None:
    spent = account(used_credits=100, told=100)

    raised = spent.with_plan(plan="pro", monthly_credits=1000, unlimited=False)

    assert ("pro", 1000.0, 0) == (raised.plan, raised.monthly_credits, raised.told)
    assert None is raised.with_plan(plan=None, monthly_credits=None, unlimited=True).monthly_credits
    assert raised == raised.with_plan(plan=None, monthly_credits=None, unlimited=False)


def test_a_full_account_still_fits_its_document() -> None:
    full = account()
    for number in range(MOST_HELD):
        full = full.reserved(f"0123456789abcdef.{number}", 123.456, until=NOON)

    assert True is full.is_full
    assert len(json.dumps(full.model_dump(mode="json", by_alias=True))) < 64_000


def test_sums_of_many_small_costs_are_exact() -> None:
    one = account()
    for number in range(1000):
        one = one.reserved(f"tick.{number}", 0.1, until=NOON).settled(f"tick.{number}", 0.1)

    assert 100.0 == one.used_credits


# -- what is written with a task ---------------------------------------------------------------------------


def test_a_task_with_a_budget_counts_what_it_spent(make_task: MakeTask) -> None:
    task = agent(make_task, budget=TaskBudget(credits_per_month=50), spent=Spent(period="2026-11", credits=2))
    outcome = succeeded("", metrics={"credits": 8.5})

    changes = settle(task, outcome, started_at=NOON, now=NOON + SECOND, dice=0.5).changes

    assert Spent(period="2026-11", credits=10.5) == changes["spent"]


def test_an_attempt_that_will_be_made_again_has_spent_too(make_task: MakeTask) -> None:
    task = agent(make_task, budget=TaskBudget(credits_per_month=50))

    settlement = settle(
        task, failed("", metrics={"credits": 3}), started_at=NOON, now=NOON + SECOND, dice=0.5
    )

    assert Status.RETRYING is settlement.changes["status"]
    assert Spent(period="2026-11", credits=3) == settlement.changes["spent"]


@pytest.mark.parametrize(
    "outcome", [succeeded("", metrics={"credits": 3}), failed("", metrics={"credits": 3})]
)
def test_what_was_recorded_before_a_crash_was_spent(make_task: MakeTask, outcome: Outcome) -> None:
    task = agent(make_task, budget=TaskBudget(credits_per_month=50))
    [run, *_] = settle(task, outcome, started_at=NOON, now=NOON + SECOND, dice=0.5).runs

    settlement = recover(task, run, now=NOON + timedelta(minutes=2))

    assert Spent(period="2026-11", credits=3) == settlement.changes["spent"]


def test_a_task_without_a_budget_keeps_no_account(make_task: MakeTask) -> None:
    outcome = succeeded("", metrics={"credits": 8.5})

    changes = settle(agent(make_task), outcome, started_at=NOON, now=NOON, dice=0.5).changes

    assert "spent" not in changes


def test_a_skip_for_want_of_credits_says_so_and_moves_on(make_task: MakeTask) -> None:
    task = agent(make_task)

    settlement = over_budget(task, "No credits", now=NOON)

    [run] = settlement.runs
    assert (OutcomeKind.SKIPPED, SkipReason.BUDGET, "No credits") == (
        run.outcome,
        run.skip_reason,
        run.summary,
    )
    assert Status.SCHEDULED is settlement.changes["status"]
    assert (None, 0) == (settlement.changes["claim"], settlement.changes["consecutive_failures"])
    assert ["failure"] == [notice.kind for notice in settlement.changes["alert"].pending]


@pytest.mark.parametrize("outcome", [succeeded(""), failed(""), failed("", permanent=True)])
def test_a_notice_of_credits_travels_with_the_task(make_task: MakeTask, outcome: Outcome) -> None:
    task = agent(make_task)
    notice = level_notice(account(used_credits=80), 80, task, now=NOON)

    changes = settle(task, outcome, started_at=NOON, now=NOON, dice=0.5, notices=[notice]).changes

    assert notice in changes["alert"].pending
    assert changes["alert"].retry_at is not None
    assert changes["next_run_at"] <= changes["alert"].retry_at


@pytest.mark.parametrize(
    ("given", "limit"), [({}, 5), ({"pause_after_failures": 2}, 2), ({"pause_after_failures": 9}, 9)]
)
def test_an_agent_that_keeps_failing_stops_itself(
    make_task: MakeTask, given: dict[str, int], limit: int
) -> None:
    def after(failures: int) -> object:
        task = agent(make_task, consecutive_failures=failures - 1, **given)
        outcome = failed("no", permanent=True)
        return settle(task, outcome, started_at=NOON, now=NOON, dice=0.5).changes["status"]

    assert [Status.SCHEDULED, Status.PAUSED] == [after(limit - 1), after(limit)]
