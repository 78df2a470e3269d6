"""The WeCom channel (WeChat Work): a group bot's webhook, one markdown message for each delivery."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import HttpResponse
from functions.notifications.channel import retry_after_header
from functions.notifications.json_webhook import (
    ClassifiedResponse,
    JsonWebhookChannel,
    parse_json_object,
    to_json_bytes,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    Message,
    render_fullest,
    to_plain_text,
)
from functions.notifications.rendering.formatting import WORD_JOINER, defuse_links
from functions.notifications.rendering.markdown import to_markdown

SETTINGS = ("WECOM_WEBHOOK_URL", *LOCALE_SETTINGS)
MARKDOWN_BYTES = 4096  # of UTF-8, of the content alone
TEXT_BYTES = 2048

RATE_LIMIT_CODES = frozenset({45009, 45033})  # 20 messages a minute; too many at once
BUSY = -1
PERMANENT_ERRORS = {
    93000: "the bot was removed from its group, or its address is not whole",
    93004: "the bot is switched off",
    93008: "the bot is not in the group any more",
}
REMEDY = "; copy the address of the group's bot to WECOM_WEBHOOK_URL"

_MARKUP = re.compile(r"^(?=[#>])|(?<=[]*])")
_LOOKALIKES = str.maketrans({"<": "＜", "`": "'"})


def render(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message in markdown, of at most 4,096 bytes; longer when not even the smallest fits."""
    return _render(
        "markdown", notifications, locale, lambda message: to_markdown(message, escape), MARKDOWN_BYTES
    )


def render_plain(notifications: Sequence[Notification], locale: Locale) -> bytes:
    """Return the message without markup, cut at 2,048 bytes."""

    def to_text(message: Message) -> str:
        return _defuse(to_plain_text(message))

    return _render("text", notifications, locale, to_text, TEXT_BYTES)


def _render(
    kind: str,
    notifications: Sequence[Notification],
    locale: Locale,
    to_text: Callable[[Message], str],
    max_bytes: int,
) -> bytes:
    def render_within(limits: Limits) -> str:
        return to_text(locale.build_message(notifications, limits))

    text = render_fullest(render_within, lambda text: len(_encode(text)) <= max_bytes)
    cut = text if kind == "markdown" else _encode(text)[:max_bytes].decode(errors="ignore")
    return to_json_bytes({"msgtype": kind, kind: {"content": cut}})


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")


def escape(foreign: str) -> str:
    """Return *foreign* with nothing that WeCom's markdown reads: it knows no escapes.

    An invisible letter comes between `]` and `(`, between two `*`, and before what begins a line; `<` begins
    a mention or a colour and is a letter that looks like it, as is the quote of code.
    """
    return _defuse(_MARKUP.sub(WORD_JOINER, foreign))


def _defuse(text: str) -> str:
    return defuse_links(text.translate(_LOOKALIKES))


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read WeCom's response: the field `errcode`. Its refusals have HTTP 200."""
    wait = retry_after_header(response, now=now)
    code = parse_json_object(response.body).get("errcode")
    if type(code) is not int:
        if response.status in (401, 403, 404, 410):
            detail = f"HTTP {response.status}: no bot at this address{REMEDY}"
            return ClassifiedResponse.channel_refused(detail)
        return ClassifiedResponse.failed(
            f"HTTP {response.status}: not a response of WeCom's", retry_after=wait
        )
    if code == 0:
        return ClassifiedResponse.accepted()
    if code in RATE_LIMIT_CODES:
        return ClassifiedResponse.failed(f"code {code}: too many messages", retry_after=wait)
    if code == BUSY:
        return ClassifiedResponse.failed(f"code {code}: WeCom is busy", retry_after=wait)
    if code in PERMANENT_ERRORS:
        return ClassifiedResponse.channel_refused(f"code {code}: {PERMANENT_ERRORS[code]}{REMEDY}")
    return ClassifiedResponse.unreadable(f"code {code}: the message was not understood")


class WeComChannel(JsonWebhookChannel):
    """The bot of one group."""

    name = "wecom"
    url_setting = "WECOM_WEBHOOK_URL"
    renderings = (render, render_plain)
    classify_response = staticmethod(classify_response)


create_channel = WeComChannel.from_settings
