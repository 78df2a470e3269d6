"""The ntfy channel: one topic on ntfy.sh or a server of the user's own, published to as JSON."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from functions.domain.alerts.model import Notification
from functions.domain.types import Priority
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import SendResult, retry_after_header
from functions.notifications.json_webhook import (
    JSON_HEADERS,
    ClassifiedResponse,
    json_poster,
    parse_json_object,
    post_with_fallback,
    to_json_bytes,
    webhook_url,
)
from functions.notifications.rendering.digest import (
    LOCALE_SETTINGS,
    Limits,
    Locale,
    render_fullest,
    to_plain_text,
)
from functions.notifications.rendering.formatting import defuse_links, truncate
from functions.notifications.rendering.phrases import Severity

SETTINGS = ("NTFY_URL", "NTFY_TOKEN", *LOCALE_SETTINGS)
MAX_BYTES = 4_000  # of the message; ntfy turns one of 4,096 or more into an attachment
TITLE_UNITS = 200
TOPIC_ERRORS = frozenset({40009, 40010})  # the topic's name is not valid, or not allowed

PRIORITIES: dict[Severity, int] = {"bad": 4, "warning": 4, "good": 3, "news": 3, "calm": 2}
URGENT_PRIORITY = 5  # overrides a phone's silent mode: for problems of urgent tasks


def create_channel(settings: Mapping[str, str], post: PostRequest) -> "NtfyChannel | None":
    """Return the channel; None when it is not set up.

    Raises:
        SettingsError: The setting is not the address of a topic.
    """
    url = webhook_url(settings, "NTFY_URL")
    if not url:
        return None
    parts = urlsplit(url)
    folder, _, topic = parts.path.rstrip("/").rpartition("/")
    if not topic:
        raise SettingsError(
            "NTFY_URL: give the address of a topic, such as https://ntfy.sh/a-name-nobody-guesses"
        )
    server = urlunsplit((parts.scheme, parts.netloc, f"{folder}/", "", ""))
    return NtfyChannel(
        server, topic, settings.get("NTFY_TOKEN", "").strip(), Locale.from_settings(settings), post
    )


class NtfyChannel:
    """One topic."""

    name = "ntfy"
    recognises_repeats = True

    def __init__(self, server: str, topic: str, token: str, locale: Locale, post: PostRequest) -> None:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._post_body = json_poster(post, server, JSON_HEADERS | authorization)
        self._topic = topic
        self._locale = locale

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Publish one message.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        return await post_with_fallback(
            self._post_body,
            lambda response: classify_response(response, now=now),
            lambda: render(notifications, self._locale, topic=self._topic),
        )

    def __repr__(self) -> str:
        return "NtfyChannel()"


def render(notifications: Sequence[Notification], locale: Locale, *, topic: str) -> bytes:
    """Return the message; its text has at most 4,000 bytes."""

    def render_within(limits: Limits) -> dict[str, object]:
        digest = locale.build_message(notifications, limits)
        problem = digest.severity in ("bad", "warning")
        urgent = problem and any(notification.priority is Priority.URGENT for notification in notifications)
        message: dict[str, object] = {
            "topic": topic,
            "title": truncate(defuse_links(digest.headline), TITLE_UNITS),
            "message": defuse_links(to_plain_text(digest)),
            "sequence_id": _sequence_id(notifications),
            "priority": URGENT_PRIORITY if urgent else PRIORITIES[digest.severity],
        }
        page = digest.rows[0].page_url
        return message | ({"click": page} if page else {})

    chosen = render_fullest(
        render_within, lambda message: len(str(message["message"]).encode(errors="replace")) <= MAX_BYTES
    )
    return to_json_bytes(chosen)


def _sequence_id(notifications: Sequence[Notification]) -> str:
    """Return an id that is the same at every attempt.

    From ntfy 2.16 on, a message that comes again with it replaces the first one; older servers ignore it.
    """
    ids = "\n".join(notification.id for notification in notifications)
    return f"cronfire-{hashlib.sha256(ids.encode()).hexdigest()[:24]}"


def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
    """Read ntfy's response: the message with its id, or a code."""
    body = parse_json_object(response.body)
    if response.status == 200 and body.get("id"):
        return ClassifiedResponse.accepted()
    wait = retry_after_header(response, now=now)
    if response.status == 429:
        return ClassifiedResponse.failed("HTTP 429: too many messages", retry_after=wait)
    if response.status in (401, 403):
        hint = "no permission to write to this topic; check NTFY_TOKEN"
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: {hint}")
    if response.status == 413 or (response.status == 400 and body.get("code") not in TOPIC_ERRORS):
        detail = f"HTTP {response.status}: the message was refused"
        return ClassifiedResponse.message_refused(detail)
    if response.status in (400, 404, 405, 410):
        hint = "no ntfy topic at this address; check NTFY_URL"
        return ClassifiedResponse.channel_refused(f"HTTP {response.status}: {hint}")
    return ClassifiedResponse.failed(f"HTTP {response.status}: not a response of ntfy's", retry_after=wait)
