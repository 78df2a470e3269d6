"""The Feishu channel (Lark too): a custom bot's webhook, one signed card of schema 2.0 for each message."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult, retry_after_header
from functions.notifications.json_webhook import (
    JSON_HEADERS,
    parse_json_object,
    to_json_bytes,
    web_page_instead,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Item,
    Limits,
    Locale,
    Message,
    Row,
    fit_to_limit,
)
from functions.notifications.rendering.digest import to_plain_text as plain_text
from functions.notifications.rendering.formatting import escape_url, safe_http_url
from functions.notifications.rendering.phrases import Severity

# A message as a Feishu card of schema 2.0, and as plain text in case the card is refused.

COLOURS: dict[Severity, str] = {
    "bad": "red",
    "warning": "orange",
    "good": "green",
    "news": "blue",
    "calm": "turquoise",
}

KEYWORD = "Cronfire"  # in every message, for bots that accept only messages with a keyword

_MARKUP = re.compile(r"[&<>*_~`\[\]()!#|\\$]|^[-+=]|(?<=\w):(?=//)")


def card(message: Message) -> dict[str, Any]:
    """Return the message as a card. Feishu refuses a card of schema 2.0 that has an unknown property."""
    headline = _defuse_mentions(message.headline)
    elements: list[dict[str, Any]] = []
    for row in message.rows:
        if elements:
            elements.append({"tag": "hr"})
        elements += _elements(row, message.link_label, alone=len(message.rows) == 1 and not message.omitted)
    if message.omitted:
        elements += [{"tag": "hr"}, _note(message.omitted)]
    return {
        "schema": "2.0",
        "config": {"summary": {"content": headline}},  # what the list of chats shows
        "header": {
            "template": COLOURS[message.severity],
            "title": {"tag": "plain_text", "content": headline},
            "subtitle": {"tag": "plain_text", "content": KEYWORD},
        },
        "body": {"elements": elements},
    }


def plain_message(message: Message) -> str:
    """Return the message without markup, one line for each fact."""
    return _defuse_mentions(f"{plain_text(message)}\n— {KEYWORD}")


def escape(foreign: str) -> str:
    """Return *foreign* escaped for the markdown component: no markup, mention or link in it."""
    return _MARKUP.sub(lambda letter: f"&#{ord(letter[0])};", foreign)


def _elements(row: Row, link_label: str, *, alone: bool) -> list[dict[str, Any]]:
    """Return the elements of *row*, at least one. With *alone*, its sentence is in the header already."""
    lines = [] if alone else [f"{row.icon} **{escape(row.sentence)}**"]
    lines += [escape(row.summary)] if row.summary else []
    lines += [_line(item) for item in row.items]
    lines += [row.omitted] if row.omitted else []
    elements = [{"tag": "markdown", "content": "\n".join(lines)}] if lines else []
    if row.details or row.page_url or not elements:
        link = f" [{link_label}]({escape_url(row.page_url)})" if row.page_url else ""
        elements.append(_note(row.details or row.sentence, link))
    return elements


def _line(item: Item) -> str:
    title = escape(item.title)
    link = f"[{title}]({escape_url(item.url)})" if item.url else title
    return f"{item.marker} {link}" + (f" — {escape(item.text)}" if item.text else "")


def _note(plain: str, link: str = "") -> dict[str, Any]:
    return {
        "tag": "markdown",
        "content": f"<font color='grey'>{escape(plain)}</font>{link}",
        "text_size": "notation",
    }


def _defuse_mentions(plain: str) -> str:
    """Return *plain* without mentions of the whole group, which Feishu reads even in plain text."""
    return re.sub(r"<(?=\s*/?\s*at\b)", "＜", plain, flags=re.IGNORECASE)


SETTINGS = ("FEISHU_WEBHOOK_URL", "FEISHU_WEBHOOK_SECRET", *LOCALE_SETTINGS)
MAX_BYTES = 18_000  # Feishu's limit is 20 KB, signature included; the rest is margin

RATE_LIMIT_CODES = frozenset({429, 11232, 11233, 230020, 99991400})
CONTENT_ERRORS = frozenset({9499, 11246, 11310, 19002, 200621, 230025, 230028, 230099})
PERMANENT_ERRORS = {
    19001: "the bot is gone or FEISHU_WEBHOOK_URL is wrong; copy the address from the group's bot settings",
    19021: "the signature does not match; check FEISHU_WEBHOOK_SECRET and this machine's clock",
    19022: "this address is not on the bot's IP allow-list; use a signature instead",
    19024: "the bot requires a keyword; make it Cronfire, which every message contains, or use a signature",
}


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "FeishuChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The setting is not an address.
    """
    url = settings.get("FEISHU_WEBHOOK_URL", "").strip()
    if not url:
        return None
    if not safe_http_url(url):
        raise SettingsError("FEISHU_WEBHOOK_URL: give the bot's whole address, starting with https://")
    secret = settings.get("FEISHU_WEBHOOK_SECRET", "").strip()
    return FeishuChannel(url, secret, Locale.from_settings(settings), post)


