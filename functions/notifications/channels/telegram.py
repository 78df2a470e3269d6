"""The Telegram channel: a bot writes to a chat, or to a topic of it, in HTML; else in plain text.

-1001234567890       the chat
-1001234567890:42    its topic 42: the number behind the chat's in a link to a message of the topic
-1001234567890:1     the chat as well: the general topic is written to without its number
"""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import SendResult
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    json_poster,
    parse_json_object,
    post_with_fallback,
    retry_after,
    to_json_bytes,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    Message,
    Row,
    render_fullest,
    to_plain_text,
)
from functions.notifications.rendering.formatting import defuse_links, truncate, utf16_length

SETTINGS = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", *LOCALE_SETTINGS)
API = "https://api.telegram.org"
GENERAL_TOPIC = 1  # of each forum; with this number Telegram says "message thread not found"
MAX_UNITS = 4096  # Telegram counts them without tags, this module with them: never too many

PERMANENT_ERRORS = (
    "chat not found",
    "bot was blocked",
    "bot was kicked",
    "user is deactivated",
    "group chat was deleted",
    "user not found",
    "channel_private",
    "administrator rights",
    "chat_admin_required",
    "not enough rights",
    "have no rights",
    "chat_write_forbidden",
    "message thread not found",
    "topic_closed",
    "topic_deleted",
    "peer_id_invalid",
)


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "TelegramChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The chat is missing, or the token is not of Telegram's form.
    """
    token = settings.get("TELEGRAM_BOT_TOKEN", "").strip()
    if not token:
        return None
    chat = settings.get("TELEGRAM_CHAT_ID", "").strip()
    if not chat:
        raise SettingsError("TELEGRAM_CHAT_ID: give the chat the bot writes to, such as -1001234567890")
    place, colon, topic = chat.partition(":")
    if not place or (colon and not topic.isdecimal()):
        raise SettingsError("TELEGRAM_CHAT_ID: a topic is the chat, a colon and a number: -1001234567890:42")
    number, colon, secret = token.partition(":")
    if not (number.isdecimal() and colon and secret.replace("-", "").replace("_", "").isalnum()):
        raise SettingsError(
            "TELEGRAM_BOT_TOKEN: give the whole token from @BotFather: a number, a colon and a key"
        )
    return TelegramChannel(token, chat, Locale.from_settings(settings), post)


class TelegramChannel:
    """One bot in one chat."""

    name = "telegram"
    recognises_repeats = False

    def __init__(self, token: str, chat: str, locale: Locale, post: PostRequest) -> None:
        self._post_body = json_poster(post, f"{API}/bot{token}/sendMessage")
        self._chat = chat
        self._locale = locale
        self._moved_to: str | None = None

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one message; if Telegram cannot read it, the same as plain text, once.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        sent = await self._send_to(self._chat, notifications)
        if self._moved_to is None:
            return sent
        chat, self._moved_to = self._moved_to, None
        sent = await self._send_to(chat, notifications)
        if sent.ok:
            self._chat = chat
            return SendResult(ok=True, detail=f"the chat has another id now; set TELEGRAM_CHAT_ID={chat}")
        return sent

    async def _send_to(self, chat: str, notifications: Sequence[Notification]) -> SendResult:
        return await post_with_fallback(
            self._post_body,
            self._classify,
            lambda: render(notifications, self._locale, chat=chat),
            lambda: render_plain(notifications, self._locale, chat=chat),
        )

    def _classify(self, response: HttpResponse) -> ClassifiedResponse:
        """Read the response; remember the new id of a group that Telegram has moved."""
        hints = parse_json_object(response.body).get("parameters")
        moved = hints.get("migrate_to_chat_id") if isinstance(hints, dict) else None
        self._moved_to = str(moved) if isinstance(moved, int) else None
        return classify_response(response)

    def __repr__(self) -> str:
        return "TelegramChannel()"


def render(notifications: Sequence[Notification], locale: Locale, *, chat: str) -> bytes:
    """Return the message in HTML, of at most 4,096 units."""

    def render_within(limits: Limits) -> str:
        return _to_html(locale.build_message(notifications, limits))

    chosen = render_fullest(render_within, lambda body: utf16_length(body) <= MAX_UNITS)
    return to_json_bytes(_message(chat, chosen) | {"parse_mode": "HTML"})


def render_plain(notifications: Sequence[Notification], locale: Locale, *, chat: str) -> bytes:
    """Return the message without markup."""

    def render_within(limits: Limits) -> str:
        return defuse_links(to_plain_text(locale.build_message(notifications, limits)))

    chosen = render_fullest(render_within, lambda body: utf16_length(body) <= MAX_UNITS)
    return to_json_bytes(_message(chat, truncate(chosen, MAX_UNITS)))


def classify_response(response: HttpResponse) -> ClassifiedResponse:
    """Read Telegram's response: `ok`, or a code and a sentence."""
    body = parse_json_object(response.body)
    if body.get("ok") is True:
        return ClassifiedResponse.accepted()
    code = body.get("error_code", response.status)
    description = str(body.get("description", "")).lower()
    parameters = body.get("parameters")
    hints = parameters if isinstance(parameters, dict) else {}
    if code == 429:
        wait = retry_after(hints.get("retry_after"))
        return ClassifiedResponse.failed("code 429: too many messages", retry_after=wait)
    if isinstance(moved := hints.get("migrate_to_chat_id"), int):
        return ClassifiedResponse.channel_refused(
            f"the chat has another id now; set TELEGRAM_CHAT_ID={moved}"
        )
    if code in (401, 404):
        return ClassifiedResponse.channel_refused(
            f"code {code}: the token is not valid; check TELEGRAM_BOT_TOKEN"
        )
    if code == 403 or any(word in description for word in PERMANENT_ERRORS):
        return ClassifiedResponse.channel_refused(
            f"code {code}: the bot may not write there; add it to the chat, or set TELEGRAM_CHAT_ID"
        )
    if code in (400, 413):
        return ClassifiedResponse.unreadable(f"code {code}: the message was not understood")
    return ClassifiedResponse.failed(f"HTTP {response.status}: not a response of Telegram's")


