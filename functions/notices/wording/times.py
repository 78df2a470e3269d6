"""Moments and spans as people read them."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from functions.notices.wording.table import Words

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def moment(at: datetime, timezone: str) -> str:
    """*at* on a clock in *timezone*, to the minute, e.g. `2026-11-20 20:00`."""
    return at.astimezone(_zone(timezone)[0]).strftime("%Y-%m-%d %H:%M")


def zone_name(timezone: str) -> str:
    """The name to print beside a moment: *timezone*, or UTC when there is no such zone."""
    return _zone(timezone)[1]


def span(length: timedelta, words: Words) -> str:
    """*length* in its two largest units, e.g. `3 h 2 min`; below a minute in seconds, e.g. `1.2 s`."""
    day, hour, minute, second = words.units
    total_s = max(length.total_seconds(), 0)
    if total_s < MINUTE_S:
        return f"{total_s:.1f}{second}" if total_s < 10 else f"{total_s:.0f}{second}"
    whole_s = int(total_s)
    for size, unit, smaller, small_unit in (
        (DAY_S, day, HOUR_S, hour),
        (HOUR_S, hour, MINUTE_S, minute),
        (MINUTE_S, minute, 1, second),
    ):
        if whole_s >= size:
            rest = whole_s % size // smaller
            return f"{whole_s // size}{unit}" + (f" {rest}{small_unit}" if rest else "")
    raise AssertionError("a span of a minute or more has a unit")


def _zone(timezone: str) -> tuple[tzinfo, str]:
    try:
        return ZoneInfo(timezone), timezone
    except (KeyError, OSError, ValueError):  # no such zone, or no name of a zone at all
        return UTC, "UTC"
