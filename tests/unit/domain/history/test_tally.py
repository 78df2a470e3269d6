"""Counts of hours and days as one short text."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.history.tally import (
    DAYS,
    HOURS,
    add_incident,
    add_to_tally,
    read_incidents,
    read_tally,
)
from tests.conftest import NOON

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def tally_of(outcomes: list[tuple[datetime, bool]]) -> str:
    text = ""
    for at, succeeded in outcomes:
        text = add_to_tally(text, succeeded=succeeded, at=at)
    return text


def test_the_text_of_the_docstring() -> None:
    number = int(NOON.timestamp()) // 3600
    text = tally_of([(NOON, True)] * 12 + [(NOON, False)])

    assert f"{number} 12.1 12.1" == text
    assert f"{number + 2} 12.1,0,1 13.1" == add_to_tally(text, succeeded=True, at=NOON + 2 * HOUR)


def test_a_healthy_task_of_every_minute_is_a_short_text() -> None:
    minutes = [(NOON + timedelta(minutes=number), True) for number in range(3 * 24 * 60)]

    text = tally_of(minutes)

    assert text.endswith(" 60x23,60 720,1440x2,720")


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, 100 * 24 * 60), st.booleans()),
        max_size=60,
    ),
    st.integers(0, 50 * 60),
)
def test_it_counts_what_a_list_of_all_outcomes_would(found: list[tuple[int, bool]], later: int) -> None:
    outcomes = [(NOON + timedelta(minutes=minute), ok) for minute, ok in sorted(found)]
    now = max([at for at, _ in outcomes], default=NOON) + timedelta(minutes=later)

    tally = read_tally(tally_of(outcomes), now=now)

    assert (HOURS, DAYS) == (len(tally.hours), len(tally.days))
    for slots, size in ((tally.hours, HOUR), (tally.days, DAY)):
        assert slots[-1].begins_at <= now < slots[-1].begins_at + size
        for slot in slots:
            inside = [ok for at, ok in outcomes if slot.begins_at <= at < slot.begins_at + size]
            assert (inside.count(True), inside.count(False)) == (slot.succeeded, slot.failed)


@pytest.mark.slow
@given(st.text(alphabet="0123456789 ,.x-²a", max_size=40))
def test_what_somebody_wrote_by_hand_breaks_nothing(text: str) -> None:
    add_to_tally(text, succeeded=True, at=NOON)
    read_tally(text, now=NOON)


def test_an_outcome_before_the_present_hour_counts_in_it() -> None:
    """A clock that was set back, or a result that was found late."""
    text = tally_of([(NOON, True), (NOON - 5 * HOUR, False)])

    assert (1, 1) == (
        read_tally(text, now=NOON).hours[-1].succeeded,
        read_tally(text, now=NOON).hours[-1].failed,
    )


def test_shares() -> None:
    text = tally_of([(NOON - 40 * DAY, False), (NOON - 3 * DAY, False), (NOON - HOUR, True), (NOON, True)])

    tally = read_tally(text, now=NOON)

    assert (1.0, 1.0, 2 / 3, 0.5) == (
        tally.share_of_hours,
        tally.share_of_days(2),
        tally.share_of_days(7),
        tally.share_of_days(90),
    )
    assert read_tally("", now=NOON).share_of_hours is None


def test_the_last_incidents_are_kept_newest_first() -> None:
    lines: tuple[str, ...] = ()
    for number in range(12):
        since = NOON + number * HOUR
        lines = add_incident(lines, since=since, until=since + HOUR / 2, failures=number + 1)

    found = read_incidents((*lines, "nonsense", "a b 3", f"{lines[0]} 4"))

    assert 8 == len(lines) == len(found)
    assert (NOON + 11 * HOUR, 12) == (found[0].since, found[0].failures)


@pytest.mark.parametrize("failures", ["²", "-1", ""])
def test_an_incident_that_cannot_be_read_is_left_out(failures: str) -> None:
    assert [] == read_incidents((f"2026-11-20T12:00:00Z 2026-11-20T13:00:00Z {failures}",))
