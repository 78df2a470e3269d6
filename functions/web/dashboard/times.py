"""A moment typed into a form, on the clock of the task's zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from functions.errors import InputError


def moment_typed(text: str, timezone: str) -> datetime | None:
    """The instant meant by *text*, such as 2026-12-01T09:00 from a browser's field; None for no text.

    Raises:
        InputError: It is no moment.
    """
    if not text.strip():
        return None
    try:
        typed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError("until: write it like 2026-12-01T09:00") from None
    return (typed if typed.tzinfo else typed.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)
