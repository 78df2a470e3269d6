"""What starts a task, and when it runs next, for readers: what waits, then its schedule within its bounds.

`next_run_at` is no answer to that: it may be a retry, the expiry of a claim or the end of a pause.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice, takewhile

from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.lifecycle.complete import ACTIVE_STATUSES, REQUESTED_TRIGGERS, end_of_pause
from functions.domain.schedule.describe import (
    CLOCK_CHANGE_HORIZON,
    PREVIEW_HORIZON,
    SchedulePreview,
    describe_schedule,
)
from functions.domain.schedule.occurrences import earliest_start, next_occurrence, schedule_of
from functions.domain.schedule.phrasing import ENGLISH, ScheduleWords
from functions.domain.task import QueuedRun, Task, TaskFields
from functions.domain.types import LAST_INSTANT, Status, timezone_or_utc, to_local
from functions.errors import InputError


def describe_trigger(task: TaskFields, words: ScheduleWords = ENGLISH) -> str:
    """What starts *task*, e.g. `Every hour, or after fetch`; an unreadable schedule stays as it is."""
    if not task.schedule and not task.has_event_triggers:
        return words.when_asked
    found = []
    if task.schedule:
        try:
            found.append(
                describe_schedule(task.schedule, timezone=task.timezone, task_id=task.id, words=words)
            )
            if task.excluded or task.on_excluded != "skip":
                found[0] += words.describe_days(task.excluded, task.on_excluded)
        except InputError:
            found.append(task.schedule)
    found += [words.after[one.on].format(task=one.task) for one in task.after]
    found += [
        words.on_event.format(type=one.type)
        + (words.event_source.format(source=one.source) if one.source else "")
        for one in task.on_event
    ]
    text = words.separator.join(found)
    return text[:1].upper() + text[1:] if not task.schedule else text


def next_run(task: Task, *, now: datetime) -> datetime | None:
    """Return when *task* begins its next occurrence; None when nothing is known to start it.

    An occurrence that is overdue counts, and so does a requested run; the current one, and its next try, do
    not.
    """
    return next(upcoming_runs(task, now=now), None)


def upcoming_runs(task: Task, *, now: datetime) -> Iterator[datetime]:
    """Yield when *task* begins its next occurrences, soonest first, as long as its bounds allow.

    A task that is paused for a time goes on at the end of its pause. One that is paused without an end, has
    ended or is quarantined yields nothing but requested runs. Of a schedule that cannot be read only the
    occurrence that is known is yielded.
    """
    if task.status is Status.QUARANTINED:
        return
    yield from sorted(extra.at for extra in task.backlog if _may_start(task, extra))
    if task.status is Status.ENDED or not task.enabled:
        return
    if task.pause is None or task.pause.until is not None:
        yield from islice(_scheduled_runs(task, now=now), _runs_left(task))


def _may_start(task: Task, extra: QueuedRun) -> bool:
    """Whether *extra* starts: what a user asked for does so even while the task is paused."""
    return extra.trigger in REQUESTED_TRIGGERS or (task.pause is None and task.enabled)


def _runs_left(task: Task) -> int | None:
    """Return how many runs `maxRuns` still allows, the current one left out; None for no limit."""
    if task.max_runs is None:
        return None
    is_counted_soon = task.status in ACTIVE_STATUSES and task.trigger not in REQUESTED_TRIGGERS
    waiting = sum(extra.trigger not in REQUESTED_TRIGGERS for extra in task.backlog)
    return max(task.max_runs - task.run_count - is_counted_soon - waiting, 0)


def _scheduled_runs(task: Task, *, now: datetime) -> Iterator[datetime]:
    """Yield when the occurrences from the next one, or from the end of the pause, on begin.

    Whatever jitter they draw, none begins before the one before it: see `started_range`.
    """
    at = task.next_occurrence
    begins = at
    try:
        if at and task.pause and task.pause.until:
            missed_until = end_of_pause(task, now=task.pause.until)
            at = next_occurrence(task, after=missed_until) if at <= missed_until else at
        while at is not None:
            begins = max(begins or at, _shown_start(task, at))
            yield begins
            at = next_occurrence(task, after=max(at, now))
    except InputError:
        return


def _shown_start(task: Task, occurrence: datetime) -> datetime:
    """When *occurrence* starts; of a heartbeat, when its program is expected to call."""
    return occurrence if task.type == HEARTBEAT else earliest_start(task, occurrence)


def preview_task(task: Task, *, now: datetime, count: int, words: ScheduleWords = ENGLISH) -> SchedulePreview:
    """Return what starts *task* and its next *count* runs, by its own anchor, bounds and `maxRuns`."""
    zone = timezone_or_utc(task.timezone)
    last = now + min(PREVIEW_HORIZON, LAST_INSTANT - now)
    upcoming = takewhile(lambda at: at <= last, islice(upcoming_runs(task, now=now), count))
    return SchedulePreview(
        description=describe_trigger(task, words),
        timezone=task.timezone,
        next_runs=tuple((at, to_local(at, zone)) for at in upcoming),
        clock_changes=tuple(schedule_of(task).clock_changes(now, now + CLOCK_CHANGE_HORIZON)),
    )
