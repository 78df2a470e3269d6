"""One field of a cron expression: its dialects in plain numbers, and what is refused in it and why."""

import re
from dataclasses import dataclass
from hashlib import sha256
from unicodedata import normalize

from functions.domain.schedule.base import ScheduleError

PLAIN_TERM = re.compile(r"(\*)(?:/([0-9]+))?|([0-9]+|[A-Z]{3})(?:-([0-9]+|[A-Z]{3}))?(?:/([0-9]+))?")
HASHED_TERM = re.compile(r"H(?:\(([0-9]+)-([0-9]+)\))?(?:/([0-9]+))?")
LAST_WEEKDAY = re.compile(r"L(?P<after>[0-9]+|[A-Z]{3})|(?P<before>[0-9]+|[A-Z]{3})L")
NTH_WEEKDAY = re.compile(r"([0-9]+|[A-Z]{3})#([0-9]+)")

LOOKALIKES = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2212\u2217", "------*", "\"'`\u2018\u2019\u201c\u201d"
)


@dataclass(frozen=True, slots=True)
class CronField:
    """One of the five.

    Attributes:
        name: Its name in messages; also part of what `H` is drawn from, so it must never change.
        high: The greatest number that may be written: Sunday is 7 as well as 0.
        last: The greatest number that means something of its own.
        hashed_high: The greatest number `H` may draw.
        names: Names that stand for numbers, from *low* on.
        interval_unit: The unit of the interval to suggest for a step longer than the field; empty for none.
    """

    name: str
    low: int
    high: int
    last: int
    hashed_high: int
    names: tuple[str, ...] = ()
    interval_unit: str = ""


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTE = CronField("minute", 0, 59, 59, 59, interval_unit="m")
HOUR = CronField("hour", 0, 23, 23, 23, interval_unit="h")
DATE = CronField("day-of-month", 1, 31, 31, 28)  # every month has 28 days
MONTH = CronField("month", 1, 12, 12, 12, MONTHS)
WEEKDAY = CronField("day-of-week", 0, 7, 6, 6, WEEKDAYS)
FIELDS = (MINUTE, HOUR, DATE, MONTH, WEEKDAY)


def canonical_field(field: CronField, text: str, *, task_id: str) -> str:
    """Return *text*, in upper case, in numbers alone, with `H` drawn from *task_id*.

    Raises:
        ScheduleError: It is not understood, not supported, or out of the field's bounds.
    """
    terms = (_canonical_term(field, term, task_id) for term in text.split(","))
    return ",".join(dict.fromkeys(terms))


def _canonical_term(field: CronField, term: str, task_id: str) -> str:
    if term.startswith("?"):
        term = "*" + term[1:]
    if found := HASHED_TERM.fullmatch(term):
        return _draw_hashed(field, term, task_id, *found.groups())
    if found := PLAIN_TERM.fullmatch(term):
        star, star_step, first, last, step = found.groups()
        if star:
            return _with_step("*", _parse_step(field, term, star_step))
        return _canonical_numbers(field, term, first, last, step)
    if field is DATE:
        return _canonical_date(term)
    if field is WEEKDAY:
        return _canonical_weekday(term)
    raise _unknown_term_error(field, term)


def _canonical_numbers(field: CronField, term: str, first: str, last: str | None, step: str | None) -> str:
    low = _parse_number(field, first)
    if last is None:
        high = field.high if step else low
    else:
        high = 7 if last == "SUN" and low else _parse_number(field, last)
    return _canonical_range(field, term, low, high, _parse_step(field, term, step))


def _canonical_range(field: CronField, term: str, low: int, high: int, step: int) -> str:
    if high < low:
        remedy = f"write it as {_forwards(field, low, high, step)}"
        raise ScheduleError(f'schedule: the {field.name} range "{term}" runs backwards; {remedy}')
    if high == low:
        return str(low % 7 if field is WEEKDAY else low)
    return _with_step(f"{low}-{high}", step)


def _forwards(field: CronField, low: int, high: int, step: int) -> str:
    """The numbers that a range over the end of *field* means: two ranges, or, with a step, each by itself."""
    if low > field.last:
        return _with_step(f"{field.low}-{high}", step)  # Sunday is 0 as well as 7
    if step == 1:
        ranges = ((low, field.last), (field.low, high))
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    numbers = [*range(low, field.last + 1), *range(field.low, high + 1)][::step]
    return ",".join(map(str, numbers))


