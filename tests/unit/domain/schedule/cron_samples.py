"""Cron expressions drawn by dice, each with its meaning as plain sets: no parser has to be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

Numbers = frozenset[int]


@dataclass(frozen=True)
class Sample:
    """An expression and, beside it, the numbers it was made from. Weekdays count from Sunday, 0."""

    text: str
    minutes: Numbers
    hours: Numbers
    dates: Numbers
    months: Numbers
    weekdays: Numbers

    @property
    def fixed(self) -> bool:
        minute, hour, *_ = self.text.split()
        return minute[0] != "*" and hour[0] != "*"

    @property
    def both(self) -> bool:
        _, _, date, _, weekday = self.text.split()
        return date[0] == "*" or weekday[0] == "*"

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        days = (wall.day in self.dates, wall.isoweekday() % 7 in self.weekdays)
        return all(days) if self.both else any(days)


def draw(dice: Random, *, near: datetime | None = None) -> Sample:
    """Draw an expression; with *near*, one that is likely to have something to do at that wall-clock time."""
    hours = [(near.hour + step) % 24 for step in (-1, 0, 1, 2)] if near else None
    dates = sorted({near.day, max(near.day - 1, 1)}) if near else None
    minute, minutes = _field(dice, 0, 59)
    hour, in_hours = _field(dice, 0, 23, hours)
    date, in_dates = _field(dice, 1, 31, dates) if dice.random() < 0.3 else ("*", frozenset(range(1, 32)))
    weekday, weekdays = _field(dice, 0, 7) if dice.random() < 0.3 else ("*", frozenset(range(7)))
    in_months: Numbers = frozenset(range(1, 13))
    return Sample(
        f"{minute} {hour} {date} * {weekday}",
        minutes,
        in_hours,
        in_dates,
        in_months,
        frozenset(day % 7 for day in weekdays),
    )


def draw_dates(dice: Random) -> Sample:
    """Draw an expression that is about days: one time of day, any mixture of date, month and weekday."""
    hour, minute = dice.randrange(24), dice.randrange(60)
    date, dates = _field(dice, 1, 28) if dice.random() < 0.7 else ("*", frozenset(range(1, 32)))
    month, months = _field(dice, 1, 12) if dice.random() < 0.6 else ("*", frozenset(range(1, 13)))
    weekday, weekdays = _field(dice, 0, 7) if dice.random() < 0.6 else ("*", frozenset(range(7)))
    return Sample(
        f"{minute} {hour} {date} {month} {weekday}",
        frozenset({minute}),
        frozenset({hour}),
        frozenset(range(1, 32, int(date[2:]))) if date.startswith("*/") else dates,
        months,
        frozenset(day % 7 for day in weekdays),
    )


def _field(dice: Random, low: int, high: int, likely: Sequence[int] | None = None) -> tuple[str, Numbers]:
    def one() -> int:
        return dice.choice(likely) if likely and dice.random() < 0.8 else dice.randint(low, high)

    form, step = dice.randrange(6), dice.randint(2, max(2, high // 2))
    if form == 0:
        return "*", frozenset(range(low, high + 1))
    if form == 1:
        return f"*/{step}", frozenset(range(low, high + 1, step))
    if form == 2:
        several = sorted({one() for _ in range(3)})
        return ",".join(map(str, several)), frozenset(several)
    if form == 3:
        first = min(one(), high - 1)
        last = dice.randint(first + 1, high)
        return f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))
    number = one()
    return str(number), frozenset({number})
