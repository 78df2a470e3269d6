"""The outbox of a task: the notifications that wait for delivery, their limits, retries and expiry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    "removed": 2,
    "channel": 2,
    "undelivered": 2,
    "credits": 2,
}


def append(alert: AlertState, *notifications: Notification) -> AlertState:
    """Return *alert* with *notifications* pending, which are to be delivered at once.

    When too many wait, the least important are dropped (successes and news, then reminders and recoveries,
    then failures and pauses), the oldest of them first, and counted. A notification decided twice waits once.
    """
    if not notifications:
        return alert
    new = {notice.id for notice in notifications}
    waiting = [notice for notice in alert.pending if notice.id not in new]
    waiting += [_truncate(notice) for notice in notifications]
    too_many = max(len(waiting) - PENDING_LIMIT, 0)
    for _ in range(too_many):
        waiting.remove(min(waiting, key=lambda notice: _IMPORTANCE[notice.kind]))
    update = {"pending": _strip_details(waiting), "dropped": alert.dropped + too_many, "retry_at": None}
    return alert.model_copy(update=update)


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
GIVE_UP_END_AFTER = timedelta(days=7)  # of what a channel has: its incident would stay open for ever
REPORT_CHARS = 600
END_KINDS: frozenset[NotificationKind] = frozenset({"recovery", "removed"})
PROBLEM_KINDS: frozenset[NotificationKind] = frozenset({"failure", "reminder", "silent", "paused"})
MAX_UNCONFIRMED = 3  # messages to one channel that no reply came to: each may have arrived
RETRY_MINUTES = (1, 2, 4, 8, 16, 30, 60)
ABOUT_DELIVERY: frozenset[NotificationKind] = frozenset({"channel", "undelivered", "test"})

ChannelHolds = Mapping[str, datetime]  # by channel: until when it is closed to a notification


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """The result of one attempt to deliver one notification.

    Attributes:
        failed_channels: Channels that did not take it.
        held_until: Until when others are closed to it: quiet hours, maintenance, their rate.
        failing_until: Until when channels are not tried because they fail; some were tried just now.
        rejected: Channels whose vendors refuse this notification for what it holds, and their reasons.
        unconfirmed: Those of *failed_channels* that it was sent to, without a reply.
        accepted: Channels that took it.
        lacking: Those of *failed_channels* that took it for some recipients, and which have not got it.
        lost: Why no channel can be tried at all; empty otherwise.
        open_channels: All channels that take messages, those that fail at present included.
    """

    failed_channels: tuple[str, ...] = ()
    held_until: ChannelHolds = field(default_factory=dict)
    failing_until: ChannelHolds = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    unconfirmed: frozenset[str] = frozenset()
    accepted: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost: str = ""
    open_channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notification that some channels will never get.

    Attributes:
        reasons: By channel.
        is_lost: No channel took it, and none is left to say so.
    """

    notification: Notification
    reasons: Mapping[str, str]
    is_lost: bool


