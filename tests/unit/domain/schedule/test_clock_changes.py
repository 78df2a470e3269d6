"""What schedules do when the clocks change: each rule in spring and in autumn, and what people are told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest

from functions.domain.schedule.parse import Transition, read_schedule

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


def occurrences(expression: str, zone: str, first: str, until: str) -> list[str]:
    """Those from *first* to *until*, both in UTC and included, as `day hour:minute` in UTC."""
    schedule = read_schedule(expression, timezone=zone, anchor=ANCHOR)

    def chain(at: datetime) -> Iterator[datetime]:
        while (found := schedule.next_after(at)) is not None:
            yield (at := found)

    start, end = (datetime.fromisoformat(f"{text}+00:00") for text in (first, until))
    found = takewhile(lambda at: at <= end, chain(start - timedelta(microseconds=1)))
    return [f"{at:%d %H:%M}" for at in found]


SPRING = ("America/New_York", "2026-03-07T12:00", "2026-03-09T12:00")  # 02:00 -> 03:00 at 07:00 on the 8th
AUTUMN = ("America/New_York", "2026-10-31T12:00", "2026-11-02T12:00")  # 02:00 -> 01:00 at 06:00 on the 1st


@pytest.mark.parametrize(
    ("expression", "spring"),
    [
        ("30 2 * * *", ["08 07:00", "09 06:30"]),  # once, at the end of the gap
        ("0,15,30,45 2 * * *", ["08 07:00", "09 06:00", "09 06:15", "09 06:30", "09 06:45"]),
        ("0 2,3 * * *", ["08 07:00", "09 06:00", "09 07:00"]),  # both are 03:00: one run
        ("30 1 * * *", ["08 06:30", "09 05:30"]),
        ("30 3 * * *", ["08 07:30", "09 07:30"]),
    ],
)
def test_a_fixed_time_in_the_skipped_hour_runs_once_after_it(expression: str, spring: list[str]) -> None:
    assert spring == occurrences(expression, *SPRING)


@pytest.mark.parametrize(
    ("expression", "autumn"),
    [
        ("30 1 * * *", ["01 05:30", "02 06:30"]),  # the first of the two
        ("0,30 1 * * *", ["01 05:00", "01 05:30", "02 06:00", "02 06:30"]),
        ("0 2 * * *", ["01 07:00", "02 07:00"]),
        ("59 0 * * *", ["01 04:59", "02 05:59"]),
    ],
)
def test_a_fixed_time_in_the_repeated_hour_runs_the_first_time(expression: str, autumn: list[str]) -> None:
    assert autumn == occurrences(expression, *AUTUMN)


def test_real_time_has_nothing_in_the_skipped_hour() -> None:
    around = ("America/New_York", "2026-03-08T06:00", "2026-03-08T08:00")

    assert ["08 06:00", "08 06:30", "08 07:00", "08 07:30", "08 08:00"] == occurrences(
        "*/30 * * * *", *around
    )
    assert ["08 06:15", "08 07:15"] == occurrences("15 * * * *", *around)
    assert [] == occurrences("*/30 2 * * *", *around)
    assert ["08 08:00"] == occurrences("0 */2 * * *", *around)


def test_real_time_runs_in_both_passes_of_the_repeated_hour() -> None:
    around = ("America/New_York", "2026-11-01T05:00", "2026-11-01T07:00")

    assert ["01 05:00", "01 05:30", "01 06:00", "01 06:30", "01 07:00"] == occurrences(
        "*/30 * * * *", *around
    )
    assert ["01 05:15", "01 06:15"] == occurrences("15 * * * *", *around)
    assert ["01 05:00", "01 05:30", "01 06:00", "01 06:30"] == occurrences("*/30 1 * * *", *around)
    assert ["01 07:00"] == occurrences("0 */2 * * *", *around)


def test_half_an_hour_is_skipped_on_lord_howe() -> None:
    """02:00 becomes 02:30 at 15:30 in UTC."""
    spring = ("Australia/Lord_Howe", "2026-10-03T15:00", "2026-10-03T16:00")

    assert ["03 15:30"] == occurrences("15 2 * * *", *spring)
    assert ["03 15:00", "03 15:15", "03 15:30", "03 15:45", "03 16:00"] == occurrences(
        "*/15 * * * *", *spring
    )


def test_half_an_hour_is_repeated_on_lord_howe() -> None:
    """02:00 becomes 01:30 at 15:00 in UTC."""
    autumn = ("Australia/Lord_Howe", "2026-04-04T14:00", "2026-04-04T16:00")

    assert ["04 14:45"] == occurrences("45 1 * * *", *autumn)
    assert ["04 14:45", "04 15:15"] == occurrences("45 * * * *", *autumn)


def test_a_day_without_midnight_still_has_its_midnight_run() -> None:
    """Cairo goes from 00:00 to 01:00 on a Friday in April; in real time there is nothing at midnight."""
    spring = ("Africa/Cairo", "2026-04-23T12:00", "2026-04-24T12:00")

    assert ["23 22:00"] == occurrences("0 0 * * *", *spring)
    assert ["23 22:00"] == occurrences("0 0 * * FRI", *spring)
    assert [] == occurrences("*/20 0 * * *", *spring)


def test_a_midnight_that_comes_twice_counts_once() -> None:
    """Cairo goes from 00:00 back to 23:00 at the end of a Thursday in October."""
    autumn = ("Africa/Cairo", "2026-10-29T12:00", "2026-10-30T12:00")

    assert ["29 22:00"] == occurrences("0 0 * * *", *autumn)
    assert ["29 20:30"] == occurrences("30 23 * * *", *autumn)
    assert ["29 20:30", "29 21:30"] == occurrences("*/30 23 * * *", *autumn)[1::2]


def test_a_whole_day_left_out_runs_its_fixed_time_once() -> None:
    """Apia had no 30 December 2011: Thursday ended at 10:00 in UTC and Saturday began."""
    around = ("Pacific/Apia", "2011-12-29T12:00", "2011-12-31T12:00")

    assert ["29 19:00", "30 10:00", "30 19:00"] == occurrences("0 9 * * *", *around)
    assert ["30 10:00"] == occurrences("0 9 30 12 *", *around)
    assert ["29 22:00", "30 10:00", "30 22:00", "31 10:00"] == occurrences("0 */12 * * *", *around)


def test_ireland_and_morocco_change_like_everybody_else() -> None:
    """Their tables call winter, or Ramadan, the exception; what counts is what the clock shows."""
    dublin = ("Europe/Dublin", "2026-10-24T12:00", "2026-10-26T12:00")
    casablanca = ("Africa/Casablanca", "2026-02-14T12:00", "2026-02-16T12:00")

    assert ["25 00:30", "26 01:30"] == occurrences("30 1 * * *", *dublin)
    assert ["15 01:30", "16 02:30"] == occurrences("30 2 * * *", *casablanca)


@pytest.mark.parametrize(
    ("expression", "zone", "told"),
    [
        (
            "30 2 * * *",
            "America/New_York",
            [("gap", "2026-03-08 02:30 does not exist in America/New_York: runs once, at 03:00")],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            [
                (
                    "repeat",
                    "2026-11-01 01:30 happens twice in America/New_York: runs once, the first time",
                )
            ],
        ),
        (
            "0,30 2 * * *",
            "America/New_York",
            [("gap", "2026-03-08 02:00 to 02:30 does not exist in America/New_York: runs once, at 03:00")],
        ),
        (
            "0 */2 * * *",
            "America/New_York",
            [("gap", "2026-03-08 02:00 does not exist in America/New_York: this run is left out")],
        ),
        (
            "*/20 1,2 * * *",
            "America/New_York",
            [
                (
                    "gap",
                    "2026-03-08 02:00 to 02:40 does not exist in America/New_York: these 3 runs are left out",
                ),
                (
                    "repeat",
                    "2026-11-01 01:00 to 01:40 happens twice in America/New_York: runs both times",
                ),
            ],
        ),
        (
            "*/15 * * * *",
            "Australia/Lord_Howe",
            [
                (
                    "repeat",
                    "2026-04-05 01:30 to 01:45 happens twice in Australia/Lord_Howe: runs both times",
                ),
                (
                    "gap",
                    "2026-10-04 02:00 to 02:15 does not exist in Australia/Lord_Howe: "
                    "these 2 runs are left out",
                ),
            ],
        ),
        ("*/15 * * * *", "America/New_York", []),
        ("0 9 * * *", "America/New_York", []),
        ("30 2 * * MON-FRI", "America/New_York", []),
        ("30 2 * * *", "UTC", []),
        (
            "at 2026-03-08T02:30",
            "America/New_York",
            [("gap", "2026-03-08 02:30 does not exist in America/New_York: runs once, at 03:00")],
        ),
        (
            "at 2026-11-01T01:30",
            "America/New_York",
            [
                (
                    "repeat",
                    "2026-11-01 01:30 happens twice in America/New_York: runs once, the first time",
                )
            ],
        ),
        ("at 2026-11-01T01:30-05:00", "America/New_York", []),
        ("at 2026-11-01T02:00", "America/New_York", []),
        ("at 2026-03-08T03:00", "America/New_York", []),
    ],
)
def test_people_are_told_what_becomes_of_their_times(
    expression: str, zone: str, told: list[tuple[str, str]]
) -> None:
    """Of those changes only which touch the schedule: a daily nine o'clock needs no warning."""
    schedule = read_schedule(expression, timezone=zone, anchor=ANCHOR)

    met = schedule.transitions(ANCHOR, ANCHOR + YEAR)

    assert told == [(transition.kind, transition.text) for transition in met]


