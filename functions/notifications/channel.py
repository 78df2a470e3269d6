"""What a channel is, what it needs, and what it says of a delivery."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from functions.domain.alerts.model import Notice
from functions.errors import SettingsError
from functions.http_client.trusted import Answer, Post
from functions.notifications.rendering.formatting import web_address

POST_TIMEOUT_S = 10.0  # for one call to a vendor, whatever the tick has left
LONGEST_WAIT = timedelta(hours=1)  # a vendor that asks for more is asked again after this


@dataclass(frozen=True, slots=True)
class Sent:
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

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        """Say *notices*, most important first, in one message.

        Raises:
            PostError: No answer came; the message may have arrived.
        """
        ...


def wait_asked_for(answer: Answer, *, now: datetime) -> timedelta | None:
    """The wait of `Retry-After` (seconds or a date), at most an hour; None when there is no sensible one."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), LONGEST_WAIT.total_seconds()))
    from email.utils import parsedate_to_datetime  # a package of 20 ms, for a header hardly ever sent

    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(wait, LONGEST_WAIT) if wait > timedelta(0) else None


# What channels to a vendor's JSON door share: its address, and plain words when a layout is refused.

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a vendor says of one request.

    Attributes:
        misread: It could not read this layout; the same in plainer words may do.
    """

    sent: Sent
    misread: bool = False


def address(settings: Mapping[str, str], name: str) -> str:
    """The address in the setting *name*; empty when it is not set.

    Raises:
        SettingsError: It is no address.
    """
    url = settings.get(name, "").strip()
    if url and not web_address(url):
        raise SettingsError(f"{name}: give the whole address, starting with https:// and without a user name")
    return url


def encoded(message: Mapping[str, Any]) -> bytes:
    """*message* as compact JSON. A letter takes its own bytes: escaped, it would double most limits' use."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object in *body*; empty when there is none."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def wait_of(seconds: object) -> timedelta | None:
    """A vendor's number of *seconds* as a wait, at most an hour; None when it is no sensible number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return None
    return timedelta(seconds=min(float(min(seconds, 1e6)), LONGEST_WAIT.total_seconds()))


def posting(post: Post, url: str, headers: Mapping[str, str] = JSON_HEADERS) -> "Request":
    """A request to *url* that lacks only its body."""

    async def request(body: bytes) -> Answer:
        return await post(url, headers=headers, body=body, timeout_s=POST_TIMEOUT_S)

    return request


Request = Callable[[bytes], Awaitable[Answer]]
Rendering = Callable[[], bytes]


async def say(request: Request, judge: Callable[[Answer], Verdict], *renderings: Rendering) -> Sent:
    """Send the first of *renderings* that the vendor can read: no alert is lost to a fault in its layout.

    Raises:
        PostError: No answer came; the message may have arrived.
    """
    complaint = ""
    verdict = Verdict(Sent(ok=False))
    for render in renderings:
        verdict = judge(await request(render()))
        if not verdict.misread:
            break
        complaint = complaint or verdict.sent.detail
    if verdict.sent.ok and complaint:
        return Sent(ok=True, detail=f"sent as plain text; of the layout it said: {complaint}")
    return verdict.sent
