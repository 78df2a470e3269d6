"""Moments and stretches of time as older schedulers write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from functions.errors import InputError
from functions.rules.schedule_zone import zone

MILLISECONDS_FROM = 100_000_000_000  # a number of seconds as large is of the year 5138
UNITS = {
    "ms": 0.001, "millisecond": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
STRETCH = re.compile(r"(\d+(?:\.\d+)?)\s*_?\s*([a-z]+)")
ISO = re.compile(r"p(?:(\d+)w)?(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?")
ISO_UNITS = (604_800, 86_400, 3600, 60, 1)


def moment(value: Any, timezone: str) -> datetime | None:
    """The moment that *value* means, in UTC; None when it means none.

    Args:
        value: ISO 8601 text, with or without an offset, or seconds or milliseconds since 1970.
        timezone: Of a text without an offset.
    """
    try:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float) or re.fullmatch(r"\d{9,13}(\.\d+)?", str(value).strip()):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds >= MILLISECONDS_FROM else seconds, UTC)
        text = str(value).strip().replace("/", "-")
        read = datetime.fromisoformat(text.removesuffix(" UTC") + ("Z" if text.endswith(" UTC") else ""))
        return (read if read.tzinfo else read.replace(tzinfo=place(timezone))).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def place(timezone: str) -> ZoneInfo | Any:
    """The zone *timezone*; UTC when it is none, for that is told where the zone itself is checked."""
    try:
        zone(timezone)
    except InputError:
        return UTC
    return ZoneInfo(timezone)


def seconds_in(text: str) -> float | None:
    """How long *text* says, such as `5m`, `1h30m`, `2 hours`, `00:05:00`, `PT5M`; None when it is none."""
    text = text.strip().lower()
    if (iso := ISO.fullmatch(text)) and any(iso.groups()):
        return float(sum(int(n or 0) * unit for n, unit in zip(iso.groups(), ISO_UNITS, strict=True)))
    if clock := re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d)", text):
        return float(int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3]))
    parts = STRETCH.findall(text)
    if not parts or STRETCH.sub("", text).strip(" _,") not in ("", "and"):
        return None
    units = [UNITS.get(unit) or UNITS.get(unit.removesuffix("s")) for _, unit in parts]
    if not all(units):
        return None
    return sum(float(number) * (unit or 0) for (number, _), unit in zip(parts, units, strict=True))


def every(stretch: timedelta) -> str:
    """The schedule of *stretch*, in whole seconds: `every 1h30m`."""
    seconds = max(1, round(stretch.total_seconds()))
    text = ""
    for unit, length in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    return f"every {text}"
