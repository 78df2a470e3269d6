"""The events of a task: the outbox that is written with a result, and what programs outside see of it."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.cloud_events import CloudEvent
from functions.domain.events import MAX_DATA_BYTES, RUN_FINISHED, TASK_PAUSED, Event, Outbox
from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, format_instant

EVENT_DELIVERY_GRACE = timedelta(minutes=1)  # then another tick delivers what this one did not
MAX_OUTBOX_EVENTS = 100  # events waiting in one task; the oldest are dropped
MAX_SUMMARY_CHARS, MAX_ITEM_CHARS = 400, 200


def enqueue_events(task: Task, run: Run, *, now: datetime) -> Outbox:
    """The outbox of *task* after *run*, the last record of an occurrence."""
    if run.outcome is OutcomeKind.SKIPPED or not (task.dependents or run.events):
        return task.outbox
    events = [
        _event_for_dependent(task, run, to=follower.task)
        for follower in task.dependents
        if follower.accepts(run.outcome)
    ]
    sent = {"hops": _hop_count(task), "owner": task.owner} | ({"reach": "owner"} if task.owner else {})
    events += [event.model_copy(update=sent) for event in run.events]
    if not events:
        return task.outbox
    waiting = (*task.outbox.events, *events)[-MAX_OUTBOX_EVENTS:]
    return Outbox(events=waiting, retry_at=now + EVENT_DELIVERY_GRACE)


def postpone(outbox: Outbox, *, now: datetime) -> Outbox:
    """*outbox* with its retry put off when it is due: the tick whose write succeeds delivers the events."""
    if outbox.retry_at is None or outbox.retry_at > now:
        return outbox
    return outbox.model_copy(update={"retry_at": now + EVENT_DELIVERY_GRACE if outbox.events else None})


def remove_delivered(task: Task, delivered: Collection[tuple[str, str]]) -> Outbox:
    """The outbox of *task* without the events *delivered*, each a pair of `Event.key` and `Event.to`."""
    left = tuple(event for event in task.outbox.events if (event.key, event.to) not in delivered)
    return Outbox(events=left, retry_at=task.outbox.retry_at if left else None)


def _event_for_dependent(task: Task, run: Run, *, to: str) -> Event:
    data: dict[str, Any] = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": format_instant(run.occurrence),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "summary": run.summary[:MAX_SUMMARY_CHARS],
        "durationMs": run.duration_ms,
    }
    return Event(
        id=run.key,
        type=RUN_FINISHED,
        source=task.id,
        subject=task.id,
        time=run.finished_at,
        data=_truncate_items(data, run),
        to=to,
        owner=task.owner,
        hops=_hop_count(task),
    )


def _truncate_items(data: dict[str, Any], run: Run) -> dict[str, Any]:
    """*data* with as many of the run's items as fit into an event."""
    free = MAX_DATA_BYTES - 1500  # what the other fields need at most is less, in any script
    items: list[dict[str, str]] = []
    for item in run.items:
        cut = {name: text[:MAX_ITEM_CHARS] for name, text in item.items()}
        free -= sum(len(name) + len(text.encode("utf-8", "replace")) + 8 for name, text in cut.items()) + 4
        if free < 0:
            break
        items.append(cut)
    return data | {"items": items} if items else data


def _hop_count(task: Task) -> int:
    return 1 if task.event is None else task.event.hops + 1


def to_published_event(event: Event) -> CloudEvent:
    """A user's event as programs outside see it: without a subject of its own it is about its source."""
    return replace(event.to_cloud_event(), subject=event.subject or event.source)


def run_finished_event(task: Task, run: Run) -> CloudEvent:
    """The event of *run*: an attempt is over, or an occurrence was skipped."""
    data = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": format_instant(run.occurrence),
        "trigger": str(run.trigger),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "skipReason": str(run.skip_reason) if run.skip_reason else None,
        "final": run.final,
        "count": run.count,
        "summary": run.summary,
        "startedAt": format_instant(run.started_at),
        "finishedAt": format_instant(run.finished_at),
        "durationMs": run.duration_ms,
        "nextRunAt": format_instant(task.next_run_at) if task.next_run_at else None,
    }
    return CloudEvent(run.key, RUN_FINISHED, task.id, run.finished_at, data)


def task_paused_event(before: Task, task: Task) -> CloudEvent | None:
    """The event of *task* having been paused since it was *before*; None when it has not."""
    if task.status is not Status.PAUSED or before.status is Status.PAUSED or task.pause is None:
        return None
    at = task.pause.at or task.updated_at
    data = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "note": task.pause.note,
        "by": task.pause.by,
        "until": format_instant(task.pause.until) if task.pause.until else None,
        "consecutiveFailures": task.consecutive_failures,
    }
    return CloudEvent(f"{task.id}#paused@{format_instant(at)}", TASK_PAUSED, task.id, at, data)
