"""Reading feeds: pure functions from the bytes of a response to entries in plain text."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from functions.parsing.errors import UnreadableError
from functions.parsing.feed_documents import FeedItem, read_document
from functions.parsing.identity import entry_names, name_key, stable_name, stable_path
from functions.parsing.markup import safe_http_url

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 300
MAX_ENTRIES = 1000  # a task remembers as many
MAX_SEARCHED_CHARS = 262_144  # of one text of an entry, for keywords


_KEYBOARD_SIGNS = str.maketrans(
    dict.fromkeys("‘’‛′ʼ", "'") | dict.fromkeys("“”„‟″", '"') | dict.fromkeys("‐‑‒–—−", "-")
)

Names = tuple[str, ...]
NamedItem = tuple[Names, FeedItem]


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry, in plain text.

    Attributes:
        names: Short keys of what it is called, each of one part more than the one before: its id, with its
            link, with its title, with its date (its text, when it has none). Without an id the link comes
            first, without a link the title with the date, then the text. It is known by the first that no
            other entry has.
        likeness: A key of what stays when ids change: its title and date, or, without a date, its title, the
            path of its link and its text. Empty when it is not the only one in the feed.
        at: When it was published, in seconds of the epoch; None when that is not known.
        legacy_key: The key under which versions before 0.3 remembered it.
        url: http or https; that of its file when it names no page, then its id; empty when none is one.
        matches: Whether one of the keywords is in it.
    """

    names: Names
    likeness: str
    at: int | None
    legacy_key: str
    title: str
    url: str
    text: str
    matches: bool = True


@dataclass(frozen=True, slots=True)
class Feed:
    """A parsed feed.

    Attributes:
        entries: The newest, newest first; those without a date keep their places after the entry before them.
        gap: How many entries stand before a gap: without dates, both ends of a long feed are kept. None
            when there is no gap.
        is_cut: Whether older entries than these were left out.
        home_key: The key of the page that it is the feed of: an entry with this name has none of its own.
    """

    title: str
    entries: tuple[FeedEntry, ...]
    gap: int | None = None
    is_cut: bool = False
    home_key: str = ""


def parse_feed(
    body: bytes, *, content_type: str, url: str, keywords: Sequence[str] = (), is_whole: bool = True
) -> Feed:
    """Read *body* as RSS, Atom or JSON Feed. Some bodies of 100 KB take minutes: call it by a `Parse`.

    Args:
        keywords: Looked for in the whole of each entry's texts, in any case; without any, each entry matches.
        is_whole: False when *body* is the beginning of a longer one: its newest entries must come first then.

    Raises:
        UnreadableError: *body* is something else, or too broken to hold an entry.
    """
    document = read_document(body, content_type=content_type, url=url, is_whole=is_whole)
    if not is_whole and not _is_newest_first(document.items):
        raise UnreadableError("a feed whose dates do not say that the newest entries come first")
    found = _without_repeats(document.items)
    items, gap = _newest(found)
    folded = [_fold_signs(word) for word in keywords]
    likenesses = [_likeness(item) for _, item in items]
    count = Counter(likenesses)
    home = stable_name(document.link)
    return Feed(
        title=document.title.to_line(limit=MAX_TITLE_CHARS),
        entries=tuple(
            _to_entry(item, names, likeness if count[likeness] == 1 else "", folded)
            for (names, item), likeness in zip(items, likenesses, strict=True)
        ),
        gap=gap,
        is_cut=gap is None and (not is_whole or len(found) > len(items)),
        home_key=name_key(home) if home else "",
    )


def _is_newest_first(items: Sequence[FeedItem]) -> bool:
    dates = [item.at for item in items if item.at is not None]
    half = len(dates) // 2
    return half > 0 and 2 * len(dates) >= len(items) and max(dates[:half]) >= max(dates[half:])


def _without_repeats(items: Sequence[FeedItem]) -> Sequence[NamedItem]:
    """Return each entry once, with its names: a repeated one differs in nothing by which it is known."""
    found: dict[Names, FeedItem] = {}
    for item in items:
        found.setdefault(_names(item), item)
    return list(found.items())


def _newest(items: Sequence[NamedItem]) -> tuple[Sequence[NamedItem], int | None]:
    """Return the newest entries, newest first, and the place of a gap among them."""
    if 2 * sum(item.at is None for _, item in items) <= len(items):
        return _sort_newest_first(items)[:MAX_ENTRIES], None
    if len(items) <= MAX_ENTRIES:
        return items, None
    half = MAX_ENTRIES // 2  # of the oldest and of the newest, whichever are first
    return [*items[:half], *items[-half:]], half


def _sort_newest_first(items: Sequence[NamedItem]) -> Sequence[NamedItem]:
    """Sort by date; an entry without one has that of the entry before it, the first ones of that after."""
    dates: list[int] = []
    last = next((item.at for _, item in items if item.at is not None), 0)
    for _, item in items:
        last = item.at if item.at is not None else last
        dates.append(last)
    ranked = sorted(zip(dates, items, strict=True), key=lambda pair: pair[0], reverse=True)
    return [pair for _, pair in ranked]


def _to_entry(item: FeedItem, names: Names, likeness: str, keywords: Sequence[str]) -> FeedEntry:
    title = item.title.to_line(limit=MAX_TITLE_CHARS)
    text = item.texts[0].to_line(limit=MAX_TEXT_CHARS) if item.texts else ""
    return FeedEntry(
        names=names,
        likeness=likeness,
        at=item.at,
        legacy_key=name_key(item.id or item.link or f"{item.title.value}\n{item.written_date}"),
        title=title or text[:80] or "(no title)",
        url=next(filter(None, map(safe_http_url, (item.link, item.file, item.id))), ""),
        text=text,
        matches=not keywords or _has_keyword(item, keywords),
    )


def _names(item: FeedItem) -> Names:
    text = "\n".join(text.value for text in item.texts)
    if item.id or item.link:
        date = item.written_date if item.at is None else str(item.at)
        return entry_names((stable_name(item.id), stable_name(item.link), item.title.value, date or text))
    return entry_names((f"{item.title.value}\n{item.written_date}", text))


def _likeness(item: FeedItem) -> str:
    text = item.texts[0].to_line(limit=MAX_TEXT_CHARS) if item.texts else ""
    title = _fold(item.title.to_line(limit=MAX_TITLE_CHARS) or text[:80])
    if item.at is not None:
        return name_key(f"{title}\n{item.at}")
    return name_key(f"{title}\n{stable_path(item.link)}\n{text}")


def _has_keyword(item: FeedItem, keywords: Sequence[str]) -> bool:
    """Whether one of *keywords*, folded, is in the whole of a text of the entry: what is shown is cut."""
    plain = [
        text.to_line(limit=MAX_SEARCHED_CHARS, read_chars=MAX_SEARCHED_CHARS)
        for text in (item.title, *item.texts)
    ]
    searched = [_fold_signs(text) for text in (*plain, *item.words)]
    return any(word in text for word in keywords for text in searched)


def _fold_signs(text: str) -> str:
    """Return *text* as words are looked for: signs as a keyboard has them, where typographers use others."""
    return _fold(unicodedata.normalize("NFKC", text).translate(_KEYBOARD_SIGNS))


def _fold(text: str) -> str:
    """Return *text* as it is compared: composed and in one case; joiners within words stay."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
