"""A receiver of Standard Webhooks: verifies as the specification tells receivers to, then remembers."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

TOLERANCE_S = 300


class WebhookReceiver:
    """Answers 204 to a message it can verify, 401 to any other; or what a test tells it to.

    Args:
        secret: `whsec_` and base64, or raw text; empty to take everything.
        answer: Instead of 204: a status and headers.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        secret: str = "",
        answer: tuple[int, dict[str, str]] = (204, {}),
    ) -> None:
        self.clock, self.secret, self.answer = clock, secret, answer
        self.messages: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.refusals: list[str] = []
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/in/{path:.*}", self._take)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/in/canary-path-of-receiver"))

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            if self.secret:
                self._verify(request.headers.get, body)
            self.messages.append(json.loads(body))
        except ValueError as exc:
            self.refusals.append(str(exc))
            return web.Response(status=401)
        self.ids.append(request.headers.get("webhook-id", ""))
        status, headers = self.answer
        return web.Response(status=status, headers=headers)

    def _verify(self, header: Callable[[str, str], str], body: bytes) -> None:
        sent_id, at = header("Webhook-Id", ""), header("Webhook-Timestamp", "")
        if not sent_id or "." in sent_id:
            raise ValueError("id")
        if not at.isdigit() or abs(self.clock().timestamp() - int(at)) > TOLERANCE_S:
            raise ValueError("timestamp")
        mac = hmac.new(self._key(), digestmod=hashlib.sha256)
        for part in (sent_id.encode(), b".", at.encode(), b".", body):
            mac.update(part)
        offered = [item.partition(",") for item in header("Webhook-Signature", "").split(" ")]
        for version, _, signature in offered:
            if version == "v1" and hmac.compare_digest(base64.b64decode(signature), mac.digest()):
                return
        raise ValueError("signature")

    def _key(self) -> bytes:
        prefix, found, encoded = self.secret.partition("whsec_")
        return base64.b64decode(encoded) if found and not prefix else self.secret.encode()
