"""Cron expressions: five fields in a canonical form, which croniter reads as sets of numbers."""

from collections.abc import Sequence
from functools import lru_cache

from functions.rules.schedule_days import LAST, Days, WallTimes
from functions.rules.schedule_fields import FIELDS, Field, canonical_field
from functions.rules.schedule_shape import ScheduleError

SHAPE = "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5"


def canonical_cron(expression: str, *, task_id: str) -> str:
    """Return *expression* in numbers alone, one space between fields, `H` drawn from *task_id*.

    Raises:
        ScheduleError: It is not a cron expression of five fields, or one of them is at fault.
    """
    texts = expression.upper().split()
    if texts and texts[0].startswith(("TZ=", "CRON_TZ=")):
        raise ScheduleError(
            f"schedule: {texts[0].split('=')[0]}= is not read here; write the zone as timezone"
        )
    if len(texts) in (6, 7):
        raise ScheduleError(
            f"schedule: these are {len(texts)} fields, and seconds and years are not supported; "
            f"write five: {SHAPE}"
        )
    if len(texts) != 5:
        fault = f'"{expression[:60]}" is not a schedule'
        raise ScheduleError(f"schedule: {fault}; write five cron fields, {SHAPE}, or daily, or every 15m")
    return " ".join(
        canonical_field(field, text, task_id=task_id) for field, text in zip(FIELDS, texts, strict=True)
    )


@lru_cache(maxsize=4096)
def wall_times(canonical: str) -> WallTimes:
    """Return the times a canonical expression means.

    Raises:
        ScheduleError: It names dates that never come.
    """
    minute, hour, date, month, weekday = canonical.split()
    special = [term for term in weekday.split(",") if "#" in term or "L" in term]
    usual = ",".join(term for term in weekday.split(",") if term not in special)
    read = _read(f"{minute} {hour} {date} {month} {usual or '*'}")
    days = Days(
        dates=read[2] - {LAST},
        last_date=LAST in read[2],
        months=read[3],
        weekdays=read[4] if usual else frozenset(),
        nth_weekdays=frozenset(_read_nth(term) for term in special),
        # Debian's rule: with a star in front of either field a day must match both, else either will do.
        both=date.startswith("*") or weekday.startswith("*"),
    )
    if not days.ever():
        raise ScheduleError(
            f'schedule: the day "{date} {month} {weekday}" (day-of-month month day-of-week) never comes; '
            "choose one the calendar has, or L for the last day of a month"
        )
    return WallTimes(tuple(sorted(read[0])), tuple(sorted(read[1])), days)


def at_times_of_day(canonical: str) -> bool:
    """Whether the expression names times of day, of which one that comes twice counts once."""
    minute, hour, *_ = canonical.split()
    return not minute.startswith("*") and not hour.startswith("*")


def _read(canonical: str) -> list[frozenset[int]]:
    from croniter import croniter  # 60 ms, which a tick with nothing due must not pay

    lists, _ = croniter.expand(canonical)
    return [_numbers(field, items) for field, items in zip(FIELDS, lists, strict=True)]


def _numbers(field: Field, items: Sequence[int | str]) -> frozenset[int]:
    if "*" in items:
        return frozenset(range(field.low, field.last + 1))
    return frozenset(LAST if item == "l" else int(item) for item in items)


def _read_nth(term: str) -> tuple[int, int]:
    from croniter import croniter  # as above

    _, nth = croniter.expand(f"* * * * {term}")
    [(weekday, [which])] = nth.items()
    return weekday, LAST if which == "l" else which
