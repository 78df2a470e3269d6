"""The parser of schedules: from the text under `schedule` to the rule that yields occurrences."""

import re
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache

from functions.domain.schedule.base import ClockChange, OccurrenceRange, Schedule, ScheduleError
from functions.domain.schedule.cron import CronSchedule, canonical_cron, has_fixed_times, parse_wall_times
from functions.domain.schedule.days.closed import DayRule
from functions.domain.schedule.days.phrases import is_phrase, parse_phrase
from functions.domain.schedule.days.rules import (
    cron_on_days,
    interval_on_days,
    on_business_days,
    once_on_days,
)
from functions.domain.schedule.several import MAX_SCHEDULES, SEPARATOR, SeveralSchedules
from functions.domain.schedule.simple import OnceSchedule, interval_schedule, parse_interval, parse_once
from functions.domain.schedule.timezones import load_zone

NAMED_SCHEDULES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "every_minute": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
}
EVERY_DAY = DayRule()
MAX_EXPRESSION_CHARS = 200  # characters; no honest schedule needs them
HASH_TERM = re.compile(
    r"(?:^|[\s,])H(?=$|[\s,/(])", re.IGNORECASE
)  # the only use a schedule makes of the task


def parse_schedule(
    expression: str, *, timezone: str, anchor: datetime, task_id: str = "", days: DayRule = EVERY_DAY
) -> Schedule:
    """Return the schedule *expression* means in *timezone*.

    Tasks with the same expression and zone share one value.

    Args:
        expression: Five cron fields, a name such as @daily or hourly, `every 15m` or `every 5 minutes`, or
            `at 2026-12-01T09:00`, or `first business day of month at 09:00`; several of these with
            semicolons between them.
        timezone: An IANA name; what the wall clock in *expression* is the clock of.
        anchor: Where an interval counts from; its first occurrence, in whole seconds.
        task_id: What `H` is drawn from; an expression with `H` is refused without it.
        days: On which days nothing is to run, and what becomes of occurrences on these.

    Raises:
        ScheduleError: One of them cannot be used.
    """
    if SEPARATOR in expression:
        return _parse_several(expression, timezone=timezone, anchor=anchor, task_id=task_id, days=days)
    if len(expression) > MAX_EXPRESSION_CHARS:  # first: what is longer is not worth a place in the caches
        raise ScheduleError(
            f"schedule: it is {len(expression)} characters long; write at most {MAX_EXPRESSION_CHARS}"
        )
    hashed = task_id if _has_hash_term(expression) else ""
    if days is EVERY_DAY or days.is_trivial:
        found = _parse(expression, timezone, hashed)
        return interval_schedule(found, anchor=anchor) if isinstance(found, timedelta) else found
    adjusted = _parse_on_days(expression, timezone, hashed, days)
    if isinstance(adjusted, timedelta):
        return interval_on_days(interval_schedule(adjusted, anchor=anchor), load_zone(timezone), days)
    return adjusted


def _parse_several(
    expression: str, *, timezone: str, anchor: datetime, task_id: str, days: DayRule
) -> Schedule:
    written = expression.split(SEPARATOR, MAX_SCHEDULES)
    if len(written) > MAX_SCHEDULES:
        raise ScheduleError(
            f"schedule: it has more than {MAX_SCHEDULES} schedules; make several tasks of them"
        )
    parts = dict.fromkeys(" ".join(one.split()) for one in written)
    if "" in parts:
        raise ScheduleError(
            "schedule: a schedule between semicolons is empty; write it, or remove a semicolon"
        )
    found = tuple(
        parse_schedule(one, timezone=timezone, anchor=anchor, task_id=task_id, days=days) for one in parts
    )
    return SeveralSchedules(found) if len(found) > 1 else found[0]


@lru_cache(maxsize=16_384)
def _has_hash_term(expression: str) -> bool:
    return HASH_TERM.search(expression) is not None


@lru_cache(maxsize=16_384)
def _parse(expression: str, timezone: str, task_id: str) -> Schedule | timedelta:
    try:
        return _parse_own(expression, timezone, task_id)
    except ScheduleError as exc:
        raise _explain_dialect(expression, timezone, task_id) or exc from None


def _explain_dialect(expression: str, timezone: str, task_id: str) -> ScheduleError | None:
    """Return an error with what to write here, if *expression* is a schedule elsewhere; else None."""
    from functions.domain.schedule.dialects import translate  # for errors alone

    found = translate(expression)
    if found is None:
        return None
    try:
        _parse_own(found.schedule, timezone, task_id or "any")
    except ScheduleError as exc:
        return exc
    remark = f", {found.remark}" if found.remark else ""
    written = " ".join(expression.split())[:60]
    return ScheduleError(f'schedule: "{written}" is of another dialect; write {found.schedule}{remark}')


def _parse_own(expression: str, timezone: str, task_id: str) -> Schedule | timedelta:
    where = load_zone(timezone)
    written = " ".join(expression.split())
    text = written.lower()
    word, *more = text.split(" ")
    if not word:
        raise ScheduleError('schedule: it is empty; write cron fields such as 30 9 * * 1-5, or "every 15m"')
    if is_phrase(text):
        return on_business_days(parse_phrase(text), where, EVERY_DAY)
    if _is_interval(text):
        return parse_interval(text.removeprefix("@"))
    if word == "at":
        return parse_once(written, where)
    return _parse_cron(canonical_cron(written if more else _expand_name(word), task_id=task_id), timezone)


@lru_cache(maxsize=2048)
def _parse_on_days(expression: str, timezone: str, task_id: str, days: DayRule) -> Schedule | timedelta:
    """As `_parse`, on the days that *days* leaves."""
    text = " ".join(expression.split()).lower()
    if is_phrase(text):
        return on_business_days(parse_phrase(text), load_zone(timezone), days)
    found = _parse(expression, timezone, task_id)
    if isinstance(found, CronSchedule):
        return cron_on_days(found, days)
    return once_on_days(found, load_zone(timezone), days) if isinstance(found, OnceSchedule) else found


def _is_interval(text: str) -> bool:
    """Whether *text* is `every ...`, with spaces or underscores; `every_minute` is a name of a cron."""
    return text.removeprefix("@").startswith(("every ", "every_")) and text not in NAMED_SCHEDULES


@lru_cache(maxsize=4096)
def _parse_cron(canonical: str, timezone: str) -> CronSchedule:
    return CronSchedule(
        canonical, parse_wall_times(canonical), load_zone(timezone), has_fixed_times(canonical)
    )


def _expand_name(word: str) -> str:
    if word in NAMED_SCHEDULES:
        return NAMED_SCHEDULES[word]
    near = get_close_matches(word, NAMED_SCHEDULES, n=1)
    remedy = f"did you mean {near[0]}?" if near else "write five cron fields, @daily, every 15m or at a date"
    raise ScheduleError(f'schedule: "{word[:60]}" is not a schedule; {remedy}')


__all__ = ["ClockChange", "OccurrenceRange", "Schedule", "ScheduleError", "parse_schedule"]
