"""Choices in words that make a schedule, for who does not write cron expressions."""

from collections.abc import Mapping
from datetime import datetime, time

from functions.domain.alerts.routing import WEEKDAYS

HELPER = "helper."  # begins the names of its inputs
WAYS = (
    ("every", "at equal intervals"),
    ("daily", "each day at a time"),
    ("weekly", "on some days of the week at a time"),
    ("monthly", "on a day of each month at a time"),
    ("first_business", "on the first business day of each month at a time"),
    ("last_business", "on the last business day of each month at a time"),
    ("business", "on each business day at a time"),
    ("once", "once"),
)
BUSINESS_DAYS = {
    "first_business": "first business day of month",
    "last_business": "last business day of month",
    "business": "every business day",
}
UNITS = (("m", "minutes"), ("h", "hours"), ("d", "days"))
DAYS = tuple(zip(WEEKDAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
HELPER_CHOICES = {"ways": WAYS, "units": UNITS, "days": DAYS}  # of its inputs, for the page
MAX_STEP = 1000


def schedule_from(typed: Mapping[str, str]) -> str:
    """Return the expression for the choices in *typed*; empty when they make none.

    Example: weekly, mon and fri, 09:30 is `30 9 * * MON,FRI`.
    """
    mine = ((name, text.strip()) for name, text in typed.items() if name.startswith(HELPER))
    given = {name.removeprefix(HELPER): text for name, text in mine}
    match given.get("how", ""):
        case "every":
            return _every(given)
        case "once":
            return _once(given.get("moment", ""))
        case how:
            at = _time(given.get("time", ""))
            return "" if at is None else _at_time(how, at, given)


def _every(given: Mapping[str, str]) -> str:
    step, unit = _whole(given.get("step", ""), most=MAX_STEP), given.get("unit", "")
    return f"every {step}{unit}" if step and unit in dict(UNITS) else ""


def _at_time(how: str, at: time, given: Mapping[str, str]) -> str:
    """Return the expression for a way that has a time of day."""
    start = f"{at.minute} {at.hour}"
    if how == "daily":
        return f"{start} * * *"
    if how == "weekly":
        days = [day.upper() for day in WEEKDAYS if given.get(f"day.{day}")]
        return f"{start} * * {','.join(days)}" if days else ""
    if how == "monthly":
        date = given.get("date", "")
        day = "L" if date == "last" else str(_whole(date, most=31) or "")
        return f"{start} {day} * *" if day else ""
    return f"{BUSINESS_DAYS[how]} at {at:%H:%M}" if how in BUSINESS_DAYS else ""


def _whole(text: str, *, most: int) -> int:
    """Return the number from 1 to *most* that *text* is; 0 for anything else."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return number if number <= most else 0


def _time(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _once(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return f"at {at:%Y-%m-%dT%H:%M}"
