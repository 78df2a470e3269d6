"""A digest as Slack's blocks. Foreign text is only ever in elements that Slack does not parse."""

from typing import Any

from functions.notices.wording.digest import Digest, Item, Row
from functions.notices.wording.plain import clipped
from functions.notices.wording.text import text

HEADER_UNITS = 150
CONTEXT_UNITS = 2000

Block = dict[str, Any]


def message(digest: Digest) -> dict[str, Any]:
    """The message of *digest*: at most 41 blocks, of 50 that may be."""
    alone = len(digest.rows) == 1 and not digest.more
    icon = f"{digest.rows[0].icon} " if alone else ""
    blocks: list[Block] = [_header(icon + digest.headline)]
    for number, row in enumerate(digest.rows):
        if number:
            blocks.append({"type": "divider"})
        blocks += _blocks(row, digest.read_on, alone=alone)
    if digest.more:
        blocks += [{"type": "divider"}, _note(digest.more)]
    # What a phone's notification shows, and the only part that Slack parses.
    return _unfurled_never({"text": escaped(icon + digest.headline), "blocks": blocks})


def plain_message(digest: Digest) -> dict[str, Any]:
    """The same without blocks or markup."""
    return _unfurled_never({"text": escaped(text(digest)), "mrkdwn": False})


def escaped(foreign: str) -> str:
    """*foreign* without the three letters that begin a mention, a link or an entity."""
    return foreign.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unfurled_never(message: dict[str, Any]) -> dict[str, Any]:
    """Slack would fetch and show what foreign links lead to."""
    return message | {"unfurl_links": False, "unfurl_media": False}


def _header(plain: str) -> Block:
    shown = {"type": "plain_text", "text": clipped(plain, HEADER_UNITS), "emoji": False}
    return {"type": "header", "text": shown}


def _blocks(row: Row, read_on: str, *, alone: bool) -> list[Block]:
    """The blocks of *row*. The only row has its sentence in the header already."""
    parts: list[Block] = []
    if not alone:
        parts.append(_section(_text(f"{row.icon} {row.sentence}", bold=True)))
    if row.summary:
        parts.append(_section(_text(row.summary)))
    if row.items:
        style = "ordered" if row.ranked else "bullet"
        lines = [_section(*_line(item)) for item in row.items]
        parts.append({"type": "rich_text_list", "style": style, "elements": lines})
    if row.more:
        parts.append(_section(_text(row.more)))
    if row.page:
        parts.append(_section(_link(row.page, read_on)))
    blocks = [{"type": "rich_text", "elements": parts}] if parts else []
    return [*blocks, _note(row.details)] if row.details else blocks


def _section(*elements: Block) -> Block:
    return {"type": "rich_text_section", "elements": list(elements)}


def _line(item: Item) -> list[Block]:
    title = _link(item.url, item.title) if item.url else _text(item.title)
    return [title, _text(f" — {item.text}")] if item.text else [title]


def _text(plain: str, *, bold: bool = False) -> Block:
    element: Block = {"type": "text", "text": plain}
    return element | {"style": {"bold": True}} if bold else element


def _link(url: str, plain: str) -> Block:
    return {"type": "link", "url": url, "text": plain}


def _note(plain: str) -> Block:
    shown = {"type": "plain_text", "text": clipped(plain, CONTEXT_UNITS), "emoji": False}
    return {"type": "context", "elements": [shown]}
