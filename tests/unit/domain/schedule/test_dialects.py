"""Schedules of other schedulers: what is to be written here, and where it cannot be said for certain."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.schedule.dialects import SUNDAY_IS_ONE, translate
from functions.domain.schedule.parse import parse_schedule

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("0 30 6 * * *", "30 6 * * *"),
        ("00 30 6 ? * TUE-SAT *", "30 6 * * TUE-SAT"),
        ("cron(30 6 ? * 3-7 *)", "30 6 * * TUE-SAT"),
        ("cron(0/20 6 L * ? *)", "0/20 6 L * *"),
        ("30 6 * * ? *", "30 6 * * *"),
        ("30 6 ? * THU#3 *", "30 6 * * THU#3"),
        ("rate(1 hour)", "every 1h"),
        ("Rate(45 minutes)", "every 45m"),
        ("at(2027-03-04T05:06:07)", "at 2027-03-04T05:06:07"),
        ("2027-03-04 05:06z", "at 2027-03-04T05:06Z"),
        ("PT2H30M", "every 2h30m"),
        ("R/P1W", "every 1w"),
        ("P1DT12H", "every 1d12h"),
        ("20 min", "every 20m"),
        ("daily at 7", "0 7 * * *"),
        ("Every weekday at 7:45", "45 7 * * 1-5"),
        ("weekends at 12am", "0 0 * * 0,6"),
        ("every sunday, tuesday and Fridays at 12:05 PM", "5 12 * * 0,2,5"),
        ("last friday of month at 17:30", "30 17 * * 5L"),
        ("On the first Monday of every month at 9am", "0 9 * * 1#1"),
        ("second day of each month at 6", "0 6 2 * *"),
        ("last day of the month at 23:55", "55 23 L * *"),
        ("15 6 * * 2 , 4", "15 6 * * 2,4"),
        ("15 6 1 - 7 * 2", "15 6 1-7 * 2"),
        ("15 6 * * * Asia/Tokyo", "15 6 * * *"),
    ],
)
def test_what_is_written_elsewhere_has_a_schedule_here(there: str, here: str) -> None:
    found = translate(there)

    assert found is not None
    assert here == found.schedule
    assert parse_schedule(here, timezone="UTC", anchor=ANCHOR).next_after(ANCHOR)


@pytest.mark.parametrize(
    ("there", "here"), [("0 0 9 ? * 7", "0 9 * * SAT"), ("0 0 9 ? * 6L", "0 9 * * FRIL")]
)
def test_numbers_of_weekdays_are_in_doubt_where_sunday_may_be_one_or_zero(there: str, here: str) -> None:
    found = translate(there)

    assert found is not None
    assert (here, SUNDAY_IS_ONE) == (found.schedule, found.remark)


@pytest.mark.parametrize(
    "text",
    [
        "15 0 9 * * *",
        "*/10 * * * * *",
        "0 0 9 1 1 ? 2027",
        "cron(0 9 1 1 ? 2027)",
        "0 9 1 1 * 2027",
        "rate(fast)",
        "every day at 13pm",
        "P1M",
        "whenever",
        "0 9 * *",
        "0 9 * * * and 0 12 * * *",
        "",
    ],
)
def test_what_cannot_be_kept_has_none(text: str) -> None:
    assert translate(text) is None


def test_a_translation_of_hours_keeps_the_hour() -> None:
    """EventBridge ends with years: without that the minute was dropped, and it ran each hour."""
    found = translate("0 12 * * ? *")

    assert found is not None
    schedule = parse_schedule(found.schedule, timezone="UTC", anchor=ANCHOR)
    assert timedelta(days=1) == schedule.period(ANCHOR)
