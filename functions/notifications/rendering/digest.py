"""The words of notices: sentences people read, before any channel's own markup."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
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

# A digest: all notices of one message as sentences and rows, in one language and no markup.

TITLE_CHARS = 120  # of a task or an item; the first words say which one it is
SCHEDULE_CHARS = 80
MAX_URL_CHARS = 2000  # more is no address for people, and more than vendors take
BULLET = "•"
RANKED_TYPES = frozenset({"agent"})  # types whose items come best first
TOP_ITEMS = 5  # of those; who asked for a ranking wants its top

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything a message shows."""

    rows: int
    items: int
    summary_chars: int
    item_chars: int


# From all there is to show to what always fits, for channels that count bytes.
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
    """One thing found.

    Attributes:
        mark: Its number among ranked ones, else a bullet.
        url: Empty, or http(s) as it was given: a channel must still escape it.
    """

    marker: str
    title: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One notice.

    Attributes:
        sentence: What happened to which task.
        summary: What the run itself says; may be empty.
        details: Since when, how often, what next; may be empty.
        more: Items there are beyond those shown; empty when there are none.
        page: Where to read on, an address of ours; may be empty.
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
    """All rows, the first being the worst.

    Attributes:
        tone: That of the worst.
        headline: The whole message in one sentence.
        more: Notices there are beyond the rows; empty when there are none.
        read_on: What a link to a row's page is called.
    """

    severity: Severity
    headline: str
    rows: tuple[Row, ...]
    omitted: str
    link_label: str


def build_message(
    notifications: Sequence[Notification], phrases: Phrases, limits: Limits, *, public_url: str = ""
) -> Message:
    """Put *notices*, at least one and the most important first, into *words*."""
    hidden = len(notifications) - limits.rows
    return Message(
        severity=STYLES[notifications[0].kind].severity,
        headline=_headline(notifications, phrases),
        rows=tuple(_row(notice, phrases, limits, public_url) for notice in notifications[: limits.rows]),
        omitted=phrases.omitted.format(n=hidden) if hidden > 0 else "",
        link_label=phrases.open_task,
    )


def fit_to_limit(render: Callable[[Limits], bytes], *, max_bytes: int) -> bytes:
    """The fullest rendering of at most *max_bytes*; the smallest there is when none fits."""
    return render_fullest(render, lambda body: len(body) <= max_bytes)


def render_fullest(render: Callable[[Limits], _T], fits: Callable[[_T], bool]) -> _T:
    """The fullest rendering that *fits*; the smallest there is when none does."""
    for limits in LIMITS[:-1]:
        if fits(rendering := render(limits)):
            return rendering
    return render(LIMITS[-1])


def _headline(notifications: Sequence[Notification], phrases: Phrases) -> str:
    tasks: dict[NotificationKind, set[str]] = {}
    for notice in notifications:
        tasks.setdefault(notice.kind, set()).add(notice.task_id)
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
        omitted=phrases.omitted.format(n=hidden) if hidden > 0 else "",
        page_url=""
        if notification.kind in ("channel", "test") or notification.type == "scheduler"
        else task_page_url(public_url, notification.task_id),
    )


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
    """What helps to judge a failure or a stop; good news needs none. Moments are in the task's zone."""
    if STYLES[notification.kind].severity not in ("bad", "warning"):
        return ""
    parts: list[str] = []
    if notification.since is not None and notification.failures > 1:
        parts.append(phrases.since.format(time=format_instant(notification.since, notification.timezone)))
    if notification.last_success_at is not None:
        parts.append(
            phrases.last_good.format(time=format_instant(notification.last_success_at, notification.timezone))
        )
    if notification.attempt > 1:
        parts.append(phrases.attempts.format(n=notification.attempt))
    if notification.duration_ms:
        parts.append(
            phrases.took.format(
                span=format_duration(timedelta(milliseconds=notification.duration_ms), phrases)
            )
        )
    if notification.schedule:
        parts.append(
            phrases.schedule.format(schedule=single_line(_schedule(notification, phrases), SCHEDULE_CHARS))
        )
    if notification.next_run_at is not None:
        parts.append(
            phrases.next_run.format(time=format_instant(notification.next_run_at, notification.timezone))
        )
    has_since = notification.since is not None and notification.failures > 1
    has_time = bool(
        notification.schedule or notification.next_run_at or notification.last_success_at or has_since
    )
    zone = f" ({zone_name(notification.timezone)})" if has_time else ""
    return phrases.separator.join(parts) + zone


def _schedule(notification: Notification, phrases: Phrases) -> str:
    """The schedule in words, where there are words in the language; as it was written otherwise."""
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
    text = single_line(item.get("text", ""), limits.item_chars) if limits.item_chars else ""
    return Item(marker, title, url, text)


# A voice: the language we speak in, and the address we call our own; what every rendering needs.

LOCALE_SETTINGS = ("NOTICE_LANGUAGE", "PUBLIC_URL")


@dataclass(frozen=True, slots=True)
class Locale:
    """How a channel speaks.

    Attributes:
        public_url: Where people reach this service; empty for notices without links to it.
    """

    phrases: Phrases
    public_url: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> Self:
        """The voice that *settings* ask for."""
        return cls(phrases_for(settings.get("NOTICE_LANGUAGE", "")), settings.get("PUBLIC_URL", ""))

    def build_message(self, notifications: Sequence[Notification], limits: Limits) -> Message:
        """*notices*, at least one and the most important first, in this voice."""
        return build_message(notifications, self.phrases, limits, public_url=self.public_url)


# A digest as plain text, for channels without a layout and for layouts a vendor refuses.


def to_plain_text(message: Message) -> str:
    """All there is to say without any markup, one line for each thing.

    Plain, but not harmless everywhere: a channel whose vendor finds mentions in it must still break them.
    """
    lines = [] if len(message.rows) == 1 else [message.headline]
    for row in message.rows:
        lines += _lines(row)
    lines += [message.omitted] if message.omitted else []
    return "\n".join(lines)


def _lines(row: Row) -> list[str]:
    lines = [f"{row.icon} {row.sentence}" + (f": {row.summary}" if row.summary else "")]
    lines += [row.details] if row.details else []
    lines += [f"{item.marker} {item.title} {item.url}".rstrip() for item in row.items]
    lines += [row.omitted] if row.omitted else []
    lines += [row.page_url] if row.page_url else []
    return lines
