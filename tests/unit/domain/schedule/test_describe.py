"""Schedules in words."""

import pytest

from functions.domain.schedule.describe import describe_schedule
from functions.domain.schedule.parse import ScheduleError


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("30 9 * * MON-FRI", "At 09:30, Monday through Friday"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
        ("0 9 * * 5L", "At 09:00, on the last Friday of the month"),
        ("0 9 * * 1#2", "At 09:00, on the second Monday of the month"),
        ("15 10 31 * 1", "At 10:15, on day 31 of the month or on Monday"),
        ("@daily", "Every day at 00:00"),
        ("Hourly", "Every hour"),
        ("every 15m", "Every 15 minutes"),
        ("every 1h30m", "Every 1 hour 30 minutes"),
        ("every 1d", "Every day"),
        ("at 2026-12-01T09:00", "Once, at 2026-12-01 09:00"),
        ("at 2026-12-01T09:00:30Z", "Once, at 2026-12-01 11:00:30"),
        ("at 2027-03-28T03:30", "Once, at 2027-03-28 04:00"),  # the clock goes from 03:00 to 04:00
    ],
)
def test_each_form_has_words(written: str, words: str) -> None:
    assert words == describe_schedule(written, timezone="Europe/Riga")


def test_a_spread_time_is_said_as_it_falls_for_the_task() -> None:
    """Whoever reads it wants to know when, not that it was drawn."""
    ping, pong = [describe_schedule("H H * * *", timezone="UTC", task_id=name) for name in ("ping", "pong")]

    assert ping.startswith("Every day at ")
    assert ping != pong


def test_what_is_no_schedule_has_no_words() -> None:
    with pytest.raises(ScheduleError):
        describe_schedule("31 2", timezone="UTC")
