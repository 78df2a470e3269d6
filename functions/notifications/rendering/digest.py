"""The content of a message: sentences in the user's language, without the markup of any channel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self, TypeVar

from functions.domain.alerts.model import Notification, NotificationKind
from functions.domain.schedule.describe import describe_schedule
from functions.errors import InputError
from functions.notifications.rendering.formatting import (
    format_duration,
    format_instant,
    safe_http_url,
    single_line,
    task_page_url,
    zone_name,
)
from functions.notifications.rendering.phrases import EN, STYLES, Phrases, Severity, phrases_for

# A message: all its notifications as sentences and rows, in one language and without markup.

TITLE_CHARS = 120  # of a task or an item; its first words identify it
SCHEDULE_CHARS = 80
MAX_URL_CHARS = 2000  # vendors refuse longer ones
BULLET = "•"
RANKED_TYPES = frozenset({"agent"})  # types whose items come best first
TOP_ITEMS = 5  # of those

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a message shows."""

    rows: int
    items: int
    summary_chars: int
    item_chars: int


# From everything to what always fits, for channels with a limit of bytes.
LIMITS = (
    Limits(rows=10, items=10, summary_chars=400, item_chars=200),
    Limits(rows=10, items=10, summary_chars=300, item_chars=0),
    Limits(rows=10, items=5, summary_chars=200, item_chars=0),
    Limits(rows=10, items=2, summary_chars=120, item_chars=0),
    Limits(rows=10, items=0, summary_chars=80, item_chars=0),
    Limits(rows=5, items=0, summary_chars=80, item_chars=0),
    Limits(rows=1, items=0, summary_chars=80, item_chars=0),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One result of a run, e.g. a feed's entry.

    Attributes:
        marker: Its number among ranked ones, else a bullet.
        url: Empty, or http(s) as the source wrote it: a channel must escape it.
    """

    marker: str
    title: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One notification.

    Attributes:
        sentence: What happened to which task.
        summary: The run's own summary; may be empty.
        details: Since when, how often, what is next; may be empty.
        omitted: A sentence that counts the items not shown; empty when all are.
        page_url: The task's page on this service; may be empty.
    """

    kind: NotificationKind
    severity: Severity
    icon: str
    sentence: str
    summary: str
    details: str
    items: tuple[Item, ...]
    omitted: str
    page_url: str

    @property
    def is_ranked(self) -> bool:
        """Whether the items are numbered."""
        return bool(self.items) and self.items[0].marker != BULLET


@dataclass(frozen=True, slots=True)
class Message:
    """All rows, the most severe first.

    Attributes:
        severity: That of the first row.
        headline: The whole message in one sentence.
        omitted: A sentence that counts the notifications without a row; empty when all have one.
        link_label: The text of a link to a row's page.
    """

    severity: Severity
    headline: str
    rows: tuple[Row, ...]
    omitted: str
    link_label: str


def build_message(
    notifications: Sequence[Notification], phrases: Phrases, limits: Limits, *, public_url: str = ""
) -> Message:
    """Return *notifications*, at least one and the most important first, as a message in *phrases*.

    It begins with how things stand; what a channel out of reach missed follows, each with its time.
    """
    hidden = len(notifications) - limits.rows
    old = superseded_ids(notifications)
    return Message(
        severity=STYLES[notifications[0].kind].severity,
        headline=_headline([one for one in notifications if one.id not in old], phrases),
        rows=tuple(
            _past_row(one, phrases, limits) if one.id in old else _row(one, phrases, limits, public_url)
            for one in notifications[: limits.rows]
        ),
        omitted=phrases.omitted.format(n=hidden) if hidden > 0 else "",
        link_label=phrases.open_task,
    )


STATES: frozenset[NotificationKind] = frozenset(
    {"failure", "silent", "reminder", "paused", "flapping", "recovery", "stable", "removed"}
)  # of which a task is in the newest


def superseded_ids(notifications: Sequence[Notification]) -> frozenset[str]:
    """Return the ids of those that say what state a task was in, before a later one of *notifications*."""
    states = [one for one in notifications if one.kind in STATES]
    newest: dict[str, datetime] = {}
    for one in states:
        newest[one.task_id] = max(one.at, newest.get(one.task_id, one.at))
    return frozenset(one.id for one in states if one.at < newest[one.task_id])


def fit_to_limit(render: Callable[[Limits], bytes], *, max_bytes: int) -> bytes:
    """Return the fullest rendering of at most *max_bytes*; the smallest when none fits."""
    return render_fullest(render, lambda body: len(body) <= max_bytes)


def render_fullest(render: Callable[[Limits], _T], fits: Callable[[_T], bool]) -> _T:
    """Return the fullest rendering that *fits*; the smallest when none does."""
    for limits in LIMITS[:-1]:
        if fits(rendering := render(limits)):
            return rendering
    return render(LIMITS[-1])


def _headline(notifications: Sequence[Notification], phrases: Phrases) -> str:
    tasks: dict[NotificationKind, set[str]] = {}
    for notification in notifications:
        tasks.setdefault(notification.kind, set()).add(notification.task_id)
    if len(notifications) == 1:
        return _sentence(notifications[0], phrases)
    return phrases.separator.join(
        phrases.several_tasks[kind].format(n=len(ids)) for kind, ids in tasks.items()
    )


def _row(notification: Notification, phrases: Phrases, limits: Limits, public_url: str) -> Row:
    ranked = notification.type in RANKED_TYPES
    shown = notification.items[: min(limits.items, TOP_ITEMS) if ranked else limits.items]
    hidden = len(notification.items) - len(shown)
    return Row(
        kind=notification.kind,
        severity=STYLES[notification.kind].severity,
        icon=STYLES[notification.kind].icon,
        sentence=_sentence(notification, phrases),
        summary=single_line(notification.summary, limits.summary_chars),
        details=_details(notification, phrases),
        items=tuple(
            _item(item, f"{number}." if ranked else BULLET, limits) for number, item in enumerate(shown, 1)
        ),
        omitted=phrases.separator.join(
            part
            for part in (
                phrases.omitted.format(n=hidden) if hidden > 0 else "",
                phrases.dropped.format(n=notification.dropped_before) if notification.dropped_before else "",
            )
            if part
        ),
        page_url=""
        if notification.kind in ("channel", "test") or notification.type == "scheduler"
        else task_page_url(public_url, notification.task_id),
    )


def _past_row(notification: Notification, phrases: Phrases, limits: Limits) -> Row:
    """Return the row of a state that is over: when it was, in place of what helps to judge it."""
    time = format_instant(notification.at, notification.timezone)
    details = f"{phrases.at.format(time=time)} ({zone_name(notification.timezone)})"
    return replace(_row(notification, phrases, limits, public_url=""), severity="calm", details=details)


def _sentence(notification: Notification, phrases: Phrases) -> str:
    title = single_line(notification.title, TITLE_CHARS)
    if notification.kind == "failure" and notification.failures > 1:
        return phrases.repeated.format(title=title, n=notification.failures)
    if notification.kind == "recovery" and notification.since is not None:
        down = format_duration(notification.at - notification.since, phrases)
        pattern = {0: phrases.back_after_span, 1: phrases.back_after_once}.get(
            notification.failures, phrases.back_after
        )
        return pattern.format(title=title, span=down, n=notification.failures)
    return phrases.one_task[notification.kind].format(title=title)


def _details(notification: Notification, phrases: Phrases) -> str:
    """Return what a user wants to know of a problem; empty for any other notification.

    Instants are in the task's zone, which ends the line, e.g.
    `since 2026-11-20 19:45, 3 attempts, took 1.2 s, next run 2026-11-20 20:05 (Asia/Shanghai)`.
    """
    if STYLES[notification.kind].severity not in ("bad", "warning"):
        return ""
    with_time = _dated_details(notification, phrases)
    parts = [
        *with_time[:2],
        phrases.attempts.format(n=notification.attempt) if notification.attempt > 1 else "",
        phrases.took.format(span=format_duration(timedelta(milliseconds=notification.duration_ms), phrases))
        if notification.duration_ms
        else "",
        *with_time[2:],
    ]
    zone = f" ({zone_name(notification.timezone)})" if any(with_time) else ""
    return phrases.separator.join(part for part in parts if part) + zone


def _dated_details(notification: Notification, phrases: Phrases) -> tuple[str, str, str, str]:
    """Return since when, the last success, the schedule and the next run; empty where unknown."""

    def dated(phrase: str, at: datetime | None) -> str:
        return "" if at is None else phrase.format(time=format_instant(at, notification.timezone))

    schedule = ""
    if notification.schedule:
        schedule = phrases.schedule.format(
            schedule=single_line(_schedule(notification, phrases), SCHEDULE_CHARS)
        )
    return (
        dated(phrases.since, notification.since if notification.failures > 1 else None),
        dated(phrases.last_good, notification.last_success_at),
        schedule,
        dated(phrases.next_run, notification.next_run_at),
    )


def _schedule(notification: Notification, phrases: Phrases) -> str:
    """Return the schedule as a phrase where the language has one; otherwise as it was written."""
    if phrases is not EN:
        return notification.schedule
    try:
        return describe_schedule(
            notification.schedule, timezone=notification.timezone, task_id=notification.task_id
        )
    except InputError:
        return notification.schedule


def _item(item: dict[str, str], marker: str, limits: Limits) -> Item:
    url = safe_http_url(item.get("url", ""))
    url = url if len(url) <= MAX_URL_CHARS else ""
    title = single_line(item.get("title", ""), TITLE_CHARS) or single_line(url, TITLE_CHARS) or "…"
    lines = " · ".join(filter(None, map(str.strip, item.get("text", "").splitlines())))  # as in a briefing
    text = single_line(lines, limits.item_chars) if limits.item_chars else ""
    return Item(marker, title, url, text)


# What every rendering needs: the language and this service's own address.

LOCALE_SETTINGS = ("NOTICE_LANGUAGE", "PUBLIC_URL")


@dataclass(frozen=True, slots=True)
class Locale:
    """The language of messages, and the base of links in them.

    Attributes:
        public_url: This service's address; empty for messages without links to it.
    """

    phrases: Phrases
    public_url: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """Return the locale that *settings* name."""
        return cls(phrases_for(settings.get("NOTICE_LANGUAGE", "")), settings.get("PUBLIC_URL", ""))

    def build_message(self, notifications: Sequence[Notification], limits: Limits) -> Message:
        """Return *notifications*, at least one and the most important first, as a message."""
        return build_message(notifications, self.phrases, limits, public_url=self.public_url)


# A message as plain text, for channels without a layout and for layouts that a vendor refuses.


def to_plain_text(message: Message) -> str:
    """Return *message* without markup, one line for each fact.

    A channel whose vendor finds mentions or links in plain text must still defuse them.
    """
    lines = [] if len(message.rows) == 1 else [message.headline]
    for row in message.rows:
        lines += _lines(row)
    lines += [message.omitted] if message.omitted else []
    return "\n".join(lines)


def _lines(row: Row) -> list[str]:
    lines = [f"{row.icon} {row.sentence}" + (f": {row.summary}" if row.summary else "")]
    lines += [row.details] if row.details else []
    for item in row.items:
        lines.append(f"{item.marker} {item.title} {item.url}".rstrip())
        lines += [f"   {item.text}"] if item.text else []
    lines += [row.omitted] if row.omitted else []
    lines += [row.page_url] if row.page_url else []
    return lines
