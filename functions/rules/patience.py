"""How long delivery of a task's notices is tried, and how long they wait for a channel to open."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from functions.rules.alert import Alert
from functions.rules.notice import Notice

GIVE_UP_AFTER = timedelta(hours=24)
GIVE_UP_TRIES = 20
RETRY_MINUTES = (1, 2, 4, 8, 16, 30, 60)

Holds = Mapping[str, datetime]  # until when channels are closed to a notice, by name


def delivered(
    alert: Alert,
    remaining: Sequence[tuple[str, ...]],
    *,
    now: datetime,
    held: Sequence[Holds] | None = None,
) -> tuple[Alert, tuple[Notice, ...]]:
    """Return *alert* after one try to deliver its pending notices, and the notices given up.

    A notice is given up when it is a day old; all are after 20 tries that brought no word of anything new.
    What waits for a channel to open was not tried, and does not age.

    Args:
        remaining: For each pending notice the channels that could not be told; empty when done.
        held: For each pending notice the channels that are closed to it; None when none is.
    """
    kept: list[Notice] = []
    given_up: list[Notice] = []
    wakes: set[datetime] = set()
    in_vain = False
    for notice, failed, holds in zip(alert.pending, remaining, held or [{}] * len(remaining), strict=True):
        wakes.update(holds.values())
        if failed and _is_hopeless(notice, alert, now=now):
            given_up.append(notice.model_copy(update={"channels": failed}))
            failed = ()
        in_vain = in_vain or bool(failed)
        if failed or holds:
            kept.append(notice.model_copy(update={"channels": (*failed, *holds)}))
    if in_vain:
        wakes.add(now + timedelta(minutes=RETRY_MINUTES[min(alert.tries, len(RETRY_MINUTES) - 1)]))
    opens = max((until for holds in held or () for until in holds.values()), default=None)
    after = alert.model_copy(
        update={
            "pending": tuple(kept),
            "tries": alert.tries + 1 if in_vain else 0,
            "retry_at": min(wakes) if kept else None,
            "held_until": (opens or alert.held_until) if kept else None,
        }
    )
    return after, tuple(given_up)


def _is_hopeless(notice: Notice, alert: Alert, *, now: datetime) -> bool:
    since = max(notice.at, alert.held_until or notice.at)
    return alert.tries + 1 >= GIVE_UP_TRIES or now - since >= GIVE_UP_AFTER
