"""The tools of an agent: they only read, and reach only the hosts that the task names.

Their results are foreign text. The model receives them as data between tags that the text cannot close, and
whatever the text makes the model do, the hosts stay the same.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.httpx import httpx
from functions.http_client.redirects import next_request
from functions.http_client.requests import ANY_PORT, OutgoingRequest, check_url, checked_request
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.feeds import parse_feed
from functions.parsing.markup import page_text
from functions.parsing.pool import Parse, parsing_time
from functions.task_types.support.responses import is_truncated, response_text

MAX_RESULT_CHARS = 8000  # of one call
MAX_PAGE_BYTES = 262_144
MAX_FEED_BYTES = 2_097_152
CALL_TIMEOUT_S = 20.0
MAX_REQUESTS = 4  # a request and three redirects
MAX_ENTRIES = 50  # of a feed, newest first
_UNTRUSTED_TAG = re.compile(r"<(?=[\s/]*+untrusted)", re.IGNORECASE)  # possessive: each space is read once
TOOL_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"url": {"type": "string", "description": "http or https"}},
    "required": ["url"],
}
_DESCRIPTIONS = {
    "http_get": "Fetch a web page or an API's answer (GET) and return it as text.",
    "rss_read": "Read an RSS or Atom feed and return its newest entries.",
}
TOOL_NAMES = frozenset(_DESCRIPTIONS)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The text of a call's result; *is_refused* when the task does not allow the call."""

    text: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class AgentTools:
    """The tools of one task.

    Attributes:
        hosts: Names, or `*.name` for all names below one; in lower case.
        redact: Masks the task's secrets.
    """

    http: httpx.AsyncClient
    parse: Parse
    names: tuple[str, ...]
    hosts: tuple[str, ...]
    redact: Callable[[str], str]

    def description(self, name: str) -> str:
        """Return the description of the tool *name* that the model gets."""
        return f"{_DESCRIPTIONS[name]} Only these hosts can be reached: {', '.join(self.hosts)}."

    async def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolResult:
        """Call the tool *name*; an error is a text for the model."""
        given = arguments.get("url")
        url = given.strip() if isinstance(given, str) else ""
        if not url:
            return ToolResult('The arguments must be JSON such as {"url": "https://..."}')
        try:
            call_s = min(CALL_TIMEOUT_S, timeout_s)
            fetch = self._fetch_feed if name == "rss_read" else self._fetch_page
            async with asyncio.timeout(call_s):
                text = await fetch(url, parsing_s=parsing_time(call_s))
        except TimeoutError:
            return ToolResult("No answer in time")
        except ParsingStoppedError as exc:
            return ToolResult(f"The answer could not be read {exc.why}")
        except BlockedRequestError as exc:
            return ToolResult(f"Refused: {exc.reason}", is_refused=True)
        except FetchError as exc:
            return ToolResult(f"It did not work: {exc.reason}")
        return ToolResult(quote_untrusted(self.redact(text), source=url))

    async def _fetch_page(self, url: str, *, parsing_s: float) -> str:
        response = await self._fetch(url, max_body_bytes=MAX_PAGE_BYTES)
        kind = response.headers.get("content-type", "").lower()
        if kind and not any(word in kind for word in ("text", "json", "xml", "javascript")):
            return f"Status {response.status_code}; the content is no text"
        text = response_text(response)
        if "html" in kind:
            text = await self.parse(
                partial(page_text, url=str(response.url)),
                text.encode("utf-8", "replace"),
                timeout_s=parsing_s,
            )
        return f"Status {response.status_code}\n{text}"

    async def _fetch_feed(self, url: str, *, parsing_s: float) -> str:
        response = await self._fetch(url, max_body_bytes=MAX_FEED_BYTES)
        if response.status_code != 200:
            return f"Status {response.status_code}; not a feed"
        kind = response.headers.get("content-type", "")
        try:
            feed = await self.parse(
                partial(
                    parse_feed,
                    content_type=kind,
                    url=str(response.url),
                    is_whole=not is_truncated(response),
                ),
                response.content,
                timeout_s=parsing_s,
            )
        except UnreadableError as exc:
            return f"It answered with {exc}, not a readable feed"
        # Titles and texts are cut, so each is masked by itself.
        entries = (
            f"- {self.redact(one.title)}\n  {one.url}\n  {self.redact(one.text)}"
            for one in feed.entries[:MAX_ENTRIES]
        )
        return "\n".join([self.redact(feed.title), *entries])

    async def _fetch(self, url: str, *, max_body_bytes: int) -> httpx.Response:
        """Fetch *url*, following redirects to hosts that are allowed and to no other."""
        check_url(url)  # before httpx encodes what is odd about it
        call = checked_request(self.http.build_request("GET", url), b"", ANY_PORT)
        for _ in range(MAX_REQUESTS):
            self._check_host(call)
            response = await self.http.get(
                str(call.url),
                follow_redirects=False,
                timeout=CALL_TIMEOUT_S,
                extensions={"max_body_bytes": max_body_bytes},
            )
            following = next_request(call, response.status_code, response.headers.get("location"), ANY_PORT)
            if following is None:
                return response
            call = following
        raise FetchError(f"It redirects more than {MAX_REQUESTS - 1} times")

    def _check_host(self, call: OutgoingRequest) -> None:
        if not is_host_allowed((call.url.raw_host or "").lower(), self.hosts):
            raise BlockedRequestError(
                f"the host is not among those this task may reach: {', '.join(self.hosts)}"
            )


def is_host_allowed(host: str, hosts: Sequence[str]) -> bool:
    """Whether *host* is one of *hosts*, or below one that is written `*.name`."""
    return any(host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in hosts)


def quote_untrusted(text: str, *, source: str) -> str:
    """Return *text* between tags that mark it as data; it cannot contain such a tag itself."""
    plain = _UNTRUSTED_TAG.sub("(", text)
    bounded = (
        plain
        if len(plain) <= MAX_RESULT_CHARS
        else f"{plain[:MAX_RESULT_CHARS]}\n(cut at {MAX_RESULT_CHARS} characters)"
    )
    name = _UNTRUSTED_TAG.sub("", source).replace('"', "%22")[:300]
    return f'<untrusted source="{name}">\n{bounded}\n</untrusted>'
