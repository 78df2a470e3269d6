"""Words, numbers and expressions for how often, and the schedules they become."""

from datetime import UTC, datetime
from typing import Any

import pytest

from functions.errors import InputError
from functions.transfer.foreign.timing import NotScheduledError, convert_timing, parse_instant

RAN = datetime(2026, 11, 20, 7, 3, 40, tzinfo=UTC)  # a Friday, 09:03 in Riga


@pytest.mark.parametrize(
    ("given", "schedule"),
    [
        ("every_5_minutes", "every 5m"),
        ("every 90 seconds", "every 1m30s"),
        ("Every-Minute", "every 1m"),
        ("every_2_hours", "every 2h"),
        ("1h30m", "every 1h30m"),
        ("PT15M", "every 15m"),
        ("00:05:00", "every 5m"),
        ("hourly", "hourly"),
        ("@hourly", "@hourly"),
        ("@daily", "@daily"),
        ("daily", "0 0 * * *"),
        ("daily at 9:30", "30 9 * * *"),
        ("weekdays 08:00", "0 8 * * 1-5"),
        ("every monday at 07:15", "15 7 * * 1"),
        ("weekly on sunday at 7:15", "15 7 * * 0"),
        ("monthly", "0 0 1 * *"),
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("*/10 * * * *", "*/10 * * * *"),
        ("0 */10 * * * *", "*/10 * * * *"),
        ("0 0 12 ? * MON-FRI *", "0 12 * * MON-FRI"),
        ("0 12 * * ? *", "0 12 * * *"),
        ("0 12 ? * 2-6 *", "0 12 * * MON-FRI"),
        ("cron(15 10 * * ? *)", "15 10 * * *"),
        ("rate(5 minutes)", "every 5m"),
        ("0 0 12 ? * FRI#2", "0 12 * * FRI#2"),
        ("every monday and friday at 9:00", "0 9 * * 1,5"),
        ("0 9 * * 1-5; 0 12 * * 6", "0 9 * * 1-5; 0 12 * * 6"),
        ("last business day of month at 17:30", "last business day of month at 17:30"),
        (300, "every 5m"),
        ("300", "every 5m"),
        (5, "every 5m"),
        (20.0, "every 20m"),
        ("2026-12-01T09:00:00Z", "at 2026-12-01T11:00"),
    ],
)
def test_what_older_schedulers_say_becomes_a_schedule(given: Any, schedule: str) -> None:
    assert schedule == convert_timing(given, timezone="Europe/Riga").schedule


@pytest.mark.parametrize(
    ("given", "schedule", "start_at"),
    [
        ("hourly", "every 1h", RAN),
        ("every_5_minutes", "every 5m", RAN),
        ("daily", "3 9 * * *", None),
        ("weekly", "3 9 * * 5", None),
        ("monthly", "3 9 20 * *", None),
        ("yearly", "3 9 20 11 *", None),
        ("0 9 * * *", "0 9 * * *", None),
    ],
)
def test_a_rhythm_goes_on_from_the_last_run(given: str, schedule: str, start_at: datetime | None) -> None:
    found = convert_timing(given, timezone="Europe/Riga", anchor=RAN)

    assert (schedule, start_at) == (found.schedule, start_at and found.start_at)


@pytest.mark.parametrize("given", ["manual", "@reboot", "never", "on_demand"])
def test_what_no_schedule_started_is_told_apart(given: str) -> None:
    with pytest.raises(NotScheduledError):
        convert_timing(given, timezone="UTC")


@pytest.mark.parametrize(
    "given",
    [
        "whenever",
        "friendly",
        "every sundry at 09:00",
        "30 0 9 * * *",
        "0 0 12 ? * 2-6",
        "0 0 12 1 1 ? 2027",
        "0 9 1 1 ? 2027",
        99_999_999_999_999_999,
        10**400,
        1e300,
        float("inf"),
        -5,
        "every 999999999999 days",
        "P99999999999999D",
        0,
        True,
        [5],
        "daily at 25:00",
        "5 lightyears",
    ],
)
def test_what_cannot_be_kept_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        convert_timing(given, timezone="UTC")


def test_a_number_has_the_unit_it_is_given() -> None:
    assert "every 2h" == convert_timing(120, timezone="UTC", unit="minutes").schedule


def test_less_than_a_minute_becomes_a_minute_and_says_so() -> None:
    found = convert_timing("every 20 seconds", timezone="UTC")

    assert ("every 1m", "changed") == (found.schedule, found.action)


def test_a_zone_in_the_text_is_the_tasks_zone() -> None:
    found = convert_timing("CRON_TZ=Asia/Tokyo 0 9 * * *", timezone="UTC")

    assert ("0 9 * * *", "Asia/Tokyo") == (found.schedule, found.timezone)


@pytest.mark.parametrize(
    "given",
    [
        "9999-12-31T23:00:00Z",
        "9999-12-31 23:00",
        "1969-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+14:00",
        "999999999999999",
        1e300,
        float("nan"),
        float("inf"),
        -1,
    ],
)
def test_a_time_out_of_range_is_none(given: Any) -> None:
    """The entry says that its time cannot be used; the task is not made unreadable by it."""
    assert parse_instant(given, "Pacific/Kiritimati") is None
