"""Converts the timing of other schedulers to schedules that continue where those stopped."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.domain.schedule.dialects import Translation, translate
from functions.domain.schedule.parse import NAMED_SCHEDULES, parse_schedule
from functions.domain.types import check_instant, timezone_or_utc, to_local
from functions.errors import InputError
from functions.transfer.foreign.entry import ImportAction

# Instants and durations as other schedulers write them.

MIN_MILLISECONDS = 100_000_000_000  # a number of seconds as large is of the year 5138
UNIT_SECONDS = {
    "ms": 0.001, "millisecond": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*_?\s*([a-z]+)")
ISO_DURATION = re.compile(r"p(?:(\d+)w)?(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?")
ISO_UNITS = (604_800, 86_400, 3600, 60, 1)


def parse_instant(value: Any, timezone: str) -> datetime | None:
    """Return the instant that *value* means, in UTC; None when it is no time, or out of range.

    Args:
        value: ISO 8601 text, with or without an offset, or seconds or milliseconds since 1970.
        timezone: Of a text without an offset.
    """
    try:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float) or re.fullmatch(r"\d{9,13}(\.\d+)?", str(value).strip()):
            seconds = float(value)
            seconds = seconds / 1000 if seconds >= MIN_MILLISECONDS else seconds
            return check_instant(datetime.fromtimestamp(seconds, UTC))
        text = str(value).strip().replace("/", "-")
        read = datetime.fromisoformat(text.removesuffix(" UTC") + ("Z" if text.endswith(" UTC") else ""))
        return check_instant(read if read.tzinfo else read.replace(tzinfo=timezone_or_utc(timezone)))
    except (ValueError, OverflowError, OSError):
        return None


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a duration: `5m`, `1h30m`, `2 hours`, `00:05:00`, `PT5M`; None for other text."""
    text = text.strip().lower()
    if (iso := ISO_DURATION.fullmatch(text)) and any(iso.groups()):
        return float(sum(int(n or 0) * unit for n, unit in zip(iso.groups(), ISO_UNITS, strict=True)))
    if clock := re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d)", text):
        return float(int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3]))
    parts = DURATION_PART.findall(text)
    if not parts or DURATION_PART.sub("", text).strip(" _,") not in ("", "and"):
        return None
    units = [UNIT_SECONDS.get(unit) or UNIT_SECONDS.get(unit.removesuffix("s")) for _, unit in parts]
    if not all(units):
        return None
    return sum(float(number) * (unit or 0) for (number, _), unit in zip(parts, units, strict=True))


def format_interval(duration: timedelta) -> str:
    """Return the schedule of *duration*, in whole seconds: `every 1h30m`."""
    seconds = max(1, round(duration.total_seconds()))
    text = ""
    for unit, length in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    return f"every {text}"


MIN_INTERVAL = timedelta(minutes=1)
MAX_SECONDS = 3650 * 86_400 + 1
EXAMPLE = datetime(2000, 1, 1, tzinfo=UTC)  # of an interval; only whether it can be read matters
MANUAL_WORDS = frozenset(
    {"manual", "manually", "never", "none", "once", "on demand", "ondemand", "disabled", "off", "@reboot"}
)
ONCE_WORDS = frozenset({"once", "one time", "onetime", "date", "at"})
DAY = r"(?:sun|mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur)(?:day)?s?"
CALENDAR = re.compile(
    rf"(?:every )?(?P<what>day|daily|weekdays?|weekends?|week|weekly|month|monthly|year|yearly|annually"
    rf"|{DAY})"
    rf"(?: on (?P<day>{DAY}))?(?:(?: at)? (?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::00)?)?"
)
LAST_OF_EVERY_MONTH = 28
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
INTERVAL_WORDS = {
    "hour": "every 1h", "hourly": "every 1h", "minute": "every 1m", "minutely": "every 1m",
}  # fmt: skip


class NotScheduledError(InputError):
    """Raised for an entry without a schedule: there is nothing to import, and no problem."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a task runs.

    Attributes:
        start_at: What an interval counts from; None when it is not known.
        timezone: What the text itself names; empty when it names none.
    """

    schedule: str
    action: ImportAction
    reason: str
    start_at: datetime | None = None
    timezone: str = ""


