"""What a try at delivering a task's notices means for the task, before and after it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.rules.alerts import delivered
from functions.rules.notice import Notice
from functions.rules.settlement import DELIVERY_GRACE, Settlement, rest
from functions.rules.task import Alert, Task
from functions.rules.words import Status


def told(
    task: Task, outcome: Sequence[tuple[Notice, tuple[str, ...]]], *, now: datetime
) -> tuple[dict[str, Any], tuple[Notice, ...]]:
    """The changes that follow one try at delivery, and the notices given up for good.

    Args:
        task: As it stands now; it may hold notices decided since the try began. They stay.
        outcome: Each notice tried, with the channels that still could not be told.
    """
    tried = {notice.id: channels for notice, channels in outcome}
    known = [tried.get(notice.id) for notice in task.alert.pending]
    alert, given_up = delivered(
        task.alert,
        [
            notice.channels or ("default",) if left is None else left
            for notice, left in zip(task.alert.pending, known, strict=True)
        ],
        now=now,
    )
    return {"alert": alert} | _next_look(task, alert, now=now), given_up


def about_to_tell(task: Task, *, now: datetime) -> Settlement:
    """Put the waiting notices off by a minute, so that of several ticks one delivers them.

    Who gets this write through tells; should it not live to do so, the next tick after that minute will.
    """
    alert = task.alert.model_copy(update={"retry_at": now + DELIVERY_GRACE if task.alert.pending else None})
    return Settlement({"alert": alert} | _next_look(task, alert, now=now), ())


def _next_look(task: Task, alert: Alert, *, now: datetime) -> dict[str, Any]:
    match task.status:
        case Status.RUNNING:
            return {}  # its claim's expiry stands
        case Status.RETRYING | Status.QUARANTINED:
            looks = [at for at in (task.retry_at, alert.retry_at) if at is not None]
            return {"next_run_at": min(looks, default=None)}
        case _:
            return rest(task, {"alert": alert}, now=now)