def _message(chat: str, shown: str) -> dict[str, object]:
    chat, _, topic = chat.partition(":")
    number = int(topic or GENERAL_TOPIC)
    place = {"chat_id": chat} | ({} if number == GENERAL_TOPIC else {"message_thread_id": number})
    return place | {"text": shown, "link_preview_options": {"is_disabled": True}}


def _to_html(message: Message) -> str:
    parts = [] if len(message.rows) == 1 else [f"<b>{_escape(message.headline)}</b>"]
    parts += ["\n".join(_lines(row, message.link_label)) for row in message.rows]
    parts += [_escape(message.omitted)] if message.omitted else []
    return "\n\n".join(parts)


def _lines(row: Row, link_label: str) -> list[str]:
    lines = [f"{row.icon} <b>{_escape(row.sentence)}</b>"]
    lines += [_escape(row.summary)] if row.summary else []
    lines += [f"<i>{_escape(row.details)}</i>"] if row.details else []
    for item in row.items:
        title = _link(item.title, item.url) if item.url else _escape(item.title)
        lines.append(f"{item.marker} {title}" + (f"\n{_escape(item.text)}" if item.text else ""))
    lines += [_escape(row.omitted)] if row.omitted else []
    lines += [_link(link_label, row.page_url)] if row.page_url else []
    return lines


def _link(title: str, url: str) -> str:
    return f'<a href="{html.escape(url)}">{_escape(title)}</a>'


def _escape(foreign: str) -> str:
    """Return *foreign* escaped, and without what Telegram turns into a mention or a link."""
    return html.escape(defuse_links(foreign))
