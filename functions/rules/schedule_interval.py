"""A schedule that comes again after a fixed stretch of elapsed time: `every 15m`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.rules.schedule_shape import ScheduleError, Span, Transition

SHORTEST_S, LONGEST_S = 60, 3650 * 86_400
UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
EVERY = re.compile(r"every\s+((?:[0-9]{1,9}\s*[wdhms]\s*)+)")
EXAMPLE = "write it like every 15m, every 2h or every 1h30m, with s, m, h, d and w"


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
        raise ScheduleError(f'schedule: "{text[:60]}" is not an interval; {EXAMPLE}')
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
