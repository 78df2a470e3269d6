"""The checker objects to every kind of wrong history, each by its own code, and to no right one."""

from datetime import timedelta

import pytest

from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.checker.history import Op
from tests.harness.chaos.checker.verdict import CODES
from tests.harness.chaos.histories.catalogue import EDIT, RIGHT, WRONG
from tests.harness.chaos.histories.hand_made import (
    MINUTES,
    at,
    call,
    history,
    plus,
    run,
    stamp,
    text,
    without,
)


@pytest.mark.parametrize("name", WRONG)
def test_it_objects_to(name: str) -> None:
    codes, changes = WRONG[name]

    assert codes == judge(history(**changes)).codes


@pytest.mark.parametrize("name", RIGHT)
def test_it_accepts(name: str) -> None:
    assert [] == judge(history(**RIGHT[name])).violations


def test_every_code_has_its_wrong_history() -> None:
    assert set(CODES) == {code for codes, _ in WRONG.values() for code in codes}


def test_it_counts_what_became_of_everything() -> None:
    verdict = judge(history(**RIGHT["skipped by misfire"]))

    counts = verdict.counts
    assert (5, 2, 3) == (
        counts["occurrences due"],
        counts["ended: succeeded"],
        counts["ended: skipped (misfire)"],
    )
    assert len(MINUTES) == counts["occurrences due"]


def test_what_somebody_did_with_an_unknown_result_is_only_judged_for_doubles() -> None:
    """Nobody knows which schedule holds; but no schedule allows two attempts at once."""
    doubt = Op("edit", "t", stamp(2, 30), stamp(2, 31), result="unknown", spec=EDIT.spec, at=text(at(2, 30)))
    changes = plus(3, calls=(call(3, length=5), call(3, 7)), runs=(run(3), run(3, 7, token="other.1")))

    assert [] == judge(history(**without(3), ops=(doubt,))).violations
    assert {"doubled"} == judge(history(**changes, ops=(doubt,))).codes


def test_it_follows_daylight_saving_by_an_oracle_of_its_own() -> None:
    """02:30 in Berlin exists twice on 25 October 2026; the schedule means the first."""
    from tests.harness.chaos.checker.oracle import occurrences

    spec = {"schedule": "30 2 * * *", "timezone": "Europe/Berlin"}
    made = at(0).replace(month=10, day=24)

    found = occurrences(spec, created=made, after=made, until=made + timedelta(days=2))

    assert ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"] == [text(one) for one in found]
