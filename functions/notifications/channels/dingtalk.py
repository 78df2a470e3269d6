"""The DingTalk channel: a custom bot's webhook, one signed markdown message for each delivery."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import SendResult, retry_after_header
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    json_poster,
    parse_json_object,
    post_with_fallback,
    retry_after,
    to_json_bytes,
    webhook_url,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    fit_to_limit,
    to_plain_text,
)
from functions.notifications.rendering.formatting import defuse_links
from functions.notifications.rendering.markdown import to_markdown

SETTINGS = ("DINGTALK_WEBHOOK_URL", "DINGTALK_SECRET", *LOCALE_SETTINGS)
MAX_BYTES = 18_000  # DingTalk's limit is 20,000 for the whole body
KEYWORD = "Cronfire"  # in every message, for bots that accept only messages with a keyword
NOBODY = {"isAtAll": False}  # mentions are a field here, but for what a client makes of `@`
BLOCKED_FOR = timedelta(minutes=10)  # after 20 messages in a minute

RATE_LIMIT_CODES = frozenset({130101, 410100})
BUSY = -1
UNSAFE = 310000  # the security settings of the bot; the text says which
MISSING_PARAMETER = 40035
PERMANENT_ERRORS = {
    300001: "there is no bot with this access_token",
    300005: "there is no bot with this access_token",
    400013: "the bot's group is gone",
    400101: "there is no bot with this access_token",
    400102: "the bot is switched off",
    400106: "the bot is not in the group any more",
}
REMEDY = "; copy the address from the group's bot settings to DINGTALK_WEBHOOK_URL"

_MARKUP = re.compile(r"[\\`*_\[\]!~|]|^[#+=>-]")


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "DingTalkChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The setting is not an address.
    """
    url = webhook_url(settings, "DINGTALK_WEBHOOK_URL")
    secret = settings.get("DINGTALK_SECRET", "").strip()
    return DingTalkChannel(url, secret, Locale.from_settings(settings), post) if url else None


class DingTalkChannel:
    """The custom bot of one group."""

    name = "dingtalk"
    recognises_repeats = False

    def __init__(self, url: str, secret: str, locale: Locale, post: PostRequest) -> None:
        self._url = url
        self._secret = secret
        self._locale = locale
        self._post = post

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one message; if DingTalk cannot read it, the same as plain text, once.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        return await post_with_fallback(
            json_poster(self._post, sign_url(self._url, self._secret, now=now)),
            lambda response: classify_response(response, now=now),
            lambda: render(notifications, self._locale),
            lambda: render_plain(notifications, self._locale),
        )

    def __repr__(self) -> str:
        return "DingTalkChannel()"


def render(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message in markdown, of at most 18 KB."""

    def render_within(limits: Limits) -> bytes:
        message = locale.build_message(notifications, limits)
        text = to_markdown(message, escape, line_end="  \n")
        title = defuse_links(message.headline)  # what the list of chats shows, without markup
        return _post_body("markdown", {"title": title, "text": f"{text}\n\n— {KEYWORD}"})

    return fit_to_limit(render_within, max_bytes=MAX_BYTES)


def render_plain(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message without markup, of at most 18 KB."""

    def render_within(limits: Limits) -> bytes:
        text = defuse_links(to_plain_text(locale.build_message(notifications, limits)))
        return _post_body("text", {"content": f"{text}\n— {KEYWORD}"})

    return fit_to_limit(render_within, max_bytes=MAX_BYTES)


def _post_body(kind: str, content: Mapping[str, Any]) -> bytes:
    return to_json_bytes({"msgtype": kind, kind: content, "at": NOBODY})


def escape(foreign: str) -> str:
    """Return *foreign* escaped for DingTalk's markdown: no markup, tag, mention or link in it."""
    marked = _MARKUP.sub(lambda letter: f"\\{letter[0]}", foreign)
    return defuse_links(marked.replace("<", "＜"))  # a tag has no escape that every client knows


def sign_url(url: str, secret: str, *, now: datetime) -> str:
    """Return *url* with the time and DingTalk's signature; unchanged when there is no secret.

    DingTalk refuses a signature that is older than an hour.
    """
    if not secret:
        return url
    timestamp = str(int(now.timestamp() * 1000))
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    signature = {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in signature]
    return urlunsplit(parts._replace(query=urlencode([*query, *signature.items()])))


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read DingTalk's response: the field `errcode`. Its refusals have HTTP 200."""
    body = parse_json_object(response.body)
    code, said = body.get("errcode"), str(body.get("errmsg", "")).lower()
    if type(code) is not int:
        return _classify_foreign(response, body.get("wait"), now=now)
    if code == 0:
        return ClassifiedResponse.accepted()
    if code in RATE_LIMIT_CODES:
        return ClassifiedResponse.failed(f"code {code}: too many messages", retry_after=BLOCKED_FOR)
    if code == BUSY:
        return ClassifiedResponse.failed(f"code {code}: DingTalk is busy")
    if code == UNSAFE:
        return ClassifiedResponse.channel_refused(f"code {code}: {_security_remedy(said)}")
    if code == MISSING_PARAMETER and "access_token" in said:
        detail = f"code {code}: the address has no access_token{REMEDY}"
        return ClassifiedResponse.channel_refused(detail)
    if code in PERMANENT_ERRORS:
        return ClassifiedResponse.channel_refused(f"code {code}: {PERMANENT_ERRORS[code]}{REMEDY}")
    return ClassifiedResponse.unreadable(f"code {code}: the message was not understood")


def _classify_foreign(response: HttpResponse, wait_s: object, *, now: datetime) -> ClassifiedResponse:
    """Read a response without a code: of DingTalk's gateway, which names a wait, or of something else."""
    if response.status in (401, 403, 404, 410):
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: no bot at this address{REMEDY}")
    wait = retry_after(wait_s) or retry_after_header(response, now=now)
    return ClassifiedResponse.failed(
        f"HTTP {response.status}: not a response of DingTalk's", retry_after=wait
    )


def _security_remedy(said: str) -> str:
    if "keyword" in said or "关键词" in said:
        return (
            "the bot requires a keyword; make it Cronfire, which every message contains, or use a signature"
        )
    if "whitelist" in said or "白名单" in said:
        return "this address is not on the bot's IP allow-list; use a signature instead"
    return "the signature does not match; check DINGTALK_SECRET and this machine's clock"
