"""Foreign markup as plain text: no tags, no control characters, only web links."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

MAX_URL_CHARS = 2048
MAX_PAGE_CHARS = 65_536  # of a page's text: links are written out, so that it may be longer than the page
_MAX_MARKUP_CHARS = 4000  # of markup that are read: a summary may be a whole book
_JOINERS = "\u200c\u200d"  # without a width, and yet part of Persian words and of emoji
_HIGH = "[xX][dD][89abAB][0-9a-fA-F]{2}|5529[6-9]|55[3-9][0-9]{2}|56[0-2][0-9]{2}|563[01][0-9]"
_LOW = "[xX][dD][c-fC-F][0-9a-fA-F]{2}|563[2-9][0-9]|56[4-9][0-9]{2}|57[0-2][0-9]{2}|573[0-3][0-9]|5734[0-3]"
_HALVES = re.compile(f"&#({_HIGH});&#({_LOW});")
_HALF = re.compile(f"&#(?:{_HIGH}|{_LOW});")
_INVISIBLE = frozenset({"script", "style", "noscript", "template", "svg"})
_OFTEN_ALONE = frozenset(
    {"br", "hr", "wbr", "img", "p", "li", "dt", "dd", "tr", "td", "th", "html", "head", "body"}
)
_OTHER_ELEMENTS = """
    a abbr acronym address article aside audio b bdi bdo big blockquote button canvas caption center cite
    code col colgroup data del details dfn dialog dir div dl em embed fieldset figcaption figure font footer
    form frame h1 h2 h3 h4 h5 h6 header hgroup i iframe input ins kbd label legend link main map mark math
    menu meta meter nav nobr object ol optgroup option output picture pre progress q rp rt ruby s samp
    section select small source span strike strong sub summary sup table tbody textarea tfoot thead time
    title track tt u ul var video
