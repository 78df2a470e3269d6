"""A digest as a Feishu card of schema 2.0, and as the plain text that stands in for one."""

import re
from typing import Any

from functions.notices.wording.digest import Digest, Item, Row
from functions.rules.notice import NoticeKind

COLOURS: dict[NoticeKind, str] = {
    "failure": "red",
    "paused": "orange",
    "recovery": "green",
    "news": "blue",
    "success": "turquoise",
}

KEYWORD = "Cronfire"  # in every message, for bots that accept only messages with a keyword

_MARKUP = re.compile(r"[&<>*_~`\[\]()!#|\\$]|^[-+=]|(?<=\w):(?=//)")
_UNSAFE_IN_LINK = re.compile(r"[()<>\[\]\\*`'\"|{}^]|&(?=#)")


def card(digest: Digest) -> dict[str, Any]:
    """The card of *digest*. Schema 2.0 refuses a card for one property it does not know."""
    headline = _unmentioned(digest.headline)
    elements: list[dict[str, Any]] = []
    for row in digest.rows:
        if elements:
            elements.append({"tag": "hr"})
        elements += _elements(row, alone=len(digest.rows) == 1 and not digest.more)
    if digest.more:
        elements += [{"tag": "hr"}, _note(digest.more)]
    return {
        "schema": "2.0",
        "config": {"summary": {"content": headline}},  # what the list of chats shows
        "header": {
            "template": COLOURS[digest.worst],
            "title": {"tag": "plain_text", "content": headline},
            "subtitle": {"tag": "plain_text", "content": KEYWORD},
        },
        "body": {"elements": elements},
    }


def text(digest: Digest) -> str:
    """The same without any markup, one line for each thing."""
    lines = [] if len(digest.rows) == 1 else [digest.headline]
    for row in digest.rows:
        lines.append(f"{row.icon} {row.sentence}" + (f": {row.summary}" if row.summary else ""))
        lines += [row.details] if row.details else []
        lines += [f"• {item.title} {item.url}".rstrip() for item in row.items]
        lines += [row.more] if row.more else []
    lines += [digest.more] if digest.more else []
    lines.append(f"— {KEYWORD}")
    return _unmentioned("\n".join(lines))


def escaped(foreign: str) -> str:
    """*foreign* as the markdown component shows it letter by letter: no markup, mention or link in it."""
    return _MARKUP.sub(lambda letter: f"&#{ord(letter[0])};", foreign)


def _elements(row: Row, *, alone: bool) -> list[dict[str, Any]]:
    """The elements of *row*; never none. The only row has its sentence in the header already."""
    lines = [] if alone else [f"{row.icon} **{escaped(row.sentence)}**"]
    lines += [escaped(row.summary)] if row.summary else []
    lines += [_line(item) for item in row.items]
    lines += [row.more] if row.more else []
    elements = [{"tag": "markdown", "content": "\n".join(lines)}] if lines else []
    if row.details or not elements:
        elements.append(_note(row.details or row.sentence))
    return elements


def _line(item: Item) -> str:
    title = escaped(item.title)
    link = f"[{title}]({_link(item.url)})" if item.url else title
    return f"• {link}" + (f" — {escaped(item.text)}" if item.text else "")


def _link(url: str) -> str:
    """*url* with every character that could end a link, or begin something else, in percent form."""
    return _UNSAFE_IN_LINK.sub(lambda letter: f"%{ord(letter[0]):02X}", url)


def _note(plain: str) -> dict[str, Any]:
    return {
        "tag": "markdown",
        "content": f"<font color='grey'>{escaped(plain)}</font>",
        "text_size": "notation",
    }


def _unmentioned(plain: str) -> str:
    """*plain* without the one thing that is markup even in plain text: a mention of the whole group."""
    return re.sub(r"<(?=\s*/?\s*at\b)", "＜", plain, flags=re.IGNORECASE)
