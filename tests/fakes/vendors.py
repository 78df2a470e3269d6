"""Stand-ins of messengers on loopback: each keeps its vendor's rules and answers as the vendor does."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.http_client.trusted import HttpResponse, TrustedHttpClient

Reply = tuple[int, str, Mapping[str, str]]  # status, body, headers


class Vendor:
    """A vendor's door: checks each message by *rules*, remembers what it took.

    Args:
        rules: Answers a message, given the path with its query, the headers and the JSON body.
    """

    def __init__(self, rules: Callable[[str, Mapping[str, str], Any], Reply]) -> None:
        self._rules = rules
        self.instead: list[Reply] = []
        self.taken: list[Any] = []
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/{path:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        status, answer, headers = (
            self.instead.pop(0) if self.instead else self._rules(request.path_qs, request.headers, body)
        )
        if status < 300:
            self.taken.append(body)
        return web.Response(status=status, text=answer, headers=headers)


class Rerouted:
    """Sends what is meant for a vendor's own address to its stand-in, over real HTTP."""

    def __init__(self, vendor: Vendor, home: str) -> None:
        self._vendor = vendor
        self._home = home
        self._post = TrustedHttpClient()

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> HttpResponse:
        here = url.replace(self._home, str(self._vendor.server.make_url("")).rstrip("/"), 1)
        return await self._post(here, headers=headers, body=body, timeout_s=timeout_s)

    async def close(self) -> None:
        await self._post.close()


