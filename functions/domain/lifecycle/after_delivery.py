"""What a try at delivering a task's notices means for the task, before and after it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notice
from functions.domain.alerts.outbox import Holds, delivered
from functions.domain.alerts.overdue import spoken, undelivered_at
from functions.domain.alerts.subscriptions import DEFAULT
from functions.domain.event_outbox import passed_on, put_off
from functions.domain.lifecycle.complete import Settlement, look_while_retrying, rest, to_be_told
from functions.domain.task import Task
from functions.domain.types import Status


@dataclass(frozen=True, slots=True)
class Try:
    """What became of one notice.

    Attributes:
        failed: Channels that could not be told.
        held: Until when others are closed to it.
    """

    failed: tuple[str, ...] = ()
    held: Holds = field(default_factory=dict)


def told(task: Task, tried: Mapping[str, Try], *, now: datetime) -> tuple[dict[str, Any], tuple[Notice, ...]]:
    """The changes that follow one try at delivery, and the notices given up for good.

    Args:
        task: As it stands now; it may hold notices decided since the try began. They stay.
        tried: Each notice tried, by id.
    """
    tries = [
        tried.get(notice.id) or Try(failed=notice.channels or (DEFAULT,)) for notice in task.alert.pending
    ]
    alert, given_up = delivered(
        task.alert, [one.failed for one in tries], now=now, held=[one.held for one in tries]
    )
    return {"alert": alert} | next_look(task, {"alert": alert}, now=now), given_up


def heard_by_all(task: Task, marks: Collection[tuple[str, str]], *, now: datetime) -> Settlement:
    """Take from the task's outbox the events of these marks, each with whom it was for."""
    changes: dict[str, Any] = {"outbox": passed_on(task, marks)}
    return Settlement(changes | next_look(task, changes, now=now), ())


def about_to_tell(task: Task, *, now: datetime) -> Settlement:
    """Add what has come due to be said, and put it off by a minute, so that of several ticks one tells.

    Who gets this write through tells; should it not live to do so, the next tick after that minute will.
    """
    alert = task.alert if task.status is Status.QUARANTINED else spoken(task, now=now)
    changes: dict[str, Any] = {"alert": to_be_told(alert, now=now)}
    if (outbox := put_off(task.outbox, now=now)) is not task.outbox:
        changes["outbox"] = outbox
    return Settlement(changes | next_look(task, changes, now=now), ())


def next_look(task: Task, changes: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """When to look at a task again after *changes* to what is to be said of it."""
    match task.status:
        case Status.RUNNING:
            return {}  # its claim's expiry stands
        case Status.RETRYING:
            return {"next_run_at": look_while_retrying(task.model_copy(update=dict(changes)))}
        case Status.QUARANTINED:
            return {"next_run_at": undelivered_at(task.model_copy(update=dict(changes)))}
        case _:
            return rest(task, changes, now=now)
