"""Schedules for users: in words, as a preview of the next runs, and as the agenda of a day."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import takewhile

from functions.domain.schedule.base import EPOCH
from functions.domain.schedule.cron import CronSchedule
from functions.domain.schedule.days.adjusted import BusinessDays
from functions.domain.schedule.days.closed import DayRule
from functions.domain.schedule.days.phrases import parse_phrase
from functions.domain.schedule.occurrences import TIME_RESOLUTION, schedule_of
from functions.domain.schedule.parse import EVERY_DAY, ClockChange, Schedule, parse_schedule
from functions.domain.schedule.phrasing import ENGLISH, ScheduleWords
from functions.domain.schedule.several import SEPARATOR, SeveralSchedules
from functions.domain.schedule.simple import OnceSchedule
from functions.domain.task import Task
from functions.domain.types import LAST_INSTANT, Status, timezone_or_utc, to_local
from functions.errors import InputError

_INTERVAL_PART = re.compile(r"(\d+)([smhdw])")


@lru_cache(maxsize=2048)  # 0.17 ms each: a page of a hundred tasks would keep the loop for 17 ms
def describe_schedule(
    expression: str, *, timezone: str, task_id: str = "", words: ScheduleWords = ENGLISH
) -> str:
    """*expression* as a clause, such as "At 09:30, Monday through Friday"; itself when that is long.

    Times are those of the clock in *timezone*.

    Raises:
        ScheduleError: The expression is none.
    """
    schedule = parse_schedule(expression, timezone=timezone, task_id=task_id, anchor=EPOCH)
    if isinstance(schedule, SeveralSchedules):
        return _describe_several(expression, timezone=timezone, task_id=task_id, words=words)
    if isinstance(schedule, CronSchedule):
        if isinstance(schedule.times.days, BusinessDays):
            return words.describe_business_days(parse_phrase(schedule.canonical))
        return words.describe_wall_times(schedule.times) or " ".join(expression.split())
    if isinstance(schedule, OnceSchedule):
        local = to_local(schedule.instant, timezone_or_utc(timezone))
        return words.once + f"{local:%Y-%m-%d %H:%M}" + (f":{local:%S}" if local.second else "")
    return words.describe_interval(_INTERVAL_PART.findall(schedule.canonical.removeprefix("every ")))


def _describe_several(expression: str, *, timezone: str, task_id: str, words: ScheduleWords) -> str:
    first, *others = (
        describe_schedule(one.strip(), timezone=timezone, task_id=task_id, words=words)
        for one in expression.split(SEPARATOR)
    )
    return words.separator.join([first, *(f"{one[:1].lower()}{one[1:]}" for one in others)])


# A preview of a schedule: in words, its next runs, and the changes of the clocks it will meet.

CLOCK_CHANGE_HORIZON = timedelta(days=366)  # how far ahead clock changes are listed
PREVIEW_HORIZON = timedelta(days=50 * 366)  # how far ahead runs are listed


@dataclass(frozen=True, slots=True)
class SchedulePreview:
    """What a schedule means.

    Attributes:
        next_runs: The next runs within 50 years: the instant in UTC, and what the clock of the zone shows.
        clock_changes: Changes of the clocks within a year that change when it runs.
    """

    description: str
    timezone: str
    next_runs: tuple[tuple[datetime, datetime], ...]
    clock_changes: tuple[ClockChange, ...]


@dataclass(frozen=True, slots=True)
class PreviewBounds:
    """What bounds a schedule that is not stored yet.

    Attributes:
        start_at: No occurrence before it; an interval counts from it.
        end_at: No occurrence after it.
        created_at: Of the task that is changed: what an interval without a start counts from; None means now.
        max_runs: How many runs are left; None means no limit.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None
    created_at: datetime | None = None
    max_runs: int | None = None

    def check(self) -> "PreviewBounds":
        """Return the bounds; raises InputError when they leave no room, as a task with them is refused."""
        if self.start_at and self.end_at and self.end_at < self.start_at:
            raise InputError("endAt: must not be earlier than startAt")
        return self

    def occurrences(self, schedule: Schedule, after: datetime, count: int) -> Iterator[datetime]:
        """The first *count* occurrences of *schedule* later than *after* that are within the bounds."""
        first = max(after, self.start_at - TIME_RESOLUTION) if self.start_at else after
        limit = count if self.max_runs is None else min(count, self.max_runs)
        last = self.end_at or LAST_INSTANT
        return takewhile(lambda at: at <= last, next_occurrences(schedule, first, limit))


UNBOUNDED = PreviewBounds()


