"""The words of notices: sentences people read, before any channel's own markup."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

from functions.domain.alerts.model import Notice, NoticeKind
from functions.domain.schedule.describe import in_words
from functions.errors import InputError
from functions.notifications.rendering.formatting import (
    moment,
    one_line,
    span,
    task_page,
    web_address,
    zone_name,
)
from functions.notifications.rendering.phrases import EN, LOOKS, Tone, Words, words_for

# A digest: all notices of one message as sentences and rows, in one language and no markup.

TITLE_CHARS = 120  # of a task or an item; the first words say which one it is
SCHEDULE_CHARS = 80
LINK_CHARS = 2000  # more is no address for people, and more than vendors take
BULLET = "•"
RANKED = frozenset({"agent"})  # types whose items come best first
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

    mark: str
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

    kind: NoticeKind
    tone: Tone
    icon: str
    sentence: str
    summary: str
    details: str
    items: tuple[Item, ...]
    more: str
    page: str

    @property
    def ranked(self) -> bool:
        """Whether the items are numbered."""
        return bool(self.items) and self.items[0].mark != BULLET


@dataclass(frozen=True, slots=True)
class Digest:
    """All rows, the first being the worst.

    Attributes:
        tone: That of the worst.
        headline: The whole message in one sentence.
        more: Notices there are beyond the rows; empty when there are none.
        read_on: What a link to a row's page is called.
    """

    tone: Tone
    headline: str
    rows: tuple[Row, ...]
    more: str
    read_on: str


def digest(notices: Sequence[Notice], words: Words, limits: Limits, *, public_url: str = "") -> Digest:
    """Put *notices*, at least one and the most important first, into *words*."""
    hidden = len(notices) - limits.rows
    return Digest(
        tone=LOOKS[notices[0].kind].tone,
        headline=_headline(notices, words),
        rows=tuple(_row(notice, words, limits, public_url) for notice in notices[: limits.rows]),
        more=words.more.format(n=hidden) if hidden > 0 else "",
        read_on=words.open_task,
    )


def fitting(render: Callable[[Limits], bytes], *, max_bytes: int) -> bytes:
    """The fullest rendering of at most *max_bytes*; the smallest there is when none fits."""
    return fullest(render, lambda body: len(body) <= max_bytes)


def fullest(render: Callable[[Limits], _T], fits: Callable[[_T], bool]) -> _T:
    """The fullest rendering that *fits*; the smallest there is when none does."""
    for limits in LIMITS[:-1]:
        if fits(rendering := render(limits)):
            return rendering
    return render(LIMITS[-1])


def _headline(notices: Sequence[Notice], words: Words) -> str:
    tasks: dict[NoticeKind, set[str]] = {}
    for notice in notices:
        tasks.setdefault(notice.kind, set()).add(notice.task_id)
    if len(notices) == 1:
        return _sentence(notices[0], words)
    return words.comma.join(words.counted[kind].format(n=len(ids)) for kind, ids in tasks.items())


def _row(notice: Notice, words: Words, limits: Limits, public_url: str) -> Row:
    ranked = notice.type in RANKED
    shown = notice.items[: min(limits.items, TOP_ITEMS) if ranked else limits.items]
    hidden = len(notice.items) - len(shown)
    return Row(
        kind=notice.kind,
        tone=LOOKS[notice.kind].tone,
        icon=LOOKS[notice.kind].icon,
        sentence=_sentence(notice, words),
        summary=one_line(notice.summary, limits.summary_chars),
        details=_details(notice, words),
        items=tuple(
            _item(item, f"{number}." if ranked else BULLET, limits) for number, item in enumerate(shown, 1)
        ),
        more=words.more.format(n=hidden) if hidden > 0 else "",
        page=""
        if notice.kind in ("channel", "test") or notice.type == "scheduler"
        else task_page(public_url, notice.task_id),
    )


def _sentence(notice: Notice, words: Words) -> str:
    title = one_line(notice.title, TITLE_CHARS)
    if notice.kind == "failure" and notice.failures > 1:
        return words.repeated.format(title=title, n=notice.failures)
    if notice.kind == "recovery" and notice.since is not None:
        down = span(notice.at - notice.since, words)
        pattern = {0: words.back_after_span, 1: words.back_after_once}.get(notice.failures, words.back_after)
        return pattern.format(title=title, span=down, n=notice.failures)
    return words.happened[notice.kind].format(title=title)


def _details(notice: Notice, words: Words) -> str:
    """What helps to judge a failure or a stop; good news needs none. Moments are in the task's zone."""
    if LOOKS[notice.kind].tone not in ("bad", "warning"):
        return ""
    parts: list[str] = []
    if notice.since is not None and notice.failures > 1:
        parts.append(words.since.format(time=moment(notice.since, notice.timezone)))
    if notice.last_good is not None:
        parts.append(words.last_good.format(time=moment(notice.last_good, notice.timezone)))
    if notice.attempt > 1:
        parts.append(words.attempts.format(n=notice.attempt))
    if notice.duration_ms:
        parts.append(words.took.format(span=span(timedelta(milliseconds=notice.duration_ms), words)))
    if notice.schedule:
        parts.append(words.schedule.format(schedule=one_line(_schedule(notice, words), SCHEDULE_CHARS)))
    if notice.next_run_at is not None:
        parts.append(words.next_run.format(time=moment(notice.next_run_at, notice.timezone)))
    has_since = notice.since is not None and notice.failures > 1
    has_time = bool(notice.schedule or notice.next_run_at or notice.last_good or has_since)
    zone = f" ({zone_name(notice.timezone)})" if has_time else ""
    return words.comma.join(parts) + zone


