"""The Slack channel: an incoming webhook, one message of blocks; plain text when Slack refuses those."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import HttpResponse
from functions.notifications.channel import retry_after_header
from functions.notifications.json_webhook import ClassifiedResponse, JsonWebhookChannel, to_json_bytes
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Item,
    Limits,
    Locale,
    Message,
    Row,
    render_fullest,
    to_plain_text,
)
from functions.notifications.rendering.formatting import truncate

# A message as Slack's blocks. Foreign text is only in elements that Slack does not parse.

HEADER_UNITS = 150
CONTEXT_UNITS = 2000

Block = dict[str, Any]


def message(notification_message: Message) -> dict[str, Any]:
    """Return the message: at most 41 blocks, of the 50 that Slack allows."""
    alone = len(notification_message.rows) == 1 and not notification_message.omitted
    icon = f"{notification_message.rows[0].icon} " if alone else ""
    blocks: list[Block] = [_header(icon + notification_message.headline)]
    for number, row in enumerate(notification_message.rows):
        if number:
            blocks.append({"type": "divider"})
        blocks += _blocks(row, notification_message.link_label, alone=alone)
    if notification_message.omitted:
        blocks += [{"type": "divider"}, _note(notification_message.omitted)]
    # What a phone's notification shows, and the only part that Slack parses.
    return _no_unfurl({"text": escape(icon + notification_message.headline), "blocks": blocks})


def plain_message(notification_message: Message) -> dict[str, Any]:
    """Return the message without blocks or markup."""
    return _no_unfurl({"text": escape(to_plain_text(notification_message)), "mrkdwn": False})


def escape(foreign: str) -> str:
    """Return *foreign* with the three characters escaped that begin a mention, a link or an entity."""
    return foreign.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _no_unfurl(message: dict[str, Any]) -> dict[str, Any]:
    """Return *message* with previews of foreign links switched off."""
    return message | {"unfurl_links": False, "unfurl_media": False}


def _header(plain: str) -> Block:
    shown = {"type": "plain_text", "text": truncate(plain, HEADER_UNITS), "emoji": False}
    return {"type": "header", "text": shown}


def _blocks(row: Row, link_label: str, *, alone: bool) -> list[Block]:
    """Return the blocks of *row*. With *alone*, its sentence is in the header already."""
    parts: list[Block] = []
    if not alone:
        parts.append(_section(_text(f"{row.icon} {row.sentence}", bold=True)))
    if row.summary:
        parts.append(_section(_text(row.summary)))
    if row.items:
        style = "ordered" if row.is_ranked else "bullet"
        lines = [_section(*_line(item)) for item in row.items]
        parts.append({"type": "rich_text_list", "style": style, "elements": lines})
    if row.omitted:
        parts.append(_section(_text(row.omitted)))
    if row.page_url:
        parts.append(_section(_link(row.page_url, link_label)))
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
    shown = {"type": "plain_text", "text": truncate(plain, CONTEXT_UNITS), "emoji": False}
    return {"type": "context", "elements": [shown]}


SETTINGS = ("SLACK_WEBHOOK_URL", *LOCALE_SETTINGS)
MAX_CHARS = 12_000  # of the whole message; from about 13,200 on Slack says msg_blocks_too_long
PLAIN_CHARS = 3_800  # Slack advises not to exceed 4,000

PERMANENT_ERRORS = {
    "account_inactive": "the webhook's user was deactivated",
    "action_prohibited": "a rule of the workspace forbids the message",
    "channel_is_archived": "the webhook's Slack channel is archived",
    "invalid_auth": "the webhook is not valid",
    "channel_not_found": "the webhook's Slack channel is gone",
    "invalid_token": "the webhook is not valid",
    "no_active_hooks": "the webhook is switched off",
    "no_service": "the webhook is gone or switched off",
    "no_service_id": "the webhook's address is not complete",
    "no_team": "the workspace is gone",
    "posting_to_general_channel_denied": "the webhook's creator may not write to #general",
    "team_disabled": "the workspace is gone",
    "token_revoked": "the app was removed from the workspace",
    "user_not_found": "the webhook's user is gone",
}
REMEDY = "; make a new webhook and set SLACK_WEBHOOK_URL"
LAYOUT_ERRORS = frozenset(
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


def render(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message in at most 12,000 characters."""

    def render_within(limits: Limits) -> bytes:
        return to_json_bytes(message(locale.build_message(notifications, limits)))

    return render_fullest(render_within, lambda body: len(body.decode()) <= MAX_CHARS)


def render_plain(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message without blocks."""

    def render_within(limits: Limits) -> bytes:
        return to_json_bytes(plain_message(locale.build_message(notifications, limits)))

    return render_fullest(render_within, lambda body: len(body.decode()) <= PLAIN_CHARS)


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read Slack's response: the word `ok`, or a word that names the fault."""
    word = response.body[:80].decode("ascii", "replace").strip()
    if response.status == 200 and word == "ok":
        return ClassifiedResponse.accepted()
    if response.status == 429:
        wait = retry_after_header(response, now=now)
        return ClassifiedResponse.failed("HTTP 429: too many messages", retry_after=wait)
    if word in PERMANENT_ERRORS:
        return ClassifiedResponse.channel_refused(f"{word}: {PERMANENT_ERRORS[word]}{REMEDY}")
    if word in LAYOUT_ERRORS:
        return ClassifiedResponse.unreadable(f"{word}: the message was not understood")
    if response.status in (401, 403, 404, 410):
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: no webhook here{REMEDY}")
    if response.status in (400, 413):
        return ClassifiedResponse.unreadable(f"HTTP {response.status}: the message was not understood")
    wait = retry_after_header(response, now=now)
    return ClassifiedResponse.failed(f"HTTP {response.status}: not a response of Slack's", retry_after=wait)


class SlackChannel(JsonWebhookChannel):
    """One incoming webhook, which writes to one Slack channel."""

    name = "slack"
    url_setting = "SLACK_WEBHOOK_URL"
    renderings = (render, render_plain)
    classify_response = staticmethod(classify_response)


create_channel = SlackChannel.from_settings
