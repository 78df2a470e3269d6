"""The notices that wait in a task for their delivery: how many, how large, and which give way."""

from collections.abc import Sequence

from functions.rules.alert import Alert
from functions.rules.notice import Notice, NoticeKind

PENDING_LIMIT = 20  # notices waiting in one task; they are written with every result of it
ITEMS_LIMIT = 50  # items kept of one notice
ITEMS_IN_ALL = 150  # items kept of all waiting notices, so that the document stays far below 1 MiB
ITEM_CHARS = {"title": 200, "url": 1000, "text": 500}

_IMPORTANCE: dict[NoticeKind, int] = {
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


def appended(alert: Alert, *notices: Notice) -> Alert:
    """Return *alert* with *notices* waiting, and no memory of earlier vain tries: there is something new.

    When too many wait, the least important give way (successes and news, then reminders and what is over,
    then failures and pauses), the oldest of them first. A notice decided twice waits once.
    """
    if not notices:
        return alert
    new = {notice.id for notice in notices}
    waiting = [notice for notice in alert.pending if notice.id not in new]
    waiting += [_trimmed(notice) for notice in notices]
    while len(waiting) > PENDING_LIMIT:
        waiting.remove(min(waiting, key=lambda notice: _IMPORTANCE[notice.kind]))
    return alert.model_copy(update={"pending": _slim(waiting), "tries": 0, "retry_at": None})


def _trimmed(notice: Notice) -> Notice:
    if not notice.items:
        return notice
    items = tuple(_trimmed_item(item) for item in notice.items[:ITEMS_LIMIT])
    return notice.model_copy(update={"items": items})


def _trimmed_item(item: dict[str, str]) -> dict[str, str]:
    """*item* with its texts cut; an address that is too long is left out, for half of one leads nowhere."""
    kept = {name: item[name][:chars] for name, chars in ITEM_CHARS.items() if item.get(name)}
    if len(item.get("url", "")) > ITEM_CHARS["url"]:
        del kept["url"]
    return kept


def _slim(waiting: Sequence[Notice]) -> tuple[Notice, ...]:
    """*waiting* with the items of older notices left out when there are too many in all."""
    room = ITEMS_IN_ALL
    slim: list[Notice] = []
    for notice in reversed(waiting):
        items = notice.items[: max(room, 0)]
        room -= len(notice.items)
        slim.append(notice if items == notice.items else notice.model_copy(update={"items": items}))
    return tuple(reversed(slim))
