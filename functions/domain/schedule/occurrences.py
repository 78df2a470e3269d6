"""When a task's occurrences are: its schedule bounded by its start and end, with jitter and grace."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

from functions.domain.heartbeat.model import HEARTBEAT, grace_of
from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.closed import DayRule, OnExcluded
from functions.domain.schedule.days.entries import calendar_names, names_holidays
from functions.domain.schedule.parse import EVERY_DAY, OccurrenceRange, Schedule, parse_schedule
from functions.domain.schedule.simple import NEVER
from functions.domain.task import Task
from functions.domain.types import occurrence_id

TIME_RESOLUTION = timedelta(microseconds=1)  # the smallest difference between two instants
MAX_COMPARED = 64  # an hour of every minute, and more than a cycle of most schedules
MAX_WAITING = 62  # occurrences that may wait for their jitter: an hour's, of a task of every minute
MIN_GRACE, MAX_GRACE = timedelta(seconds=120), timedelta(hours=2)


def schedule_of(task: Task) -> Schedule:
    """The task's schedule. Raises ScheduleError when the text is not one (a document edited by hand)."""
    if not task.schedule and (task.has_event_triggers or task.next_occurrence is None):
        return NEVER  # events start it, or users alone
    return parse_schedule(
        task.schedule,
        timezone=task.timezone,
        task_id=task.id,
        anchor=_last_ping(task) or task.start_at or task.created_at,
        days=days_of(task),
    )


def days_of(task: Task) -> DayRule:
    """The days on which *task* does not run, those of its calendars included.

    Raises:
        ScheduleError: An entry is none (a document edited by hand), or a calendar's are not in the task.
    """
    if not task.excluded and task.on_excluded == "skip":
        return EVERY_DAY
    return day_rule(task.excluded, task.on_excluded, {one.name: one.entries for one in task.calendars})


def needs_holidays(task: Task) -> bool:
    """Whether the library of public holidays is needed for the schedule of *task*."""
    return names_holidays(task.excluded) or any(names_holidays(one.entries) for one in task.calendars)


def day_rule(excluded: Sequence[str], policy: OnExcluded, calendars: Mapping[str, Sequence[str]]) -> DayRule:
    """What *excluded* means, with the entries of *calendars* by their names.

    Raises:
        ScheduleError: An entry is none, or a calendar is not given.
    """
    entries = list(excluded)
    for name in calendar_names(excluded):
        if name not in calendars:
            raise ScheduleError(
                f"except: the days of the calendar {name!r} are not known; save the task again"
            )
        entries += calendars[name]
    return DayRule(tuple(entries), policy)


def _last_ping(task: Task) -> datetime | None:
    """The last call of a heartbeat, from which its interval counts."""
    return task.heartbeat.last_at if task.heartbeat else None


def next_occurrence(task: Task, *, after: datetime) -> datetime | None:
    """The first occurrence strictly later than *after*, or None when the task has ended by then."""
    if task.start_at and after < task.start_at:
        after = task.start_at - TIME_RESOLUTION
    found = schedule_of(task).next_after(after)
    return None if found is None or (task.end_at and found > task.end_at) else found


@dataclass(frozen=True, slots=True)
class DueRange(OccurrenceRange):
    """The occurrences of a task that are due.

    Attributes:
        following: The schedule's next one after them; None when the task has ended by then.
    """

    following: datetime | None


def due_range(task: Task, *, until: datetime) -> DueRange | None:
    """The occurrences from `next_occurrence` to *until*, both included; None when there are none.

    `next_occurrence` counts even if the schedule no longer yields it: it was computed before the schedule was
    edited, or before a new release of the zone data.
    """
    first = task.next_occurrence
    if first is None or first > until:
        return None
    following = next_occurrence(task, after=first)
    if following is None or following > until:  # by far the most frequent case: one is due
        return DueRange(1, first, first, following)
    later = range_between(task, first=following, until=until)
    assert later is not None  # it has that one
    return DueRange(later.count + 1, first, later.last, next_occurrence(task, after=later.last))


