"""Timing: the many ways in which older schedulers say how often, as schedules that go on where they were."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.errors import InputError
from functions.moving.moments import every, moment, place, seconds_in
from functions.moving.notes import Did
from functions.rules.schedule import NAMED

SHORTEST = timedelta(minutes=1)
NEVER = frozenset(
    {"manual", "manually", "never", "none", "once", "on demand", "ondemand", "disabled", "off", "@reboot"}
)
DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
CALENDAR = re.compile(
    rf"(?:every )?(?P<what>day|daily|weekdays?|weekends?|week|weekly|month|monthly|year|yearly|annually"
    rf"|{DAY})"
    rf"(?: on (?P<day>{DAY}))?(?:(?: at)? (?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::00)?)?"
)
WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
TEXT_OF = {
    "hour": "every 1h", "hourly": "every 1h", "minute": "every 1m", "minutely": "every 1m",
}  # fmt: skip


class NotScheduledError(InputError):
    """An entry that no schedule ever started: there is nothing to move, and nothing wrong with it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a task runs.

    Attributes:
        start_at: What an interval counts from; None when it is not known.
        timezone: What the text itself names; empty when it names none.
    """

    schedule: str
    did: Did
    why: str
    start_at: datetime | None = None
    timezone: str = ""


def timing(
    given: Any, *, timezone: str, anchor: datetime | None = None, unit: str = "", at: str = ""
) -> Timing:
    """Return what *given* means.

    Args:
        given: Words, a number, a cron expression, or a moment.
        timezone: The zone that its times are of.
        anchor: A moment at which the task ran, or will: the new schedule keeps its rhythm.
        unit: Of a number, such as `minutes`; empty when the file says none.
        at: The time of day for what comes daily, weekly or monthly, such as `09:30`; may be empty.

    Raises:
        NotScheduledError: It says that no schedule starts the task.
        InputError: It cannot be understood.
    """
    if isinstance(given, bool | list | dict):
        raise InputError("must be a text or a number, such as hourly, every_5_minutes or 0 9 * * 1-5")
    if isinstance(given, int | float) or re.fullmatch(r"\d+(\.\d+)?", str(given).strip()):
        return _number(float(given), unit, anchor)
    text = " ".join(str(given).split())
    prefix = re.match(r"(?:CRON_)?TZ=(\S+) (.+)", text)
    if prefix:
        inner = timing(prefix[2], timezone=prefix[1], anchor=anchor, at=at)
        return Timing(
            inner.schedule, "changed", f"the zone stands as timezone; {inner.why}", inner.start_at, prefix[1]
        )
    if text[:1].isdigit() or text.startswith("*"):
        if len(text.split()) in (5, 6, 7) and not re.match(r"\d+ ?[a-z]{3,}", text):
            return cron(text)
        if re.match(r"\d{4}-\d\d-\d\d", text) and (once := moment(text, timezone)) is not None:
            local = once.astimezone(place(timezone)).replace(tzinfo=None)
            return Timing(f"at {local.isoformat(timespec='minutes')}", "mapped", "runs once, at that moment")
    return _words(text, timezone, anchor, at)


def interval(stretch: timedelta, anchor: datetime | None) -> Timing:
    """What comes again each *stretch*, counted from *anchor*."""
    why = "counted from the moment known of it" if anchor else "counted from when the task is made here"
    if stretch < SHORTEST:
        why = (
            f"{every(stretch).removeprefix('every ')} is shorter than a minute, the shortest there is; {why}"
        )
        return Timing("every 1m", "changed", why, anchor)
    return Timing(every(stretch), "mapped", why, anchor)


def cron(text: str) -> Timing:
    """A cron expression; seconds and years are left away where they say nothing.

    Raises:
        InputError: They say something, or the days of the week are counted in another way.
    """
    fields = text.split()
    if len(fields) == 5:
        return Timing(text, "mapped", "the same cron expression")
    if fields[0] not in ("0", "00") or (len(fields) == 7 and fields[6] not in ("*", "?")):
        raise InputError(f"has {len(fields)} fields, with seconds or years that cannot be kept; write five")
    if "?" in fields and re.search(r"\d", fields[5]):
        raise InputError(
            "counts the days of the week in Quartz's way; name them, such as MON-FRI, in five fields"
        )
    return Timing(" ".join(fields[1:6]).replace("?", "*"), "changed", "the seconds, always 0, are left away")


def _number(number: float, unit: str, anchor: datetime | None) -> Timing:
    if unit:
        seconds = seconds_in(f"{number:g} {unit}")
        if seconds is None:
            raise InputError(f"has a unit nobody knows, {unit[:20]!r}; write seconds, minutes, hours or days")
        return interval(timedelta(seconds=seconds), anchor)
    if number <= 0:
        raise InputError("must be more than 0")
    name, length = ("minutes", 60) if number < 60 else ("seconds", 1)
    found = interval(timedelta(seconds=number * length), anchor)
    why = f"a number without a unit is taken for {name} ({'less than' if length > 1 else 'at least'} 60)"
    return Timing(found.schedule, "changed", f"{why}; {found.why}", anchor)


def _words(text: str, timezone: str, anchor: datetime | None, at: str) -> Timing:
    words = " ".join(re.sub(r"[_-]", " ", text.lower()).split())
    if words in NEVER or not words:
        raise NotScheduledError("no schedule starts it: it is run by hand, or by something else")
    if words.startswith("@") and words in NAMED and (words != "@hourly" or anchor is None):
        return Timing(words, "mapped", "the same name")
    words = words.removeprefix("@")
    if (found := CALENDAR.fullmatch(words)) is not None:
        return _calendar(found, words, timezone, anchor, at)
    stretch = TEXT_OF.get(words.removeprefix("every "), words).removeprefix("every ")
    if words in ("hourly", "every hour") and anchor is None:
        return Timing("hourly", "mapped", "on the hour")
    seconds = seconds_in(stretch)
    if seconds is None:
        raise InputError("is no schedule anybody knows; write a cron expression, or such as every_5_minutes")
    return interval(timedelta(seconds=seconds), anchor)


def _calendar(found: re.Match[str], words: str, timezone: str, anchor: datetime | None, at: str) -> Timing:
    clock = re.fullmatch(r"(\d{1,2}):(\d\d)(?::00)?", at)
    hour, minute = found["hour"], found["minute"]
    if hour is None and clock is not None:
        hour, minute = clock[1], clock[2]
    local = anchor.astimezone(place(timezone)) if anchor else None
    why = "at the time of day that it says"
    if hour is None and local is not None:
        hour, minute = str(local.hour), str(local.minute)
        why = f"at {local:%H:%M}, the time of day at which it ran"
    elif hour is None:
        hour, minute, why = "0", "0", "at midnight, for the file names no time of day"
    if int(hour) > 23 or int(minute or 0) > 59:
        raise InputError("has a time of day that does not exist")
    days = _days(found["what"], found["day"], local)
    did: Did = "mapped" if found["hour"] else "changed"
    return Timing(f"{int(minute or 0)} {int(hour)} {days}", did, f"{words}: {why}")


def _days(what: str, day: str | None, local: datetime | None) -> str:
    """The last three cron fields."""
    if what in ("day", "daily"):
        return "* * *"
    if what.startswith("weekday"):
        return "* * 1-5"
    if what.startswith("weekend"):
        return "* * 0,6"
    date = min(local.day, 28) if local else 1  # every month has it
    if what.startswith("month"):
        return f"{date} * *"
    if what.startswith(("year", "annual")):
        return f"{date} {local.month if local else 1} *"
    name = day if what.startswith("week") else what
    if name is not None:
        return f"* * {WEEK.index(name[:3])}"
    return f"* * {local.isoweekday() % 7 if local else 0}"
