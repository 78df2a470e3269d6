"""A schedule that comes again after a fixed stretch of elapsed time: `every 15m`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.domain.schedule.base import (
    Schedule,
    ScheduleError,
    Span,
    Transition,
    instant_at,
    second_at_or_before,
)
from functions.domain.schedule.timezones import Zone, gap, repeat
from functions.domain.types import instant_text

SHORTEST_S, LONGEST_S = 60, 3650 * 86_400
UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
EVERY = re.compile(r"every\s+((?:[0-9]{1,9}\s*[wdhms]\s*)+)")
INTERVAL_EXAMPLE = "write it like every 15m, every 2h or every 1h30m, with s, m, h, d and w"


@dataclass(frozen=True, slots=True)
class Interval:
    """See `Schedule`. Occurrences are *anchor* and whole steps after it, so nothing ever drifts.

    Time is elapsed time: `every 1d` is 24 hours, also across a change of the clocks.
    """

    canonical: str
    anchor: datetime
    step: timedelta

    def next_after(self, instant: datetime) -> datetime | None:
        return self._nth(max((instant - self.anchor) // self.step + 1, 0))

    def span(self, first: datetime, until: datetime) -> Span | None:
        low, high = self._range(first, until)
        earliest, latest = self._nth(low), self._nth(high)
        if high < low or earliest is None or latest is None:
            return None
        return Span(high - low + 1, earliest, latest)

    def tail(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        low, high = self._range(first, until)
        return [self.anchor + n * self.step for n in range(max(low, high - limit + 1), high + 1)]

    def period(self, around: datetime) -> timedelta | None:
        return self.step

    def transitions(self, after: datetime, until: datetime) -> list[Transition]:
        return []

    def _range(self, first: datetime, until: datetime) -> tuple[int, int]:
        return max(-((self.anchor - first) // self.step), 0), (until - self.anchor) // self.step

    def _nth(self, number: int) -> datetime | None:
        try:
            return self.anchor + number * self.step
        except OverflowError:  # after the year 9999
            return None


def step_of(text: str) -> timedelta:
    """Read `every 15m`, in lower case.

    Raises:
        ScheduleError: It is not understood, too short or too long.
    """
    found = EVERY.fullmatch(text)
    if not found:
        raise ScheduleError(f'schedule: "{text[:60]}" is not an interval; {INTERVAL_EXAMPLE}')
    parts = re.findall(r"([0-9]+)\s*([wdhms])", found[1])
    step_s = sum(int(number) * UNITS[unit] for number, unit in parts)
    if step_s < SHORTEST_S:
        raise ScheduleError(
            f'schedule: "{text}" is shorter than the scheduler\'s own minute; write every 1m or longer'
        )
    if step_s > LONGEST_S:
        raise ScheduleError(f'schedule: "{text}" is longer than ten years; write every 3650d or shorter')
    return timedelta(seconds=step_s)


def interval(step: timedelta, *, anchor: datetime) -> Interval:
    """Return the schedule of *step* from *anchor* on, which counts in whole seconds."""
    return Interval(_canonical(step), anchor.astimezone(UTC).replace(microsecond=0), step)


def _canonical(step: timedelta) -> str:
    seconds = step // timedelta(seconds=1)
    text = ""
    for unit, length in UNITS.items():
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    return f"every {text}"


# A schedule of one single instant: `at 2026-12-01T09:00`.

AT = re.compile(
    r"at\s+([0-9]{4}-[0-9]{2}-[0-9]{2})[t\s]\s*([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\s*(z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
YEARS = range(1970, 9999)
ONCE_EXAMPLE = "write it like at 2026-12-01T09:00, in the task's zone"


@dataclass(frozen=True, slots=True)
class Once:
    """See `Schedule`. *met* is the change of the clocks the written time falls into, if it does."""

    canonical: str
    instant: datetime
    met: Transition | None

    def next_after(self, instant: datetime) -> datetime | None:
        return self.instant if instant < self.instant else None

    def span(self, first: datetime, until: datetime) -> Span | None:
        return Span(1, self.instant, self.instant) if first <= self.instant <= until else None

    def tail(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        return [self.instant] if limit > 0 and first <= self.instant <= until else []

    def period(self, around: datetime) -> timedelta | None:
        return None

    def transitions(self, after: datetime, until: datetime) -> list[Transition]:
        return [self.met] if self.met and after < self.met.instant <= until else []


def once(text: str, zone: Zone) -> Once:
    """Read `at 2026-12-01T09:00` as the wall clock of *zone* unless it has its own offset.

    Raises:
        ScheduleError: It is not understood, or there is no such date or time.
    """
    found = AT.fullmatch(text)
    if not found:
        raise ScheduleError(f'schedule: "{text[:60]}" is not a date and time; {ONCE_EXAMPLE}')
    try:
        given = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}")
    except ValueError:
        raise ScheduleError(
            f'schedule: "{text}" is not in the calendar or on the clock; {ONCE_EXAMPLE}'
        ) from None
    if given.year not in YEARS:
        raise ScheduleError(f'schedule: "{text}" is out of range; use a year from 1970 to 9998')
    if given.tzinfo is not None:
        return Once(f"at {instant_text(given)}", given.astimezone(UTC), None)
    wall = second_at_or_before(given.replace(tzinfo=UTC))
    second = zone.second(wall)
    return Once(f"at {instant_text(instant_at(second))}", instant_at(second), _met(zone, wall, second))


def _met(zone: Zone, wall: int, second: int) -> Transition | None:
    era = zone.era(second)
    if second + era.offset != wall:
        return gap(zone.name, era, first=wall, last=wall, count=1, fixed=True)
    later = zone.era(era.end)
    if wall >= later.start + later.offset:
        return repeat(zone.name, later, first=wall, last=wall, fixed=True)
    return None


# The schedule of a task that has none: only events, the end of other tasks, and people start it.


class _Never:
    @property
    def canonical(self) -> str:
        return ""

    def next_after(self, instant: datetime) -> datetime | None:
        return None

    def span(self, first: datetime, until: datetime) -> Span | None:
        return None

    def tail(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        return []

    def period(self, around: datetime) -> timedelta | None:
        return None

    def transitions(self, after: datetime, until: datetime) -> list[Transition]:
        return []


NEVER: Schedule = _Never()
