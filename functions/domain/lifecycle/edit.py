"""The transitions that users ask for, but for the end of an occurrence: create, edit, extra runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from functions.domain.heartbeat.model import HEARTBEAT
from functions.domain.lifecycle.complete import (
    ACTIVE_STATUSES,
    BACKLOG_LIMIT,
    MAX_CLOCK_LEAD,
    REQUESTED_TRIGGERS,
    Transition,
    apply_overlap_policy,
    end_pause,
    ended_state,
    idle_state,
    look_soon,
)
from functions.domain.lifecycle.decide import due_occurrences
from functions.domain.lifecycle.run_records import run_of_skipped_range, skipped_run
from functions.domain.run import Run
from functions.domain.schedule.days.entries import calendar_names
from functions.domain.schedule.occurrences import due_range, next_occurrence, range_between, schedule_of
from functions.domain.schedule.parse import OccurrenceRange
from functions.domain.schedule.simple import OnceSchedule
from functions.domain.sharding import shard_of
from functions.domain.task import QueuedRun, SkippedRange, Task, TaskCalendar, TaskFields, TaskSpec
from functions.domain.types import SkipReason, Status, Trigger, format_instant
from functions.errors import InputError, StateError


def spec_hash(task: TaskFields) -> str:
    """Return a short digest of what users decide of *task*; its runs, perhaps each minute, change nothing."""
    text = task.model_dump_json(by_alias=True, include=set(TaskSpec.model_fields), exclude_defaults=True)
    return sha256(text.encode()).hexdigest()[:12]


def close_old_schedule(task: Task, *, now: datetime) -> tuple[tuple[QueuedRun, ...], list[Run]]:
    """The backlog and the records that remain of the schedule of *task* when another replaces it *now*.

    Occurrences that are due by the old schedule keep its rules, and the new one does not reach back:

        state of the task                     due occurrences
        paused, quarantined, ended            skipped, as when a pause ends
        running since before they were due    skipped or queued, by the overlap policy, without jitter
        otherwise                             queued or skipped, by the misfire policy, without jitter
        any, with an unreadable schedule       the one that is known is skipped
    """
    first = task.next_occurrence
    if first is None or first > now:
        return task.backlog, []
    try:
        return _apply_old_schedule(task, now=now)
    except InputError as exc:  # of an unreadable schedule no other occurrence is known
        which = SkippedRange(count=1, first=first, last=first)
        return task.backlog, [skipped_run(task, which, SkipReason.CONFIG, f"schedule: {exc}", now=now)]


def _apply_old_schedule(task: Task, *, now: datetime) -> tuple[tuple[QueuedRun, ...], list[Run]]:
    span = due_range(task, until=now)
    if span is None or task.type == HEARTBEAT:  # what calls in time by the new schedule is not late
        return task.backlog, []
    if task.status in (Status.PAUSED, Status.QUARANTINED, Status.ENDED):
        return task.backlog, [
            skipped_run(task, _to_skipped_range(span), SkipReason.PAUSED, "The task was paused", now=now)
        ]
    if task.status is Status.RUNNING and task.claim is not None and span.first > task.claim.started_at:
        after, runs = apply_overlap_policy(task.model_copy(update={"jitter_seconds": 0}), now=now)
        return after["backlog"], runs
    return _queue_due(task, span, now=now)


def _queue_due(
    task: Task, span: OccurrenceRange, *, now: datetime
) -> tuple[tuple[QueuedRun, ...], list[Run]]:
    due = due_occurrences(task.model_copy(update={"jitter_seconds": 0}), now=now)
    backlog = due.backlog if due.to_run is None else (due.to_run, *due.backlog)
    is_full = due.next_occurrence is not None and due.next_occurrence <= now
    skipped = _to_skipped_range(span) if is_full else due.skipped
    return backlog, [] if skipped is None else [run_of_skipped_range(task, skipped, now=now)]


def _to_skipped_range(span: OccurrenceRange) -> SkippedRange:
    return SkippedRange(count=span.count, first=span.first, last=span.last)


CREATION_GRACE = timedelta(hours=2)  # a one-off time this recently past still runs, at once
TIMING_FIELDS = frozenset(
    {"schedule", "timezone", "excluded", "on_excluded", "calendars", "start_at", "end_at"}
)
LIMIT_FIELDS = frozenset({"max_runs", "jitter_seconds"})


def new_task(
    spec: TaskSpec,
    *,
    now: datetime,
    origin: str,
    run_now: bool = False,
    calendars: Sequence[TaskCalendar] = (),
) -> Task:
    """Create the task of *spec*, with its first wake-up.

    Args:
        run_now: Whether a run of the occurrence *now* waits in it, apart from its schedule. A task that
            nothing else starts has ended with that run.
        calendars: Those that its `excluded` names.

    Raises:
        InputError: The schedule has no occurrence left.
    """
    task = Task(
        **{name: getattr(spec, name) for name in TaskSpec.model_fields},
        origin=origin,
        calendars=tuple(calendars),
        created_at=now,
        updated_at=now,
        shard=shard_of(spec.id),
    )
    changes: dict[str, Any] = {"next_occurrence": _first_occurrence(task, now=now)}
    if run_now:
        changes["backlog"] = (QueuedRun(at=now, trigger=Trigger.MANUAL),)
    changes |= idle_state(task, changes, now=now)
    if run_now and changes["status"] is Status.ENDED:  # it has not begun yet
        changes["status"] = Status.SCHEDULED
    return task.model_copy(update=changes)


def edit_task(
    task: Task, spec: TaskSpec, *, now: datetime, calendars: Sequence[TaskCalendar] | None = None
) -> Transition:
    """Replace the spec of *task* and keep its state. Without a difference there are no changes at all.

    Occurrences that are due keep the old schedule's rules, see `close_old_schedule`; the new schedule counts
    from now. Editing a task that the scheduler itself stopped (too many failures, quarantine) resumes it.

    Args:
        calendars: Those that its `excluded` names; None leaves the task those that it has of them.

    Raises:
        InputError: The new schedule has no occurrence left.
    """
    new = _differing_fields(task, spec, calendars)
    if not new:
        return Transition({}, ())
    changes: dict[str, Any] = new | {"updated_at": now}
    timing, runs = _new_timing(task, changes, now=now)
    changes |= timing
    if _has_had_its_runs(after := task.model_copy(update=changes)):
        last, dropped = ended_state(after, after.backlog, now=now)
        changes |= last
        runs += dropped
    after = task.model_copy(update=changes)
    if _is_stopped_by_scheduler(task) or (new.get("enabled") and task.pause is None):
        resumed = end_pause(after, now=now)
        return Transition(changes | resumed.changes, (*runs, *resumed.runs))
    changes |= idle_state(after, {}, now=now) if task.status not in ACTIVE_STATUSES else look_soon(task)
    return Transition(changes, tuple(runs))


def replace_calendars(task: Task, calendars: Sequence[TaskCalendar], *, now: datetime) -> Transition:
    """Give *task* the days of *calendars*, which were changed; nothing else about it changes.

    Occurrences that are due keep the old days, as in `edit_task`. A task that has ended or is quarantined
    stays so.

    Raises:
        InputError: No occurrence is left.
    """
    new = tuple(calendars)
    if new == task.calendars:
        return Transition({}, ())
    changes: dict[str, Any] = {"calendars": new}
    if task.status is Status.ENDED:
        return Transition(changes, ())
    timing, runs = _new_timing(task, changes, now=now)
    changes |= timing
    if task.status in ACTIVE_STATUSES:
        changes |= look_soon(task)
    elif task.status is not Status.QUARANTINED:
        changes |= idle_state(task.model_copy(update=changes), {}, now=now)
    return Transition(changes, tuple(runs))


def _differing_fields(task: Task, spec: TaskSpec, calendars: Sequence[TaskCalendar] | None) -> dict[str, Any]:
    given = {name: getattr(spec, name) for name in TaskSpec.model_fields}
    names = calendar_names(spec.excluded)
    known = task.calendars if calendars is None else calendars
    given["calendars"] = tuple(one for one in known if one.name in names)
    return {name: value for name, value in given.items() if value != getattr(task, name)}


def _new_timing(task: Task, changes: Mapping[str, Any], *, now: datetime) -> tuple[dict[str, Any], list[Run]]:
    """What *changes* of the spec mean for schedule and backlog, and the records of what is skipped."""
    after = task.model_copy(update=changes)
    since = _behind_begun(task, now)
    if TIMING_FIELDS & changes.keys():
        backlog, runs = close_old_schedule(task, now=now)
        find = _next_after if backlog else _first_occurrence
        return {"backlog": backlog, "next_occurrence": find(after, now=since)}, runs
    if LIMIT_FIELDS & changes.keys() and task.next_occurrence is None:
        return {"next_occurrence": _next_after(after, now=since)}, []
    return {}, []


def _behind_begun(task: Task, now: datetime) -> datetime:
    """*now*, or the latest that has begun by a clock that was ahead: nothing of it is run again.

    A clock that is further ahead than clocks are is what `doctor --mend` is for.
    """
    return max([now, *(at for at in _begun(task) if at <= now + MAX_CLOCK_LEAD)])


def _begun(task: Task) -> list[datetime]:
    """When *task* ran last, and the occurrences that it runs now, or will before any other."""
    waiting = [extra.at for extra in task.backlog if extra.trigger not in REQUESTED_TRIGGERS]
    begun = (task.last_run_at, task.occurrence, task.claim.started_at if task.claim else None)
    return [*waiting, *(at for at in begun if at is not None)]


def _has_had_its_runs(task: Task) -> bool:
    """Whether `maxRuns` is used up; a run in progress, or one that is tried again, is the last."""
    return (
        task.max_runs is not None and task.run_count >= task.max_runs and task.status not in ACTIVE_STATUSES
    )


def _is_stopped_by_scheduler(task: Task) -> bool:
    is_paused_by_scheduler = task.pause is not None and task.pause.by == "scheduler"
    return task.status is Status.QUARANTINED or is_paused_by_scheduler


def acknowledge(task: Task, *, by: str) -> Transition:
    """Stop the reminders of the present failures of *task*; its recovery is notified of as ever.

    Raises:
        StateError: It does not fail.
    """
    if not task.is_failing:
        raise StateError(f"{task.id} does not fail; there is nothing to acknowledge")
    return Transition({"alert": task.alert.model_copy(update={"acknowledged_by": by or "a user"})}, ())


def queue_runs(task: Task, instants: Sequence[datetime], trigger: Trigger, *, now: datetime) -> Transition:
    """Queue the runs that a user asked for; the schedule of *task* stays where it is.

    Raises:
        StateError: Too many wait already, or the task is quarantined, or a heartbeat.
    """
    if task.type == HEARTBEAT:
        raise StateError(
            f"{task.id} is a heartbeat, which is not run from here: its program calls its address"
        )
    if task.status is Status.QUARANTINED:
        raise StateError(f"{task.id} is quarantined; resume it first")
    waiting = {extra.at for extra in task.backlog} | ({task.occurrence} if task.occurrence else set())
    extras = [QueuedRun(at=at, trigger=trigger) for at in instants if at not in waiting]
    if len(task.backlog) + len(extras) > BACKLOG_LIMIT:
        raise StateError(f"{task.id}: at most {BACKLOG_LIMIT} runs may wait; {len(task.backlog)} do already")
    changes: dict[str, Any] = {"backlog": (*task.backlog, *extras)}
    changes |= {"next_run_at": now} if task.status not in ACTIVE_STATUSES else look_soon(task)
    return Transition(changes, ())


def backfill_instants(task: Task, *, first: datetime, until: datetime, now: datetime) -> list[datetime]:
    """The occurrences from *first* to *until*, both included, oldest first; not those that run anyway.

    Raises:
        InputError: The span is empty, reaches into the future, or holds more than may wait at once.
    """
    if until > now:
        raise InputError("to: a backfill is of the past; it must not be later than now")
    span = range_between(task, first=first, until=until)
    if span is None:
        raise InputError("from, to: the schedule has no occurrence in this span")
    if span.count > BACKLOG_LIMIT:
        raise InputError(
            f"from, to: {span.count} occurrences, but at most {BACKLOG_LIMIT} at once; take a shorter span"
        )
    started = _started_anyway(task, now=now)
    return [at for at in schedule_of(task).last_n(first, until, span.count) if at not in started]


def _started_anyway(task: Task, *, now: datetime) -> set[datetime]:
    """The occurrences that run, that wait, or that the schedule has due and begins at the next tick."""
    waiting = task.backlog
    if task.status is Status.SCHEDULED:
        due = due_occurrences(task.model_copy(update={"jitter_seconds": 0}), now=now)
        waiting = due.backlog if due.to_run is None else (due.to_run, *due.backlog)
    return {extra.at for extra in waiting} | ({task.occurrence} if task.occurrence else set())


def _next_after(task: Task, *, now: datetime) -> datetime | None:
    return next_occurrence(task, after=now)


def _first_occurrence(task: Task, *, now: datetime) -> datetime | None:
    upcoming = next_occurrence(task, after=now)
    if not task.schedule:
        return upcoming
    if upcoming is None and task.end_at is None:  # a one-off time only just past
        upcoming = next_occurrence(task, after=max([now - CREATION_GRACE, *_begun(task)]))
    if upcoming is None and (task.excluded or task.on_excluded != "skip"):
        raise InputError(
            "schedule: there is no occurrence left after now: each one of the next 20 years is on a day that "
            "except excludes (see also endAt)"
        )
    if upcoming is None and isinstance(schedule := schedule_of(task), OnceSchedule):
        at = format_instant(schedule.instant)
        raise InputError(
            f"schedule: there is no occurrence left after now: its only one is {at} (see also endAt)"
        )
    if upcoming is None:
        raise InputError("schedule: there is no occurrence left after now (see also endAt)")
    return upcoming
