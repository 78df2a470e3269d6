"""What attempts cost, what owners and tasks may spend, and what is said when it is spent."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from functions.domain.costs.credits import (
    MAX_RESERVATIONS,
    RESERVATION_GRACE,
    Account,
    Denied,
    Granted,
    PlanChange,
    Postponed,
    PriceList,
    decide_admission,
    level_notification,
)
from functions.domain.costs.task_budget import CreditLimit, Spending, format_month
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.recover import recover, skip_without_credits
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Claim, Task
from functions.domain.types import OutcomeKind, SkipReason, Status
from functions.task_types.agent import Params as AgentParams
from tests.conftest import NOON

MakeTask = Callable[..., Task]
RATES = PriceList({"agent": 5, "http": 1}, per_1k_tokens=2)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def agent(make_task: MakeTask, **changes: Any) -> Task:
    """An agent's task, claimed for an attempt."""
    state: dict[str, Any]
    claim = Claim(token="tick.1", until=NOON + timedelta(minutes=1), started_at=NOON)
    defaults: dict[str, Any] = {"type": "agent", "params": {"goal": "x", "maxTokens": 10_000}, "owner": "ann"}
    state = {"status": Status.RUNNING, "claim": claim, "occurrence": NOON, "attempt": 1}
    state |= {"next_occurrence": NOON + timedelta(minutes=5)}
    return make_task(**defaults | state | changes)


def account(**changes: Any) -> Account:
    return Account.model_validate({"name": "ann", "month": "2026-11", "monthly_credits": 100} | changes)


def used(prompt: Any, completion: Any) -> dict[str, Any]:
    return {"promptTokens": prompt, "completionTokens": completion}


# -- what attempts cost -----------------------------------------------------------------------------------


def test_only_types_with_a_price_cost_anything() -> None:
    assert [True, True, False] == [RATES.has_price(name) for name in ("agent", "http", "rss_watch")]
    assert [False, True] == [PriceList({}, 0).has_price("agent"), PriceList({}, 0.001).has_price("agent")]
    assert False is PriceList({"http": 0}).has_price("http")


def test_a_list_of_zeros_has_no_prices() -> None:
    given = [PriceList({}, 0), PriceList({"http": 0}), PriceList({"http": 0.5}), PriceList({}, 0.001)]

    assert [False, False, True, True] == [one.has_prices for one in given]


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
    assert cost == RATES.charge(task_type, outcome, reserved=25.0)


# -- whether one may be made ------------------------------------------------------------------------------


def test_all_that_a_run_may_use_is_set_aside(make_task: MakeTask) -> None:
    assert Granted(25.0, 10_000) == decide_admission(agent(make_task), account(), RATES, now=NOON)
    assert Granted(65.0, 30_000) == decide_admission(
        agent(make_task, params={"goal": "x"}), account(), RATES, now=NOON
    )


@pytest.mark.parametrize(
    "params",
    [
        {"maxTokens": "1000000"},
        {"maxTokens": 1_000_000.0},
        {"max_tokens": 1_000_000},
        {"maxTokens": " 1000000 "},
    ],
)
def test_tokens_are_counted_as_the_attempt_reads_them(make_task: MakeTask, params: dict[str, Any]) -> None:
    task = agent(make_task, params={"goal": "x"} | params)

    assert 1_000_000 == AgentParams.model_validate(task.params).max_tokens
    assert 2005.0 == RATES.max_cost(task)
    assert Granted(100.0, 47_500) == decide_admission(task, account(), RATES, now=NOON)


@pytest.mark.parametrize("tokens", ["{{secret:TOKENS}}", "many", -1, 10**9, None, [], math.nan])
def test_an_attempt_is_granted_no_more_than_what_is_set_aside(make_task: MakeTask, tokens: Any) -> None:
    """Whatever the param turns out to be, such as a secret: the allowance is said, never left open."""
    task = agent(make_task, params={"goal": "x", "maxTokens": tokens})

    assert Granted(65.0, 30_000) == decide_admission(task, account(), RATES, now=NOON)


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, -math.inf, 1e300, "x"])
@pytest.mark.parametrize(
    ("model", "field"),
    [
        (Account, "monthlyCredits"),
        (Account, "usedCredits"),
        (PlanChange, "monthlyCredits"),
        (CreditLimit, "creditsPerRun"),
        (CreditLimit, "creditsPerMonth"),
        (Spending, "credits"),
    ],
)
def test_amounts_are_finite_not_negative_and_within_bounds(model: Any, field: str, amount: Any) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({field: amount})


def test_a_sum_that_cannot_be_stored_stays_at_the_most() -> None:
    """Beyond it the account would be unreadable, and free."""
    full = account(used_credits=1e12).reserve("t.1", 5, until=NOON)

    charged = full.charge("t.1", 1e9)

    assert 1e12 == charged.used_credits == Spending(month="2026-11", credits=1e12).add(5, now=NOON).credits
    assert charged == Account.model_validate(charged.model_dump(mode="json"))


