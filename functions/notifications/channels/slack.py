"""The Slack channel: an incoming webhook, one message of blocks; plain text when Slack refuses those."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notice
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import Sent, Verdict, address, encoded, posting, say, wait_asked_for
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
from functions.notifications.rendering.formatting import clipped

# A digest as Slack's blocks. Foreign text is only ever in elements that Slack does not parse.

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


SETTINGS = ("SLACK_WEBHOOK_URL", *VOICE_SETTINGS)
MAX_CHARS = 12_000  # of the whole message; from about 13,200 on Slack says msg_blocks_too_long
PLAIN_CHARS = 3_800  # Slack advises not to exceed 4,000

GONE = {
    "action_prohibited": "a rule of the workspace forbids the message",
    "channel_is_archived": "the webhook's Slack channel is archived",
    "channel_not_found": "the webhook's Slack channel is gone",
    "invalid_token": "the webhook is not valid",
    "no_active_hooks": "the webhook is switched off",
    "no_service": "the webhook is gone or switched off",
    "no_service_id": "the webhook's address is not complete",
    "no_team": "the workspace is gone",
    "posting_to_general_channel_denied": "who made the webhook may not write to #general",
    "team_disabled": "the workspace is gone",
    "token_revoked": "the app was removed from the workspace",
    "user_not_found": "the webhook's user is gone",
}
REMEDY = "; make a new webhook and set SLACK_WEBHOOK_URL"
MISREAD = frozenset(
    {
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_payload",
        "missing_text_or_fallback_or_attachments",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)


def open_channel(settings: Mapping[str, str], post: Post) -> "SlackChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one.
    """
    url = address(settings, "SLACK_WEBHOOK_URL")
    return SlackChannel(url, Voice.of(settings), post) if url else None


class SlackChannel:
    """One incoming webhook, which writes to one Slack channel."""

    name = "slack"

    def __init__(self, url: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, url)
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one message of blocks; if Slack cannot read it, the same as plain text, once.

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
        return "SlackChannel()"


def render(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message in at most 12,000 characters."""

    def drawn(limits: Limits) -> bytes:
        return encoded(message(voice.digest(notices, limits)))

    return fullest(drawn, lambda body: len(body.decode()) <= MAX_CHARS)


def render_plain(notices: Sequence[Notice], voice: Voice) -> bytes:
    """The message without blocks."""

    def drawn(limits: Limits) -> bytes:
        return encoded(plain_message(voice.digest(notices, limits)))

    return fullest(drawn, lambda body: len(body.decode()) <= PLAIN_CHARS)


def judge(answer: Answer, *, now: datetime) -> Verdict:
    """What Slack says: the word `ok`, or another word that names the fault."""
    word = answer.body[:80].decode("ascii", "replace").strip()
    if answer.status == 200 and word == "ok":
        return Verdict(Sent(ok=True))
    if answer.status == 429:
        wait = wait_asked_for(answer, now=now)
        return Verdict(Sent(ok=False, retry_after=wait, detail="HTTP 429: too many messages"))
    if word in GONE:
        return Verdict(Sent(ok=False, permanent=True, detail=f"{word}: {GONE[word]}{REMEDY}"))
    if word in MISREAD:
        return Verdict(Sent(ok=False, detail=f"{word}: the message was not understood"), misread=True)
    if answer.status in (404, 410):
        return Verdict(
            Sent(ok=False, permanent=True, detail=f"HTTP {answer.status}: no webhook here{REMEDY}")
        )
    if answer.status == 400:
        return Verdict(Sent(ok=False, detail="HTTP 400: the message was not understood"), misread=True)
    wait = wait_asked_for(answer, now=now)
    return Verdict(Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}: not an answer of Slack's"))