def after_attempt(
    alert: AlertState, attempts: Sequence[DeliveryAttempt], *, now: datetime
) -> tuple[AlertState, tuple[Undelivered, ...]]:
    """Return *alert* after one attempt to deliver its pending notifications, and what was given up.

    What becomes of a notification depends on its channels. Delivery to B failed, C is closed until 8:00:

        failed   held      afterwards
        -        -         delivered, gone
        B        -         waits for B; given up after a day, or three messages without a reply; the end of
                           failures that B has after a week
        -        C         waits for C until 8:00, and does not age
        B        C         waits for both; when given up, for C alone

    What is given up, or refused for its content, is reported on the channels that are left. The task is due
    again at the first of: the next attempt at a channel that fails, the opening of C.

    Args:
        attempts: One for each pending notification.
    """
    waiting: list[Notification] = []
    undelivered: list[Undelivered] = []
    wake_ups: list[datetime] = []
    notified = list(alert.notified_channels)
    has_failed = is_failing = False
    for notice, attempt in zip(alert.pending, attempts, strict=True):
        left, reasons = _settle(notice, attempt, alert, now=now)
        if notice.kind in PROBLEM_KINDS:
            notified += (*attempt.accepted, *attempt.unconfirmed)
        if reasons:
            reports = _reports(left, reasons, attempt, now=now)
            is_lost = not reports and not left.delivered and not left.channels
            undelivered.append(Undelivered(notice, reasons, is_lost))
            waiting += reports
            wake_ups += [now] * len(reports)
        if left.channels:
            waiting.append(left)
            wake_ups += [
                attempt.held_until.get(name) or attempt.failing_until.get(name) or now + _retry_wait(alert)
                for name in left.channels
            ]
        has_failed = has_failed or not set(attempt.failed_channels).isdisjoint(left.channels)
        is_failing = is_failing or bool(attempt.failing_until)
    openings = [until for attempt in attempts for until in attempt.held_until.values()]
    update = {
        "pending": tuple(waiting),
        "notified_channels": tuple(dict.fromkeys(notified)),
        "dropped": alert.dropped if waiting else 0,
        "delivery_attempts": alert.delivery_attempts + has_failed if has_failed or is_failing else 0,
        "retry_at": min(wake_ups) if waiting else None,
        "held_until": max(openings, default=alert.held_until) if waiting else None,
    }
    return alert.model_copy(update=update), tuple(undelivered)


def _settle(
    notice: Notification, attempt: DeliveryAttempt, alert: AlertState, *, now: datetime
) -> tuple[Notification, dict[str, str]]:
    """Return *notice* with the channels that it still waits for, and why others never get it."""
    reasons = dict(attempt.rejected)
    unconfirmed = dict(notice.unconfirmed)
    for name in attempt.unconfirmed:
        unconfirmed[name] = unconfirmed.get(name, 0) + 1
        if unconfirmed[name] >= MAX_UNCONFIRMED:
            reasons[name] = f"no reply came to {MAX_UNCONFIRMED} messages; it may have arrived"
    if attempt.lost:
        reasons[""] = attempt.lost
    failing = dict.fromkeys((*attempt.failed_channels, *attempt.failing_until))
    lacking = {**notice.lacking, **attempt.lacking}
    age = now - max(notice.at, alert.held_until or notice.at)
    for name in failing:
        is_awaited = notice.kind in END_KINDS and name in alert.notified_channels
        if age >= (GIVE_UP_END_AFTER if is_awaited else GIVE_UP_AFTER):
            who = "some recipients" if name in lacking else "it"
            reasons.setdefault(name, f"{who} took no message for a {'week' if is_awaited else 'day'}")
    channels = (*(name for name in failing if name not in reasons), *attempt.held_until)
    update = {
        "channels": channels,
        "unconfirmed": unconfirmed,
        "lacking": lacking,
        "delivered": notice.delivered or bool(attempt.accepted),
    }
    return notice.model_copy(update=update), reasons


def _reports(
    notice: Notification, reasons: Mapping[str, str], attempt: DeliveryAttempt, *, now: datetime
) -> list[Notification]:
    """Return the notification, for the channels that are left, that *notice* was not delivered to others."""
    if notice.kind in ABOUT_DELIVERY:
        return []
    left = tuple(name for name in attempt.open_channels if name not in reasons)
    if not left:
        return []
    why = "; ".join(f"{name}: {reason}" if name else reason for name, reason in reasons.items())
    report = notice.model_copy(
        update={
            "id": f"{notice.id}/undelivered/{'+'.join(reasons)}",  # others may be given up on other channels
            "kind": "undelivered",
            "at": now,
            "summary": f"{notice.kind}: {notice.summary} (not delivered: {why})"[:REPORT_CHARS],
            "channels": left,
            "items": (),
            "unconfirmed": {},
            "lacking": {},
            "delivered": False,
        }
    )
    return [report]


def _retry_wait(alert: AlertState) -> timedelta:
    return retry_wait(alert.delivery_attempts)


def retry_wait(attempts: int) -> timedelta:
    """How long to wait after *attempts* in vain and one more: 1, 2, 4 ... 60 minutes."""
    return timedelta(minutes=RETRY_MINUTES[min(attempts, len(RETRY_MINUTES) - 1)])