def test_what_is_left_is_granted_in_tokens_when_it_is_less(make_task: MakeTask) -> None:
    assert Granted(15.0, 5000) == decide_admission(
        agent(make_task), account(used_credits=85), RATES, now=NOON
    )


def test_the_last_credits_are_no_use_when_they_are_too_few(make_task: MakeTask) -> None:
    answer = decide_admission(agent(make_task), account(used_credits=95), RATES, now=NOON)

    assert answer == Denied(
        "ann has used 95 of 100 credits of November 2026 (the plan); a run takes 6 or more. "
        "There are new ones on 1 December 2026 (UTC)",
        is_owner_exhausted=True,
    )


def test_credits_set_aside_for_others_are_waited_for(make_task: MakeTask) -> None:
    busy = account(used_credits=50).reserve("other.1", 48, until=NOON)

    assert Postponed() == decide_admission(agent(make_task), busy, RATES, now=NOON)


def test_no_limit_is_no_limit(make_task: MakeTask) -> None:
    unlimited = account(monthly_credits=None, used_credits=1e6)

    assert Granted(25.0, 10_000) == decide_admission(agent(make_task), unlimited, RATES, now=NOON)
    assert Granted(25.0, 10_000) == decide_admission(agent(make_task, owner=""), None, RATES, now=NOON)


def test_no_credits_at_all_stop_everything(make_task: MakeTask) -> None:
    assert isinstance(decide_admission(agent(make_task), account(monthly_credits=0), RATES, now=NOON), Denied)


@pytest.mark.parametrize(
    ("budget", "spent", "answer"),
    [
        ({"credits_per_run": 10}, Spending(), Granted(10.0, 2500)),
        ({"credits_per_month": 30}, Spending(month="2026-11", credits=22), Granted(8.0, 1500)),
        ({"credits_per_month": 30}, Spending(month="2026-10", credits=30), Granted(25.0, 10_000)),
        ({"credits_per_month": 90, "credits_per_run": 90}, Spending(), Granted(25.0, 10_000)),
        (
            {"credits_per_run": 5},
            Spending(),
            Denied("A run takes 6 credits or more, but budget.creditsPerRun is 5; raise it"),
        ),
        (
            {"credits_per_month": 30},
            Spending(month="2026-11", credits=25),
            Denied(
                "This task has used 25 of 30 credits of November 2026 (budget.creditsPerMonth); "
                "a run takes 6 or more. There are new ones on 1 December 2026 (UTC)"
            ),
        ),
    ],
)
def test_a_budget_limits_the_task_beside_its_owner(
    make_task: MakeTask, budget: dict[str, float], spent: Spending, answer: Any
) -> None:
    task = agent(make_task, budget=CreditLimit(**budget), credits_spent=spent)

    assert (
        answer
        == decide_admission(task, account(), RATES, now=NOON)
        == decide_admission(task, None, RATES, now=NOON)
    )


def test_a_flat_price_needs_no_tokens(make_task: MakeTask) -> None:
    assert Granted(1.0, None) == decide_admission(agent(make_task, type="http"), account(), RATES, now=NOON)


def test_december_is_followed_by_january(make_task: MakeTask) -> None:
    answer = decide_admission(
        agent(make_task), account(month="2026-12", used_credits=100), RATES, now=DECEMBER
    )

    assert isinstance(answer, Denied)
    assert "1 January 2027" in answer.reason
    assert "February 2027" == format_month("2027-02")


@pytest.mark.parametrize("budget", [{}, {"creditsPerRun": -1}, {"creditsPerDay": 3}])
def test_a_budget_that_limits_nothing_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CreditLimit.model_validate(budget)


# -- accounts ---------------------------------------------------------------------------------------------


def test_a_reservation_is_settled_once() -> None:
    before = account().reserve("tick.1", 25, until=NOON).reserve("tick.2", 10, until=NOON)

    after = before.charge("tick.1", 8.5).charge("tick.1", 8.5)

    assert (35.0, 0.0) == (before.reserved_credits, before.used_credits)
    assert (10.0, 8.5, 91.5) == (after.reserved_credits, after.used_credits, after.remaining)
    assert {} == after.charge("tick.2", 0).reservations


def test_a_reservation_made_twice_is_made_once() -> None:
    """After a write that was not answered it may be."""
    twice = account().reserve("tick.1", 25, until=NOON).reserve("tick.1", 25, until=NOON)

    assert 25.0 == twice.reserved_credits


def test_a_reservation_whose_tick_died_is_free_again() -> None:
    held = account().reserve("tick.1", 25, until=NOON)

    assert 25.0 == held.as_of(NOON + RESERVATION_GRACE - SECOND).reserved_credits
    assert 0.0 == held.as_of(NOON + RESERVATION_GRACE).reserved_credits