"""
_ELEMENTS = _INVISIBLE | _OFTEN_ALONE | frozenset(_OTHER_ELEMENTS.split())
_FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
)
_BLOCKS = frozenset({"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6", "tr"})  # a line ends after each


def html_to_text(
    markup: str, *, limit: int, read_chars: int = _MAX_MARKUP_CHARS, is_guess: bool = False
) -> str:
    """Return the text of *markup*, or of its first *read_chars*, on one line of at most *limit* characters.

    Only what is a tag is removed; a text that was escaped twice is read twice.

        a<b holds, List<T>, <16s in UK    as they are
        Some <b>bold</b> words<br         Some bold words
        &lt;p&gt;escaped&lt;/p&gt;        escaped

    Args:
        is_guess: Whether *markup* may as well be a plain text: then `<script>` alone is a word in it.
    """
    text = join_halves(markup[:read_chars])
    if "<" in text or "&" in text:
        is_escaped = "<" not in text
        text = _read(_escape_lone_brackets(text, is_guess=is_guess), _TextReader(separator=" "))
        if is_escaped and _has_end_tag(text):
            text = _read(_escape_lone_brackets(text, is_guess=True), _TextReader(separator=" "))
    return one_line(text, limit=limit)


def one_line(text: str, *, limit: int) -> str:
    """Return the plain *text* on one line, in at most *limit* characters, without control characters."""
    printable = "".join(c if c.isprintable() or c in _JOINERS else " " if c.isspace() else "" for c in text)
    text = " ".join(printable.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def join_halves(markup: str) -> str:
    """Return *markup* with one reference for two that stand for the halves of a surrogate pair.

    &#xD83D;&#xDE00; and &#55357;&#56832;    &#128512;
    &#xD83D; alone                           (nothing)
    """
    return _HALF.sub("", _HALVES.sub(_join_pair, markup)) if "&#" in markup else markup


def _join_pair(halves: re.Match[str]) -> str:
    high, low = (int(half[1:], 16) if half[0] in "xX" else int(half) for half in halves.groups())
    return f"&#{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00};"


def _escape_lone_brackets(markup: str, *, is_guess: bool) -> str:
    """Return *markup* with each `<` that begins no tag as `&lt;`: a parser takes what follows for a tag."""
    markup = markup.replace("<![CDATA[", "").replace("]]>", "")
    folded = markup.lower() if len(markup.lower()) == len(markup) else markup
    names: dict[str, bool] = {}  # of tags that have begun, and whether they end somewhere
    parts: list[str] = []
    done, at, end = 0, markup.find("<"), -1
    while at >= 0:
        if end <= at:
            end = found if (found := markup.find(">", at)) >= 0 else len(markup)
        following = markup.find("<", at + 1)
        inside = markup[at + 1 : min(end, following if following >= 0 else end)]
        if not _is_tag(inside, folded, names, is_whole=end < len(markup), is_guess=is_guess):
            parts += (markup[done:at], "&lt;")
            done = at + 1
        at = following
    return "".join([*parts, markup[done:]])


def _is_tag(inside: str, document: str, names: dict[str, bool], *, is_whole: bool, is_guess: bool) -> bool:
    """Whether *inside*, between a `<` and the next `<` or `>`, makes a tag, a comment or an instruction."""
    if inside.startswith(("!", "?")):
        return is_whole
    is_end = inside.startswith("/")
    written, _, rest = inside.removeprefix("/").replace("/", " ").replace("\n", " ").partition(" ")
    name = written.strip().lower()
    if not name or not name[0].isalpha() or not name.replace("-", "").replace(":", "").isalnum():
        return False
    if is_end:
        return name in _ELEMENTS or name in names or ":" in name
    if "=" in rest or ":" in name:
        names.setdefault(name, True)
        return True
    if name not in _ELEMENTS or (len(name) == 1 and rest.strip()):
        return False
    if name in _OFTEN_ALONE or (name in _INVISIBLE and not is_guess):
        return True
    if name not in names:
        names[name] = f"</{name}" in document
    return names[name]


def _has_end_tag(text: str) -> bool:
    found = text.find("</")
    while found >= 0:
        name = text[found + 2 : found + 14].partition(">")[0].strip().lower()
        if name in _ELEMENTS:
            return True
        found = text.find("</", found + 2)
    return False


def page_text(body: bytes, *, url: str) -> str:
    """Return the text of the page at *url*, one line per block; each link's address in brackets before it.

    Args:
        body: In UTF-8.
    """
    text = _read(body.decode(errors="replace"), _PageReader(url))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)[:MAX_PAGE_CHARS]


def page_heading(text: str, *, url: str) -> tuple[str, list[str]]:
    """Return the title of the page at *url*, in at most 80 characters, and the feeds that it advertises."""
    reader = _HeadReader(url)
    title = _read(text[:MAX_PAGE_CHARS], reader)
    return one_line(title, limit=80), reader.feeds


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
            self._parts.append(" ")  # what stands around it makes no new word
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
        address = self.absolute(link) if link and self._link_chars < MAX_PAGE_CHARS else ""
        self._link_chars += len(address)
        self._parts.append(f" [{address}] " if address else "\n" if tag == "br" else " ")

    def shut(self, tag: str) -> None:
        self._parts.append("\n" if tag in _BLOCKS else " ")

    def absolute(self, link: str) -> str:
        """Return *link*, resolved, when it is a web address; else an empty text."""
        try:
            return safe_http_url(urljoin(self._url, link))
        except ValueError:
            return ""


class _HeadReader(_TextReader):
    """Keeps the title, and notes the feeds: each `<link rel="alternate">` of a feed's type."""

    def __init__(self, url: str) -> None:
        super().__init__(separator="")
        self._page = _PageReader(url)
        self._in_title = False
        self.feeds: list[str] = []

    def open(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._in_title = tag == "title" and not self._parts
        kind = attributes.get("type", "").lower().partition(";")[0].strip()
        if tag == "link" and "alternate" in attributes.get("rel", "").lower().split() and kind in _FEED_TYPES:
            address = self._page.absolute(attributes.get("href", "").strip())
            if address and len(self.feeds) < 10:
                self.feeds.append(address)

    def shut(self, tag: str) -> None:
        self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            super().data(text)


def _read(markup: str, reader: _TextReader) -> str:
    """Return what *reader* keeps; by lxml, as html.parser is quadratic in unclosed tags."""
    from lxml import etree  # 16 ms

    parser: Any = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True)
    parser.feed(markup.replace("\0", "").encode("utf-8", "replace"))
    text: str = parser.close()
    return text
