"""What a try at delivering a task's notices means for the task, before and after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.rules.alert import Alert
from functions.rules.listeners import DEFAULT
from functions.rules.notice import Notice
from functions.rules.patience import Holds, delivered
from functions.rules.settlement import Settlement, look_while_retrying, rest, to_be_told
from functions.rules.task import Task
from functions.rules.watch import spoken
from functions.rules.words import Status


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
    return {"alert": alert} | _next_look(task, alert, now=now), given_up


def about_to_tell(task: Task, *, now: datetime) -> Settlement:
    """Add what has come due to be said, and put it off by a minute, so that of several ticks one tells.

    Who gets this write through tells; should it not live to do so, the next tick after that minute will.
    """
    alert = task.alert if task.status is Status.QUARANTINED else spoken(task, now=now)
    alert = to_be_told(alert, now=now)
    return Settlement({"alert": alert} | _next_look(task, alert, now=now), ())


def _next_look(task: Task, alert: Alert, *, now: datetime) -> dict[str, Any]:
    match task.status:
        case Status.RUNNING:
            return {}  # its claim's expiry stands
        case Status.RETRYING:
            return {"next_run_at": look_while_retrying(task.model_copy(update={"alert": alert}))}
        case Status.QUARANTINED:
            return {"next_run_at": alert.retry_at}
        case _:
            return rest(task, {"alert": alert}, now=now)
