"""Cron schedules against CronSim, an independent implementation of Debian's rules, and against plain search.

Every change of every zone's clocks from 2015 to 2037 is visited with expressions drawn for it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from functions.domain.schedule.parse import parse_schedule
from tests.support import profile
from tests.unit.domain.schedule.clock_changes import Change, changes, load
from tests.unit.domain.schedule.cron_samples import Sample, draw, draw_dates

MINUTE = timedelta(minutes=1)
AROUND = timedelta(hours=4)  # a window that holds every repeat and gap with room on both sides
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_each_change_of_the_clocks_is_met_as_plain_search_meets_it() -> None:
    """Fixed times run once, the rest follows real time: found minute by minute, without any arithmetic."""
    dice = Random(20_150_101)

    faults = []
    for change in profile.sample(changes()):
        first, until = change.at - AROUND, change.at + AROUND
        walls = Walls(change)
        faults += [
            (change, sample.text)
            for sample in (draw(dice, near=change.before) for _ in range(3))
            if walls.occurrences(sample) != ours(sample, change.zone, first, until)
        ]

    assert [] == faults
    assert len(changes()) > 1900  # the search for changes found them


@pytest.mark.slow
def test_each_change_of_the_clocks_is_met_as_debian_meets_it() -> None:
    """CronSim errs in two narrow places; there, and only there, plain search decides."""
    dice = Random(20_371_231)

    faults, excused = [], 0
    for change in profile.sample(changes()):
        info = load_once(change.zone)
        for sample in (draw(dice, near=change.before) for _ in range(3)):
            around = timedelta(hours=30) if len(sample.minutes) < 4 else AROUND
            first, until = change.at - around, change.at + around
            mine = ours(sample, change.zone, first, until)
            if mine == cronsim(sample, info, first, until):
                continue
            excused += 1
            if not cronsim_errs(sample, change) or mine != Walls(change, around).occurrences(sample):
                faults.append((change, sample.text))

    assert [] == faults
    assert excused < 60


@pytest.mark.slow
def test_days_are_chosen_as_debian_chooses_them() -> None:
    """A star in front of date or weekday means both must match; otherwise one of them is enough."""
    dice = Random(31)
    samples = [draw_dates(dice) for _ in range(600)]
    samples += [special(dice) for _ in range(200)]

    for sample in samples:
        mine = next_few(sample.text, ANCHOR, 6)

        assert list(islice(CronSim(sample.text, ANCHOR), 6)) == mine, sample.text


def cronsim_errs(sample: Sample, change: Change) -> bool:
    """Whether CronSim 2.8 is known to go wrong here.

    It moves through real time in steps of whole hours, and so loses its place where the clocks do not change
    on the hour (Lord Howe, Chatham, Pyongyang). And it looks for a day at midnight; where midnight itself is
    in the gap it runs there, although no real time was skipped that the rule for such expressions knows of.
    """
    return not sample.fixed and (not change.on_whole_hours or change.skips_midnight)


class Walls:
    """The wall clock around a change, minute by minute, as zoneinfo shows it."""

    def __init__(self, change: Change, around: timedelta = AROUND) -> None:
        self.info = load_once(change.zone)
        self.first, self.until = change.at - around, change.at + around
        self.instants = [self.first + n * MINUTE for n in range(2 * around // MINUTE + 1)]
        self.shown = [instant.astimezone(self.info).replace(tzinfo=None) for instant in self.instants]

    def occurrences(self, sample: Sample) -> list[datetime]:
        """Those of *sample* after the first minute of the window."""
        found = self._at_times_of_day(sample) if sample.fixed else self._in_real_time(sample)
        return [instant for instant in sorted(found) if self.first < instant <= self.until]

    def _in_real_time(self, sample: Sample) -> set[datetime]:
        shown = zip(self.instants, self.shown, strict=True)
        return {instant for instant, wall in shown if sample.matches(wall)}

    def _at_times_of_day(self, sample: Sample) -> set[datetime]:
        walls, wall = [], self.shown[0]
        while wall <= self.shown[-1]:
            walls.append(wall)
            wall += MINUTE
        return {self._resolve(wall) for wall in walls if sample.matches(wall)}

    def _resolve(self, wall: datetime) -> datetime:
        """The first instant the clock shows *wall*, or the next time it does show."""
        while True:
            instant = wall.replace(tzinfo=self.info, fold=0).astimezone(UTC)
            if instant.astimezone(self.info).replace(tzinfo=None) == wall:
                return instant
            wall += MINUTE


def ours(sample: Sample, zone: str, first: datetime, until: datetime) -> list[datetime]:
    """What we say, later than *first*, up to *until*."""
    return list(takewhile(lambda at: at <= until, chain(sample.text, zone, first)))


def cronsim(sample: Sample, info: ZoneInfo, first: datetime, until: datetime) -> list[datetime]:
    """What CronSim says. Where it loses its place it may go round in circles, so it is stopped in time."""
    found = (at.astimezone(UTC) for at in CronSim(sample.text, first.astimezone(info)))
    return list(takewhile(lambda at: at <= until, islice(found, 1000)))


def next_few(text: str, after: datetime, count: int) -> list[datetime]:
    return list(islice(chain(text, "UTC", after), count))


def chain(text: str, zone: str, at: datetime) -> Iterator[datetime]:
    schedule = parse_schedule(text, timezone=zone, anchor=ANCHOR)
    while (found := schedule.next_after(at)) is not None:
        yield (at := found)


def special(dice: Random) -> Sample:
    """An expression of dialects CronSim knows as well; only its text counts."""
    weekday = f"{dice.randrange(8)}{dice.choice(['L', '#1', '#2', '#3', '#4', '#5'])}"
    date = dice.choice(["*", "*/2", "L", "1", "13", "28,L", "29"])
    months = dice.choice(["*", "2", "FEB,MAR", "*/5", "JAN-JUN"])
    weekdays = dice.choice(["*", weekday, f"{weekday},TUE", "MON-FRI", "*/3"])
    anything: frozenset[int] = frozenset()
    return Sample(f"15 6 {date} {months} {weekdays}", anything, anything, anything, anything, anything)


@cache
def load_once(name: str) -> ZoneInfo:
    return load(name)
