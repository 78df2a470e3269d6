"""Documents of strangers as feeds: RSS and Atom, mended where they are broken, and JSON Feed.

What is none of them is named, with the feed that a web page advertises.
"""

import io
import re
import time
import zlib
from calendar import timegm
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html.entities import html5
from typing import Any
from urllib.parse import urljoin

from functions.domain.charsets import decode
from functions.domain.json_depth import parse_json
from functions.parsing.errors import UnreadableError
from functions.parsing.markup import html_to_text, join_halves, one_line, page_heading, safe_http_url

MAX_DOCUMENT_BYTES = 2_097_152  # unpacked; takes a second or two to parse
_SPACES_AND_MARKS = " \t\r\n\ufeff"
_MAX_JUNK_BYTES = 4096  # before a feed, e.g. warnings of a PHP program
_MAX_REFERENCE_BYTES = 40
_HEAD_CHARS = 1000  # in which a web page says that it is one
_XML_NAMES = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\r\n")
_ENTRY_START = re.compile(rb"<(?:item|entry)[\s>]", re.IGNORECASE)
_ENTRY_END = re.compile(rb"</(?:item|entry)\s*>", re.IGNORECASE)
_DOCUMENT_END = re.compile(rb"</(?:item|entry|channel|rss|feed|rdf:rdf)\s*>", re.IGNORECASE)
_SIGNATURES = {  # of files that people name, or servers send, instead
    b"%PDF": "a PDF file", b"PK\x03\x04": "a ZIP archive", b"\x89PNG": "an image", b"GIF8": "an image",
    b"\xff\xd8\xff": "an image", b"\x28\xb5\x2f\xfd": "data compressed by Zstandard",
    b"BZh": "data compressed by bzip2", b"\xfd7zXZ": "data compressed by xz",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedText:
    """A text of a feed: plain, HTML, or perhaps HTML, as titles in RSS are."""

    value: str = ""
    kind: str = "plain"  #: `plain`, `html` or `guess`

    def to_line(self, *, limit: int, read_chars: int = 4000) -> str:
        """Return it without markup, on one line of at most *limit* characters."""
        if self.kind == "plain":
            return one_line(self.value[:read_chars], limit=limit)
        return html_to_text(self.value, limit=limit, read_chars=read_chars, is_guess=self.kind == "guess")


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An entry as its document has it.

    Attributes:
        id: As it is written: one that is no address is none because it could be read as one.
        link: Resolved; empty when the entry names none.
        file: The address of its first enclosure, such as a podcast's recording.
        texts: Summary and contents, the one to show first.
        words: Categories and names of authors.
        at: When it was published, in seconds of the epoch; None without a date that can be read.
        written_date: The date as it is written.
    """

    id: str
    link: str
    file: str
    title: FeedText
    texts: tuple[FeedText, ...]
    words: tuple[str, ...]
    at: int | None
    written_date: str


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A feed as its document has it, entries in the document's order.

    Attributes:
        link: The page that it is the feed of; empty when it names none.
    """

    title: FeedText
    link: str
    items: tuple[FeedItem, ...]


def read_document(body: bytes, *, content_type: str, url: str, is_whole: bool = True) -> FeedDocument:
    """Read *body*, which may be packed by gzip.

    Args:
        is_whole: False when *body* is the beginning of a longer one; the entry in which it ends is left out.

    Raises:
        UnreadableError: It is no feed, or too broken to hold an entry.
    """
    body = _unpack(body)
    if name := next((name for signature, name in _SIGNATURES.items() if body.startswith(signature)), ""):
        raise UnreadableError(name)
    text = decode(body, content_type, is_whole=is_whole).replace("\0", "").lstrip(_SPACES_AND_MARKS)
    if not text:
        raise UnreadableError("an empty body")
    if text.startswith(("{", "[")):
        return _read_json_feed(text, is_declared="feed+json" in content_type.lower(), url=url)
    return _read_xml_feed(join_halves(text), content_type=content_type, url=url)


def _unpack(body: bytes) -> bytes:
    """Return what is in *body* if it is a gzip file, as `feed.xml.gz` is; else *body*."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(31)  # zlib's way of saying: gzip, with the largest window
    try:
        unpacked = unpacker.decompress(body, MAX_DOCUMENT_BYTES)
    except zlib.error:
        raise UnreadableError("broken gzip data") from None
    if unpacker.unconsumed_tail:
        raise UnreadableError(f"gzip data of more than {MAX_DOCUMENT_BYTES // 1_048_576} MB once unpacked")
    return unpacked


# RSS and Atom.


def _read_xml_feed(text: str, *, content_type: str, url: str) -> FeedDocument:
    import feedparser  # takes 20 ms to import, more on a cold disk

    mended = _mend(text.encode())
    try:
        parsed = feedparser.parse(
            io.BytesIO(mended),  # never bytes or a text: feedparser opens what they name
            # The charset that a document declares is no longer its own. No address is given: feedparser would
            # take each id for a part of it.
            response_headers={"content-type": "application/xml; charset=utf-8"},
            resolve_relative_uris=False,
            sanitize_html=False,  # it leaves out words; all markup is removed here
        )
    except Exception as exc:  # noqa: BLE001  # KeyError, ValueError, AssertionError: tags in places it does not expect
        raise UnreadableError(f"a feed that is too broken to be read ({type(exc).__name__})") from None
    if not parsed.get("version"):
        raise UnreadableError(_name_document(text, content_type=content_type, url=url))
    is_harmless = isinstance(parsed.get("bozo_exception"), feedparser.CharacterEncodingOverride)
    if parsed.bozo and not parsed.entries and not is_harmless:
        raise UnreadableError("a feed broken off before its first entry")
    is_atom = parsed.version.startswith("atom")
    link = _resolve(url, _text_field(parsed.feed, "link"))
    # RSS does not say where links begin. Its writers mean their site; a service may host the feed.
    base = url if is_atom else safe_http_url(link) or url
    return FeedDocument(
        title=_xml_text(parsed.feed, "title", is_atom=is_atom),
        link=link,
        items=tuple(_xml_item(given, is_atom=is_atom, url=base) for given in parsed.entries),
    )


def _mend(body: bytes) -> bytes:
    """Return *body*, in UTF-8, as it was meant: without junk around it, with `&` for what is no reference.

    The strict parser reads it then; the lenient one makes `R&D;` of `R&D`.
    """
    if not body.lower().startswith((b"<?xml", b"<!doctype", b"<html")):
        start = body.find(b"<?xml", 0, _MAX_JUNK_BYTES)
        body = body[start:] if start > 0 else body
    body = _without_cut_entry(body.translate(None, _CONTROLS))
    if b"<!ENTITY" in body:  # it may define its own
        return body
    return b"".join(_mend_references(body))


def _without_cut_entry(body: bytes) -> bytes:
    """Return *body* up to the entry in which it breaks off: half an id or a title would be another entry's.

    Some programs never end an entry; then nothing says that the last one is not whole.
    """
    starts = [match.start() for match in _ENTRY_START.finditer(body)]
    if not starts or _DOCUMENT_END.search(body, starts[-1]):
        return body
    ends = _ENTRY_END.search(body)
    return body[: starts[-1]] if ends or len(starts) == 1 else body


def _mend_references(body: bytes) -> Iterator[bytes]:
    done = 0
    while (start := body.find(b"<![CDATA[", done)) >= 0:
        yield from _mend_outside_cdata(body[done:start])
        end = body.find(b"]]>", start)
        done = len(body) if end < 0 else end
        yield body[start:done]
    yield from _mend_outside_cdata(body[done:])


def _mend_outside_cdata(part: bytes) -> Iterator[bytes]:
    first, *others = part.split(b"&")
    yield first
    for other in others:
        name, end, _ = other[:_MAX_REFERENCE_BYTES].partition(b";")
        reference = _reference(name) if end else None
        yield b"&amp;" if reference is None else reference
        yield other if reference is None else other[len(name) + 1 :]


def _reference(name: bytes) -> bytes | None:
    """Return the reference `&name;` as XML has it: None when it is none, nothing for a control character."""
    if name in _XML_NAMES:
        return b"&%b;" % name
    if name.startswith(b"#"):
        digits, base = (name[2:], 16) if name[1:2] in (b"x", b"X") else (name[1:], 10)
        try:
            code = int(digits, base) if digits.isalnum() else -1
        except ValueError:
            code = -1
        if code < 0 or code > 0x10FFFF:
            return None
        return b"&#%d;" % code if _is_xml_character(code) else b""
    character = html5.get(name.decode("ascii", "replace") + ";", "")
    return b"".join(b"&#%d;" % ord(one) for one in character) or None


def _is_xml_character(code: int) -> bool:
    return code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF


def _xml_item(given: Mapping[str, Any], *, is_atom: bool, url: str) -> FeedItem:
    contents = [
        FeedText(_text_field(part, "value"), _kind(_text_field(part, "type"), is_atom=is_atom))
        for part in _dicts(given, "content")
    ]
    if isinstance(_raw_field(given, "summary_detail"), dict):  # else it is a copy of the content
        contents.insert(0, _xml_text(given, "summary", is_atom=is_atom))
    words = [_text_field(tag, name) for tag in _dicts(given, "tags") for name in ("term", "label")]
    words += [_text_field(given, "author"), *(_text_field(one, "name") for one in _dicts(given, "authors"))]
    id_, link = _text_field(given, "id"), _text_field(given, "link")
    is_link = link != id_ or "://" in link or link.startswith("/")  # else it is an id, taken for a link
    files = [_text_field(one, "href") for one in _dicts(given, "links") if one.get("rel") == "enclosure"]
    return FeedItem(
        id=id_,
        link=_resolve(url, link) if is_link else "",
        file=_resolve(url, next(iter(files), "")),
        title=_xml_text(given, "title", is_atom=is_atom),
        texts=tuple(text for text in contents if text.value),
        words=tuple(words),
        at=_xml_date(given),
        written_date=_text_field(given, "published") or _text_field(given, "updated"),
    )


def _resolve(base: str, link: str) -> str:
    """Return the address that *link* stands for on the page at *base*; spaces in it are written out."""
    try:
        return urljoin(base, link.strip().replace(" ", "%20")) if link.strip() else ""
    except ValueError:
        return link


def _xml_text(given: Mapping[str, Any], name: str, *, is_atom: bool) -> FeedText:
    details = _raw_field(given, f"{name}_detail")
    kind = _text_field(details, "type") if isinstance(details, dict) else ""
    return FeedText(_text_field(given, name), _kind(kind, is_atom=is_atom))


def _kind(media_type: str, *, is_atom: bool) -> str:
    if "html" in media_type:
        return "html"
    return "plain" if is_atom else "guess"  # RSS does not say which it is


def _xml_date(given: Mapping[str, Any]) -> int | None:
    date = _raw_field(given, "published_parsed") or _raw_field(given, "updated_parsed")
    if not isinstance(date, time.struct_time):
        return None
    try:
        return timegm(date)
    except (ValueError, OverflowError):
        return None


def _dicts(given: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = _raw_field(given, name)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _text_field(given: Mapping[str, Any], name: str) -> str:
    value = _raw_field(given, name)
    return value if isinstance(value, str) else ""


def _raw_field(given: Mapping[str, Any], name: str) -> Any:
    # feedparser's own `get` warns, and may return another field
    return dict.get(given, name) if isinstance(given, dict) else None


# JSON Feed, versions 1 and 1.1 (jsonfeed.org).


def _read_json_feed(text: str, *, is_declared: bool, url: str) -> FeedDocument:
    try:
        document = parse_json(text)
    except ValueError:
        raise UnreadableError("JSON that is broken or broken off") from None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list) or not (is_declared or "jsonfeed.org" in _json_text(document, "version")):
        raise UnreadableError("JSON that is no JSON Feed")
    return FeedDocument(
        title=FeedText(_json_text(document, "title")),
        link=_resolve(url, _json_text(document, "home_page_url")),
        items=tuple(_json_item(item, url=url) for item in items if isinstance(item, dict)),
    )


def _json_item(given: Mapping[str, Any], *, url: str) -> FeedItem:
    texts = (
        FeedText(_json_text(given, "summary")),
        FeedText(_json_text(given, "content_text")),
        FeedText(_json_text(given, "content_html"), "html"),
    )
    authors = given.get("authors")
    authors = [given.get("author"), *(authors if isinstance(authors, list) else [authors])]
    tags = given.get("tags")
    words = [tag for tag in (tags if isinstance(tags, list) else [tags]) if isinstance(tag, str)]
    words += [_json_text(author, "name") for author in authors if isinstance(author, dict)]
    date = _json_text(given, "date_published") or _json_text(given, "date_modified")
    return FeedItem(
        id=_json_text(given, "id"),
        link=_resolve(url, _json_text(given, "url") or _json_text(given, "external_url")),
        file=_resolve(url, next((_json_text(one, "url") for one in _dicts(given, "attachments")), "")),
        title=FeedText(_json_text(given, "title")),
        texts=tuple(text for text in texts if text.value),
        words=tuple(words),
        at=_json_date(date),
        written_date=date,
    )


def _json_text(given: Mapping[str, Any], name: str) -> str:
    """Return a text; a number is one as well, as the standard wants it for ids."""
    value = given.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _json_date(date: str) -> int | None:
    try:
        at = datetime.fromisoformat(date)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


# What is no feed.


def _name_document(text: str, *, content_type: str, url: str) -> str:
    """Return what *text* seems to be, and what may help."""
    head = text
    while head.startswith("<!--"):
        head = head.partition("-->")[2].lstrip()
    head = head[:_HEAD_CHARS].lower()
    is_declared = "html" in content_type.lower() and head.startswith("<") and not head.startswith("<?xml")
    if not is_declared and "<html" not in head and not head.startswith("<!doctype html"):
        return "XML that is neither RSS nor Atom" if head.startswith("<") else "something else"
    title, feeds = page_heading(text, url=url)
    feed = next((one for one in feeds if one != url), "")
    more = [f"“{title}”"] * bool(title) + [f"its feed is {feed}"] * bool(feed)
    return f"a web page ({'; '.join(more)})" if more else "a web page"