@pytest.mark.parametrize("expression", ["30 1 * * *", "at 2026-11-01T01:30"])
def test_a_change_is_told_within_its_window_only(expression: str) -> None:
    schedule = read_schedule(expression, timezone="America/New_York", anchor=ANCHOR)
    at = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
    just = timedelta(microseconds=1)

    [told] = schedule.transitions(at - just, at)

    assert Transition(at, "repeat", told.text) == told
    assert [] == schedule.transitions(at - timedelta(hours=9), at - just)
    assert [] == schedule.transitions(at, at + timedelta(days=30))


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("at 2026-03-08T02:30", "2026-03-08T07:00:00Z"),
        ("at 2026-03-08T01:59:59", "2026-03-08T06:59:59Z"),
        ("at 2026-11-01T01:30", "2026-11-01T05:30:00Z"),
        ("at 2026-11-01T01:30-05:00", "2026-11-01T06:30:00Z"),
        ("at 2026-11-01T02:00", "2026-11-01T07:00:00Z"),
    ],
)
def test_a_single_time_is_after_the_gap_or_the_first_of_two(written: str, at: str) -> None:
    schedule = read_schedule(written, timezone="America/New_York", anchor=ANCHOR)

    assert f"at {at}" == schedule.canonical
    assert datetime.fromisoformat(at) == schedule.next_after(ANCHOR)