def _draw_hashed(
    field: CronField, term: str, task_id: str, first: str | None, last: str | None, step: str | None
) -> str:
    if not task_id:
        raise ScheduleError(f'schedule: the {field.name} "{term}" is drawn from the task\'s id; give the id')
    low = field.low if first is None else _parse_number(field, first)
    high = field.hashed_high if last is None else _parse_number(field, last)
    if high < low:
        forwards = term.replace(f"{first}-{last}", f"{last}-{first}")
        raise ScheduleError(f'schedule: the {field.name} range "{term}" runs backwards; write {forwards}')
    digest = sha256(f"{task_id} {field.name}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big")
    if step is None:
        chosen = low + drawn % (high - low + 1)
        return _canonical_range(field, term, chosen, chosen, 1)
    width = _parse_step(field, term, step)
    return _canonical_range(field, term, low + drawn % min(width, high - low + 1), high, width)


def _canonical_date(term: str) -> str:
    if term == "L":
        return term
    if "W" in term:
        raise ScheduleError(
            f'schedule: the day-of-month "{term}" asks for the nearest weekday, which is not supported; '
            "name the day, or the weekday in the fifth field"
        )
    if term.startswith("L-"):
        raise ScheduleError(
            f'schedule: the day-of-month "{term}" counts back from the last day, which is not supported; '
            "use L, or a day from 1 to 28"
        )
    raise _unknown_term_error(DATE, term)


def _canonical_weekday(term: str) -> str:
    if found := LAST_WEEKDAY.fullmatch(term):
        return f"L{_parse_number(WEEKDAY, found['after'] or found['before']) % 7}"
    if found := NTH_WEEKDAY.fullmatch(term):
        if not 1 <= int(found[2]) <= 5:
            raise ScheduleError(
                f'schedule: the day-of-week "{term}" is in no month; use #1 to #5, or L for the last'
            )
        return f"{_parse_number(WEEKDAY, found[1]) % 7}#{int(found[2])}"
    if term == "L":
        raise ScheduleError('schedule: the day-of-week "L" lacks its day; write 5L for the last Friday')
    raise _unknown_term_error(WEEKDAY, term)


def _parse_number(field: CronField, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    if not text.isdecimal():
        raise _unknown_term_error(field, text)
    number = int(text)
    if not field.low <= number <= field.high:
        raise ScheduleError(
            f"schedule: the {field.name} {text} is out of range; use {field.low} to {field.high}"
        )
    return number


def _parse_step(field: CronField, term: str, text: str | None) -> int:
    step = 1 if text is None else int(text)
    if step == 0:
        raise ScheduleError(
            f'schedule: the {field.name} "{term}" has a step of 0; use a step of 1 to {field.high}'
        )
    if step > field.high:
        instead = f", or the interval every {step}{field.interval_unit}" if field.interval_unit else ""
        raise ScheduleError(
            f'schedule: the {field.name} "{term}" has a step longer than the field; '
            f"use a step of 1 to {field.high}{instead}"
        )
    return step


def _with_step(text: str, step: int) -> str:
    return text if step == 1 else f"{text}/{step}"


def _unknown_term_error(field: CronField, term: str) -> ScheduleError:
    bounds = f"{field.low} to {field.high}"
    if field.names:
        bounds += f" or {field.names[0]} to {field.names[-1]}"
    if not term:
        return ScheduleError(f"schedule: the {field.name} has an empty place; take out the extra comma")
    if (plain := _plain_term(field, term)) != term:
        return ScheduleError(
            f'schedule: the {field.name} "{term[:40]}" is not understood; write {plain[:40]}'
        )
    return ScheduleError(
        f'schedule: the {field.name} "{term[:40]}" is not understood; '
        f"use numbers {bounds}, ranges 1-5, steps */5 and lists 1,3,5"
    )


def _plain_term(field: CronField, term: str) -> str:
    """Return *term* with plain signs, short names, and cronie's `0~30` as `H(0-30)`.

    “0       0          signs of a text processor
    1–5      1-5
    MONDAY   MON
    """
    plain = normalize("NFKC", term).translate(LOOKALIKES)
    for name in field.names:
        plain = re.sub(rf"\b{name}[A-Z]+\b", name, plain)
    return re.sub(r"([0-9]+)~([0-9]+)", r"H(\1-\2)", plain)
