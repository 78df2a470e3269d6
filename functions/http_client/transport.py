"""httpx's transport over aiohttp's connections, and the guarded one for addresses that users give.

What a caller may set for one request:

    timeout=5                               seconds for everything together: name, connection, TLS, redirects,
                                            headers and body; of an `httpx.Timeout` the longest of the four
    extensions={"max_body_bytes": 262_144}  kept of the decompressed body, the rest is not read; else 65,536
    extensions={"max_redirects": 1}         followed at most, one more is an error; default 3, or 0 with
                                            `follow_redirects=False`

What a response has in `extensions`:

    elapsed_ms           from the start of the call, redirects included, to the headers of this answer
    certificate_ends_at  when the TLS certificate ends; absent on plain http
    truncated            once the body is read: True when it was longer than max_body_bytes
    last_request         when redirects were followed: the request that this answer belongs to
    moved_to             when the first redirects were permanent (301, 308): the address they led to
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
from yarl import URL

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.addresses import Ports
from functions.http_client.connections import Connections, current_certificate
from functions.http_client.errors import as_httpx_error, timeout_error, to_fetch_error
from functions.http_client.httpx import httpx
from functions.http_client.redirects import PERMANENT_STATUSES, REDIRECT_STATUSES, next_request
from functions.http_client.requests import OutgoingRequest, checked_request, lower_first, outgoing_request
from functions.http_client.responses import read_body, trusted_charset

MAX_BODY_BYTES = 65_536
MAX_REDIRECTS = 3


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends one request, following no redirect. Build it anywhere; it opens nothing before the first."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer once its headers are here, whatever its status.

        Raises:
            FetchError: No usable answer came, or not in time. It is an `httpx.TransportError` too.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        timeout_s = _total_timeout(request.extensions.get("timeout"))
        deadline = None if timeout_s is None else started + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                call = self._prepare(request, await request.aread())
                last, answer, moved_to = await self._exchange(call, request.extensions)
        except TimeoutError:
            raise timeout_error(timeout_s or 0, request) from None
        except FetchError as exc:
            raise as_httpx_error(exc, request) from None
        extensions: dict[str, Any] = {"elapsed_ms": round((loop.time() - started) * 1000)}
        if last.url.scheme == "https":
            extensions |= _certificate_extension()
        if last is not call:
            extensions["last_request"] = httpx.Request(last.method, str(last.url))
        if moved_to is not None:
            extensions["moved_to"] = str(moved_to)
        max_bytes = request.extensions.get("max_body_bytes", MAX_BODY_BYTES)
        return _to_response(answer, _Body(request, answer, max_bytes, timeout_s, deadline), extensions)

    async def aclose(self) -> None:
        """Close every connection; calls under way fail."""
        await self._connections.close()

    def _prepare(self, request: httpx.Request, body: bytes) -> OutgoingRequest:
        return outgoing_request(request, body)

    async def _exchange(
        self, call: OutgoingRequest, options: Mapping[str, Any]
    ) -> tuple[OutgoingRequest, aiohttp.ClientResponse, URL | None]:
        """Return the answer, the request it belongs to, and where permanent redirects led."""
        return call, await self._send(call), None

    async def _send(self, call: OutgoingRequest) -> aiohttp.ClientResponse:
        """Return the answer to *call* once its headers are here; redirects are answers.

        aiohttp sends a GET, HEAD, OPTIONS, PUT or DELETE once more when its connection breaks before any
        answer, as RFC 9110 allows: the other side may have closed a connection just as it was used again.

        Raises:
            FetchError: No answer came; BlockedRequestError when its address is not allowed.
        """
        session = self._connections.session()
        try:
            return await session.request(
                call.method, call.url, headers=call.headers, data=call.body, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise to_fetch_error(exc) from None  # the cause would show the address


class GuardedTransport(AiohttpTransport):
    """Checks each request before it is sent, and follows redirects by our rule.

    Args:
        ports: Those that may be called, by redirects too.
        only_origin: A scheme, host and port that alone may be called; None for any.
    """

    def __init__(self, connections: Connections, *, ports: Ports, only_origin: URL | None = None) -> None:
        super().__init__(connections)
        self._ports = ports
        self._only_origin = only_origin

    def _prepare(self, request: httpx.Request, body: bytes) -> OutgoingRequest:
        call = checked_request(request, body, self._ports)
        if self._only_origin is not None and call.url.origin() != self._only_origin:
            raise BlockedRequestError("The URL is not on the server that was set up")
        return call

    async def _exchange(
        self, call: OutgoingRequest, options: Mapping[str, Any]
    ) -> tuple[OutgoingRequest, aiohttp.ClientResponse, URL | None]:
        answer = await self._send(call)
        max_redirects = options.get("max_redirects", MAX_REDIRECTS)
        if answer.status in REDIRECT_STATUSES and max_redirects > 0 and self._only_origin is None:
            return await self._follow_redirects(call, answer, max_redirects)
        return call, answer, None

    async def _follow_redirects(
        self, request: OutgoingRequest, response: aiohttp.ClientResponse, max_redirects: int
    ) -> tuple[OutgoingRequest, aiohttp.ClientResponse, URL | None]:
        seen = {(request.method, request.url)}
        moved_to: URL | None = None
        is_permanent = True
        while (following := self._next_request(request, response)) is not None:
            is_permanent = is_permanent and response.status in PERMANENT_STATUSES
            moved_to = following.url if is_permanent else moved_to
            response.release()
            request = following
            if (request.method, request.url) in seen:
                raise FetchError("It redirects in a circle")
            if len(seen) > max_redirects:
                raise FetchError(f"It redirects more than {max_redirects} times")
            seen.add((request.method, request.url))
            response = await self._send_redirected(request)
        return request, response, moved_to

    def _next_request(
        self, request: OutgoingRequest, response: aiohttp.ClientResponse
    ) -> OutgoingRequest | None:
        try:
            return next_request(request, response.status, response.headers.get("Location"), self._ports)
        except FetchError:
            response.close()
            raise

    async def _send_redirected(self, request: OutgoingRequest) -> aiohttp.ClientResponse:
        try:
            return await self._send(request)
        except BlockedRequestError as exc:
            raise BlockedRequestError(f"The redirect was not followed: {lower_first(exc.reason)}") from None


class _Body(httpx.AsyncByteStream):
    """Reads a body within its bound and the call's deadline, all at once.

    Attributes:
        extensions: Those of the response.
    """

    extensions: dict[str, Any]

    def __init__(
        self,
        request: httpx.Request,
        answer: aiohttp.ClientResponse,
        max_bytes: int,
        timeout_s: float | None,
        deadline: float | None,
    ) -> None:
        self._request = request
        self._answer = answer
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        encodings = self._answer.headers.getall("Content-Encoding", ())
        content = self._answer.content
        deadline = None if content.is_eof() else self._deadline  # what is here already needs no timer
        try:
            async with asyncio.timeout_at(deadline):
                body, truncated = await read_body(content.readany, encodings, self._max_bytes)
        except TimeoutError:
            raise timeout_error(self._timeout_s or 0, self._request) from None
        except FetchError as exc:
            raise as_httpx_error(exc, self._request) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise as_httpx_error(to_fetch_error(exc), self._request) from None
        self.extensions["truncated"] = truncated
        yield body

    async def aclose(self) -> None:
        """Close the connection, unless the whole body came: then it has been given back already."""
        self._answer.close()


def _to_response(
    answer: aiohttp.ClientResponse, body: _Body, extensions: Mapping[str, Any]
) -> httpx.Response:
    # Without Content-Encoding: the body is unpacked here, within its bound, and httpx must not try again.
    headers = [pair for pair in answer.raw_headers if pair[0].lower() != b"content-encoding"]
    response = httpx.Response(answer.status, headers=headers, stream=body, extensions=extensions)
    body.extensions = response.extensions
    if "=" in (content_type := answer.headers.get("Content-Type", "")):
        response.encoding = trusted_charset(content_type)  # `response.text` is quick with these
    return response


def _certificate_extension() -> dict[str, Any]:
    certificate = current_certificate()
    if not certificate:
        return {}
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    return {"certificate_ends_at": datetime.fromtimestamp(ends, UTC)}


def _total_timeout(timeout: Mapping[str, float | None] | None) -> float | None:
    """Return the longest of httpx's four times; None for no limit but the attempt's own."""
    return max((value for value in (timeout or {}).values() if value is not None), default=None)
