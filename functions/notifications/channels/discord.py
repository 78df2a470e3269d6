"""The Discord channel: a webhook, one message with an embed for each notification."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import retry_after_header
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    JsonWebhookChannel,
    parse_json_object,
    retry_after,
    to_json_bytes,
)
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
from functions.notifications.rendering.formatting import escape_url, truncate, utf16_length
from functions.notifications.rendering.phrases import Severity

# A message as Discord's embeds, with Discord's limits and markup.

CONTENT_UNITS = 2000
TITLE_UNITS = 256
DESCRIPTION_UNITS = 4096
FOOTER_UNITS = 2048
TOTAL_UNITS = 6000  # of all embeds of a message together

COLOURS: dict[Severity, int] = {
    "bad": 0xE01E5A,
    "warning": 0xE8912D,
    "good": 0x2EB67D,
    "news": 0x2F80ED,
    "calm": 0x36C5F0,
}

NO_MENTIONS: dict[str, Any] = {"parse": []}  # no text in a message can mention a user

_MARKUP = re.compile(r"[\\*_~`|>#\[\]()<@]|:(?=//)|(?<!\w)-(?=\s)")


def message(notification_message: Message) -> dict[str, Any]:
    """Return the message; it may be too long, see `is_sendable`."""
    content = (
        ""
        if len(notification_message.rows) == 1 and not notification_message.omitted
        else escape(notification_message.headline, CONTENT_UNITS)
    )
    embeds = [_embed(row, notification_message.link_label) for row in notification_message.rows]
    if notification_message.omitted:
        embeds[-1]["footer"] = {
            "text": _join(embeds[-1].get("footer", {}).get("text", ""), notification_message.omitted)
        }
    return {"content": content, "embeds": embeds, "allowed_mentions": NO_MENTIONS}


def plain_message(notification_message: Message) -> dict[str, Any]:
    """Return the message without embeds."""
    return {
        "content": escape(to_plain_text(notification_message), CONTENT_UNITS + 1),
        "allowed_mentions": NO_MENTIONS,
    }


def is_sendable(message: dict[str, Any]) -> bool:
    """Whether *message* keeps Discord's limits of length."""
    embeds = message.get("embeds", [])
    return (
        utf16_length(message["content"]) <= CONTENT_UNITS
        and all(utf16_length(embed.get("description", "")) <= DESCRIPTION_UNITS for embed in embeds)
        and sum(_embed_length(embed) for embed in embeds) <= TOTAL_UNITS
    )


def escape(foreign: str, limit: int) -> str:
    """Return *foreign* with markup escaped, in at most *limit* units; no escape is cut in two."""
    parts: list[str] = []
    left = limit - 1
    for index, letter in enumerate(foreign):
        part = f"\\{letter}" if _MARKUP.match(foreign, index) else letter
        left -= utf16_length(part)
        if left < 0:
            return "".join(parts) + "…"
        parts.append(part)
    return "".join(parts)


def _embed(row: Row, link_label: str) -> dict[str, Any]:
    lines = [escape(row.summary, DESCRIPTION_UNITS)] if row.summary else []
    lines += [_line(item) for item in row.items]
    lines += [row.omitted] if row.omitted else []
    lines += [f"[{link_label}]({escape_url(row.page_url)})"] if row.page_url else []
    embed: dict[str, Any] = {
        "title": escape(f"{row.icon} {row.sentence}", TITLE_UNITS),
        "description": "\n".join(lines),
        "color": COLOURS[row.severity],
    }
    return embed | {"footer": {"text": truncate(row.details, FOOTER_UNITS)}} if row.details else embed


def _line(item: Item) -> str:
    title = escape(item.title, DESCRIPTION_UNITS)
    link = f"[{title}]({escape_url(item.url)})" if item.url else title
    return f"{item.marker} {link}" + (f" — {escape(item.text, DESCRIPTION_UNITS)}" if item.text else "")


def _join(before: str, after: str) -> str:
    return f"{before} · {after}" if before else after


def _embed_length(embed: dict[str, Any]) -> int:
    return sum(utf16_length(part) for part in (embed["title"], embed["description"], _footer_text(embed)))


def _footer_text(embed: dict[str, Any]) -> str:
    shown: str = embed.get("footer", {}).get("text", "")
    return shown


SETTINGS = ("DISCORD_WEBHOOK_URL", *LOCALE_SETTINGS)

PERMANENT_ERRORS = {
    10003: "the webhook's Discord channel is gone",
    10015: "the webhook is gone",
    50027: "the webhook's token is not valid",
    50083: "the webhook's thread is archived",
    160005: "the webhook's thread is locked",
    220001: "the webhook writes to a forum, which takes no messages outside a thread",
    220003: "the webhook's Discord channel has no threads",
}
REMEDY = "; make a new webhook and set DISCORD_WEBHOOK_URL"
BLOCKED = 40333  # by Cloudflare, for a while: what it says of the sender's address, not of the webhook


def with_wait_parameter(url: str) -> str:
    """Return *url* with `wait=true`: Discord then responds after it has posted the message, not before."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def render(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the fullest message that keeps Discord's limits."""

    def render_within(limits: Limits) -> dict[str, Any]:
        return message(locale.build_message(notifications, limits))

    fullest = render_fullest(render_within, is_sendable)
    return to_json_bytes(fullest)


def render_plain(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message without embeds."""

    def render_within(limits: Limits) -> dict[str, Any]:
        return plain_message(locale.build_message(notifications, limits))

    fullest = render_fullest(render_within, is_sendable)
    return to_json_bytes(fullest)


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read Discord's response: the message that was posted, or a code.

    Discord bans an IP address after 10,000 refused requests in 10 minutes, with all who share it: a refusal
    that another attempt cannot change is permanent.
    """
    body = parse_json_object(response.body)
    code = body.get("code")
    if response.status == 204 or (response.status == 200 and "id" in body):
        return ClassifiedResponse.accepted()
    if response.status == 429:
        wait = retry_after(body.get("retry_after")) or retry_after_header(response, now=now)
        return ClassifiedResponse.failed("HTTP 429: too many messages", retry_after=wait)
    if code in PERMANENT_ERRORS:
        return ClassifiedResponse.channel_refused(f"code {code}: {PERMANENT_ERRORS[code]}{REMEDY}")
    if response.status in (401, 404) or (response.status == 403 and body and code != BLOCKED):
        detail = f"HTTP {response.status}: the webhook is gone or not valid{REMEDY}"
        return ClassifiedResponse.channel_refused(detail)
    if response.status in (400, 413):
        known = f"code {code}" if type(code) is int else f"HTTP {response.status}"
        return ClassifiedResponse.unreadable(f"{known}: the message was not understood")
    wait = retry_after_header(response, now=now)
    return ClassifiedResponse.failed(f"HTTP {response.status}: not a response of Discord's", retry_after=wait)


class DiscordChannel(JsonWebhookChannel):
    """One webhook, which writes to one Discord channel or thread."""

    name = "discord"
    url_setting = "DISCORD_WEBHOOK_URL"
    renderings = (render, render_plain)
    classify_response = staticmethod(classify_response)

    def __init__(self, url: str, locale: Locale, post: PostRequest) -> None:
        super().__init__(with_wait_parameter(url), locale, post)


create_channel = DiscordChannel.from_settings