def started_range(task: Task, *, until: datetime) -> DueRange | None:
    """The due range, up to the first occurrence that still waits for its jitter; None when none may start.

    Occurrences start in order: one that draws 25 s is before the next one, which draws 5. Of a heartbeat
    those whose grace is over.
    """
    if task.type == HEARTBEAT:
        return due_range(task, until=until - grace_of(task.params))
    span = due_range(task, until=until)
    if span is None or not task.jitter_seconds:
        return span
    for at in last_n(task, span, MAX_WAITING):
        if earliest_start(task, at) > until:
            before = range_before(task, span, than=at)
            return None if before is None else DueRange(before.count, before.first, before.last, at)
    return span


def started_lately(task: Task, span: OccurrenceRange, *, now: datetime) -> list[datetime]:
    """Those of *span* that began to be due within the least grace, oldest first: nobody was late for them.

    With jitter a tick each minute finds two of a minute's task, and none the next time. One that drew less
    than the one before it has waited for that.
    """
    newest = last_n(task, span, MAX_WAITING)
    starts = accumulate((earliest_start(task, at) for at in newest), max)
    return [at for at, start in zip(newest, starts, strict=True) if now - start <= MIN_GRACE]


def range_between(task: Task, *, first: datetime, until: datetime) -> OccurrenceRange | None:
    """The schedule's occurrences from *first* to *until*, both included; None when there are none."""
    if task.end_at:
        until = min(until, task.end_at)
    return schedule_of(task).occurrence_range(first, until) if first <= until else None


def last_n(task: Task, span: OccurrenceRange, limit: int) -> list[datetime]:
    """The *limit* newest occurrences of the due range *span*, oldest first."""
    later = schedule_of(task).last_n(span.first + TIME_RESOLUTION, span.last, limit)
    return later if len(later) >= limit else [span.first, *later]


def range_before(task: Task, span: OccurrenceRange, *, than: datetime) -> OccurrenceRange | None:
    """The part of the due range *span* that is earlier than *than*; None when there is none."""
    if span.first >= than:
        return None
    later = schedule_of(task).occurrence_range(span.first + TIME_RESOLUTION, than - TIME_RESOLUTION)
    return (
        OccurrenceRange(1, span.first, span.first)
        if later is None
        else OccurrenceRange(later.count + 1, span.first, later.last)
    )


def shortest_gap(schedule: Schedule, *, after: datetime) -> timedelta | None:
    """The shortest distance between two of the next occurrences, of which `MAX_COMPARED` are looked at."""
    found: list[datetime] = []
    while len(found) < MAX_COMPARED and (at := schedule.next_after(found[-1] if found else after)):
        found.append(at)
    return min((later - earlier for earlier, later in pairwise(found)), default=None)


def earliest_start(task: Task, occurrence: datetime) -> datetime:
    """When a tick may start the occurrence, or miss the call of a heartbeat.

    Jitter is drawn from the occurrence's id, so every try draws the same.
    """
    if task.type == HEARTBEAT:
        return occurrence + grace_of(task.params)
    if not task.jitter_seconds:
        return occurrence
    drawn = zlib.crc32(occurrence_id(task.id, occurrence).encode()) % (task.jitter_seconds + 1)
    return occurrence + timedelta(seconds=drawn)


def is_within_grace(task: Task, at: datetime, *, now: datetime) -> bool:
    """Whether the occurrence *at*, if it started now, would still count as on time."""
    late = now - earliest_start(task, at)
    # Nearly all start within the least grace there is; then the schedule's period, a third of the work of a
    # decision, need not be computed.
    if task.misfire.grace_seconds == "auto" and late <= MIN_GRACE:
        return True
    return late <= grace_period(task, around=at)


def grace_period(task: Task, *, around: datetime) -> timedelta:
    """How late an occurrence may start and still count as on time."""
    if task.misfire.grace_seconds != "auto":
        return timedelta(seconds=task.misfire.grace_seconds)
    period = schedule_of(task).period(around)
    return MAX_GRACE if period is None else min(max(period / 2, MIN_GRACE), MAX_GRACE)
