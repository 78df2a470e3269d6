"""A Feishu custom bot: enforces the vendor's published rules and keeps what a group would see."""

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

MAX_BODY = 20 * 1024
MAX_ELEMENTS = 200
PATH = "/open-apis/bot/v2/hook/"

COLOURS = {
    "blue", "wathet", "turquoise", "green", "yellow", "orange", "red", "carmine", "violet", "purple",
    "indigo", "grey", "default",
}  # fmt: skip
KNOWN: dict[str, set[str]] = {
    "card": {"schema", "config", "card_link", "header", "body"},
    "config": {
        "streaming_mode", "streaming_config", "summary", "locales", "enable_forward", "update_multi",
        "width_mode", "use_custom_translation", "enable_forward_interaction", "style",
    },
    "header": {"title", "subtitle", "text_tag_list", "i18n_text_tag_list", "template", "icon", "padding"},
    "body": {
        "direction", "padding", "horizontal_spacing", "horizontal_align", "vertical_spacing",
        "vertical_align", "elements",
    },
    "plain_text": {"tag", "content", "text_size", "text_align", "text_color", "lines", "i18n_content"},
    "markdown": {"tag", "element_id", "margin", "content", "text_size", "text_align", "icon"},
    "hr": {"tag", "element_id", "margin"},
    "button": {
        "tag", "element_id", "margin", "type", "size", "width", "text", "icon", "hover_tips", "disabled",
        "disabled_tips", "confirm", "behaviors", "name", "value",
    },
}  # fmt: skip


class Refusal(Exception):
    """The vendor's no: a code, and usually HTTP 200."""

    def __init__(self, code: int, msg: str, status: int = 200) -> None:
        super().__init__(msg)
        self.code, self.msg, self.status = code, msg, status


class FeishuBot:
    """One bot in one group.

    Args:
        clock: The vendor's clock; tests move it.
        secret: Demand a signature made with this.
        keyword: Demand this word in the message.
        refuse_cards: Answer every card with this code, as for a card it cannot read.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        token: str = "0123abcd-canary-token",
        secret: str = "",
        keyword: str = "",
        refuse_cards: int = 0,
    ) -> None:
        self.clock, self.token, self.secret, self.keyword = clock, token, secret, keyword
        self.refuse_cards = refuse_cards
        self.requests = 0
        self.messages: list[dict[str, Any]] = []
        self._accepted_at: list[datetime] = []
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post(PATH + "{token}", self._answer)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url(PATH + self.token))

    @property
    def texts(self) -> list[str]:
        """All texts of the accepted messages: markdown sources and plain ones."""
        return [text for message in self.messages for text in _texts(message)]

    @property
    def mentions(self) -> list[str]:
        """The mentions a client would make of the accepted messages."""
        return [found for text in self.texts for found in re.findall(r"(?i)<\s*at\b", text)]

    @property
    def links(self) -> list[tuple[str, str]]:
        """Title and target of the links in cards, markdown links and bare addresses alike."""
        found: list[tuple[str, str]] = []
        for text in (text for message in self.messages for text in _markdown(message)):
            found += [
                (html.unescape(title), url) for title, url in re.findall(r"\[([^\]]*)\]\(([^)\s]*)\)", text)
            ]
            rest = re.sub(r"\[[^\]]*\]\([^)\s]*\)", "", text)
            found += [("", url) for url in re.findall(r"https?://\S+", rest)]
        return found

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        try:
            self._accept(request.match_info["token"], await request.read())
        except Refusal as refusal:
            return web.json_response(
                {"code": refusal.code, "data": {}, "msg": refusal.msg}, status=refusal.status
            )
        done = {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}
        return web.json_response(done)

    def _accept(self, token: str, body: bytes) -> None:
        if token != self.token:
            raise Refusal(19001, "param invalid: incoming webhook access token invalid")
        if len(body) > MAX_BODY:
            raise Refusal(9499, "Bad Request: body is too large")
        try:
            message = json.loads(body)
        except ValueError:
            raise Refusal(9499, "Bad Request") from None
        self._check_signature(message)
        self._check_rate()
        self._check_shape(message)
        if self.keyword and not any(self.keyword in text for text in _texts(message)):
            raise Refusal(19024, "Key Words Not Found")
        self._accepted_at.append(self.clock())
        self.messages.append(message)

    def _check_signature(self, message: dict[str, Any]) -> None:
        if not self.secret:
            return
        timestamp = message.get("timestamp", "")
        key = (timestamp + "\n" + self.secret).encode()
        expected = base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
        fresh = str(timestamp).isdigit() and abs(self.clock().timestamp() - int(timestamp)) <= 3600
        if message.get("sign") != expected or not fresh:
            raise Refusal(19021, "sign match fail or timestamp is not within one hour from current time")

    def _check_rate(self) -> None:
        now = self.clock()
        for span, most in ((timedelta(seconds=1), 5), (timedelta(minutes=1), 100)):
            if sum(now - at < span for at in self._accepted_at) >= most:
                raise Refusal(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")

    def _check_shape(self, message: dict[str, Any]) -> None:
        match message.get("msg_type"):
            case "text":
                content = message.get("content")
                if not isinstance(content, dict) or not isinstance(content.get("text"), str):
                    raise Refusal(9499, "Bad Request: params error, text")
            case "interactive":
                if not isinstance(message.get("card"), dict):
                    raise Refusal(9499, "params error, unknown card value")
                if self.refuse_cards:
                    raise Refusal(self.refuse_cards, "card error")
                _check_card(message["card"])
            case _:
                raise Refusal(9499, "Bad Request: msg_type")


def _check_card(card: dict[str, Any]) -> None:
    if card.get("schema") != "2.0":
        raise Refusal(11246, "this bot's tests want schema 2.0")
    _known(card, "card")
    _known(card.get("config", {}), "config")
    _known(card["header"], "header")
    _known(card["body"], "body")
    if card["header"].get("template", "default") not in COLOURS:
        raise Refusal(11246, "header template")
    for part in ("title", "subtitle"):
        if part in card["header"]:
            _component(card["header"][part], {"plain_text"})
    elements = card["body"].get("elements")
    if not isinstance(elements, list) or not 0 < len(elements) <= MAX_ELEMENTS:
        raise Refusal(11310, "elements")
    for element in elements:
        _component(element, {"markdown", "hr", "button"})


def _component(value: dict[str, Any], tags: set[str]) -> None:
    if value.get("tag") not in tags:
        raise Refusal(200621, f"unknown tag {value.get('tag')}")
    _known(value, value["tag"])
    if value["tag"] in ("markdown", "plain_text") and not (
        isinstance(value.get("content"), str) and value["content"]
    ):
        raise Refusal(200621, "content is empty")


def _known(value: dict[str, Any], what: str) -> None:
    unknown = set(value) - KNOWN[what]
    if unknown:
        raise Refusal(200621, f"unknown property, property: {sorted(unknown)[0]}, path: ROOT -> {what}")


def _texts(message: dict[str, Any]) -> list[str]:
    if message["msg_type"] == "text":
        return [message["content"]["text"]]
    card = message["card"]
    heads = [card["header"][part]["content"] for part in ("title", "subtitle") if part in card["header"]]
    heads.append(card.get("config", {}).get("summary", {}).get("content", ""))
    return [*heads, *_markdown(message)]


def _markdown(message: dict[str, Any]) -> list[str]:
    elements = message.get("card", {}).get("body", {}).get("elements", [])
    return [element["content"] for element in elements if element["tag"] == "markdown"]
