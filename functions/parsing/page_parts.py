"""The text of a part of a web page, as a reader sees it, and how it differs from what it was.

selectolax builds the tree that browsers build, so that a selector copied from their tools finds the same
element here. Its time grows with the square of the depth of a page: it is called by a `Parse` alone.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING

from functions.parsing.errors import UnreadableError
from functions.parsing.markup import one_line

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_PAGE_BYTES = 5_242_880  # unpacked; with its tree and text it takes some 210 MB
MAX_KEPT_CHARS = 16_384  # of a text that is kept to be compared line by line
MAX_DIFF_CHARS = 4000
MAX_MATCHES = 1000
_MAX_TITLE_CHARS = 80
_MAX_SHOWN_CHARS = 200  # of a line in a difference
_CONTEXT_CHARS = 40  # before what differs in a line that is longer
_CONTEXT_LINES = 1
_UNSEEN = ["script", "style", "noscript", "template", "svg"]
_SCRIPTS = "script"
_PASSWORD = "input[type=password]"  # noqa: S105  # a selector
_BREAK = "\x1e"  # the ASCII sign that separates records: no text of a page has it
_BLOCKS = """
    address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hr legend li main nav ol option p pre section summary
    table tbody tfoot thead title tr ul
"""
_PREFORMATTED = re.compile(r"<(/?)pre(?=[\s>])", re.IGNORECASE)
_TAG = re.compile(r"(<[^<>]*>)")
_BLOCK_SELECTOR = ", ".join(_BLOCKS.split())


@dataclass(frozen=True, slots=True)
class PagePart:
    """What a selector finds on a page.

    Attributes:
        title: Of the page; empty when it has none.
        matches: How many elements the selector matches, those within another one not counted.
        text: Its first `MAX_KEPT_CHARS` characters, a line for each block.
        chars: How long the whole text is.
        digest: A hash of the whole text, with digits left out where they do not count.
        has_scripts: Whether the page may write more of itself by scripts.
        asks_password: Whether a field for a password is in what matches, or, without a match, on the page.
    """

    title: str
    matches: int
    text: str
    chars: int
    digest: str
    has_scripts: bool
    asks_password: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How two texts differ, both in at most `MAX_KEPT_CHARS` characters.

    Attributes:
        lines: As `diff -u` writes them: `-` for what is gone, `+` for what is new, ` ` for what is around it.
        added: Lines that are new.
        removed: Lines that are gone.
        first: The first new line, else the first one that is gone.
    """

    lines: str
    added: int
    removed: int
    first: str


def read_part(
    body: bytes,
    *,
    selector: str,
    ignore: Sequence[str] = (),
    ignore_numbers: bool = False,
    is_plain: bool = False,
    is_xml: bool = False,
) -> PagePart:
    """Return the text of what *selector* matches on a page.

    Args:
        body: In UTF-8.
        selector: CSS, which `selectors.check_selector` let pass.
        ignore: Lines with one of these are left out.
        ignore_numbers: Whether digits count in `digest`.
        is_plain: Whether the body is no markup: a text, CSV, or JSON.
        is_xml: Whether it is XML, where CDATA is text; in HTML it is a comment.

    Raises:
        UnreadableError: The selector is none for the library.
    """
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError  # 30 ms, in the parser's process

    markup = body.decode("utf-8", "replace")
    if is_xml:
        markup = _with_escaped_cdata(markup)
    page = LexborHTMLParser(_as_markup(markup) if is_plain else _with_written_lines(markup))
    title = one_line(_title(page), limit=_MAX_TITLE_CHARS)
    has_scripts = page.css_first(_SCRIPTS) is not None
    try:
        found = _outermost(page.css(selector)[:MAX_MATCHES])
    except SelectolaxError:
        raise UnreadableError("a selector that is not supported") from None
    if found:
        asks_password = any(node.css_first(_PASSWORD) is not None for node in found)
    else:
        asks_password = page.css_first(_PASSWORD) is not None
    page.strip_tags(_UNSEEN)
    skipped = [normalise(text) for text in ignore]
    lines = [
        line
        for node in found
        if node.tag not in _UNSEEN
        for line in _lines(node)
        if not any(text in line for text in skipped)
    ]
    text = "\n".join(lines)
    return PagePart(
        title=title,
        matches=len(found),
        text=text[:MAX_KEPT_CHARS],
        chars=len(text),
        digest=_digest(_without_digits(text) if ignore_numbers else text),
        has_scripts=has_scripts,
        asks_password=asks_password,
    )


