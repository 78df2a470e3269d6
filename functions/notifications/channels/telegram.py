"""The Telegram channel: a bot writes to one chat, in HTML; plain text when Telegram refuses that."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.domain.alerts.model import Notice
from functions.errors import SettingsError
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import Sent, Verdict, decoded, encoded, posting, say, wait_of
from functions.notifications.rendering.digest import VOICE_SETTINGS, Digest, Limits, Row, Voice, fullest, text
from functions.notifications.rendering.formatting import broken, clipped, units

SETTINGS = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", *VOICE_SETTINGS)
API = "https://api.telegram.org"
MAX_UNITS = 4096  # of the text after its tags are taken out; counted with them, for doubt

GONE = (
    "chat not found",
    "bot was blocked",
    "bot was kicked",
    "user is deactivated",
    "group chat was deleted",
)


def open_channel(settings: Mapping[str, str], post: Post) -> "TelegramChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: There is a token and no chat, or the token is none.
    """
    token = settings.get("TELEGRAM_BOT_TOKEN", "").strip()
    if not token:
        return None
    chat = settings.get("TELEGRAM_CHAT_ID", "").strip()
    if not chat:
        raise SettingsError("TELEGRAM_CHAT_ID: give the chat the bot writes to, such as -1001234567890")
    number, colon, secret = token.partition(":")
    if not (number.isdecimal() and colon and secret.replace("-", "").replace("_", "").isalnum()):
        raise SettingsError(
            "TELEGRAM_BOT_TOKEN: give the whole token of @BotFather, a number, a colon and more"
        )
    return TelegramChannel(token, chat, Voice.of(settings), post)


class TelegramChannel:
    """One bot in one chat."""

    name = "telegram"

    def __init__(self, token: str, chat: str, voice: Voice, post: Post) -> None:
        self._request = posting(post, f"{API}/bot{token}/sendMessage")
        self._chat = chat
        self._voice = voice

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send one message; if Telegram cannot read it, the same as plain text, once.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        return await say(
            self._request,
            judge,
            lambda: render(notices, self._voice, chat=self._chat),
            lambda: render_plain(notices, self._voice, chat=self._chat),
        )

    def __repr__(self) -> str:
        return "TelegramChannel()"


def render(notices: Sequence[Notice], voice: Voice, *, chat: str) -> bytes:
    """The message in HTML, of at most 4,096 units."""

    def drawn(limits: Limits) -> str:
        return _marked_up(voice.digest(notices, limits))

    chosen = fullest(drawn, lambda body: units(body) <= MAX_UNITS)
    return encoded(_message(chat, chosen) | {"parse_mode": "HTML"})


def render_plain(notices: Sequence[Notice], voice: Voice, *, chat: str) -> bytes:
    """The message without any markup."""

    def drawn(limits: Limits) -> str:
        return broken(text(voice.digest(notices, limits)))

    chosen = fullest(drawn, lambda body: units(body) <= MAX_UNITS)
    return encoded(_message(chat, clipped(chosen, MAX_UNITS)))


def judge(answer: Answer) -> Verdict:
    """What Telegram says: `ok`, or a code and a sentence."""
    body = decoded(answer.body)
    if body.get("ok") is True:
        return Verdict(Sent(ok=True))
    code = body.get("error_code", answer.status)
    said = str(body.get("description", "")).lower()
    parameters = body.get("parameters")
    given = parameters if isinstance(parameters, dict) else {}
    if code == 429:
        wait = wait_of(given.get("retry_after"))
        return Verdict(Sent(ok=False, retry_after=wait, detail="code 429: too many messages"))
    if isinstance(moved := given.get("migrate_to_chat_id"), int):
        return _refused(f"the chat has another id now; set TELEGRAM_CHAT_ID={moved}")
    if code in (401, 404):
        return _refused(f"code {code}: the token is not valid; check TELEGRAM_BOT_TOKEN")
    if code == 403 or any(word in said for word in GONE):
        return _refused(
            f"code {code}: the bot may not write there; add it to the chat, or set TELEGRAM_CHAT_ID"
        )
    if code == 400:
        return Verdict(Sent(ok=False, detail="code 400: the message was not understood"), misread=True)
    return Verdict(Sent(ok=False, detail=f"HTTP {answer.status}: not an answer of Telegram's"))


def _refused(detail: str) -> Verdict:
    return Verdict(Sent(ok=False, permanent=True, detail=detail))


def _message(chat: str, shown: str) -> dict[str, object]:
    return {"chat_id": chat, "text": shown, "link_preview_options": {"is_disabled": True}}


def _marked_up(digest: Digest) -> str:
    parts = [] if len(digest.rows) == 1 else [f"<b>{_safe(digest.headline)}</b>"]
    parts += ["\n".join(_lines(row, digest.read_on)) for row in digest.rows]
    parts += [_safe(digest.more)] if digest.more else []
    return "\n\n".join(parts)


def _lines(row: Row, read_on: str) -> list[str]:
    lines = [f"{row.icon} <b>{_safe(row.sentence)}</b>"]
    lines += [_safe(row.summary)] if row.summary else []
    lines += [f"<i>{_safe(row.details)}</i>"] if row.details else []
    for item in row.items:
        title = _link(item.title, item.url) if item.url else _safe(item.title)
        lines.append(f"{item.mark} {title}" + (f"\n{_safe(item.text)}" if item.text else ""))
    lines += [_safe(row.more)] if row.more else []
    lines += [_link(read_on, row.page)] if row.page else []
    return lines


def _link(title: str, url: str) -> str:
    return f'<a href="{html.escape(url)}">{_safe(title)}</a>'


def _safe(foreign: str) -> str:
    """*foreign* without markup, and without what Telegram would make a mention or a link of."""
    return html.escape(broken(foreign))
