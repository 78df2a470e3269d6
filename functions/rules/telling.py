"""What is left to do for a task once its notices were delivered, or were not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.rules.alerts import delivered
from functions.rules.notice import Notice
from functions.rules.settlement import rest
from functions.rules.task import Task
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
    changes: dict[str, Any] = {"alert": alert}
    match task.status:
        case Status.RUNNING:
            return changes, given_up
        case Status.RETRYING | Status.QUARANTINED:
            looks = [at for at in (task.retry_at, alert.retry_at) if at is not None]
            return changes | {"next_run_at": min(looks, default=None)}, given_up
        case _:
            return changes | rest(task, changes, now=now), given_up
