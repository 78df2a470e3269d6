"""Owners on the command line: credits are given, shown, and refused when they make no sense."""

import json
from pathlib import Path

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

    assert "ann has unlimited credits (plan pro)\n" == said.out
    assert None is scheduler("owners", "show", "ann", "--json").data["remainingCredits"]


def test_the_count_of_a_month_begins_anew(scheduler: Scheduler) -> None:
    scheduler("owners", "set", "ann", "--monthly-credits", "100")

    said = scheduler("owners", "set", "ann", "--reset-used")

    assert (0, "ann has 100 credits a month\n") == (said.code, said.out)


@pytest.mark.parametrize("words", [("owners",), ("owners", "list")])
def test_all_owners_are_listed(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    assert "No owner has an account yet" in scheduler(*words).out
    scheduler("owners", "set", "bob", "--plan", "free")
    scheduler("owners", "set", "ann", "--monthly-credits", "5.5")

    said = scheduler(*words)

    [head, ann, bob] = said.out.splitlines()
    assert ["OWNER", "PLAN", "MONTH", "USED", "RESERVED", "CREDITS"] == head.split()[:6]
    assert ("ann", "5.5") == (ann.split()[0], ann.split()[5])
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

    assert answer.code == (1 if "has no account" in said else 2)
    assert said in answer.err


def test_prices_of_no_kind_are_refused(scheduler: Scheduler) -> None:
    answer = scheduler("owners", CREDITS_PER_RUN="agent:5")

    assert 2 == answer.code
    assert "CREDITS_PER_RUN must be task types with credits, such as agent=5,http=0" in answer.err


def test_what_tasks_may_use_is_set_and_taken_back(scheduler: Scheduler) -> None:
    given = scheduler("owners", "set", "ann", "--allow-secret", "SHOP", "--max-tasks", "5")
    more = scheduler("owners", "set", "ann", "--allow-channel", "slack")
    kept = scheduler("owners", "show", "ann", "--json").data
    closed = scheduler("owners", "set", "ann", "--close")

    assert "Its tasks may use: types but command, python; secrets SHOP\nIt may have 5 tasks" in given.out
    assert "secrets SHOP; channels slack" in more.out
    assert (["SHOP"], ["slack"], 5) == (
        kept["capabilities"]["secrets"],
        kept["capabilities"]["channels"],
        kept["maxTasks"],
    )
    assert "Its tasks may use: types but command, python\n" in closed.out
    assert 5 == scheduler("owners", "show", "ann", "--json").data["maxTasks"]


FILE = """
tasks:
  - {id: hers, title: Hers, owner: ann, type: http, schedule: "@daily", params: {url: "https://e.example/{{secret:SHOP}}"}}
  - {id: second, title: Second, owner: ann, type: http, schedule: "@daily", params: {url: "https://e.example/"}}
"""


def test_files_give_an_owner_no_more_than_is_allowed(scheduler: Scheduler, tmp_path: Path) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE, encoding="utf-8")
    scheduler("owners", "set", "ann", "--max-tasks", "1")

    refused = scheduler("apply", str(file))
    left = scheduler("list", "--json").data
    scheduler("owners", "set", "ann", "--max-tasks", "2", "--allow-secret", "SHOP")
    done = scheduler("apply", str(file))

    assert 2 == refused.code
    assert "hers: params: the secret SHOP is not allowed to tasks of ann" in refused.err
    assert "ann may have 1 tasks" in refused.err
    assert [] == left
    assert 0 == done.code


def test_an_import_gives_an_owner_no_more_than_is_allowed(scheduler: Scheduler, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    row = {"id": "a", "type": "http", "url": "https://example.com/", "frequency": "daily", "userId": "ann"}
    file.write_text(json.dumps([row]), encoding="utf-8")
    scheduler("owners", "set", "ann", "--max-tasks", "0")

    refused = scheduler("import", str(file))

    assert "ann may have 0 tasks" in refused.err
    assert [] == scheduler("list", "--json").data
