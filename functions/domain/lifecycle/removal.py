"""What a task that is removed owes people: a task of its own carries its notifications until they have them.

Its outbox would go with it, and with that the end of a failure that they know of. As a task, what carries it
is due, delivered, held and tried again like any other; the tick that delivers the last of it removes it.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from functions.domain.alerts.decide import ending_channels
from functions.domain.alerts.model import AlertState, Notification
from functions.domain.alerts.outbox import append
from functions.domain.alerts.subscriptions import omit_default_channel
from functions.domain.lifecycle.complete import idle_state
from functions.domain.sharding import shard_of
from functions.domain.task import MAX_SUMMARY_CHARS, Task

ORIGIN = "removal"
ID_CHARS = 70  # of the removed task's id in that of what carries its notifications
INHERITED = ("type", "params", "timezone", "priority")  # not the owner, whom it takes no place from
TITLE = "Last notifications of {}"
DESCRIPTION = "{} was removed. This delivers its last notifications, then it is gone as well."


def notifications_left_by(task: Task, *, by: str, now: datetime) -> Task | None:
    """Return the task that delivers what *task* owes when it is removed; None when it owes nothing.

    That is what waits in its outbox and, where somebody has a failure that did not end, that it was removed.

    Args:
        by: Who removes it, see `Principal.author`.
    """
    alert = task.alert
    is_known = bool(alert.notified_channels or alert.flapping or alert.pending)
    names = ending_channels(task) if is_known else ()
    if not names and not alert.pending:
        return None
    left = AlertState(
        pending=alert.pending,
        notified_channels=alert.notified_channels,
        dropped=alert.dropped,
        delivery_attempts=alert.delivery_attempts,
        held_until=alert.held_until,
    )
    if names:
        left = append(left, _removed_notification(task, names, by=by, now=now))
    id_ = _carrier_id(task.id, now)
    inherited: dict[str, Any] = {name: getattr(task, name) for name in INHERITED}
    carrier = Task(
        **inherited,
        id=id_,
        title=TITLE.format(task.id),
        description=DESCRIPTION.format(task.id),
        notify=(),
        origin=ORIGIN,
        created_at=now,
        updated_at=now,
        shard=shard_of(id_),
        alert=left.model_copy(update={"retry_at": now}),
    )
    return carrier.model_copy(update=idle_state(carrier, {}, now=now))


def has_delivered_all(task: Task) -> bool:
    """Whether *task* carried the notifications of a removed one, and nothing is left of them."""
    return task.origin == ORIGIN and not task.alert.pending


def _removed_notification(task: Task, names: tuple[str, ...], *, by: str, now: datetime) -> Notification:
    last = f"last: {task.last_error}" if task.last_error else ""
    return Notification.about(
        task,
        "removed",
        occurrence=now,
        now=now,
        summary="; ".join(filter(None, (f"by {by}" if by else "", last)))[:MAX_SUMMARY_CHARS],
        channels=omit_default_channel(names),
        since=task.alert.failing_since,
        failures=task.consecutive_failures,
        next_run_at=None,
    )


def _carrier_id(task_id: str, now: datetime) -> str:
    """Return an id of its own for each removal of a task of this id."""
    mark = sha256(f"{task_id} {now.isoformat()}".encode()).hexdigest()[:12]
    return f"removed.{task_id[:ID_CHARS]}.{mark}"
