"""httpx's transport over aiohttp's connections, and the guarded one for addresses that users give.

What a caller may set for one request:

    timeout=5                               seconds for everything together: name, connection, TLS, redirects,
                                            headers and body; of an `httpx.Timeout` the longest of the four
    extensions={"max_body_bytes": 262_144}  kept of the decompressed body, the rest is not read; else 65,536
    extensions={"max_redirects": 1}         followed at most, one more is an error; default 10, or 0 with
                                            `follow_redirects=False`
    extensions={"body_until": 1234.5}       when reading the body ends, by the loop's clock, if that comes
                                            before the timeout

What a response has in `extensions`:

    elapsed_ms           from the start of the call, redirects included, to the headers of this answer
    certificate_ends_at  when the TLS certificate ends, the first along redirects; absent on plain http
    certificate_host     the name of the host that showed it; absent for a host without a name
    truncated            once the body is read: True when it was longer than max_body_bytes
    last_request         when redirects were followed: the request that this answer belongs to
    moved_to             when the first redirects were permanent (301, 308): the address they led to

A body may be read in parts as they come (`client.stream`, `response.aiter_bytes`), within the same deadline.
"""

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from yarl import URL

from functions.domain.charsets import declared_codec
from functions.http_client import BlockedRequestError, FetchError, lower_first, request_sent
from functions.http_client.connections import Connections, current_certificate
from functions.http_client.errors import as_httpx_error, host_name, timeout_error, to_fetch_error
from functions.http_client.httpx import httpx
from functions.http_client.redirects import (
    PERMANENT_STATUSES,
    REDIRECT_STATUSES,
    ExchangeCookies,
    circle_error,
    next_request,
)
from functions.http_client.requests import (
    OutgoingRequest,
    Ports,
    checked_request,
    outgoing_request,
)
from functions.http_client.responses import BodyReader

MAX_BODY_BYTES = 65_536
MAX_REDIRECTS = 10  # http to https, www, country, language, and a login that sets its cookie


