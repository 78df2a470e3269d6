"""What a channel is, what it needs, and what it says of a delivery."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, PostRequest
from functions.notifications.rendering.formatting import safe_http_url

POST_TIMEOUT_S = 10.0  # for one call to a vendor, whatever the tick has left
MAX_RETRY_AFTER = timedelta(hours=1)  # a vendor that asks for more is asked again after this


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one message.

    Attributes:
        ok: The vendor itself says that it took the message.
        permanent: Trying again cannot help; somebody must change a setting.
        retry_after: The wait the vendor asked for; None when it asked for none.
        detail: The vendor's code and what to do about it, for the log; on success what was lost, if
            anything. Never an address, never a text of the vendor's.
    """

    ok: bool
    permanent: bool = False
    retry_after: timedelta | None = None
    detail: str = ""


class Channel(Protocol):
    """A way to people. One message holds all notices, however many."""

    @property
    def name(self) -> str: ...

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        """Say *notices*, most important first, in one message.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        ...


def retry_after_header(response: HttpResponse, *, now: datetime) -> timedelta | None:
    """The wait of `Retry-After` (seconds or a date), at most an hour; None when there is no sensible one."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), MAX_RETRY_AFTER.total_seconds()))
    from email.utils import parsedate_to_datetime  # a package of 20 ms, for a header hardly ever sent

    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta(0) else None


# What channels to a vendor's JSON door share: its address, and plain words when a layout is refused.

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class ClassifiedResponse:
    """What a vendor says of one request.

    Attributes:
        misread: It could not read this layout; the same in plainer words may do.
    """

    result: SendResult
    try_plain_text: bool = False


def webhook_url(settings: Mapping[str, str], name: str) -> str:
    """The address in the setting *name*; empty when it is not set.

    Raises:
        SettingsError: It is no address.
    """
    url = settings.get(name, "").strip()
    if url and not safe_http_url(url):
        raise SettingsError(f"{name}: give the whole address, starting with https:// and without a user name")
    return url


def to_json_bytes(message: Mapping[str, Any]) -> bytes:
    """*message* as compact JSON. A letter takes its own bytes: escaped, it would double most limits' use."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def parse_json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in *body*; empty when there is none."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def retry_after(seconds: object) -> timedelta | None:
    """A vendor's number of *seconds* as a wait, at most an hour; None when it is no sensible number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return None
    return timedelta(seconds=min(float(min(seconds, 1e6)), MAX_RETRY_AFTER.total_seconds()))


def json_poster(post: PostRequest, url: str, headers: Mapping[str, str] = JSON_HEADERS) -> "PostBody":
    """A request to *url* that lacks only its body."""

    async def request(body: bytes) -> HttpResponse:
        return await post(url, headers=headers, body=body, timeout_s=POST_TIMEOUT_S)

    return request


PostBody = Callable[[bytes], Awaitable[HttpResponse]]
RenderBody = Callable[[], bytes]


async def post_with_fallback(
    post_body: PostBody, classify: Callable[[HttpResponse], ClassifiedResponse], *renderings: RenderBody
) -> SendResult:
    """Send the first of *renderings* that the vendor can read: no alert is lost to a fault in its layout.

    Raises:
        PostError: No answer came; the message may have arrived.
    """
    complaint = ""
    verdict = ClassifiedResponse(SendResult(ok=False))
    for render in renderings:
        verdict = classify(await post_body(render()))
        if not verdict.try_plain_text:
            break
        complaint = complaint or verdict.result.detail
    if verdict.result.ok and complaint:
        return SendResult(ok=True, detail=f"sent as plain text; of the layout it said: {complaint}")
    return verdict.result
