"""`HttpClient`, the httpx client of task types, and the functions that build clients."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import lru_cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self

from functions.http_client.addresses import AddressPolicy, is_public_address, is_public_or_private_address
from functions.http_client.connections import Connections, Resolver
from functions.http_client.errors import UnreadableUrlError
from functions.http_client.httpx import httpx
from functions.http_client.requests import ANY_PORT, WEB_PORTS, Ports, check_url, with_ascii_host
from functions.http_client.transport import MAX_REDIRECTS, AiohttpTransport, GuardedTransport

__all__ = [
    "USER_AGENT",
    "HttpClient",
    "build_guarded_client",
    "build_single_origin_client",
    "build_trusted_client",
]

USER_AGENT = "Cronfire/0.2.0"
DEFAULT_TIMEOUT_S = 20.0
_DEFAULT = httpx.USE_CLIENT_DEFAULT
_NO_BODY = httpx.ByteStream(b"")


class HttpClient(httpx.AsyncClient):
    """An httpx client that keeps nothing between calls: no cookies, no credentials of the environment.

    It follows redirects by default, up to ten: its transport does, which drops what may be a secret, and
    sends on the cookies that the redirects themselves set. It sends no event hooks, and logs no URL. It is
    open until `close_connections`.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, *, follow_redirects: bool = True) -> None:
        super().__init__(
            transport=transport,
            # One owner's session must not answer for another's.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=follow_redirects,
            headers={"User-Agent": USER_AGENT},
            timeout=DEFAULT_TIMEOUT_S,
            trust_env=False,
        )
        self._wire = transport
        for name in ("Accept-Encoding", "Connection"):  # the transport's own affair
            del self.headers[name]

    def build_request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        content: Any = None,
        headers: Any = None,
        timeout: Any = _DEFAULT,
        extensions: Any = None,
        **others: Any,
    ) -> httpx.Request:
        """As httpx's, but values of headers may be any text, sent as UTF-8.

        Each URL is parsed once, as the same tasks come again and again; and a request without a body needs
        nothing of httpx but the headers: a third of the time.
        """
        if isinstance(url, str):
            url = _parse_url(url)
        given = [content, *others.values()]
        if url.is_relative_url or not _are_plain(headers) or any(value is not None for value in given):
            return super().build_request(
                method,
                url,
                content=content,
                headers=httpx.Headers(headers, encoding="utf-8"),
                timeout=timeout,
                extensions=extensions,
                **others,
            )
        merged = httpx.Headers(self.headers, encoding="utf-8")
        merged["Host"] = url.netloc.decode("ascii")
        for name, value in (headers or {}).items():
            merged[name] = value
        request = httpx.Request(
            method,
            url,
            headers=merged,
            stream=_NO_BODY,
            extensions={"timeout": self._limits(timeout), **(extensions or {})},
        )
        request.read()
        return request

    def _limits(self, timeout: Any) -> dict[str, float | None]:
        """Return *timeout* as a transport gets it, which takes the longest of its four times."""
        if isinstance(timeout, float):
            return dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        return (self.timeout if timeout is _DEFAULT else httpx.Timeout(timeout)).as_dict()

    def stream(  # type: ignore[override]  # httpx names the class of its own generator
        self,
        method: str,
        url: httpx.URL | str,
        *,
        auth: Any = _DEFAULT,
        follow_redirects: Any = _DEFAULT,
        **others: Any,
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """As httpx's, which is a generator: it takes three times as many steps."""
        request = self.build_request(method, url, **others)
        return _OpenResponse(
            partial(self.send, request, stream=True, auth=auth, follow_redirects=follow_redirects)
        )

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = _DEFAULT,
        follow_redirects: Any = _DEFAULT,
    ) -> httpx.Response:
        """As httpx's, but redirects are the transport's: httpx would send most headers on to strangers.

        A request without `auth` goes to the transport by itself: what httpx does besides (cookies, hooks,
        its log of URLs) has no part here, and takes a fifth of a request's processor time.
        """
        if follow_redirects is _DEFAULT:
            follow_redirects = self.follow_redirects
        request.extensions.setdefault("max_redirects", MAX_REDIRECTS if follow_redirects else 0)
        if auth is not _DEFAULT or self.is_closed:
            response = await super().send(request, stream=stream, auth=auth, follow_redirects=False)
        else:
            response = await self._wire.handle_async_request(request)
            response.request = request
            if not stream:
                await response.aread()  # which closes the response, whatever happens
        if "last_request" in response.extensions:
            response.request = response.extensions["last_request"]
        return response

    def recording(self, record: Callable[[httpx.Response, bytes], None]) -> "HttpClient":
        """Return a client over the same connections that passes each answer, once closed, to *record*.

        With it goes what the caller read of the body, or else the start of it that comes within a second.
        """
        return HttpClient(_RecordingTransport(self._wire, record), follow_redirects=self.follow_redirects)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave it open: all tasks of the process share it, and one may take it for its own."""

    async def aclose(self) -> None:
        """Leave it open, as `__aexit__`."""

    async def close_connections(self) -> None:
        """Close it: what its owner does."""
        await super().aclose()


def _are_plain(headers: Any) -> bool:
    """Whether *headers* are texts by names that differ."""
    if type(headers) is not dict:
        return headers is None
    is_text = {*map(type, headers), *map(type, headers.values())} <= {str}
    return is_text and len({name.lower() for name in headers}) == len(headers)


class _OpenResponse(AbstractAsyncContextManager[httpx.Response]):
    """A response while its body may be read; it is closed at the end."""

    def __init__(self, send: Callable[[], Awaitable[httpx.Response]]) -> None:
        self._send = send

    async def __aenter__(self) -> httpx.Response:
        self._response = await self._send()
        return self._response

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


class _RecordingTransport(httpx.AsyncBaseTransport):
    """Another's transport, which stays open, and whose answers are read as the caller reads them."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, record: Callable[[httpx.Response, bytes], None]
    ) -> None:
        self._transport = transport
        self._record = record

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer; raises as the other transport does."""
        response = await self._transport.handle_async_request(request)
        response.request = request
        assert isinstance(response.stream, httpx.AsyncByteStream)  # as all transports here return it
        response.stream = _RecordedStream(response.stream, partial(self._record, response))
        return response


_START_WITHIN_S = 1.0


class _RecordedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, record: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._record = record
        self._body = bytearray()
        self._is_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._is_read = True
        async for part in self._stream:
            self._body += part
            yield part

    async def aclose(self) -> None:
        if not self._is_read:
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(_START_WITHIN_S):
                    async for _ in self:
                        pass
        await self._stream.aclose()
        self._record(bytes(self._body))


@lru_cache(maxsize=2048)
def _parse_url(text: str) -> httpx.URL:
    try:
        return httpx.URL(text if text.isascii() else with_ascii_host(text))
    except (httpx.InvalidURL, ValueError):
        raise UnreadableUrlError from None  # the cause would show the URL


def build_guarded_client(
    *,
    allow_private: bool = False,
    allow: AddressPolicy | None = None,
    ports: Ports | None = None,
    resolve: Resolver | None = None,
    max_connections: int = 200,
    ssl_context: ssl.SSLContext | None = None,
) -> HttpClient:
    """Return a client for addresses that users gave us, which refuses those no user may reach through us.

    Safe by default: http and https only, the usual ports of the web, public addresses, no proxy and no
    credentials from the environment, no cookies, bounded headers, bodies and time. Build it anywhere; it
    opens nothing before the first call.

    Args:
        allow_private: Allow private, loopback and link-local addresses, and any port. The metadata
            services of the clouds stay refused: 169.254.169.254, fd20:ce::254, metadata.google.internal
            and their like hand out the machine's own credentials.
        allow: The rule about addresses itself, in place of the one *allow_private* picks.
        ports: Ports that may be called; None means 80, 443, 8080 and 8443, or any with *allow_private*.
        resolve: Turns a host and port into addresses, in place of the system's resolver.
        max_connections: Open at one time, over all hosts; further calls wait, within their deadline.
        ssl_context: Whom to trust, in place of the system's authorities.
    """
    connections = Connections(
        allow=allow or (is_public_or_private_address if allow_private else is_public_address),
        resolve=resolve,
        max_connections=max_connections,
        ssl_context=ssl_context,
    )
    default_ports = ANY_PORT if allow_private else WEB_PORTS
    return HttpClient(GuardedTransport(connections, ports=default_ports if ports is None else ports))


def build_single_origin_client(origin_url: str) -> HttpClient:
    """Return a client for one scheme, host and port, which may be private; it refuses every other.

    For example a model's server on the same network, whose address comes from the settings. Metadata
    services stay refused even here, and a redirect is never followed: it could lead elsewhere.

    Args:
        origin_url: Any address of the origin.

    Raises:
        BlockedRequestError: It is not an address that may be called.
    """
    connections = Connections(allow=is_public_or_private_address)
    origin = check_url(origin_url).origin()
    return HttpClient(GuardedTransport(connections, ports=ANY_PORT, only_origin=origin))


def build_trusted_client(*, keepalive_s: float) -> HttpClient:
    """Return a client for addresses of the settings: any address, no redirects.

    Args:
        keepalive_s: How long an idle connection is kept; 0 closes it after each call.
    """
    connections = Connections(allow=None, keepalive_s=keepalive_s)
    return HttpClient(AiohttpTransport(connections), follow_redirects=False)
