"""The agenda: how many runs each minute of the next day holds, and which minutes are crowded."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.errors import InputError
from functions.rules.occurrences import schedule_of
from functions.rules.task import Task
from functions.rules.words import Status

MINUTE = timedelta(minutes=1)
AHEAD = timedelta(hours=24)
MOST_OF_ONE = 1440  # a schedule is never denser than the minute
MOST_IN_ALL = 200_000  # occurrences looked at; beyond that the agenda says that it is cut
NAMED = 20  # tasks named for one minute


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute with runs in it.

    Attributes:
        at: Its beginning.
        count: Runs in it.
        ids: The first tasks of them, by id.
    """

    at: datetime
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agenda:
    """The minutes with runs, in order; *cut* when there were too many occurrences to look at all."""

    first: datetime
    minutes: tuple[Minute, ...]
    cut: bool = False

    @property
    def crowded(self) -> tuple[Minute, ...]:
        """The fullest minutes, fullest first: at most five, of those with more than one run."""
        full = [minute for minute in self.minutes if minute.count > 1]
        return tuple(sorted(full, key=lambda minute: (-minute.count, minute.at))[:5])


def agenda(tasks: Iterable[Task], *, now: datetime) -> Agenda:
    """Say when *tasks* will run in the 24 hours from *now*. Those that stand still have no place in it."""
    first = now.replace(second=0, microsecond=0)
    counts: Counter[datetime] = Counter()
    names: dict[datetime, list[str]] = {}
    room = MOST_IN_ALL
    for task in tasks:
        for at in _occurrences(task, now=now, room=room):
            minute = at.replace(second=0, microsecond=0)
            counts[minute] += 1
            names.setdefault(minute, []).append(task.id)
            room -= 1
        if room <= 0:
            break
    minutes = (Minute(at, counts[at], tuple(sorted(names[at])[:NAMED])) for at in sorted(counts))
    return Agenda(first, tuple(minutes), cut=room <= 0)


def _occurrences(task: Task, *, now: datetime, room: int) -> list[datetime]:
    if task.status in (Status.PAUSED, Status.ENDED, Status.QUARANTINED) or task.upcoming is None:
        return []
    until = min(now + AHEAD, task.end_at or now + AHEAD)
    jitter = timedelta(seconds=task.jitter_seconds)
    try:
        schedule = schedule_of(task)
        span = schedule.span(max(task.upcoming, now - jitter), until)
    except InputError:
        return []  # a schedule nobody can read got into the store; the tick reports it
    if span is None:
        return []
    return schedule.tail(span.first, span.last, min(span.count, MOST_OF_ONE, max(room, 0)))
