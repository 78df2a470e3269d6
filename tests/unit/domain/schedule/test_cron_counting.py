"""Counting occurrences, and finding the newest, against going through them one by one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.schedule.parse import OccurrenceRange, Schedule, parse_schedule
from tests.support.profile import examples
from tests.unit.domain.schedule.cron_samples import draw

ANCHOR = datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
MOMENTS = [  # near changes of the clocks of every sort, and near none
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 3, 22, 2, tzinfo=UTC)),
    ("Europe/Dublin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Asia/Tokyo", datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
]
SECONDS = st.integers(-100_000, 100_000)


@st.composite
def schedules(draw_one: st.DrawFn) -> tuple[Schedule, datetime]:
    zone, moment = draw_one(st.sampled_from(MOMENTS))
    kind = draw_one(st.sampled_from(["cron", "cron", "cron", "every", "at"]))
    if kind == "every":
        text = f"every {draw_one(st.integers(60, 9000))}s"
    elif kind == "at":
        text = f"at {moment + timedelta(seconds=draw_one(SECONDS)):%Y-%m-%dT%H:%M:%S}"
    else:
        wall = moment.replace(tzinfo=None)
        text = draw(Random(draw_one(st.integers(0, 2**32))), near=wall).text
    anchor = moment + timedelta(seconds=draw_one(SECONDS))
    return parse_schedule(text, timezone=zone, anchor=anchor), moment


@pytest.mark.slow
@given(schedules(), SECONDS, SECONDS, st.integers(0, 20))
@settings(max_examples=examples(1000), deadline=None)
def test_span_and_tail_say_what_going_through_one_by_one_says(
    given_schedule: tuple[Schedule, datetime], from_s: int, to_s: int, limit: int
) -> None:
    """A tick after an outage must count what it missed, to the last one, without walking there."""
    schedule, moment = given_schedule
    first = moment + timedelta(seconds=min(from_s, to_s))
    until = moment + timedelta(seconds=max(from_s, to_s))

    each = list(one_by_one(schedule, first, until))

    assert (OccurrenceRange(len(each), each[0], each[-1]) if each else None) == schedule.occurrence_range(
        first, until
    )
    assert each[len(each) - min(limit, len(each)) :] == schedule.last_n(first, until, limit)


@pytest.mark.slow
@given(schedules(), SECONDS)
@settings(max_examples=examples(1000), deadline=None)
def test_occurrences_move_forward_and_the_period_is_the_step_between_two(
    given_schedule: tuple[Schedule, datetime], from_s: int
) -> None:
    """A schedule that stood still, or went back, would run a task for ever."""
    schedule, moment = given_schedule
    instant = moment + timedelta(seconds=from_s)

    following = schedule.next_after(instant)
    after_that = following and schedule.next_after(following)

    assert following is None or instant < following
    assert following is None or after_that is None or following < after_that
    assert (after_that - following if following and after_that else None) == schedule.period(instant)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("*/7 * * * *", "Australia/Lord_Howe"),
        ("0-59/9 0-23 * * *", "America/New_York"),
        ("*/20 2,3 * * *", "Africa/Casablanca"),
        ("5 */3 */2 * MON-FRI", "Europe/Dublin"),
    ],
)
def test_years_are_counted_exactly(expression: str, zone: str) -> None:
    """Across changes of the clocks, leap days and the borders at which zones are cut into blocks."""
    schedule = parse_schedule(expression, timezone=zone, anchor=ANCHOR)
    first, until = datetime(2023, 11, 9, 5, 3, tzinfo=UTC), datetime(2025, 2, 11, 8, 1, tzinfo=UTC)

    each = list(one_by_one(schedule, first, until))

    assert OccurrenceRange(len(each), each[0], each[-1]) == schedule.occurrence_range(first, until)
    assert each[-500:] == schedule.last_n(first, until, 500)
    assert all(early < late for early, late in pairwise(each))


def one_by_one(schedule: Schedule, first: datetime, until: datetime) -> Iterator[datetime]:
    at = schedule.next_after(first - timedelta(microseconds=1))
    while at is not None and at <= until:
        yield at
        at = schedule.next_after(at)