def convert_timing(
    given: Any, *, timezone: str, anchor: datetime | None = None, unit: str = "", time_of_day: str = ""
) -> Timing:
    """Return the timing that *given* means.

    Args:
        given: Words, a number, a cron expression, or a moment.
        timezone: The zone that its times are of.
        anchor: A moment at which the task ran, or will: the new schedule keeps its rhythm.
        unit: Of a number, such as `minutes`; empty when the file says none.
        time_of_day: For what comes daily, weekly, monthly or yearly, such as `9:30`; may be empty.

    Raises:
        NotScheduledError: It says that no schedule starts the task.
        InputError: It cannot be understood.
    """
    if isinstance(given, bool | list | dict):
        raise InputError("must be a text or a number, such as hourly, every_5_minutes or 0 9 * * 1-5")
    if time_of_day and not is_calendar(given):
        raise InputError(
            f"says when by itself, and {time_of_day} stands beside it; write one cron expression"
        )
    if isinstance(given, int | float) or re.fullmatch(r"\d+(\.\d+)?", str(given).strip()):
        return _convert_number(to_float(given), unit, anchor)
    text = " ".join(str(given).split())
    prefix = re.match(r"(?:CRON_)?TZ=(\S+) (.+)", text)
    if prefix:
        inner = convert_timing(prefix[2], timezone=prefix[1], anchor=anchor, time_of_day=time_of_day)
        return Timing(
            inner.schedule,
            "changed",
            f"the zone stands as timezone; {inner.reason}",
            inner.start_at,
            prefix[1],
        )
    if text[:1].isdigit() or text.startswith("*"):
        if len(text.split()) in (5, 6, 7) and not re.match(r"\d+ ?[a-z]{3,}", text):
            return cron_timing(text)
        if re.match(r"\d{4}-\d\d-\d\d", text) and (once := parse_instant(text, timezone)) is not None:
            return once_timing(once, timezone)
    return _convert_words(text, timezone, anchor, time_of_day)


def is_calendar(given: Any) -> bool:
    """Whether *given* is such as `daily` or `weekly`, without a time of day of its own."""
    found = CALENDAR.fullmatch(_to_words(given).removeprefix("@"))
    return found is not None and found["hour"] is None


def is_once(given: Any) -> bool:
    """Whether *given* says that something runs once, at a moment that is named elsewhere."""
    return _to_words(given) in ONCE_WORDS


def _to_words(given: Any) -> str:
    return " ".join(re.sub(r"[_-]", " ", str(given).lower()).split())


def once_timing(at: datetime, timezone: str) -> Timing:
    """Return the schedule of one run, at *at*."""
    local = to_local(at, timezone_or_utc(timezone)).replace(tzinfo=None, microsecond=0)
    text = local.isoformat(timespec="seconds" if local.second else "minutes")
    return Timing(f"at {text}", "mapped", "runs once, at that moment")


def interval_timing(seconds: float, anchor: datetime | None) -> Timing:
    """Return a schedule of every so many *seconds*, counted from *anchor*.

    Raises:
        InputError: It is none, less than none, or longer than a schedule can be.
    """
    if not 0 < seconds < MAX_SECONDS:
        raise InputError("must be more than 0 seconds, and less than ten years")
    duration = timedelta(seconds=seconds)
    why = "counted from the moment known of it" if anchor else "counted from when the task is made here"
    if duration < MIN_INTERVAL:
        interval = format_interval(duration).removeprefix("every ")
        why = f"{interval} is shorter than a minute, the shortest there is; {why}"
        return Timing("every 1m", "changed", why, anchor)
    return Timing(format_interval(duration), "mapped", why, anchor)


def cron_timing(text: str) -> Timing:
    """Return a cron expression; fields for seconds and years are dropped where they restrict nothing.

    Raises:
        InputError: They say something, or the days of the week are counted in another way.
    """
    if len(text.split()) == 5:
        return Timing(text, "mapped", "the same cron expression")
    found = translate(text)
    if found is None:
        raise InputError(
            f"has {len(text.split())} fields, with seconds or years that cannot be kept; write five"
        )
    return _take_translation(found, "the fields for seconds and years, which restrict nothing, are left away")


FIRST_DAYS = {"1-7": 1, "8-14": 2, "15-21": 3, "22-28": 4}  # each has every day of the week once
WEEKDAY_LIST = re.compile(r"(?:\d|[a-z]{3})(?:,(?:\d|[a-z]{3}))*", re.IGNORECASE)


def match_both_days(date: str, weekday: str) -> tuple[str, str]:
    """Return the days of month and week for a scheduler that wants a day to match both; here either will do.

        */2    mon        as they are: a star in front means both here too
        1-7    mon        *    mon#1

    Raises:
        InputError: They cannot be kept.
    """
    if date[:1] in ("*", "?") or weekday[:1] in ("*", "?"):
        return date, weekday
    if date not in FIRST_DAYS or not WEEKDAY_LIST.fullmatch(weekday):
        raise InputError(
            f"runs where a day is both {date[:20]} of the month and {weekday[:20]}; either would be enough "
            "here; write one of them, and let the task itself look at the other"
        )
    return "*", ",".join(f"{day}#{FIRST_DAYS[date]}" for day in weekday.split(","))