def _as_markup(text: str) -> str:
    return f"<body>{escape(text, quote=False)}".replace("\n", _BREAK)


def _with_escaped_cdata(markup: str) -> str:
    first, *others = markup.split("<![CDATA[")
    parts = [first]
    for other in others:
        text, end, rest = other.partition("]]>")
        parts += (escape(text, quote=False), rest) if end else (other,)
    return "".join(parts)


def _with_written_lines(markup: str) -> str:
    """Return *markup* with a break for each line within `pre`, where browsers show them."""
    parts: list[str] = []
    done, start = 0, -1
    for found in _PREFORMATTED.finditer(markup):
        if not found[1]:
            start = found.start() if start < 0 else start
        elif start >= 0:
            parts.append(markup[done:start])
            parts += (
                part if part.startswith("<") else part.replace("\n", _BREAK)
                for part in _TAG.split(markup[start : found.start()])
            )
            done, start = found.start(), -1
    return "".join([*parts, markup[done:]])


def normalise(text: str) -> str:
    """Return *text* composed (NFC), on one line, without control characters."""
    composed = unicodedata.normalize("NFC", text)
    return one_line(composed, limit=len(composed))


def compare_texts(now: bytes, *, before: str, ignore_numbers: bool = False) -> Difference:
    """Return how the text *now*, in UTF-8, differs from the one *before*."""
    old, new = before.splitlines(), now.decode("utf-8", "replace").splitlines()
    old_keys, new_keys = (
        list(map(_without_digits, lines)) if ignore_numbers else lines for lines in (old, new)
    )
    shown: list[str] = []
    added: list[str] = []
    removed: list[str] = []
    for group in SequenceMatcher(None, old_keys, new_keys).get_grouped_opcodes(_CONTEXT_LINES):
        shown.append("@@")
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                shown += (f" {_shorten(line)}" for line in new[new_start:new_end])
                continue
            gone, come = list(_shown_pairs(old[start:end], new[new_start:new_end]))
            removed += gone
            added += come
            shown += (f"-{line}" for line in gone)
            shown += (f"+{line}" for line in come)
    lines = "\n".join(shown)
    if len(lines) > MAX_DIFF_CHARS:
        lines = lines[:MAX_DIFF_CHARS].rpartition("\n")[0] + "\n…"
    return Difference(lines, len(added), len(removed), next(iter([*added, *removed]), ""))


def _title(page: "LexborHTMLParser") -> str:
    node = page.css_first("head title")
    return "" if node is None else node.text(deep=True)


def _outermost(nodes: "Sequence[LexborNode]") -> "list[LexborNode]":
    """Return those of *nodes*, in the order of the page, that are within no other one."""
    kept: list[LexborNode] = []
    seen: set[int] = set()
    for node in nodes:
        above = node.parent
        while above is not None and above.mem_id not in seen:
            above = above.parent
        if above is None:
            kept.append(node)
            seen.add(node.mem_id)
    return kept


def _lines(node: "LexborNode") -> Iterator[str]:
    """Yield the lines of the text: one for each block, row and line break."""
    for block in node.css(_BLOCK_SELECTOR):
        if block.mem_id != node.mem_id:
            block.insert_before(_BREAK)
            block.insert_after(_BREAK)
    for line_break in node.css("br"):
        line_break.insert_after(_BREAK)
    for cell in node.css("td, th"):
        cell.insert_before(" ")
    for line in node.text(deep=True).split(_BREAK):
        if text := normalise(line):
            yield text


def _without_digits(text: str) -> str:
    return "".join("" if sign.isdigit() else sign for sign in text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _shown_pairs(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return lines that stand in the place of each other, long ones cut around where they begin to differ."""
    gone, come = [_shorten(line) for line in old], [_shorten(line) for line in new]
    for number, (one, other) in enumerate(zip(old, new, strict=False)):
        if max(len(one), len(other)) > _MAX_SHOWN_CHARS:
            same = next(
                (at for at, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1), 0
            )
            start = max(same - _CONTEXT_CHARS, 0)
            gone[number], come[number] = _shorten(one, start), _shorten(other, start)
    return gone, come


def _shorten(line: str, start: int = 0) -> str:
    before = "…" if start else ""
    cut = line[start : start + _MAX_SHOWN_CHARS]
    return f"{before}{cut}" + ("…" if len(line) > start + _MAX_SHOWN_CHARS else "")
