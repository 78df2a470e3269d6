"""The Discord channel: a webhook, one message with an embed for each notice."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from functions.domain.alerts.model import Notice
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import (
    Sent,
    Verdict,
    address,
    decoded,
    encoded,
    posting,
    say,
    wait_asked_for,
    wait_of,
)
from functions.notifications.rendering.digest import (
    VOICE_SETTINGS,
    Digest,
    Item,
    Limits,
    Row,
    Voice,
    fullest,
    text,
)
from functions.notifications.rendering.formatting import clipped, sealed, units
from functions.notifications.rendering.phrases import Tone

# A digest as Discord's embeds, with the limits and the markup that Discord knows.

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


SETTINGS = ("DISCORD_WEBHOOK_URL", *VOICE_SETTINGS)

GONE = {
    10003: "the webhook's Discord channel is gone",
    10015: "the webhook is gone",
    50027: "the webhook's token is not valid",
}
REMEDY = "; make a new webhook and set DISCORD_WEBHOOK_URL"


def open_channel(settings: Mapping[str, str], post: Post) -> "DiscordChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one.
    """
    url = address(settings, "DISCORD_WEBHOOK_URL")
    return DiscordChannel(answering(url), Voice.of(settings), post) if url else None


class DiscordChannel:
    """One webhook, which writes to one Discord channel or thread."""

    name = "discord"

    def __init__(self, url: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, url)
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one message of embeds; if Discord cannot read it, the same as plain text, once.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        return await say(
            self._request,
            lambda answer: judge(answer, now=now),
            lambda: render(notices, self._voice),
            lambda: render_plain(notices, self._voice),
        )

    def __repr__(self) -> str:
        return "DiscordChannel()"


def answering(url: str) -> str:
    """*url* with `wait=true`: Discord then answers with the message it made, not before it tried."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def render(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message, in all of Discord's limits; its letters are counted as Discord counts them."""

    def drawn(limits: Limits) -> dict[str, object]:
        return message(voice.digest(notices, limits))

    chosen = fullest(drawn, sound)
    return encoded(chosen)


def render_plain(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message without embeds."""

    def drawn(limits: Limits) -> dict[str, object]:
        return plain_message(voice.digest(notices, limits))

    chosen = fullest(drawn, sound)
    return encoded(chosen)


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What Discord says: the message it made, or a code.

    Ten thousand refused requests in ten minutes get an address banned, with all who share it: what cannot
    become better is permanent.
    """
    said = decoded(answer.body)
    code = said.get("code")
    if answer.status == 204 or (answer.status == 200 and "id" in said):
        return Verdict(Sent(ok=True))
    if answer.status == 429:
        wait = wait_of(said.get("retry_after")) or wait_asked_for(answer, now=now)
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if code in GONE:
        return Verdict(Sent(ok=False, permanent=True, detail=f"code {code}: {GONE[code]}{REMEDY}"))
    if answer.status in (401, 404) or (answer.status == 403 and said):
        detail = f"HTTP {answer.status}: the webhook is gone or not valid{REMEDY}"
        return Verdict(Sent(ok=False, permanent=True, detail=detail))
    if answer.status in (400, 413):
        known = f"code {code}" if type(code) is int else f"HTTP {answer.status}"
        return Verdict(Sent(ok=False, detail=f"{known}: the message was not understood"), misread=True)
    wait = wait_asked_for(answer, now=now)
    return Verdict(
        Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: not an answer of Discord's")
    )