def build_preview(
    expression: str,
    *,
    timezone: str,
    task_id: str,
    now: datetime,
    count: int,
    bounds: PreviewBounds = UNBOUNDED,
    days: DayRule = EVERY_DAY,
    excluded: Sequence[str] = (),
    words: ScheduleWords = ENGLISH,
) -> SchedulePreview:
    """Return what *expression* means from *now* on, within *bounds* and on the days that *days* leaves.

    Args:
        excluded: The entries of *days* as they are written, with the names of calendars.

    Raises:
        ScheduleError: The expression or the zone cannot be used.
    """
    anchor = bounds.start_at or bounds.created_at or now.replace(microsecond=0)
    schedule = parse_schedule(expression, timezone=timezone, task_id=task_id, anchor=anchor, days=days)
    text = describe_schedule(expression, timezone=timezone, task_id=task_id, words=words)
    zone = timezone_or_utc(timezone)
    upcoming = bounds.occurrences(schedule, now, count)
    last = now + min(PREVIEW_HORIZON, LAST_INSTANT - now)
    return SchedulePreview(
        description=text + words.describe_days(excluded, days.policy),
        timezone=timezone,
        next_runs=tuple((at, to_local(at, zone)) for at in takewhile(lambda at: at <= last, upcoming)),
        clock_changes=tuple(schedule.clock_changes(now, now + CLOCK_CHANGE_HORIZON)),
    )


def next_occurrences(schedule: Schedule, after: datetime, count: int) -> Iterator[datetime]:
    """The first *count* occurrences later than *after*; fewer when there are no more."""
    for _ in range(count):
        found = schedule.next_after(after)
        if found is None:
            return
        yield found
        after = found


# The agenda: how many runs each minute of the next day holds, and which minutes are crowded.

MINUTE = timedelta(minutes=1)
AGENDA_HORIZON = timedelta(hours=24)
MAX_RUNS_PER_TASK = 1440  # a schedule is never denser than the minute
MAX_RUNS_IN_ALL = 200_000  # occurrences counted; beyond that the agenda is truncated
MAX_NAMED_TASKS = 20  # tasks named for one minute


@dataclass(frozen=True, slots=True)
class AgendaMinute:
    """One minute with runs in it.

    Attributes:
        at: Its beginning.
        count: Runs in it.
        task_ids: The ids of the first tasks of them, in order.
    """

    at: datetime
    count: int
    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agenda:
    """The minutes with runs, in order; truncated when there were too many occurrences to count."""

    first: datetime
    minutes: tuple[AgendaMinute, ...]
    is_truncated: bool = False

    @property
    def busiest_minutes(self) -> tuple[AgendaMinute, ...]:
        """The fullest minutes, fullest first: at most five, of those with more than one run."""
        full = [minute for minute in self.minutes if minute.count > 1]
        return tuple(sorted(full, key=lambda minute: (-minute.count, minute.at))[:5])


def build_agenda(tasks: Iterable[Task], *, now: datetime) -> Agenda:
    """Return when *tasks* will run in the 24 hours from *now*, those left out that nothing starts by then."""
    first = now.replace(second=0, microsecond=0)
    counts: Counter[datetime] = Counter()
    names: dict[datetime, list[str]] = {}
    free = MAX_RUNS_IN_ALL
    for task in tasks:
        for at in _occurrences(task, now=now, free=free):
            minute = at.replace(second=0, microsecond=0)
            counts[minute] += 1
            names.setdefault(minute, []).append(task.id)
            free -= 1
        if free <= 0:
            break
    minutes = (
        AgendaMinute(at, counts[at], tuple(sorted(names[at])[:MAX_NAMED_TASKS])) for at in sorted(counts)
    )
    return Agenda(first, tuple(minutes), is_truncated=free <= 0)


def _occurrences(task: Task, *, now: datetime, free: int) -> list[datetime]:
    first = _next_in_agenda(task)
    if first is None:
        return []
    limit = min(MAX_RUNS_PER_TASK, max(free, 0))
    if task.max_runs is not None:
        limit = min(limit, max(task.max_runs - task.run_count, 0))
    until = min(now + AGENDA_HORIZON, task.end_at or now + AGENDA_HORIZON)
    jitter = timedelta(seconds=task.jitter_seconds)
    try:
        schedule = schedule_of(task)
        span = schedule.occurrence_range(max(first, now - jitter), until)
    except InputError:
        return []  # unreadable, as from an edit by hand; the tick reports it
    if span is None:
        return []
    if span.count <= limit:
        return schedule.last_n(span.first, span.last, span.count)
    return list(next_occurrences(schedule, span.first - TIME_RESOLUTION, limit))


def _next_in_agenda(task: Task) -> datetime | None:
    """The next occurrence of *task*, or the end of its pause; None when it is stopped."""
    if task.status is Status.PAUSED:
        until = task.pause.until if task.pause and task.enabled else None
        return max(task.next_occurrence, until) if task.next_occurrence and until else None
    return None if task.status in (Status.ENDED, Status.QUARANTINED) else task.next_occurrence