@dataclass(frozen=True, slots=True)
class _Exchange:
    """An answer, and what is known of the way to it.

    Attributes:
        request: That which was answered.
        certificate: Of all that were shown, the one that ends first: when, and the name of its host.
        moved_to: Where those redirects led that came first and were permanent.
        only_permanent: Whether all redirects were.
    """

    request: OutgoingRequest
    answer: aiohttp.ClientResponse
    certificate: tuple[datetime, str | None] | None
    moved_to: URL | None = None
    only_permanent: bool = True

    def after(self, earlier: "_Exchange") -> "_Exchange":
        """Return this exchange as the one that *earlier* was redirected to."""
        shown = [one.certificate for one in (earlier, self) if one.certificate is not None]
        only_permanent = earlier.only_permanent and earlier.answer.status in PERMANENT_STATUSES
        return replace(
            self,
            certificate=min(shown, key=lambda one: one[0], default=None),
            moved_to=self.request.url if only_permanent else earlier.moved_to,
            only_permanent=only_permanent,
        )


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends one request, following no redirect. Build it anywhere; it opens nothing before the first."""

    _names_hosts = False  # an address of the settings may be a secret

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
        request_sent.set(False)
        try:
            async with asyncio.timeout_at(deadline):
                call = self._prepare(request, await request.aread())
                done = await self._exchange(call, request.extensions)
        except TimeoutError:
            raise timeout_error(timeout_s or 0, request) from None
        except FetchError as exc:
            raise as_httpx_error(exc, request) from None
        extensions: dict[str, Any] = {"elapsed_ms": round((loop.time() - started) * 1000)}
        if done.certificate is not None:
            ends_at, host = done.certificate
            extensions |= {"certificate_ends_at": ends_at} | ({"certificate_host": host} if host else {})
        if done.request is not call:
            extensions["last_request"] = httpx.Request(done.request.method, str(done.request.url))
        if done.moved_to is not None:
            extensions["moved_to"] = str(done.moved_to)
        return _to_response(done.answer, _Body(request, done.answer, timeout_s, deadline), extensions)

    async def aclose(self) -> None:
        """Close every connection; calls under way fail."""
        await self._connections.close()

    def _prepare(self, request: httpx.Request, body: bytes) -> OutgoingRequest:
        return outgoing_request(request, body)

    async def _exchange(self, call: OutgoingRequest, options: Mapping[str, Any]) -> _Exchange:
        """Return the answer once its headers are here."""
        return await self._send(call)

    async def _send(self, call: OutgoingRequest) -> _Exchange:
        """Return the answer to *call* once its headers are here; redirects are answers.

        aiohttp sends a GET, HEAD, OPTIONS, PUT or DELETE once more when its connection breaks before any
        answer, as RFC 9110 allows: the other side may have closed a connection just as it was used again.

        Raises:
            FetchError: No answer came; BlockedRequestError when its address is not allowed.
        """
        session = self._connections.session()
        try:
            answer = await session.request(
                call.method, call.url, headers=call.headers, data=call.body, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            problem = to_fetch_error(exc, method=call.method, names_hosts=self._names_hosts)
            raise problem from None  # the cause would show the address
        return _Exchange(call, answer, _shown_certificate(call))


class GuardedTransport(AiohttpTransport):
    """Checks each request before it is sent, and follows redirects by our rule.

    Args:
        ports: Those that may be called, by redirects too.
        only_origin: A scheme, host and port that alone may be called; None for any.
    """

    _names_hosts = True

    def __init__(self, connections: Connections, *, ports: Ports, only_origin: URL | None = None) -> None:
        super().__init__(connections)
        self._ports = ports
        self._only_origin = only_origin

    def _prepare(self, request: httpx.Request, body: bytes) -> OutgoingRequest:
        call = checked_request(request, body, self._ports)
        if self._only_origin is not None and call.url.origin() != self._only_origin:
            raise BlockedRequestError("The URL is not on the server that was set up")
        return call

    async def _exchange(self, call: OutgoingRequest, options: Mapping[str, Any]) -> _Exchange:
        first = await self._send(call)
        max_redirects = options.get("max_redirects", MAX_REDIRECTS)
        if first.answer.status in REDIRECT_STATUSES and max_redirects > 0 and self._only_origin is None:
            return await self._follow_redirects(first, max_redirects)
        return first

    async def _follow_redirects(self, done: _Exchange, max_redirects: int) -> _Exchange:
        cookies = ExchangeCookies()
        sent = [done.request]
        while (following := self._next_request(done)) is not None:
            cookies.keep(done.answer)
            done.answer.release()
            call = cookies.add_to(following)
            if call.identity in {one.identity for one in sent}:
                raise circle_error(sent)
            if len(sent) > max_redirects:
                raise FetchError(f"It redirects more than {max_redirects} times")
            sent.append(call)
            exchange = await self._send_redirected(call)
            # The next redirect starts from the request without this exchange's cookies.
            done = _Exchange(following, exchange.answer, exchange.certificate).after(done)
        return done

    def _next_request(self, done: _Exchange) -> OutgoingRequest | None:
        answer = done.answer
        try:
            return next_request(done.request, answer.status, answer.headers.get("Location"), self._ports)
        except FetchError:
            answer.close()
            raise

    async def _send_redirected(self, request: OutgoingRequest) -> _Exchange:
        try:
            return await self._send(request)
        except BlockedRequestError as exc:
            raise BlockedRequestError(f"The redirect was not followed: {lower_first(exc.reason)}") from None


class _Body(httpx.AsyncByteStream):
    """Reads a body within its bound and the call's deadline, in parts as they come.

    Attributes:
        extensions: Those of the response.
    """

    extensions: dict[str, Any]

    def __init__(
        self,
        request: httpx.Request,
        answer: aiohttp.ClientResponse,
        timeout_s: float | None,
        deadline: float | None,
    ) -> None:
        options = request.extensions
        self._request = request
        self._answer = answer
        self._max_bytes = options.get("max_body_bytes", MAX_BODY_BYTES)
        self._timeout_s = timeout_s
        self._deadline = min(deadline or math.inf, options.get("body_until", math.inf))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        reader = BodyReader(self._answer.headers.getall("Content-Encoding", ()), self._max_bytes)
        try:
            while not reader.truncated and (chunk := await self._read(content)):
                if part := reader.feed(chunk):
                    yield part
            if not reader.truncated:
                reader.end()
        except TimeoutError:
            raise timeout_error(self._timeout_s or 0, self._request, is_answered=True) from None
        except FetchError as exc:
            raise as_httpx_error(exc, self._request) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise as_httpx_error(to_fetch_error(exc), self._request) from None
        self.extensions["truncated"] = reader.truncated

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        if content.is_eof():  # what is here already needs no timer
            return await content.readany()
        async with asyncio.timeout_at(None if math.isinf(self._deadline) else self._deadline):
            return await content.readany()

    async def aclose(self) -> None:
        """Close the connection, unless the whole body came: then it has been given back already."""
        self._answer.close()


class _Response(httpx.Response):
    """A response whose body is unpacked as it is read."""

    @property
    def charset_encoding(self) -> str | None:
        """As httpx's, but of the charsets that are decoded quickly: a stranger names it."""
        return declared_codec(self.headers.get("Content-Type", ""))

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """As httpx's, which would look for something to unpack; of what is read already, httpx's."""
        if self.is_stream_consumed:
            return super().aiter_bytes(chunk_size)
        if self.is_closed or chunk_size is not None:
            return self.aiter_raw(chunk_size)
        self.is_stream_consumed = True
        return self._read_parts()

    async def _read_parts(self) -> AsyncGenerator[bytes, None]:
        assert isinstance(self.stream, httpx.AsyncByteStream)  # as all transports here return it
        try:
            async for part in self.stream:
                yield part
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """As httpx's, but errors are those of the body, which name the request already."""
        if not self.is_closed:
            self.is_closed = True
            assert isinstance(self.stream, httpx.AsyncByteStream)  # as all transports here return it
            await self.stream.aclose()


def _to_response(
    answer: aiohttp.ClientResponse, body: _Body, extensions: Mapping[str, Any]
) -> httpx.Response:
    # Without Content-Encoding: the body is unpacked here, within its bound, and httpx must not try again.
    headers = answer.raw_headers
    if "Content-Encoding" in answer.headers:
        headers = tuple(pair for pair in headers if pair[0].lower() != b"content-encoding")
    response = _Response(answer.status, headers=headers, stream=body, extensions=extensions)
    body.extensions = response.extensions
    return response


def _shown_certificate(call: OutgoingRequest) -> tuple[datetime, str | None] | None:
    """Return when the certificate of the latest answer ends, and the name of its host."""
    certificate = current_certificate() if call.url.scheme == "https" else None
    if not certificate:
        return None
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    return datetime.fromtimestamp(ends, UTC), host_name(call.url.host)


def _total_timeout(timeout: Mapping[str, float | None] | None) -> float | None:
    """Return the longest of httpx's four times; None for no limit but the attempt's own."""
    return max([value for value in (timeout or {}).values() if value is not None], default=None)