class FeishuChannel:
    """The custom bot of one group."""

    name = "feishu"
    recognises_repeats = False

    def __init__(self, url: str, secret: str, locale: Locale, post: PostRequest) -> None:
        self._url = url
        self._secret = secret
        self._locale = locale
        self._post = post

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one card; if Feishu cannot read it, the same as plain text, once.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        sent, code = await self._send_once(render_card(notifications, self._locale), now)
        if sent.ok or sent.permanent or code is None or code in RATE_LIMIT_CODES:
            return sent
        plain, plain_code = await self._send_once(render_text(notifications, self._locale), now)
        if plain.ok:
            return SendResult(ok=True, detail=f"sent as plain text; the card was refused: {sent.detail}")
        return replace(plain, rejected=plain_code in CONTENT_ERRORS)

    async def _send_once(self, message: bytes, now: datetime) -> tuple[SendResult, int | None]:
        body = add_signature(message, self._secret, now=now)
        response = await self._post(self._url, headers=JSON_HEADERS, body=body, timeout_s=POST_TIMEOUT_S)
        return classify_response(response, now=now)

    def __repr__(self) -> str:
        return "FeishuChannel()"


def render_card(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message as a card of at most 18 KB."""

    def render(limits: Limits) -> bytes:
        return to_json_bytes(
            {"msg_type": "interactive", "card": card(locale.build_message(notifications, limits))}
        )

    return fit_to_limit(render, max_bytes=MAX_BYTES)


def render_text(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message as plain text of at most 18 KB."""

    def render(limits: Limits) -> bytes:
        return to_json_bytes(
            {
                "msg_type": "text",
                "content": {"text": plain_message(locale.build_message(notifications, limits))},
            }
        )

    return fit_to_limit(render, max_bytes=MAX_BYTES)


def add_signature(message: bytes, secret: str, *, now: datetime) -> bytes:
    """Return *message* with Feishu's signature in it; unchanged when there is no secret.

    Feishu's algorithm signs an empty text with a key made of the time and the secret.
    """
    if not secret:
        return message
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    sign = base64.b64encode(digest).decode()
    return to_json_bytes({"timestamp": timestamp, "sign": sign, **json.loads(message)})


def classify_response(response: HttpResponse, *, now: datetime) -> tuple[SendResult, int | None]:
    """Return the result and Feishu's code; None when the response has none.

    The HTTP status is not enough: most refusals have 200.
    """
    code = _code(response.body)
    if code == 0:
        return SendResult(ok=True), code
    if code in PERMANENT_ERRORS:
        return SendResult(ok=False, permanent=True, detail=f"code {code}: {PERMANENT_ERRORS[code]}"), code
    if response.status == 429 or code in RATE_LIMIT_CODES:
        wait = retry_after_header(response, now=now) or _rate_limit_reset(response)
        return SendResult(
            ok=False, retry_after=wait, detail=f"code {code or 429}: too many messages"
        ), code or 429
    if code is None:
        if page := web_page_instead(response):
            return page, None
        gone = response.status in (401, 403, 404, 410)
        hint = "no bot at this address; check FEISHU_WEBHOOK_URL" if gone else "not a response of a bot"
        return SendResult(ok=False, permanent=gone, detail=f"HTTP {response.status}: {hint}"), None
    return SendResult(ok=False, detail=f"code {code}: the message was not understood"), code


def _code(body: bytes) -> int | None:
    response = parse_json_object(body)
    code = response.get("code", response.get("StatusCode"))
    if code == 9499 and "too many request" in str(response.get("msg")):
        return 11232  # the gateway has one code for what it cannot read and for what comes too fast
    return code if type(code) is int else None


def _rate_limit_reset(response: HttpResponse) -> timedelta | None:
    seconds = response.headers.get("x-ogw-ratelimit-reset", "")
    return timedelta(seconds=min(int(seconds[:9]), 3600)) if seconds.isdecimal() else None
