"""Foreign markup as plain text: no tags, no control characters, only web links."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

MAX_URL_CHARS = 2048
MAX_PAGE_CHARS = 65_536  # of a page's text: links are written out, so that it may be longer than the page
_MAX_MARKUP_CHARS = 4000  # of markup that are read: a summary may be a whole book
_JOINERS = "\u200c\u200d"  # without a width, and yet part of Persian words and of emoji
_INVISIBLE = frozenset({"script", "style", "noscript", "template", "svg"})
_BLOCKS = frozenset({"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6", "tr"})  # a line ends after each


def html_to_text(markup: str, *, limit: int, read_chars: int = _MAX_MARKUP_CHARS) -> str:
    """Return the text of *markup*, or of its first *read_chars*, on one line of at most *limit* characters.

    Tags are removed before and after entities are decoded, so that escaped tags do not survive. A title
    such as `List<T>` loses its `<T>`.
    """
    text = markup[:read_chars]
    if "<" in text or "&" in text:
        text = _read(text, _TextReader(separator=" "))
        if "<" in text:
            text = _read(text.replace("&", "&amp;"), _TextReader(separator=" "))  # decoded once already
    printable = "".join(c if c.isprintable() or c in _JOINERS else " " if c.isspace() else "" for c in text)
    text = " ".join(printable.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def page_text(body: bytes, *, url: str) -> str:
    """Return the text of the page at *url*, one line per block; each link's address in brackets before it.

    Args:
        body: In UTF-8.
    """
    text = _read(body.decode(errors="replace"), _PageReader(url))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)[:MAX_PAGE_CHARS]


def safe_http_url(link: str) -> str:
    """Return *link* when it is an absolute http or https address, else an empty text."""
    link = link.strip()
    if len(link) > MAX_URL_CHARS or not link.isprintable() or " " in link:
        return ""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme in ("http", "https") and parts.netloc else ""


class _TextReader:
    """What lxml calls for each tag and text: it keeps the text that a browser would show."""

    def __init__(self, *, separator: str) -> None:
        self._separator = separator  # in the place of each tag
        self._hidden = 0  # depth within an element that is not shown
        self._parts: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._hidden or tag in _INVISIBLE:
            self._hidden += 1
        else:
            self.open(tag, attributes)

    def end(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
        else:
            self.shut(tag)

    def data(self, text: str) -> None:
        if not self._hidden:
            self._parts.append(text)

    def comment(self, text: str) -> None:
        """Leave it out."""

    def pi(self, target: str, data: str) -> None:
        """Leave it out."""

    def close(self) -> str:
        return "".join(self._parts)

    def open(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._parts.append(self._separator)

    def shut(self, tag: str) -> None:
        self._parts.append(self._separator)


class _PageReader(_TextReader):
    """Keeps the links, and a line for each block."""

    def __init__(self, url: str) -> None:
        super().__init__(separator=" ")
        self._url = url
        self._link_chars = 0

    def open(self, tag: str, attributes: Mapping[str, str]) -> None:
        link = attributes.get("href", "") if tag == "a" else ""
        address = self._absolute(link) if link and self._link_chars < MAX_PAGE_CHARS else ""
        self._link_chars += len(address)
        self._parts.append(f" [{address}] " if address else "\n" if tag == "br" else " ")

    def shut(self, tag: str) -> None:
        self._parts.append("\n" if tag in _BLOCKS else " ")

    def _absolute(self, link: str) -> str:
        try:
            return safe_http_url(urljoin(self._url, link))
        except ValueError:
            return ""


def _read(markup: str, reader: _TextReader) -> str:
    """Return what *reader* keeps; by lxml, as html.parser is quadratic in unclosed tags."""
    from lxml import etree  # 16 ms

    parser: Any = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True)
    parser.feed(markup.replace("\0", "").encode("utf-8", "replace"))
    text: str = parser.close()
    return text
