"""A digest as a Feishu card of schema 2.0, and as the plain text that stands in for one."""

import re
from typing import Any

from functions.notices.wording.digest import Digest, Item, Row
from functions.notices.wording.links import sealed
from functions.notices.wording.text import text as plain_text
from functions.notices.wording.tone import Tone

COLOURS: dict[Tone, str] = {
    "bad": "red",
    "warning": "orange",
    "good": "green",
    "news": "blue",
    "calm": "turquoise",
}

KEYWORD = "Cronfire"  # in every message, for bots that accept only messages with a keyword

_MARKUP = re.compile(r"[&<>*_~`\[\]()!#|\\$]|^[-+=]|(?<=\w):(?=//)")


def card(digest: Digest) -> dict[str, Any]:
    """The card of *digest*. Schema 2.0 refuses a card for one property it does not know."""
    headline = _unmentioned(digest.headline)
    elements: list[dict[str, Any]] = []
    for row in digest.rows:
        if elements:
            elements.append({"tag": "hr"})
        elements += _elements(row, digest.read_on, alone=len(digest.rows) == 1 and not digest.more)
    if digest.more:
        elements += [{"tag": "hr"}, _note(digest.more)]
    return {
        "schema": "2.0",
        "config": {"summary": {"content": headline}},  # what the list of chats shows
        "header": {
            "template": COLOURS[digest.tone],
            "title": {"tag": "plain_text", "content": headline},
            "subtitle": {"tag": "plain_text", "content": KEYWORD},
        },
        "body": {"elements": elements},
    }


def text(digest: Digest) -> str:
    """The same without any markup, one line for each thing."""
    return _unmentioned(f"{plain_text(digest)}\n— {KEYWORD}")


def escaped(foreign: str) -> str:
    """*foreign* as the markdown component shows it letter by letter: no markup, mention or link in it."""
    return _MARKUP.sub(lambda letter: f"&#{ord(letter[0])};", foreign)


def _elements(row: Row, read_on: str, *, alone: bool) -> list[dict[str, Any]]:
    """The elements of *row*; never none. The only row has its sentence in the header already."""
    lines = [] if alone else [f"{row.icon} **{escaped(row.sentence)}**"]
    lines += [escaped(row.summary)] if row.summary else []
    lines += [_line(item) for item in row.items]
    lines += [row.more] if row.more else []
    elements = [{"tag": "markdown", "content": "\n".join(lines)}] if lines else []
    if row.details or row.page or not elements:
        link = f" [{read_on}]({sealed(row.page)})" if row.page else ""
        elements.append(_note(row.details or row.sentence, link))
    return elements


def _line(item: Item) -> str:
    title = escaped(item.title)
    link = f"[{title}]({sealed(item.url)})" if item.url else title
    return f"{item.mark} {link}" + (f" — {escaped(item.text)}" if item.text else "")


def _note(plain: str, link: str = "") -> dict[str, Any]:
    return {
        "tag": "markdown",
        "content": f"<font color='grey'>{escaped(plain)}</font>{link}",
        "text_size": "notation",
    }


def _unmentioned(plain: str) -> str:
    """*plain* without the one thing that is markup even in plain text: a mention of the whole group."""
    return re.sub(r"<(?=\s*/?\s*at\b)", "＜", plain, flags=re.IGNORECASE)
