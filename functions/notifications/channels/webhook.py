"""The generic webhook channel: JSON to any address, signed as the Standard Webhooks specification says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notice
from functions.domain.types import instant_text
from functions.errors import SettingsError
from functions.http_client.trusted import Answer, Post
from functions.notifications.channel import POST_TIMEOUT_S, Sent, wait_asked_for
from functions.notifications.rendering.formatting import web_address

SETTINGS = ("WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS")
MAX_BYTES = 20_000  # what the specification advises not to exceed

# Items of each notice, characters of each text, notices: from all that could fit to what always does.
_CUTS: tuple[tuple[int, int, int], ...] = (
    (50, 500, 60),
    (10, 300, 60),
    (3, 200, 60),
    (0, 400, 60),
    (0, 100, 60),
    (0, 100, 20),
    (0, 40, 5),
    (0, 40, 1),
)


def open_channel(settings: Mapping[str, str], post: Post) -> "WebhookChannel | None":
    """The channel, or None when it is not set up.

    Raises:
        SettingsError: The address is not one, or a `whsec_` secret is not base64.
    """
    url = settings.get("WEBHOOK_URL", "").strip()
    if not url:
        return None
    if not web_address(url):
        raise SettingsError(
            "WEBHOOK_URL: give a whole address, starting with https:// and without a user name"
        )
    keys = [_key(name, secret) for name in SETTINGS[1:] for secret in settings.get(name, "").split()]
    return WebhookChannel(url, tuple(dict.fromkeys(keys)), post)


class WebhookChannel:
    """One address, signed with every key there is, so that the receiver can change its key at leisure."""

    name = "webhook"

    def __init__(self, url: str, keys: Sequence[bytes], post: Post) -> None:
        self._url = url
        self._keys = tuple(keys)
        self._post = post

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Send all notices in one request.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        body = render(notices)
        headers = {"Content-Type": "application/json"}
        if self._keys:
            headers |= signature_headers(body, self._keys, message_id=message_id(notices), now=now)
        answer = await self._post(self._url, headers=headers, body=body, timeout_s=POST_TIMEOUT_S)
        return judge(answer, now=now)

    def __repr__(self) -> str:
        return "WebhookChannel()"


def render(notices: Sequence[Notice]) -> bytes:
    """The body, below 20 KB: items are cut first, then texts, then notices, which are counted in `more`.

    Its `timestamp` is that of the latest notice: a message sent again is the same, byte for byte.
    """
    body = b""
    for cut in _CUTS:
        body = _encoded(notices, *cut)
        if len(body) < MAX_BYTES:
            break
    return body


def message_id(notices: Sequence[Notice]) -> str:
    """The same for the same notices, at every attempt; the receiver tells by it what it has seen."""
    ids = "\n".join(notice.id for notice in notices)
    return f"msg_{hashlib.sha256(ids.encode()).hexdigest()[:32]}"


def signature_headers(
    body: bytes, keys: Sequence[bytes], *, message_id: str, now: datetime
) -> dict[str, str]:
    """The specification's three headers. *now* is the moment of this attempt."""
    timestamp = str(int(now.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def judge(answer: Answer, *, now: datetime) -> Sent:
    """What the answer means: 2xx is taken, 410 is never again, all else may be better later."""
    if 200 <= answer.status < 300:
        return Sent(ok=True)
    if answer.status == 410:
        return Sent(
            ok=False, permanent=True, detail="HTTP 410: the receiver wants no more; unset WEBHOOK_URL"
        )
    if 300 <= answer.status < 400:
        hint = "redirects are not followed; set WEBHOOK_URL to the final address"
        return Sent(ok=False, detail=f"HTTP {answer.status}: {hint}")
    wait = wait_asked_for(answer, now=now)
    return Sent(ok=False, retry_after=wait, detail=f"HTTP {answer.status}")


def _key(name: str, secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise SettingsError(f"{name}: what follows whsec_ must be base64")
    return key


def _encoded(notices: Sequence[Notice], items: int, chars: int, count: int) -> bytes:
    data: dict[str, Any] = {"notices": [_plain(notice, items, chars) for notice in notices[:count]]}
    if len(notices) > count:
        data["more"] = len(notices) - count
    message = {
        "type": "cronfire.notices",
        "timestamp": instant_text(max(notice.at for notice in notices)),
        "data": data,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _plain(notice: Notice, items: int, chars: int) -> dict[str, Any]:
    """*notice* as JSON; without its channels, which are nobody's business outside."""
    whole = notice.model_dump(mode="json", by_alias=True, exclude={"channels", "items"})
    whole |= {"title": notice.title[:chars], "summary": notice.summary[:chars]}
    whole["items"] = [
        {name: value if name == "url" else value[:chars] for name, value in item.items()}
        for item in notice.items[:items]
    ]
    if len(notice.items) > items:
        whole["moreItems"] = len(notice.items) - items
    return whole
