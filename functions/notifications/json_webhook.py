"""Channels to a vendor's JSON webhook: request, classified response, fallback to plain text, base class."""

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Self

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.channel import MAX_RETRY_AFTER, POST_TIMEOUT_S, SendResult
from functions.notifications.rendering.digest import Locale
from functions.notifications.rendering.formatting import safe_http_url

PAGE_STATUSES = frozenset({401, 403, 404, 405, 406, 410})  # that blame the address or the caller
JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}

PostBody = Callable[[bytes], Awaitable[HttpResponse]]
RenderBody = Callable[[], bytes]
RenderNotifications = Callable[[Sequence[Notification], Locale], bytes]


@dataclass(frozen=True, slots=True)
class ClassifiedResponse:
    """A vendor's response to one request.

    Attributes:
        try_plain_text: The vendor cannot read this layout; a plainer one may pass. When the plainest is
            refused as well, the message is rejected.
    """

    result: SendResult
    try_plain_text: bool = False

    @classmethod
    def accepted(cls) -> Self:
        """Return the response that accepts the message."""
        return cls(SendResult(ok=True))

    @classmethod
    def failed(cls, detail: str, *, retry_after: timedelta | None = None) -> Self:
        """Return a failure that may pass; the message is sent again, after the wait that was requested."""
        return cls(SendResult(ok=False, retry_after=retry_after, detail=detail))

    @classmethod
    def channel_refused(cls, detail: str) -> Self:
        """Return the refusal of the channel itself: a setting must be changed."""
        return cls(SendResult(ok=False, permanent=True, detail=detail))

    @classmethod
    def message_refused(cls, detail: str) -> Self:
        """Return the refusal of this message, whatever its layout."""
        return cls(SendResult(ok=False, rejected=True, detail=detail))

    @classmethod
    def unreadable(cls, detail: str) -> Self:
        """Return the refusal of this layout: a plainer one may pass."""
        return cls(SendResult(ok=False, detail=detail), try_plain_text=True)


class JsonWebhookChannel(ABC):
    """A channel whose only setting is the secret address of an incoming webhook.

    A vendor's module gives the class attributes and `classify_response`; rendering and classifying
    are pure functions.

    Attributes:
        name: The channel's name in `notify` rules.
        url_setting: The setting with the webhook's address; the channel exists when it is set.
        renderings: The message as this vendor's JSON, richest layout first.
    """

    name: ClassVar[str]
    recognises_repeats: ClassVar[bool] = False
    url_setting: ClassVar[str]
    renderings: ClassVar[tuple[RenderNotifications, ...]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, str], post: PostRequest) -> Self | None:
        """Return the channel; None when its setting is empty.

        Raises:
            SettingsError: The setting is not an address.
        """
        url = webhook_url(settings, cls.url_setting)
        return cls(url, Locale.from_settings(settings), post) if url else None

    def __init__(self, url: str, locale: Locale, post: PostRequest) -> None:
        self._post_body = json_poster(post, url)
        self._locale = locale

    @staticmethod
    @abstractmethod
    def classify_response(response: HttpResponse, *, now: datetime) -> ClassifiedResponse:
        """Return what the vendor's response means."""

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Send one message, in the first of `renderings` that the vendor can read.

        Raises:
            PostError: No response came; the message may have arrived.
        """
        return await post_with_fallback(
            self._post_body,
            lambda response: self.classify_response(response, now=now),
            *(partial(render, notifications, self._locale) for render in self.renderings),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def webhook_url(settings: Mapping[str, str], name: str) -> str:
    """Return the address in the setting *name*; empty when it is not set.

    Raises:
        SettingsError: The setting is not an address.
    """
    url = settings.get(name, "").strip()
    if url and not safe_http_url(url):
        raise SettingsError(f"{name}: give the whole address, starting with https:// and without a user name")
    return url


def to_json_bytes(message: Mapping[str, Any]) -> bytes:
    """Return *message* as compact JSON in UTF-8: an escaped letter takes up more of a vendor's limit."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; empty when there is none."""
    try:
        parsed: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def web_page_instead(response: HttpResponse) -> SendResult | None:
    """Return the result of a refusal that is a web page; None for a vendor's answer.

    A firewall dislikes one message for a word in it, a proxy or an application that is being restarted
    refuses all of them: the test message that follows a refusal shows which.
    """
    if response.status in PAGE_STATUSES and response.body.lstrip()[:1] == b"<":
        hint = "a web page answered; is the address right, or is there a proxy or a firewall on the way?"
        return SendResult(ok=False, rejected=True, detail=f"HTTP {response.status}: {hint}")
    return None


def retry_after(seconds: object) -> timedelta | None:
    """Return a vendor's number of *seconds* as a wait, at most an hour; None unless it is positive."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return None
    return timedelta(seconds=min(float(min(seconds, 1e6)), MAX_RETRY_AFTER.total_seconds()))


def json_poster(post: PostRequest, url: str, headers: Mapping[str, str] = JSON_HEADERS) -> PostBody:
    """Return a function that posts a body to *url*."""

    async def request(body: bytes) -> HttpResponse:
        return await post(url, headers=headers, body=body, timeout_s=POST_TIMEOUT_S)

    return request


async def post_with_fallback(
    post_body: PostBody, classify: Callable[[HttpResponse], ClassifiedResponse], *renderings: RenderBody
) -> SendResult:
    """Send the first of *renderings* that the vendor can read: a fault in a layout loses no notification.

    Raises:
        PostError: No response came; the message may have arrived.
    """
    first_refusal = ""
    classified = ClassifiedResponse(SendResult(ok=False))
    for render in renderings:
        response = await post_body(render())
        if page := web_page_instead(response):
            return page
        classified = classify(response)
        if not classified.try_plain_text:
            break
        first_refusal = first_refusal or classified.result.detail
    if classified.result.ok and first_refusal:
        return SendResult(ok=True, detail=f"sent as plain text; the layout was refused: {first_refusal}")
    if classified.try_plain_text:  # no plainer layout is left: what the vendor refuses is the content
        return replace(classified.result, rejected=True)
    return classified.result
