"""What a task passes on to others at its end: put down with the result, gone when it was heard."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from functions.rules.events import MOST_DATA_BYTES, RUN_FINISHED, Event, Outbox
from functions.rules.outcome import Run
from functions.rules.task import Task
from functions.rules.words import OutcomeKind, instant_text

GRACE = timedelta(minutes=1)  # then another tick passes on what this one did not
MOST_WAITING = 100  # events waiting in one task; the oldest give way
SUMMARY_CHARS, ITEM_CHARS = 400, 200


def put_down(task: Task, run: Run, *, now: datetime) -> Outbox:
    """The outbox of *task* after *run*, the last record of an occurrence."""
    if run.outcome is OutcomeKind.SKIPPED:
        return task.outbox
    events = [
        _finished(task, run, to=follower.task) for follower in task.followers if follower.covers(run.outcome)
    ]
    sent = {"hops": _hops(task), "owner": task.owner}
    events += [event.model_copy(update=sent) for event in run.events]
    if not events:
        return task.outbox
    waiting = (*task.outbox.events, *events)[-MOST_WAITING:]
    return Outbox(events=waiting, retry_at=now + GRACE)


def put_off(outbox: Outbox, *, now: datetime) -> Outbox:
    """*outbox* with its time put off when it has come: whoever writes that passes its events on."""
    if outbox.retry_at is None or outbox.retry_at > now:
        return outbox
    return outbox.model_copy(update={"retry_at": now + GRACE if outbox.events else None})


def passed_on(task: Task, marks: Collection[tuple[str, str]]) -> Outbox:
    """The outbox of *task* without the events of these marks, each with whom it was for."""
    left = tuple(event for event in task.outbox.events if (event.mark, event.to) not in marks)
    return Outbox(events=left, retry_at=task.outbox.retry_at if left else None)


def _finished(task: Task, run: Run, *, to: str) -> Event:
    data: dict[str, Any] = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": instant_text(run.occurrence),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "summary": run.summary[:SUMMARY_CHARS],
        "durationMs": run.duration_ms,
    }
    return Event(
        id=run.key,
        type=RUN_FINISHED,
        source=task.id,
        subject=task.id,
        time=run.finished_at,
        data=_with_items(data, run),
        to=to,
        owner=task.owner,
        hops=_hops(task),
    )


def _with_items(data: dict[str, Any], run: Run) -> dict[str, Any]:
    """*data* with as many of the run's items as an event has room for."""
    room = MOST_DATA_BYTES - 1500  # what the other fields need at most is less, in any script
    items: list[dict[str, str]] = []
    for item in run.items:
        cut = {name: text[:ITEM_CHARS] for name, text in item.items()}
        room -= sum(len(name) + len(text.encode("utf-8", "replace")) + 8 for name, text in cut.items()) + 4
        if room < 0:
            break
        items.append(cut)
    return data | {"items": items} if items else data


def _hops(task: Task) -> int:
    return 1 if task.event is None else task.event.hops + 1