def test_a_new_month_brings_new_credits_at_midnight_utc() -> None:
    spent = account(used_credits=100, notified_level=100).reserve("tick.1", 5, until=DECEMBER)

    before, after = spent.as_of(DECEMBER - SECOND), spent.as_of(DECEMBER)

    assert ("2026-11", 100.0, 100) == (before.month, before.used_credits, before.notified_level)
    assert ("2026-12", 0.0, 0, 5.0) == (
        after.month,
        after.used_credits,
        after.notified_level,
        after.reserved_credits,
    )
    assert after == after.as_of(DECEMBER - SECOND)


@pytest.mark.parametrize(
    ("used_credits", "level"), [(0, 0), (79.99, 0), (80, 80), (99.9, 80), (100, 100), (130, 100)]
)
def test_levels_are_reached_exactly(used_credits: float, level: int) -> None:
    assert level == account(used_credits=used_credits).level


def test_raised_credits_may_be_told_of_again() -> None:
    spent = account(used_credits=100, notified_level=100)

    raised = spent.with_plan(PlanChange(plan="pro", monthly_credits=1000, unlimited=False))

    assert ("pro", 1000.0, 0) == (raised.plan, raised.monthly_credits, raised.notified_level)
    assert (
        None is raised.with_plan(PlanChange(plan=None, monthly_credits=None, unlimited=True)).monthly_credits
    )
    assert raised == raised.with_plan(PlanChange(plan=None, monthly_credits=None, unlimited=False))


@pytest.mark.slow
def test_a_full_account_still_fits_its_document() -> None:
    full = account()
    for number in range(MAX_RESERVATIONS):
        full = full.reserve(f"0123456789abcdef.{number}", 123.456, until=NOON)

    assert True is full.has_too_many_reservations
    assert len(json.dumps(full.model_dump(mode="json", by_alias=True))) < 64_000


def test_sums_of_many_small_costs_are_exact() -> None:
    one = account()
    for number in range(1000):
        one = one.reserve(f"tick.{number}", 0.1, until=NOON).charge(f"tick.{number}", 0.1)

    assert 100.0 == one.used_credits


# -- what is written with a task ---------------------------------------------------------------------------


def test_a_task_with_a_budget_counts_what_it_spent(make_task: MakeTask) -> None:
    task = agent(
        make_task,
        budget=CreditLimit(credits_per_month=50),
        credits_spent=Spending(month="2026-11", credits=2),
    )
    outcome = succeeded("", metrics={"credits": 8.5})

    changes = complete_attempt(task, outcome, started_at=NOON, now=NOON + SECOND, random_fraction=0.5).changes

    assert Spending(month="2026-11", credits=10.5) == changes["credits_spent"]


def test_an_attempt_that_will_be_made_again_has_spent_too(make_task: MakeTask) -> None:
    task = agent(make_task, budget=CreditLimit(credits_per_month=50))

    settlement = complete_attempt(
        task, failed("", metrics={"credits": 3}), started_at=NOON, now=NOON + SECOND, random_fraction=0.5
    )

    assert Status.RETRYING is settlement.changes["status"]
    assert Spending(month="2026-11", credits=3) == settlement.changes["credits_spent"]


@pytest.mark.parametrize(
    "outcome", [succeeded("", metrics={"credits": 3}), failed("", metrics={"credits": 3})]
)
def test_what_was_recorded_before_a_crash_was_spent(make_task: MakeTask, outcome: Outcome) -> None:
    task = agent(make_task, budget=CreditLimit(credits_per_month=50))
    [run, *_] = complete_attempt(task, outcome, started_at=NOON, now=NOON + SECOND, random_fraction=0.5).runs

    settlement = recover(task, run, now=NOON + timedelta(minutes=2))

    assert Spending(month="2026-11", credits=3) == settlement.changes["credits_spent"]


def test_a_task_without_a_budget_keeps_no_account(make_task: MakeTask) -> None:
    outcome = succeeded("", metrics={"credits": 8.5})

    changes = complete_attempt(
        agent(make_task), outcome, started_at=NOON, now=NOON, random_fraction=0.5
    ).changes

    assert "credits_spent" not in changes


def test_a_skip_for_want_of_credits_says_so_and_moves_on(make_task: MakeTask) -> None:
    task = agent(make_task)

    settlement = skip_without_credits(task, "No credits", now=NOON)

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
    notice = level_notification(account(used_credits=80), 80, task, now=NOON)

    changes = complete_attempt(
        task, outcome, started_at=NOON, now=NOON, random_fraction=0.5, notifications=[notice]
    ).changes

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
        return complete_attempt(task, outcome, started_at=NOON, now=NOON, random_fraction=0.5).changes[
            "status"
        ]

    assert [Status.SCHEDULED, Status.PAUSED] == [after(limit - 1), after(limit)]
