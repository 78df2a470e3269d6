"""Schedules as other schedulers write them: what to write here, for errors and imports.

They are not accepted as they are: of two readings of `0 0 9 * * 2` one would run on the wrong day in silence.
"""

import re
from dataclasses import dataclass

from functions.domain.schedule.durations import parse_duration
from functions.domain.schedule.simple import format_interval

WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
SUNDAY_IS_ONE = "if 1 is Sunday there, as in Quartz"
REST_IS_APART = "with a command in params, and a zone in timezone"
WRAPPED = re.compile(r"(cron|rate|at) ?\((.*)\)", re.IGNORECASE)  # EventBridge
YEARS = re.compile(r"(?:19|20)\d\d\S*")
QUARTZ_WEEKDAY = re.compile(r"(?<![#/\d])[1-7](?!\d)")
ISO_INTERVAL = re.compile(r"(?:R/)?P(?:(\d+W)|(\d+D)?(?:T(\d+H)?(\d+M)?(\d+S)?)?)", re.IGNORECASE)
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
DAY = r"(?:sun|mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur)(?:day)?s?"
TIME = r"(?:,? at)? (?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>am|pm)?"
DAY_AND_TIME = re.compile(
    rf"(?:every |on )?(?P<days>day|daily|weekdays?|weekends?|{DAY}(?:(?:,| and|, and) {DAY})*){TIME}",
    re.IGNORECASE,
)
DAY_OF_MONTH = re.compile(
    rf"(?:on )?(?:the )?(?P<which>first|second|third|fourth|last) (?P<day>day|{DAY})"
    rf" of (?:the |each |every )?month{TIME}",
    re.IGNORECASE,
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
DAY_SETS = {"day": "*", "daily": "*", "weekday": "1-5", "weekend": "0,6"}


@dataclass(frozen=True, slots=True)
class Translation:
    """What to write here.

    Attributes:
        remark: What must be true of the other scheduler, or where the rest belongs; empty when that is all.
    """

    schedule: str
    remark: str = ""


def translate(text: str) -> Translation | None:
    """Return the schedule that *text* means elsewhere; None when it is of no dialect, or cannot be kept.

        0 0 12 ? * MON-FRI      0 12 * * MON-FRI        Quartz: seconds first
        cron(0 12 ? * 2 *)      0 12 * * MON            EventBridge: years last, 1 is Sunday
        rate(5 minutes)         every 5m
        PT15M, 15 minutes       every 15m
        every monday at 9:30    30 9 * * 1
        last friday of month at 9    0 9 * * 5L
        0 9 * * 1 - 5           0 9 * * 1-5
        */5 * * * * curl ...    */5 * * * *             a line of a crontab

    The result may still be no schedule, where *text* is none there.
    """
    text = " ".join(text.split())
    if wrapped := WRAPPED.fullmatch(text):
        word, inner = wrapped[1].lower(), wrapped[2].strip()
        if word == "cron":
            return _translate_fields(inner.split(), has_years=True)
        return _translate_moment(inner) if word == "at" else _translate_duration(inner)
    if (found := DAY_AND_TIME.fullmatch(text) or DAY_OF_MONTH.fullmatch(text)) is not None:
        return _translate_words(found)
    joined = re.sub(r" ?(-) | ?([-,]) ", r"\1\2", text).split()
    if len(joined) == 5 < len(text.split()):
        return Translation(" ".join(joined))
    fields = text.split()
    if len(fields) > 5 and re.search(r"[a-z/.]{3}", fields[5]) and fields[5] not in ("and", "or"):
        return Translation(" ".join(fields[:5]), REST_IS_APART)
    return _translate_fields(fields) or _translate_moment(text) or _translate_duration(text)


def _translate_fields(fields: list[str], *, has_years: bool = False) -> Translation | None:
    """Six or seven fields: seconds before five, years behind them, or both."""
    has_years = has_years or (len(fields) == 6 and "?" in (fields[2], fields[4]))
    if len(fields) == 7:
        seconds, *five, years = fields
    elif len(fields) == 6 and (has_years or YEARS.fullmatch(fields[5])):
        seconds, *five, years = "0", *fields
    elif len(fields) == 6:
        seconds, *five, years = *fields, "*"
    else:
        return None
    if seconds not in ("0", "00") or years not in ("*", "?"):
        return None
    remark = ""
    if has_years or "?" in fields:
        named = QUARTZ_WEEKDAY.sub(lambda found: WEEKDAYS[int(found[0]) - 1], five[4])
        remark = SUNDAY_IS_ONE if named != five[4] and not has_years else ""
        five[4] = named
    return Translation(" ".join(five).replace("?", "*"), remark)


def _translate_duration(text: str) -> Translation | None:
    if iso := ISO_INTERVAL.fullmatch(text):
        text = "".join(part for part in iso.groups() if part)
    length = parse_duration(text)
    return None if length is None else Translation(format_interval(length))


def _translate_moment(text: str) -> Translation | None:
    found = MOMENT.fullmatch(text)
    return found and Translation(f"at {found[1]}T{found[2]}{(found[3] or '').upper()}")


def _translate_words(found: re.Match[str]) -> Translation | None:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    named = found.groupdict()
    days = _days_of_month(named) if named.get("which") else f"* * {_weekdays(named['days'].lower())}"
    return Translation(f"{minute} {hour} {days}")


def _days_of_month(named: dict[str, str]) -> str:
    which, day = named["which"].lower(), named["day"].lower()
    number = ORDINALS.get(which)  # None for the last
    if day == "day":
        return f"{number or 'L'} * *"
    return f"* * {_weekday(day)}#{number}" if number else f"* * {_weekday(day)}L"


def _weekdays(days: str) -> str:
    if (known := DAY_SETS.get(days.removesuffix("s"))) is not None:
        return known
    names = (name.strip() for name in re.split(r",|\band\b", days))
    return ",".join(str(number) for number in sorted({_weekday(name) for name in names if name}))


def _weekday(name: str) -> int:
    return WEEKDAYS.index(name[:3].upper())
