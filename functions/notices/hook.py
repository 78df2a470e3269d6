"""What channels to a vendor's JSON door share: its address, and plain words when a layout is refused."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from functions.errors import SettingsError
from functions.notices.channel import LONGEST_WAIT, POST_TIMEOUT_S, Answer, Post, Sent
from functions.notices.wording.plain import web_address

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