def telegram(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """Bot API: sendMessage."""
    known = {"chat_id", "message_thread_id", "text", "parse_mode", "link_preview_options"}

    def no(code: int, description: str, **parameters: int) -> Reply:
        answer = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
        return code, json.dumps(answer), {}

    if not path.startswith("/bot123456:canary-token_x/"):
        return no(401, "Unauthorized")
    if set(body) - known:
        return no(400, "Bad Request: unknown field")
    if body["chat_id"] != "-1001":
        return no(400, "Bad Request: chat not found")
    if len(body["text"].encode("utf-16-le")) // 2 > 4096:
        return no(400, "Bad Request: message is too long")
    if body.get("parse_mode") == "HTML" and _unbalanced(body["text"]):
        return no(400, "Bad Request: can't parse entities")
    return 200, json.dumps({"ok": True, "result": {"message_id": 1}}), {}


def ntfy(path: str, headers: Mapping[str, str], body: Any) -> Reply:
    """Publishing as JSON to the server's root."""
    if path != "/":
        return 404, '{"code":40401}', {}
    if headers.get("Authorization") != "Bearer canary-token":
        return 403, '{"code":40301,"error":"forbidden"}', {}
    if (
        set(body) - {"topic", "title", "message", "priority", "click", "sequence_id"}
        or not 1 <= body["priority"] <= 5
    ):
        return 400, '{"code":40024}', {}
    if len(body["message"].encode()) > 4096:
        return 413, '{"code":41301}', {}
    return 200, json.dumps({"id": "x1", "event": "message"}), {}


def workflows(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """A Teams webhook of Workflows: it says yes before it has looked at the card, so we look for it."""
    if "canary-sig" not in path:
        return 401, '{"error":{"code":"DirectApiAuthorizationRequired"}}', {}
    if len(json.dumps(body, ensure_ascii=False).encode()) > 28_000:
        return 413, "", {}
    [attachment] = body["attachments"]
    assert "message" == body["type"]
    assert "application/vnd.microsoft.card.adaptive" == attachment["contentType"]
    content = attachment["content"]
    assert ("AdaptiveCard", "1.4") == (content["type"], content["version"])
    for element in content["body"]:
        assert "RichTextBlock" == element["type"]
        assert all("TextRun" == run["type"] and isinstance(run["text"], str) for run in element["inlines"])
    return 202, "", {}


def pagerduty(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """Events API v2."""
    if body.get("routing_key") != "c" * 32:
        return 400, '{"status":"invalid event","errors":["Invalid routing key"]}', {}
    good = body.get("event_action") in ("trigger", "resolve")
    if body.get("event_action") == "trigger":
        payload = body["payload"]
        good = good and 0 < len(payload["summary"]) <= 1024 and payload["source"]
        good = good and payload["severity"] in ("critical", "error", "warning", "info")
    if path != "/v2/enqueue" or not good or len(body.get("dedup_key", "")) > 255:
        return 400, '{"status":"invalid event","message":"Event object is invalid"}', {}
    return 202, json.dumps({"status": "success", "dedup_key": body["dedup_key"]}), {}


def slack(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """An incoming webhook."""
    if not path.startswith("/services/canary"):
        return 404, "no_service", {}
    if set(body) - {"text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media"}:
        return 400, "invalid_payload", {}
    if len(body.get("blocks", ())) > 50 or any(
        len(block["text"]["text"]) > 150 for block in body.get("blocks", ()) if block["type"] == "header"
    ):
        return 400, "invalid_blocks", {}
    return 200, "ok", {}


def discord(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """A webhook asked to wait for the message."""
    if not path.startswith("/api/webhooks/1/canary"):
        return 404, '{"message": "Unknown Webhook", "code": 10015}', {}
    embeds = body.get("embeds", [])
    letters = sum(len(json.dumps(embed, ensure_ascii=False)) for embed in embeds)
    if len(embeds) > 10 or len(body.get("content", "")) > 2000 or letters > 12_000:
        return 400, '{"code": 50035, "message": "Invalid Form Body"}', {}
    assert [] == body["allowed_mentions"]["parse"], "nobody is to be mentioned"
    return 200, json.dumps({"id": "123"}), {}


def dingtalk(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """A custom bot with a signature. Every refusal has HTTP 200."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    if query.get("access_token") != "canary-token":
        return _coded(300005, "token is not exist")
    signed = f"{query.get('timestamp')}\ncanary-secret".encode()
    expected = base64.b64encode(hmac.digest(b"canary-secret", signed, hashlib.sha256)).decode()
    if query.get("sign") != expected:
        return _coded(310000, "sign not match, more: [https://open.dingtalk.com/document]")
    kind = body.get("msgtype")
    fields = {"markdown": {"title", "text"}, "text": {"content"}}.get(kind, set())
    if not fields or set(body[kind]) != fields or not all(body[kind].values()):
        return _coded(400105, "unsupported msgtype")
    assert {"isAtAll": False} == body["at"], "nobody is to be mentioned"
    if len(json.dumps(body, ensure_ascii=False).encode()) > 20_000:
        return _coded(460101, "message too long, exceed 20000 bytes")
    return _coded(0, "ok")


def wecom(path: str, _: Mapping[str, str], body: Any) -> Reply:
    """A group bot. Every refusal has HTTP 200."""
    if path != "/cgi-bin/webhook/send?key=canary-key":
        return _coded(93000, "invalid webhook url, hint: [17], from ip: 192.0.2.1, more info at https://...")
    kind = body.get("msgtype")
    most = {"markdown": 4096, "text": 2048}.get(kind, 0)
    if not most:
        return _coded(40008, "invalid message type")
    assert {"content"} == set(body[kind]), "nobody is to be mentioned"
    if len(body[kind]["content"].encode()) > most:
        return _coded(40058, f"{kind}.content exceed max length {most}. Invalid input")
    return _coded(0, "ok")


class Limited:
    """Rules of a bot that takes so many messages a minute, and then none for a while."""

    def __init__(
        self,
        rules: Callable[[str, Mapping[str, str], Any], Reply],
        clock: Callable[[], datetime],
        *,
        most: int,
        blocked_for: timedelta,
        refusal: tuple[int, str],
    ) -> None:
        self._rules, self._clock, self._most = rules, clock, most
        self._blocked_for, self._refusal = blocked_for, refusal
        self._blocked_until = datetime.min.replace(tzinfo=clock().tzinfo)
        self._taken_at: list[datetime] = []

    def __call__(self, path: str, headers: Mapping[str, str], body: Any) -> Reply:
        now = self._clock()
        self._taken_at = [at for at in self._taken_at if now - at < timedelta(minutes=1)]
        if len(self._taken_at) >= self._most and now >= self._blocked_until:
            self._blocked_until = now + self._blocked_for
        if now < self._blocked_until:
            return _coded(*self._refusal)
        self._taken_at.append(now)
        return self._rules(path, headers, body)


def _coded(code: int, text: str) -> Reply:
    return 200, json.dumps({"errcode": code, "errmsg": text}), {}


def _unbalanced(text: str) -> bool:
    """Whether Telegram could not parse *text*: tags it does not know, or that are not closed in order."""
    tags = _Tags()
    tags.feed(text)
    tags.close()
    return tags.wrong or bool(tags.open)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.wrong |= tag not in ("a", "b", "i")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.wrong |= not self.open or self.open.pop() != tag
