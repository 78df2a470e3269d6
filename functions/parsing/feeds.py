"""Reading feeds: pure functions from the bytes of a response to entries in plain text."""

import hashlib
import io
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from functions.parsing.errors import UnreadableError
from functions.parsing.markup import html_to_text, safe_http_url

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 300
MAX_ENTRIES = 1000  # the newest; a task remembers as many
MAX_SEARCHED_CHARS = 262_144  # of one text of an entry, for keywords


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry, in plain text.

    Attributes:
        key: Short and stable: a hash of the entry's id, else of its link, else of its title and date.
        url: http or https; empty when the entry has no such link.
        matches: Whether one of the keywords is in it.
    """

    key: str
    title: str
    url: str
    text: str
    matches: bool = True


@dataclass(frozen=True, slots=True)
class Feed:
    """A parsed feed.

    Attributes:
        entries: The newest, newest first; without a date for each they keep the feed's own order.
    """

    title: str
    entries: tuple[FeedEntry, ...]


def parse_feed(body: bytes, *, content_type: str, url: str, keywords: Sequence[str] = ()) -> Feed:
    """Read *body* as RSS or Atom. Some bodies of 100 KB take minutes: call it by a `Parse`.

    Args:
        keywords: Looked for in the whole of each entry's texts, in any case; without any, each entry matches.

    Raises:
        UnreadableError: *body* is something else, or too broken to hold an entry.
    """
    import feedparser  # takes 20 ms to import, more on a cold disk

    if not body.strip():
        raise UnreadableError("an empty body")
    parsed = feedparser.parse(
        io.BytesIO(body),  # never the bytes themselves: feedparser opens files and addresses they name
        response_headers={"content-type": content_type, "content-location": url},
        resolve_relative_uris=False,
    )
    if not parsed.version:
        raise UnreadableError(_guess_format(body))
    harmless = (feedparser.NonXMLContentType, feedparser.CharacterEncodingOverride)
    if parsed.bozo and not parsed.entries and not isinstance(parsed.get("bozo_exception"), harmless):
        raise UnreadableError("a feed broken off before its first entry")
    folded = [_fold(word) for word in keywords]
    newest_first = _sort_newest_first(parsed.entries)[:MAX_ENTRIES]
    return Feed(
        title=html_to_text(_text_field(parsed.feed, "title"), limit=MAX_TITLE_CHARS),
        entries=tuple(_parse_entry(given, folded) for given in newest_first),
    )


def _guess_format(body: bytes) -> str:
    head = body[:1000].lstrip().lower()
    if b"<html" in head or head.startswith(b"<!doctype html"):
        return "a web page"
    return "JSON" if head.startswith((b"{", b"[")) else "something that is neither RSS nor Atom"


def _sort_newest_first(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort by date if every entry has one; otherwise keep the feed's order."""
    dates = [_entry_date(entry) for entry in entries]
    if any(date is None for date in dates):
        return entries
    ranked = sorted(enumerate(entries), key=lambda pair: dates[pair[0]] or (), reverse=True)
    return [entry for _, entry in ranked]


def _entry_date(entry: dict[str, Any]) -> tuple[int, ...] | None:
    given = _raw_field(entry, "published_parsed") or _raw_field(entry, "updated_parsed")
    return tuple(given[:6]) if isinstance(given, time.struct_time) else None


def _parse_entry(given: dict[str, Any], keywords: Sequence[str]) -> FeedEntry:
    title = html_to_text(_text_field(given, "title"), limit=MAX_TITLE_CHARS)
    text = html_to_text(_text_field(given, "summary") or _first_content(given), limit=MAX_TEXT_CHARS)
    return FeedEntry(
        key=_entry_key(given),
        title=title or text[:80] or "(no title)",
        url=safe_http_url(_text_field(given, "link")),
        text=text,
        matches=not keywords or _has_keyword(given, keywords),
    )


def _has_keyword(given: dict[str, Any], keywords: Sequence[str]) -> bool:
    """Whether one of *keywords*, folded, is in the whole of a text of the entry: what is shown is cut."""
    texts = [_text_field(given, "title"), _text_field(given, "summary")]
    texts += [_text_field(part, "value") for part in _dicts(given, "content")]
    plain = [html_to_text(text, limit=MAX_SEARCHED_CHARS, read_chars=MAX_SEARCHED_CHARS) for text in texts]
    plain += [_text_field(tag, name) for tag in _dicts(given, "tags") for name in ("term", "label")]
    plain += [_text_field(given, "author"), *(_text_field(one, "name") for one in _dicts(given, "authors"))]
    searched = [_fold(text) for text in plain]
    return any(word in text for word in keywords for text in searched)


def _fold(text: str) -> str:
    """Return *text* as it is compared: composed and in one case; joiners within words stay."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _dicts(given: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = _raw_field(given, name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _entry_key(given: dict[str, Any]) -> str:
    name = _text_field(given, "id") or _text_field(given, "link")
    if not name:
        date = _text_field(given, "published") or _text_field(given, "updated")
        name = f"{_text_field(given, 'title')}\n{date}"
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]


def _first_content(given: dict[str, Any]) -> str:
    parts = _raw_field(given, "content")
    return _text_field(parts[0], "value") if isinstance(parts, list) and parts else ""


def _text_field(given: dict[str, Any], name: str) -> str:
    value = _raw_field(given, name)
    return value if isinstance(value, str) else ""


def _raw_field(given: dict[str, Any], name: str) -> Any:
    return dict.get(given, name)  # feedparser's own `get` warns, and may return another field
