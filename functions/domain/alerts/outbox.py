"""The notices that wait in a task for their delivery: how many, how large, and which give way."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.alerts.model import AlertState, Notification, NotificationKind

PENDING_LIMIT = 20  # notices waiting in one task; they are written with every result of it
ITEMS_LIMIT = 50  # items kept of one notice
TOTAL_ITEMS_LIMIT = 150  # items kept of all waiting notices, so that the document stays far below 1 MiB
MAX_ITEM_CHARS = {"title": 200, "url": 1000, "text": 500}

_IMPORTANCE: dict[NotificationKind, int] = {
    "success": 0,
    "news": 0,
    "test": 0,
    "reminder": 1,
    "late": 1,
    "recovery": 1,
    "stable": 1,
    "failure": 2,
    "flapping": 2,
    "silent": 2,
    "paused": 2,
    "channel": 2,
    "credits": 2,
}


def append(alert: AlertState, *notifications: Notification) -> AlertState:
    """Return *alert* with *notices* waiting, and no memory of earlier vain tries: there is something new.

    When too many wait, the least important give way (successes and news, then reminders and what is over,
    then failures and pauses), the oldest of them first. A notice decided twice waits once.
    """
    if not notifications:
        return alert
    new = {notice.id for notice in notifications}
    waiting = [notice for notice in alert.pending if notice.id not in new]
    waiting += [_truncate(notice) for notice in notifications]
    while len(waiting) > PENDING_LIMIT:
        waiting.remove(min(waiting, key=lambda notice: _IMPORTANCE[notice.kind]))
    return alert.model_copy(
        update={"pending": _strip_details(waiting), "delivery_attempts": 0, "retry_at": None}
    )


def _truncate(notification: Notification) -> Notification:
    if not notification.items:
        return notification
    items = tuple(_truncate_item(item) for item in notification.items[:ITEMS_LIMIT])
    return notification.model_copy(update={"items": items})


def _truncate_item(item: dict[str, str]) -> dict[str, str]:
    """*item* with its texts cut; an address that is too long is left out, for half of one leads nowhere."""
    kept = {name: item[name][:chars] for name, chars in MAX_ITEM_CHARS.items() if item.get(name)}
    if len(item.get("url", "")) > MAX_ITEM_CHARS["url"]:
        del kept["url"]
    return kept


def _strip_details(waiting: Sequence[Notification]) -> tuple[Notification, ...]:
    """*waiting* with the items of older notices left out when there are too many in all."""
    room = TOTAL_ITEMS_LIMIT
    slim: list[Notification] = []
    for notice in reversed(waiting):
        items = notice.items[: max(room, 0)]
        room -= len(notice.items)
        slim.append(notice if items == notice.items else notice.model_copy(update={"items": items}))
    return tuple(reversed(slim))


# How long delivery of a task's notices is tried, and how long they wait for a channel to open.

GIVE_UP_AFTER = timedelta(hours=24)
GIVE_UP_ATTEMPTS = 20
RETRY_MINUTES = (1, 2, 4, 8, 16, 30, 60)

ChannelHolds = Mapping[str, datetime]  # until when channels are closed to a notice, by name


def after_attempt(
    alert: AlertState,
    failed_channels: Sequence[tuple[str, ...]],
    *,
    now: datetime,
    channel_holds: Sequence[ChannelHolds] | None = None,
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Return *alert* after one try to deliver its pending notices, and the notices given up.

    A notice is given up when it is a day old; all are after 20 tries that brought no word of anything new.
    What waits for a channel to open was not tried, and does not age.

    Args:
        remaining: For each pending notice the channels that could not be told; empty when done.
        held: For each pending notice the channels that are closed to it; None when none is.
    """
    kept: list[Notification] = []
    given_up: list[Notification] = []
    wakes: set[datetime] = set()
    in_vain = False
    for notice, failed, holds in zip(
        alert.pending, failed_channels, channel_holds or [{}] * len(failed_channels), strict=True
    ):
        wakes.update(holds.values())
        if failed and _is_expired(notice, alert, now=now):
            given_up.append(notice.model_copy(update={"channels": failed}))
            failed = ()
        in_vain = in_vain or bool(failed)
        if failed or holds:
            kept.append(notice.model_copy(update={"channels": (*failed, *holds)}))
    if in_vain:
        wakes.add(
            now + timedelta(minutes=RETRY_MINUTES[min(alert.delivery_attempts, len(RETRY_MINUTES) - 1)])
        )
    opens = max((until for holds in channel_holds or () for until in holds.values()), default=None)
    after = alert.model_copy(
        update={
            "pending": tuple(kept),
            "delivery_attempts": alert.delivery_attempts + 1 if in_vain else 0,
            "retry_at": min(wakes) if kept else None,
            "held_until": (opens or alert.held_until) if kept else None,
        }
    )
    return after, tuple(given_up)


def _is_expired(notification: Notification, alert: AlertState, *, now: datetime) -> bool:
    since = max(notification.at, alert.held_until or notification.at)
    return alert.delivery_attempts + 1 >= GIVE_UP_ATTEMPTS or now - since >= GIVE_UP_AFTER