def _take_translation(found: Translation, reason: str) -> Timing:
    if found.remark:
        raise InputError(f"may be {found.schedule} here, {found.remark}: write that, or what it is")
    return Timing(found.schedule, "changed", reason)


def to_float(value: Any) -> float:
    """Return a number that is given as one, or as text; infinity for one of hundreds of digits.

    Raises:
        ValueError: It is none.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _convert_number(number: float, unit: str, anchor: datetime | None) -> Timing:
    if unit:
        seconds = parse_seconds(f"{number:g} {unit}")
        if seconds is None:
            raise InputError(f"has a unit nobody knows, {unit[:20]!r}; write seconds, minutes, hours or days")
        return interval_timing(seconds, anchor)
    name, length = ("minutes", 60) if number < 60 else ("seconds", 1)
    found = interval_timing(number * length, anchor)
    why = f"a number without a unit is taken for {name} ({'less than' if length > 1 else 'at least'} 60)"
    return Timing(found.schedule, "changed", f"{why}; {found.reason}", anchor)


def _convert_words(text: str, timezone: str, anchor: datetime | None, time_of_day: str) -> Timing:
    words = _to_words(text)
    if words in MANUAL_WORDS or not words:
        raise NotScheduledError("no schedule starts it: it is run by hand, or by something else")
    if (
        words.startswith("@")
        and words in NAMED_SCHEDULES
        and not ((anchor and words == "@hourly") or time_of_day)
    ):
        return Timing(words, "mapped", "the same name")
    words = words.removeprefix("@")
    if (found := CALENDAR.fullmatch(words)) is not None:
        return _convert_calendar(found, words, timezone, anchor, time_of_day)
    stretch = INTERVAL_WORDS.get(words.removeprefix("every "), words).removeprefix("every ")
    if words in ("hourly", "every hour") and anchor is None:
        return Timing("hourly", "mapped", "on the hour")
    seconds = parse_seconds(stretch)
    return _convert_other(text, timezone) if seconds is None else interval_timing(seconds, anchor)


def _convert_other(text: str, timezone: str) -> Timing:
    """Return what is of another dialect, or a schedule as here."""
    if (found := translate(text)) is not None:
        return _take_translation(found, f"{text[:60]} is written so here")
    try:
        parse_schedule(text, timezone=timezone, anchor=EXAMPLE, task_id="any")
    except InputError:
        raise InputError(
            "is no schedule anybody knows; write a cron expression, or such as every_5_minutes"
        ) from None
    return Timing(text, "mapped", "the same schedule")


def _convert_calendar(
    found: re.Match[str], words: str, timezone: str, anchor: datetime | None, time_of_day: str
) -> Timing:
    hour, minute = found["hour"], found["minute"]
    if hour is None and time_of_day:
        hour, _, minute = time_of_day.partition(":")
    local = to_local(anchor, timezone_or_utc(timezone)) if anchor else None
    why = "at the time of day that it says"
    if hour is None and local is not None:
        hour, minute = str(local.hour), str(local.minute)
        why = f"at {local:%H:%M}, the time of day at which it ran"
    elif hour is None:
        hour, minute, why = "0", "0", "at midnight, for the file names no time of day"
    if int(hour) > 23 or int(minute or 0) > 59:
        raise InputError("has a time of day that does not exist")
    days = _cron_days(found["what"], found["day"], local)
    if local is not None and local.day > LAST_OF_EVERY_MONTH and days.split()[0] == str(LAST_OF_EVERY_MONTH):
        why += f", on day {LAST_OF_EVERY_MONTH}, for not every month has day {local.day}; L is its last day"
    did: ImportAction = "mapped" if found["hour"] else "changed"
    return Timing(f"{int(minute or 0)} {int(hour)} {days}", did, f"{words}: {why}")


def _cron_days(what: str, day: str | None, local: datetime | None) -> str:
    """Return the last three cron fields."""
    if what in ("day", "daily"):
        return "* * *"
    if what.startswith("weekday"):
        return "* * 1-5"
    if what.startswith("weekend"):
        return "* * 0,6"
    date = min(local.day, LAST_OF_EVERY_MONTH) if local else 1
    if what.startswith("month"):
        return f"{date} * *"
    if what.startswith(("year", "annual")):
        return f"{date} {local.month if local else 1} *"
    name = day if what.startswith("week") else what
    if name is not None:
        return f"* * {WEEKDAYS.index(name[:3])}"
    return f"* * {local.isoweekday() % 7 if local else 0}"
