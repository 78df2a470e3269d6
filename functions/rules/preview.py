"""A preview of a schedule: in words, its next runs, and the changes of the clocks it will meet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from functions.rules.schedule import Schedule, Transition, read_schedule
from functions.rules.schedule_words import in_words

AHEAD = timedelta(days=366)  # how far changes of the clocks are looked for


@dataclass(frozen=True, slots=True)
class Preview:
    """What a schedule means.

    Attributes:
        next: The next runs: the instant in UTC, and what the clock of the zone shows.
        transitions: Changes of the clocks within a year that change when it runs.
    """

    words: str
    timezone: str
    next: tuple[tuple[datetime, datetime], ...]
    transitions: tuple[Transition, ...]


def preview(expression: str, *, timezone: str, task_id: str, now: datetime, count: int) -> Preview:
    """Say what *expression* means from *now* on.

    Raises:
        ScheduleError: The expression or the zone cannot be used.
    """
    schedule = read_schedule(
        expression, timezone=timezone, task_id=task_id, anchor=now.replace(microsecond=0)
    )
    zone = ZoneInfo(timezone)
    return Preview(
        words=in_words(expression, timezone=timezone, task_id=task_id),
        timezone=timezone,
        next=tuple((at, at.astimezone(zone)) for at in following(schedule, now, count)),
        transitions=tuple(schedule.transitions(now, now + AHEAD)),
    )


def following(schedule: Schedule, after: datetime, count: int) -> Iterator[datetime]:
    """The first *count* occurrences later than *after*; fewer when there are no more."""
    for _ in range(count):
        found = schedule.next_after(after)
        if found is None:
            return
        yield found
        after = found
