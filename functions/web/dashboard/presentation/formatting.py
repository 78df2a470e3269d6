"""Values as text: times, durations, states."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, timezone_or_utc, to_local

Translate = Callable[[str], str]

_UNITS = ((86_400, "{n} d"), (3600, "{n} h"), (60, "{n} min"), (1, "{n} s"))
GOOD, BAD, WARN, QUIET = "good", "bad", "warn", "quiet"
_TURNS = str.maketrans("", "", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def without_turns(value: Any) -> Any:
    """Return a text without the characters that turn the direction of what stands behind them; else *value*.

    Letters have a direction of their own, so Arabic and Hebrew need none of them. Markup stays as it is.
    """
    return value.translate(_TURNS) if type(value) is str and not value.isascii() else value


def json_text(value: Any) -> str:
    """Return *value* as JSON for people: letters and signs as they are."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def severity(outcome: str) -> str:
    """Return the colour class of an outcome; the page also names the outcome."""
    match outcome:
        case OutcomeKind.SUCCEEDED:
            return GOOD
        case OutcomeKind.SKIPPED | OutcomeKind.CANCELLED:
            return QUIET
        case _:
            return BAD


def task_state(task: Task) -> tuple[str, str]:
    """Return the state of *task* in a phrase, and its colour class.

    It is green only after a success. A failure that is tried again is not yet one.
    """
    match task.status:
        case Status.QUARANTINED:
            return "stopped", BAD
        case Status.PAUSED:
            return "paused", QUIET
        case Status.RETRYING:
            return ("failing, retrying", BAD) if task.is_failing else ("retrying", WARN)
        case Status.RUNNING:
            return ("failing, running", BAD) if task.is_failing else ("running", GOOD)
        case Status.ENDED:
            return ("ended, failed", BAD) if task.is_failing else ("ended", QUIET)
    if task.is_failing:
        return "failing", BAD
    return ("ok", GOOD) if task.last_outcome is OutcomeKind.SUCCEEDED else ("waiting", QUIET)


def relative_time(at: datetime | None, now: datetime, translate: Translate = str) -> str:
    """Return *at* relative to *now*: `in 4 min`, `2 h ago`, `now`; a dash for never."""
    if at is None:
        return "–"
    distance = at - now
    seconds = round(abs(distance).total_seconds())
    if seconds < 5:
        return translate("now")
    text = translate("in {span}") if distance > timedelta() else translate("{span} ago")
    return text.format(span=span(seconds, translate))


def span(seconds: float, translate: Translate = str) -> str:
    """Return a length of time in its largest unit: `4 min`, `2 h`."""
    whole = round(seconds)
    size, unit = next(((size, unit) for size, unit in _UNITS if whole >= size), _UNITS[-1])
    return translate(unit).format(n=whole // size)


def absolute_time(at: datetime | None, zone: str, weekdays: Sequence[str] = ()) -> str:
    """Return *at* in *zone*, with its name; in UTC when the zone is unknown.

    Args:
        weekdays: Their names in another language than English, Monday first.
    """
    if at is None:
        return "–"
    known = timezone_or_utc(zone)
    return f"{day_and_time(to_local(at, known), weekdays)} {known.key}"


def day_and_time(local: datetime, weekdays: Sequence[str] = ()) -> str:
    """Return a moment of a clock: `Sun 29 Nov 2026, 09:30`."""
    if weekdays:
        return f"{local:%Y-%m-%d} {weekdays[local.weekday()]} {local:%H:%M}"
    return f"{local:%a %d %b %Y, %H:%M}"


def day(local: datetime, weekdays: Sequence[str] = ()) -> str:
    """Return a date: `29 Nov 2026`."""
    return f"{local:%Y-%m-%d}" if weekdays else f"{local:%d %b %Y}"


def hour_of_day(local: datetime, weekdays: Sequence[str] = ()) -> str:
    """Return an hour with its day: `Sun 09:00`."""
    return f"{weekdays[local.weekday()] if weekdays else f'{local:%a}'} {local:%H:%M}"


def local_time(at: datetime, zone: str) -> datetime:
    """Return *at* on the clock of *zone*; of UTC when the zone is unknown."""
    return to_local(at, timezone_or_utc(zone))


def clock_time(at: datetime, zone: str) -> str:
    """Return the time of *at* on the clock of *zone*: `09:30`."""
    return f"{to_local(at, timezone_or_utc(zone)):%H:%M}"


def clock_seconds(at: datetime, zone: str) -> str:
    """Return the time of *at* on the clock of *zone*, to the second: `09:30:05`."""
    return f"{to_local(at, timezone_or_utc(zone)):%H:%M:%S}"


def duration(milliseconds: int | None, translate: Translate = str) -> str:
    """Return a duration as text: `120 ms`, `1.5 s`, `2 min 5 s`."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    parts = (("{n} min", seconds // 60), ("{n} s", seconds % 60))
    return " ".join(translate(unit).format(n=f"{number:.0f}") for unit, number in parts)


def matches_search(task: Task, words: str) -> bool:
    """Whether *task* has all *words* in its id, title, description, type, owner or tags."""
    text = " ".join((task.id, task.title, task.description, task.type, task.owner, *task.tags)).casefold()
    return all(word in text for word in words.casefold().split())
