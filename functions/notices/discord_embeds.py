"""A digest as Discord's embeds, with the limits and the markup that Discord knows."""

import re
from typing import Any

from functions.notices.wording.digest import Digest, Item, Row
from functions.notices.wording.links import sealed
from functions.notices.wording.plain import clipped, units
from functions.notices.wording.text import text
from functions.notices.wording.tone import Tone

CONTENT_UNITS = 2000
TITLE_UNITS = 256
DESCRIPTION_UNITS = 4096
FOOTER_UNITS = 2048
ALL_UNITS = 6000  # of all embeds of a message together

COLOURS: dict[Tone, int] = {
    "bad": 0xE01E5A,
    "warning": 0xE8912D,
    "good": 0x2EB67D,
    "news": 0x2F80ED,
    "calm": 0x36C5F0,
}

NOBODY: dict[str, Any] = {"parse": []}  # a message wakes nobody, whatever is in it

_MARKUP = re.compile(r"[\\*_~`|>#\[\]()<@]|:(?=//)|(?<!\w)-(?=\s)")


def message(digest: Digest) -> dict[str, Any]:
    """The message of *digest*; it may be too long, see `sound`."""
    content = "" if len(digest.rows) == 1 and not digest.more else escaped(digest.headline, CONTENT_UNITS)
    embeds = [_embed(row, digest.read_on) for row in digest.rows]
    if digest.more:
        embeds[-1]["footer"] = {"text": _joined(embeds[-1].get("footer", {}).get("text", ""), digest.more)}
    return {"content": content, "embeds": embeds, "allowed_mentions": NOBODY}


def plain_message(digest: Digest) -> dict[str, Any]:
    """The same without embeds."""
    return {"content": escaped(text(digest), CONTENT_UNITS + 1), "allowed_mentions": NOBODY}


def sound(message: dict[str, Any]) -> bool:
    """Whether *message* keeps the limits that depend on how much there is to say."""
    embeds = message.get("embeds", [])
    return (
        units(message["content"]) <= CONTENT_UNITS
        and all(units(embed.get("description", "")) <= DESCRIPTION_UNITS for embed in embeds)
        and sum(_length(embed) for embed in embeds) <= ALL_UNITS
    )


def escaped(foreign: str, limit: int) -> str:
    """*foreign* as Discord shows it letter by letter, in at most *limit* units; no escape is cut in two."""
    parts: list[str] = []
    left = limit - 1
    for index, letter in enumerate(foreign):
        part = f"\\{letter}" if _MARKUP.match(foreign, index) else letter
        left -= units(part)
        if left < 0:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


def _embed(row: Row, read_on: str) -> dict[str, Any]:
    lines = [escaped(row.summary, DESCRIPTION_UNITS)] if row.summary else []
    lines += [_line(item) for item in row.items]
    lines += [row.more] if row.more else []
    lines += [f"[{read_on}]({sealed(row.page)})"] if row.page else []
    embed: dict[str, Any] = {
        "title": escaped(f"{row.icon} {row.sentence}", TITLE_UNITS),
        "description": "\n".join(lines),
        "color": COLOURS[row.tone],
    }
    return embed | {"footer": {"text": clipped(row.details, FOOTER_UNITS)}} if row.details else embed


def _line(item: Item) -> str:
    title = escaped(item.title, DESCRIPTION_UNITS)
    link = f"[{title}]({sealed(item.url)})" if item.url else title
    return f"{item.mark} {link}" + (f" — {escaped(item.text, DESCRIPTION_UNITS)}" if item.text else "")


def _joined(before: str, after: str) -> str:
    return f"{before} · {after}" if before else after


def _length(embed: dict[str, Any]) -> int:
    return sum(units(part) for part in (embed["title"], embed["description"], _footer(embed)))


def _footer(embed: dict[str, Any]) -> str:
    shown: str = embed.get("footer", {}).get("text", "")
    return shown
