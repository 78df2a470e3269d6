"""Points in time as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.cli.arguments.moments import parse_moment
from functions.errors import InputError

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
RIGA, NEW_YORK = "Europe/Riga", "America/New_York"


@pytest.mark.parametrize(
    ("text", "zone", "ahead", "back"),
    [
        ("2h", "UTC", NOW + timedelta(hours=2), NOW - timedelta(hours=2)),
        ("3 days", "UTC", NOW + timedelta(days=3), NOW - timedelta(days=3)),
        ("1h30m", RIGA, NOW + timedelta(minutes=90), NOW - timedelta(minutes=90)),
        ("now", RIGA, NOW, NOW),
    ],
)
def test_a_distance_leads_ahead_or_back(text: str, zone: str, ahead: datetime, back: datetime) -> None:
    moment = parse_moment(text)

    assert (ahead, back) == (moment.resolve(NOW, zone), moment.resolve(NOW, zone, is_past=True))


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-12-01T09:00:00Z", RIGA, datetime(2026, 12, 1, 9, 0, tzinfo=UTC)),
        ("2026-12-01T09:00+02:00", "UTC", datetime(2026, 12, 1, 7, 0, tzinfo=UTC)),
        ("2026-12-01T09:00", RIGA, datetime(2026, 12, 1, 7, 0, tzinfo=UTC)),
        ("2026-12-01 09:00", RIGA, datetime(2026, 12, 1, 7, 0, tzinfo=UTC)),
        ("2026-12-01", RIGA, datetime(2026, 11, 30, 22, 0, tzinfo=UTC)),
        ("2026-03-08T02:30", NEW_YORK, datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),  # skipped by the clock
        ("2026-11-01T01:30", NEW_YORK, datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),  # the first of two
    ],
)
def test_a_time_without_an_offset_is_on_the_clock_of_the_zone(
    text: str, zone: str, instant: datetime
) -> None:
    assert instant == parse_moment(text).resolve(NOW, zone)


@pytest.mark.parametrize("text", ["", "tomorrow", "2 moons", "12:00", "2026-02-30", "9999-12-31", "-2h"])
def test_anything_else_is_refused_with_examples_or_the_range(text: str) -> None:
    with pytest.raises(InputError, match=r"3d|out of range"):
        parse_moment(text)


def test_a_distance_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InputError, match="out of range"):
        parse_moment("999 weeks").resolve(NOW - timedelta(days=56 * 365), "UTC", is_past=True)