def _schedule(notice: Notice, words: Words) -> str:
    """The schedule in words, where there are words in the language; as it was written otherwise."""
    if words is not EN:
        return notice.schedule
    try:
        return in_words(notice.schedule, timezone=notice.timezone, task_id=notice.task_id)
    except InputError:
        return notice.schedule


def _item(item: dict[str, str], mark: str, limits: Limits) -> Item:
    url = web_address(item.get("url", ""))
    url = url if len(url) <= LINK_CHARS else ""
    title = one_line(item.get("title", ""), TITLE_CHARS) or one_line(url, TITLE_CHARS) or "…"
    text = one_line(item.get("text", ""), limits.item_chars) if limits.item_chars else ""
    return Item(mark, title, url, text)


# A voice: the language we speak in, and the address we call our own; what every rendering needs.

VOICE_SETTINGS = ("NOTICE_LANGUAGE", "PUBLIC_URL")


@dataclass(frozen=True, slots=True)
class Voice:
    """How a channel speaks.

    Attributes:
        public_url: Where people reach this service; empty for notices without links to it.
    """

    words: Words
    public_url: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """The voice that *settings* ask for."""
        return cls(words_for(settings.get("NOTICE_LANGUAGE", "")), settings.get("PUBLIC_URL", ""))

    def digest(self, notices: Sequence[Notice], limits: Limits) -> Digest:
        """*notices*, at least one and the most important first, in this voice."""
        return digest(notices, self.words, limits, public_url=self.public_url)


# A digest as plain text, for channels without a layout and for layouts a vendor refuses.


def text(digest: Digest) -> str:
    """All there is to say without any markup, one line for each thing.

    Plain, but not harmless everywhere: a channel whose vendor finds mentions in it must still break them.
    """
    lines = [] if len(digest.rows) == 1 else [digest.headline]
    for row in digest.rows:
        lines += _lines(row)
    lines += [digest.more] if digest.more else []
    return "\n".join(lines)


def _lines(row: Row) -> list[str]:
    lines = [f"{row.icon} {row.sentence}" + (f": {row.summary}" if row.summary else "")]
    lines += [row.details] if row.details else []
    lines += [f"{item.mark} {item.title} {item.url}".rstrip() for item in row.items]
    lines += [row.more] if row.more else []
    lines += [row.page] if row.page else []
    return lines
