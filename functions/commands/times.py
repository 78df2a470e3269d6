"""Instants as people type and read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from functions.errors import InputError


def instant(text: str) -> datetime:
    """Return the instant *text* names, in UTC.

    Raises:
        InputError: It is not ISO 8601, or has no offset.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a moment: write it like 2026-12-01T09:00:00Z") from None
    if found.tzinfo is None:
        raise InputError(f"{text!r} has no offset: write it like {found.isoformat()}Z or with +02:00")
    return found.astimezone(UTC)


def local(at: datetime | None, timezone: str) -> str:
    """*at* on the clocks of *timezone*, e.g. `2026-11-20 14:05 EET`; a hyphen for None."""
    if at is None:
        return "-"
    there = at.astimezone(_zone(timezone))
    return f"{there:%Y-%m-%d %H:%M:%S %Z}" if there.second else f"{there:%Y-%m-%d %H:%M %Z}"


def distance(at: datetime, now: datetime) -> str:
    """How far *at* is from *now*, in its largest unit: `in 4 min`, `2 h ago`."""
    span = span_text(abs(at - now))
    return f"in {span}" if at >= now else f"{span} ago"


def span_text(span: timedelta) -> str:
    """*span* in its largest whole unit."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a document edited by hand may name any zone
        return ZoneInfo("UTC")
