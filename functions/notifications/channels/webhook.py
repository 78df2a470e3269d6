"""The generic webhook channel: JSON to any address, signed by the Standard Webhooks specification."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.types import format_instant
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import POST_TIMEOUT_S, SendResult, retry_after_header
from functions.notifications.json_webhook import web_page_instead
from functions.notifications.rendering.formatting import safe_http_url

SETTINGS = ("WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS")
MAX_BYTES = 20_000  # the specification's advice

# Items of each notification, characters of each text, notifications: from everything to what always fits.
_TRUNCATION_STEPS: tuple[tuple[int, int, int], ...] = (
    (50, 500, 60),
    (10, 300, 60),
    (3, 200, 60),
    (0, 400, 60),
    (0, 100, 60),
    (0, 100, 20),
    (0, 40, 5),
    (0, 40, 1),
)


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "WebhookChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The setting is not an address, or a `whsec_` secret is not base64.
    """
    url = settings.get("WEBHOOK_URL", "").strip()
    if not url:
        return None
    if not safe_http_url(url):
        raise SettingsError(
            "WEBHOOK_URL: give a whole address, starting with https:// and without a user name"
        )
    keys = [_parse_key(name, secret) for name in SETTINGS[1:] for secret in settings.get(name, "").split()]
    return WebhookChannel(url, tuple(dict.fromkeys(keys)), post)


class WebhookChannel:
    """One address; requests are signed with every key, so that the receiver can change its key."""

    name = "webhook"
    recognises_repeats = True  # by `webhook-id`

    def __init__(self, url: str, keys: Sequence[bytes], post: PostRequest) -> None:
        self._url = url
        self._keys = tuple(keys)
        self._post = post

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send all notifications in one request.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        body = render(notifications)
        headers = {"Content-Type": "application/json", "webhook-id": message_id(notifications)}
        if self._keys:
            headers |= signature_headers(body, self._keys, message_id=headers["webhook-id"], now=now)
        response = await self._post(self._url, headers=headers, body=body, timeout_s=POST_TIMEOUT_S)
        return classify_response(response, now=now)

    def __repr__(self) -> str:
        return "WebhookChannel()"


def render(notifications: Sequence[Notification]) -> bytes:
    """Return the body, below 20 KB: items are cut first, then texts, then notifications, counted in `more`.

    Its `timestamp` is that of the latest notification: a repeated message is the same, byte for byte.
    """
    body = b""
    for cut in _TRUNCATION_STEPS:
        body = _build_body(notifications, *cut)
        if len(body) < MAX_BYTES:
            break
    return body


def message_id(notifications: Sequence[Notification]) -> str:
    """Return an id that is the same at every attempt, by which the receiver recognises repetitions."""
    ids = "\n".join(notification.id for notification in notifications)
    return f"msg_{hashlib.sha256(ids.encode()).hexdigest()[:32]}"


def signature_headers(
    body: bytes, keys: Sequence[bytes], *, message_id: str, now: datetime
) -> dict[str, str]:
    """Return the specification's three headers. *now* is the time of this attempt."""
    timestamp = str(int(now.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def classify_response(response: HttpResponse, *, now: datetime) -> SendResult:
    """Read the response: 2xx accepts, some codes refuse the message or the caller."""
    if 200 <= response.status < 300:
        return SendResult(ok=True)
    if response.status == 410:
        return SendResult(
            ok=False, permanent=True, detail="HTTP 410: the receiver accepts no more; unset WEBHOOK_URL"
        )
    if page := web_page_instead(response):
        return page
    if response.status in (401, 403):
        hint = "the receiver does not know this caller; check WEBHOOK_URL and WEBHOOK_SECRET"
        return SendResult(ok=False, permanent=True, detail=f"HTTP {response.status}: {hint}")
    if response.status == 404:  # what routes requests says so as well while the receiver is being replaced
        hint = "there is no receiver at this address now; check WEBHOOK_URL"
        return SendResult(ok=False, detail=f"HTTP 404: {hint}")
    if response.status in (400, 413, 415, 422):
        return SendResult(
            ok=False, rejected=True, detail=f"HTTP {response.status}: the receiver refused the message"
        )
    if 300 <= response.status < 400:
        hint = "redirects are not followed; set WEBHOOK_URL to the final address"
        return SendResult(ok=False, detail=f"HTTP {response.status}: {hint}")
    wait = retry_after_header(response, now=now)
    return SendResult(ok=False, retry_after=wait, detail=f"HTTP {response.status}")


def _parse_key(name: str, secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise SettingsError(f"{name}: what follows whsec_ must be base64")
    return key


def _build_body(notifications: Sequence[Notification], items: int, chars: int, count: int) -> bytes:
    data: dict[str, Any] = {"notices": [_to_json(one, items, chars) for one in notifications[:count]]}
    if len(notifications) > count:
        data["more"] = len(notifications) - count
    message = {
        "type": "cronfire.notices",
        "timestamp": format_instant(max(notification.at for notification in notifications)),
        "data": data,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _to_json(notification: Notification, items: int, chars: int) -> dict[str, Any]:
    """Return *notification* as JSON, without its channels, which do not concern the receiver."""
    whole = notification.model_dump(
        mode="json", by_alias=True, exclude={"channels", "items", "delivered", "unconfirmed", "lacking"}
    )
    if not notification.dropped_before:
        del whole["droppedBefore"]
    whole |= {"title": notification.title[:chars], "summary": notification.summary[:chars]}
    whole["items"] = [
        {name: value if name == "url" else value[:chars] for name, value in item.items()}
        for item in notification.items[:items]
    ]
    if len(notification.items) > items:
        whole["moreItems"] = len(notification.items) - items
    return whole
