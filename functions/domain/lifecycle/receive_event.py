"""What becomes of a task that an event reaches: it waits its turn there, or is on record as not heeded."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.domain.events import MAX_HOPS, RUN_FINISHED, Event
from functions.domain.lifecycle.complete import ACTIVE_STATUSES, Transition, idle_state, look_soon
from functions.domain.lifecycle.run_records import skipped_run
from functions.domain.run import Run
from functions.domain.schedule.occurrences import TIME_RESOLUTION
from functions.domain.task import QueuedRun, SkippedRange, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger

MAX_WAITING_RUNS = 50  # events that wait in one task: each may be some kilobytes
MAX_SEEN_EVENTS = 50  # of events that started the task


def matches(task: Task, event: Event) -> bool:
    """Whether *task* starts on *event*: by type, source and owner, or as the end of a task before it."""
    if event.to not in ("", task.id) or not event.reaches(task.owner):
        return False
    if event.type == RUN_FINISHED:
        outcome = OutcomeKind(str(event.data.get("outcome", OutcomeKind.SKIPPED)))
        return any(one.task == event.subject and one.accepts(outcome) for one in task.after)
    return any(one.type == event.type and one.source in ("", event.source) for one in task.on_event)


def receive_events(task: Task, events: Sequence[Event], *, now: datetime) -> Transition:
    """Deliver *events* to *task*: each that matches, and was not seen yet, makes one run or one skip.

    Runs of events wait for one another, whatever `overlap` says: none stands in for the next.
    """
    marks, backlog = list(task.seen_event_ids), list(task.backlog)
    taken = {extra.at for extra in backlog} | ({task.occurrence} if task.occurrence else set())
    runs: list[Run] = []
    for event in events:
        if event.key in marks or not matches(task, event):
            continue
        marks.append(event.key)
        at = now
        while at in taken:  # each occurrence has an instant of its own
            at += TIME_RESOLUTION
        taken.add(at)
        fault = _why_ignored(task, event, waiting=len(backlog), now=now)
        if fault is None:
            backlog.append(QueuedRun(at=at, trigger=Trigger.EVENT, event=event))
        else:
            runs.append(skipped_run(task, SkippedRange(count=1, first=at, last=at), *fault, now=now))
    if len(marks) == len(task.seen_event_ids):
        return Transition({}, ())
    changes: dict[str, Any] = {"seen_event_ids": tuple(marks[-MAX_SEEN_EVENTS:])}
    if len(backlog) > len(task.backlog):
        changes["backlog"] = tuple(backlog)
        changes |= (
            idle_state(task, changes, now=now) if task.status not in ACTIVE_STATUSES else look_soon(task)
        )
    return Transition(changes, tuple(runs))


def _why_ignored(task: Task, event: Event, *, waiting: int, now: datetime) -> tuple[SkipReason, str] | None:
    """Why *task* does not start on *event*, as reason and sentence; None when it does."""
    if event.hops > MAX_HOPS:
        return SkipReason.CONFIG, f"{MAX_HOPS} events led to one another; do these tasks start in a circle?"
    if task.status in (Status.PAUSED, Status.QUARANTINED) or task.pause is not None or not task.enabled:
        return SkipReason.PAUSED, f"The task was paused when {event.type} came"
    if task.status is Status.ENDED or (task.end_at is not None and now > task.end_at):
        return SkipReason.ENDED, f"The task had ended when {event.type} came"
    if task.start_at is not None and now < task.start_at:
        return SkipReason.CONFIG, f"{event.type} came before the task's startAt"
    if waiting >= MAX_WAITING_RUNS:
        return SkipReason.OVERLAP, f"{waiting} runs were waiting already when {event.type} came"
    return None
