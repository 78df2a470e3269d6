"""Owners on the command line: credits are given, shown, and refused when they make no sense."""

import pytest

from tests.unit.cli.conftest import Scheduler


def test_credits_are_given_and_shown(scheduler: Scheduler) -> None:
    given = scheduler("owners", "set", "ann", "--plan", "pro", "--monthly-credits", "1000")

    shown = scheduler("owners", "show", "ann", "--json")

    assert (0, "ann has 1000 credits a month (plan pro)\n") == (given.code, given.out)
    assert {"name": "ann", "plan": "pro", "monthlyCredits": 1000.0, "usedCredits": 0.0} == {
        name: shown.data[name] for name in ("name", "plan", "monthlyCredits", "usedCredits")
    }
    assert (0.0, 1000.0) == (shown.data["reservedCredits"], shown.data["remainingCredits"])


def test_what_is_not_named_stays(scheduler: Scheduler) -> None:
    scheduler("owners", "set", "ann", "--plan", "pro", "--monthly-credits", "1000")

    said = scheduler("owners", "set", "ann", "--unlimited")

    assert "ann has no limit (plan pro)\n" == said.out
    assert None is scheduler("owners", "show", "ann", "--json").data["remainingCredits"]


@pytest.mark.parametrize("words", [("owners",), ("owners", "list")])
def test_all_owners_are_listed(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    assert "No owner has an account yet" in scheduler(*words).out
    scheduler("owners", "set", "bob", "--plan", "free")
    scheduler("owners", "set", "ann", "--monthly-credits", "5.5")

    said = scheduler(*words)

    [head, ann, bob] = said.out.splitlines()
    assert ["OWNER", "PLAN", "MONTH", "USED", "RESERVED", "CREDITS"] == head.split()
    assert ("ann", "5.5") == (ann.split()[0], ann.split()[-1])
    assert ["bob", "free"] == bob.split()[:2]
    assert ["ann", "bob"] == [one["name"] for one in scheduler(*words, "--json").data]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nobody"), "nobody has no account: scheduler owners set nobody makes one"),
        (("set", "ann"), "nothing to change"),
        (("set", "ann", "--monthly-credits=-1"), "monthlyCredits: must be at least 0"),
        (("set", "ann", "--monthly-credits", "nan"), "monthlyCredits: must be at most 1000000000"),
        (("set", " ", "--plan", "x"), "owner: must not be empty"),
    ],
)
def test_what_makes_no_sense_is_refused(scheduler: Scheduler, words: tuple[str, ...], said: str) -> None:
    answer = scheduler("owners", *words)

    assert 1 == answer.code
    assert said in answer.err


def test_prices_of_no_kind_are_refused(scheduler: Scheduler) -> None:
    answer = scheduler("owners", CREDITS_PER_RUN="agent:5")

    assert 2 == answer.code
    assert "CREDITS_PER_RUN must be task types with credits, such as agent=5,http=0" in answer.err
