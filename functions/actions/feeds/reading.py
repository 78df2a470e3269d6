"""Bytes that should be a feed, read as entries. Alone knows feedparser and its traps."""

import hashlib
import io
import time
from dataclasses import dataclass
from typing import Any

from functions.actions.feeds.plain import plain_text, web_link

TITLE_CHARS = 200
TEXT_CHARS = 300
SHOWN_ENTRIES = 50  # of the newest; older ones are told apart by their mark alone
MARKED_ENTRIES = 500


class NotAFeedError(Exception):
    """What was fetched cannot be read as a feed; the text says what it seems to be."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, in plain text.

    Attributes:
        mark: Short and stable: a hash of the entry's id, else of its link, else of its title and date.
        url: http or https; empty when the entry links to nothing of the kind.
    """

    mark: str
    title: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as read.

    Attributes:
        entries: The newest, newest first; entries without a date keep the feed's own order.
        marks: Of these and of older entries, in the same order.
    """

    title: str
    entries: tuple[Entry, ...]
    marks: tuple[str, ...]


def read_feed(body: bytes, *, content_type: str, url: str) -> Feed:
    """Read *body* as RSS or Atom. Takes up to seconds of CPU for a big one: call it in a thread.

    Raises:
        NotAFeedError: It is something else, or too broken to hold any entry.
    """
    import feedparser  # here: 20 ms, and more on a cold disk, that only a feed to read is worth

    if not body.strip():
        raise NotAFeedError("an empty body")
    parsed = feedparser.parse(
        io.BytesIO(body),  # never the bytes themselves: feedparser opens files and addresses they name
        response_headers={"content-type": content_type, "content-location": url},
        resolve_relative_uris=False,
    )
    if not parsed.version:
        raise NotAFeedError(_guess(body))
    harmless = (feedparser.NonXMLContentType, feedparser.CharacterEncodingOverride)
    if parsed.bozo and not parsed.entries and not isinstance(parsed.get("bozo_exception"), harmless):
        raise NotAFeedError("a feed broken off before its first entry")
    newest_first = _newest_first(parsed.entries)[:MARKED_ENTRIES]
    return Feed(
        title=plain_text(_text(parsed.feed, "title"), limit=TITLE_CHARS),
        entries=tuple(_entry(given) for given in newest_first[:SHOWN_ENTRIES]),
        marks=tuple(dict.fromkeys(_mark(given) for given in newest_first)),
    )


def _guess(body: bytes) -> str:
    head = body[:1000].lstrip().lower()
    if b"<html" in head or head.startswith(b"<!doctype html"):
        return "a web page"
    return "JSON" if head.startswith((b"{", b"[")) else "something that is neither RSS nor Atom"


def _newest_first(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By date if every entry has one. Half a set of dates would only shuffle the feed's own order."""
    dates = [_date(entry) for entry in entries]
    if any(date is None for date in dates):
        return entries
    ranked = sorted(enumerate(entries), key=lambda pair: dates[pair[0]] or (), reverse=True)
    return [entry for _, entry in ranked]


def _date(entry: dict[str, Any]) -> tuple[int, ...] | None:
    given = _own(entry, "published_parsed") or _own(entry, "updated_parsed")
    return tuple(given[:6]) if isinstance(given, time.struct_time) else None


def _entry(given: dict[str, Any]) -> Entry:
    title = plain_text(_text(given, "title"), limit=TITLE_CHARS)
    text = plain_text(_text(given, "summary") or _content(given), limit=TEXT_CHARS)
    return Entry(
        mark=_mark(given),
        title=title or text[:80] or "(no title)",
        url=web_link(_text(given, "link")),
        text=text,
    )


def _mark(given: dict[str, Any]) -> str:
    name = _text(given, "id") or _text(given, "link")
    if not name:
        name = f"{_text(given, 'title')}\n{_text(given, 'published') or _text(given, 'updated')}"
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]


def _content(given: dict[str, Any]) -> str:
    parts = _own(given, "content")
    return _text(parts[0], "value") if isinstance(parts, list) and parts else ""


def _text(given: dict[str, Any], name: str) -> str:
    value = _own(given, name)
    return value if isinstance(value, str) else ""


def _own(given: dict[str, Any], name: str) -> Any:
    return dict.get(given, name)  # not feedparser's own `get`: it warns, and answers with another field
