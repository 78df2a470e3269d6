"""The outbox of a task: the notifications that wait for delivery, their limits, retries and expiry."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.alerts.model import AlertState, Notification, NotificationKind

PENDING_LIMIT = 20  # notifications waiting in one task; they are written with every result of it
ITEMS_LIMIT = 50  # items of one notification
TOTAL_ITEMS_LIMIT = 150  # items of all waiting notifications, so that the document stays far below 1 MiB
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
    """Return *alert* with *notifications* pending; what is new resets the count of vain deliveries.

    When too many wait, the least important are dropped (successes and news, then reminders and recoveries,
    then failures and pauses), the oldest of them first. A notification decided twice waits once.
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
    """*item* with its texts cut; a URL that is too long is left out, for half of one leads nowhere."""
    texts = {name: item[name][:chars] for name, chars in MAX_ITEM_CHARS.items() if item.get(name)}
    if len(item.get("url", "")) > MAX_ITEM_CHARS["url"]:
        del texts["url"]
    return texts


def _strip_details(waiting: Sequence[Notification]) -> tuple[Notification, ...]:
    """*waiting* without the items of the oldest notifications, when there are too many in all."""
    free = TOTAL_ITEMS_LIMIT
    slim: list[Notification] = []
    for notice in reversed(waiting):
        items = notice.items[: max(free, 0)]
        free -= len(notice.items)
        slim.append(notice if items == notice.items else notice.model_copy(update={"items": items}))
    return tuple(reversed(slim))


GIVE_UP_AFTER = timedelta(hours=24)
GIVE_UP_ATTEMPTS = 20
RETRY_MINUTES = (1, 2, 4, 8, 16, 30, 60)

ChannelHolds = Mapping[str, datetime]  # by channel: until when it is closed to a notification


def after_attempt(
    alert: AlertState,
    failed_channels: Sequence[tuple[str, ...]],
    *,
    now: datetime,
    channel_holds: Sequence[ChannelHolds] | None = None,
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Return *alert* after one attempt to deliver its pending notifications, and those given up.

    What becomes of a notification depends on its channels. Delivery to B failed, C is closed until 8:00:

        failed   held      afterwards
        -        -         delivered, gone
        B        -         waits for B; given up after a day or 20 attempts
        -        C         waits for C until 8:00; neither ages nor counts as an attempt
        B        C         waits for both; when given up, for C alone

    The task is due again at the first of: the next attempt (1, 2, 4 ... 60 minutes on), the opening of C.

    Args:
        failed_channels: For each pending notification the channels that took no delivery; empty when done.
        channel_holds: For each pending notification the channels that are closed to it; None when none is.
    """
    all_holds = channel_holds or [{}] * len(failed_channels)
    waiting: list[Notification] = []
    given_up: list[Notification] = []
    has_failed = False
    for notice, failed, holds in zip(alert.pending, failed_channels, all_holds, strict=True):
        if failed and _is_expired(notice, alert, now=now):
            given_up.append(notice.model_copy(update={"channels": failed}))
            failed = ()
        has_failed = has_failed or bool(failed)
        if failed or holds:
            waiting.append(notice.model_copy(update={"channels": (*failed, *holds)}))
    openings = [until for holds in all_holds for until in holds.values()]
    attempts = [now + _retry_wait(alert)] if has_failed else []
    update = {
        "pending": tuple(waiting),
        "delivery_attempts": alert.delivery_attempts + 1 if has_failed else 0,
        "retry_at": min(openings + attempts) if waiting else None,
        "held_until": max(openings, default=alert.held_until) if waiting else None,
    }
    return alert.model_copy(update=update), tuple(given_up)


def _retry_wait(alert: AlertState) -> timedelta:
    return timedelta(minutes=RETRY_MINUTES[min(alert.delivery_attempts, len(RETRY_MINUTES) - 1)])


def _is_expired(notification: Notification, alert: AlertState, *, now: datetime) -> bool:
    since = max(notification.at, alert.held_until or notification.at)
    return alert.delivery_attempts + 1 >= GIVE_UP_ATTEMPTS or now - since >= GIVE_UP_AFTER
