"""A schedule of one single instant: `at 2026-12-01T09:00`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.rules.schedule_clocks import gap, repeat
from functions.rules.schedule_shape import ScheduleError, Span, Transition, instant_at, second_at_or_before
from functions.rules.schedule_zone import Zone
from functions.rules.words import instant_text

AT = re.compile(
    r"at\s+([0-9]{4}-[0-9]{2}-[0-9]{2})[t\s]\s*([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\s*(z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
YEARS = range(1970, 9999)
EXAMPLE = "write it like at 2026-12-01T09:00, in the task's zone"


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
        raise ScheduleError(f'schedule: "{text[:60]}" is not a date and time; {EXAMPLE}')
    try:
        given = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}")
    except ValueError:
        raise ScheduleError(f'schedule: "{text}" is not in the calendar or on the clock; {EXAMPLE}') from None
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
