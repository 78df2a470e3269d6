"""The connections themselves: those of aiohttp, which can only reach allowed addresses here.

The guard stands twice, both times in front of an address and never of a name, so it does not matter
how the name was written or what its server says the next time:
- every address a name resolves to is checked, and one that is not allowed refuses the name;
- every socket is checked as it is made, which also catches addresses written as numbers.
A connection that is used again was checked when it was made, and its other end cannot change.
Nor can the short-lived memory of resolved names do harm: it holds checked addresses only.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.addresses import AddressPolicy, parse_ip
from functions.http_client.requests import Request

# -- resolving host names, without a slow name server delaying other calls ------------------

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

# The system's resolver blocks a thread and knows no deadline; a name whose server never answers keeps
# its thread for what resolv.conf says (10 s and more) even after the caller has given up. The threads
# are ours alone, so that such names cannot take those that read files and databases; and they are many
# (asyncio's own pool has five on one CPU), so that a few such names cannot stop all others.
_RESOLVER_THREADS = 32


class ThreadedResolver:
    """The system's resolver (hosts file, search domains and all) on threads of its own."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return every address of *host*. Raises OSError when there is none."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="names")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _resolve, host, port)

    def close(self) -> None:
        """Let the threads go; one that still waits for a name server ends when that answers or gives up."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


# aiohttp's, TLS's and the system's errors, each as one plain sentence.

ADDRESS_NOT_ALLOWED = "The address is private, local or reserved, and so not allowed"

_CONNECT_MESSAGES = {
    errno.ECONNREFUSED: "The connection was refused",
    errno.ECONNRESET: "The connection was broken off",
    errno.EHOSTUNREACH: "The host cannot be reached",
    errno.ENETUNREACH: "The host cannot be reached",
    errno.ETIMEDOUT: "The host did not answer in time",
}
_CERTIFICATE_MESSAGES = {  # OpenSSL's X509_V_ERR_* numbers; its own texts may hold the address
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "signed by an authority that is not trusted",
    20: "signed by an authority that is not trusted",
    21: "its chain is incomplete",
    23: "revoked",
    62: "issued for another host name",
    64: "issued for another address",
}


class AddressNotAllowedError(OSError):
    """The guard's refusal, shaped so that it passes through the connecting code of aiohttp."""


def to_fetch_error(exc: BaseException) -> FetchError:
    """Return what to tell the task's owner about *exc*: no address, no URL, no text of the other side."""
    match exc:
        case FetchError():
            return exc
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(exc.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return FetchError("The TLS handshake failed")
        case aiohttp.ClientConnectorDNSError():
            return FetchError("The name does not resolve")
        case aiohttp.ClientConnectorError():
            return _connect_error(exc.os_error)
        case aiohttp.ServerDisconnectedError():
            return FetchError("The connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return FetchError("The answer ended too early")
        case aiohttp.ClientResponseError():
            return _protocol_error(exc.message)
        case aiohttp.InvalidURL() | ValueError():
            return BlockedRequestError("The URL's host is not a valid name or address")
        case _:
            return FetchError("The connection was broken off")


def _connect_error(exc: OSError) -> FetchError:
    if isinstance(exc, AddressNotAllowedError):
        return BlockedRequestError(ADDRESS_NOT_ALLOWED)
    return FetchError(_CONNECT_MESSAGES.get(exc.errno or 0, "Could not connect"))


def _certificate_error(exc: BaseException) -> FetchError:
    code = exc.verify_code if isinstance(exc, ssl.SSLCertVerificationError) else 0
    why = _CERTIFICATE_MESSAGES.get(code)
    return FetchError(
        f"The TLS certificate is not valid: {why}" if why else "The TLS certificate is not valid"
    )


def _protocol_error(message: str) -> FetchError:
    if "Got more than" in message or "Too many" in message:
        return FetchError("The answer's headers are too long")
    return FetchError("The answer is not valid HTTP")


_DNS_CACHE_S = 10  # long enough to ask once for many tasks of one tick, short enough for a failover
_MAX_HEADER_BYTES = 16_384
_MAX_HEADERS = 100
_BUFFER_BYTES = 65_536
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
_NO_TIMER = TimerNoop()  # the caller's one deadline is over everything
_IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


class GuardedResponse(aiohttp.ClientResponse):
    """An answer whose headers are here and whose body is not read yet.

    Attributes:
        certificate: The other side's certificate as `ssl` describes it; None on plain http.
    """

    certificate: dict[str, Any] | None = None

    def start(self, connection: Any) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Keep the certificate: once a short body is complete, the connection is no longer ours."""
        if connection.transport is not None:
            self.certificate = connection.transport.get_extra_info("peercert")
        return super().start(connection)


class GuardedConnector:
    """All connections of one process. Make it inside the running loop.

    A call goes to aiohttp's connector and request one by one, as its session would hand it on. What a session
    sees to besides (cookies, redirects, proxies, traces, timeouts) has no part here, and takes a seventh
    of a request's time.
    """

    def __init__(
        self,
        *,
        allow: AddressPolicy,
        resolve: Resolver,
        max_connections: int,
        user_agent: str,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._connector = aiohttp.TCPConnector(
            limit=max_connections,
            resolver=_GuardedResolver(resolve, allow),
            socket_factory=_guarded_socket_factory(allow),
            ssl=ssl_context or True,
            ttl_dns_cache=_DNS_CACHE_S,
        )
        self._loop = asyncio.get_running_loop()
        self._headers = CIMultiDict({"User-Agent": user_agent, "Accept-Encoding": "gzip"})
        # Requests and answers know of a session; it sends nothing, and closes the connector.
        self._session = aiohttp.ClientSession(connector=self._connector, cookie_jar=aiohttp.DummyCookieJar())

    async def send(self, call: Request) -> GuardedResponse:
        """Return the answer to *call* once its headers are here; redirects are answers.

        Raises:
            FetchError: No answer came; BlockedRequestError when its address is not allowed.
        """
        try:
            try:
                return await self._send_once(call)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
                if call.method not in _IDEMPOTENT_METHODS or isinstance(exc, aiohttp.ClientConnectorError):
                    raise
            return await self._send_once(call)  # it may have been closed just as we used it again
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise to_fetch_error(exc) from None  # the cause would show the address

    async def _send_once(self, call: Request) -> GuardedResponse:
        headers = self._headers.copy()
        for name, value in call.headers.items():
            headers[name] = value
        request = aiohttp.ClientRequest(
            call.method,
            call.url,
            headers=headers,
            data=call.body,
            loop=self._loop,
            response_class=GuardedResponse,
            timer=_NO_TIMER,
            session=self._session,
            traces=[],
        )
        connection = await self._connector.connect(request, traces=[], timeout=_NO_TIMEOUT)
        answer = None
        try:
            assert connection.protocol is not None  # it is fresh from the connector
            connection.protocol.set_response_params(
                timer=_NO_TIMER,
                skip_payload=call.method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=_BUFFER_BYTES,
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
                max_headers=_MAX_HEADERS,
            )
            answer = await request.send(connection)
            await answer.start(connection)
        except BaseException:
            if answer is not None:
                answer.close()
            connection.close()
            raise
        assert isinstance(answer, GuardedResponse)  # we set response_class
        return answer

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        await self._session.close()


class _GuardedResolver(AbstractResolver):
    def __init__(self, resolve: Resolver, allow: AddressPolicy) -> None:
        self._resolve = resolve
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolve(host, port)
        if not found:
            raise FetchError("The name does not resolve")
        if not all(_is_allowed(address, port, self._allow) for address in found):
            raise BlockedRequestError(ADDRESS_NOT_ALLOWED)
        return [_resolve_result(host, address, port) for address in found]

    async def close(self) -> None:
        """Do nothing: the owner of `resolve` closes it."""


def _guarded_socket_factory(allow: AddressPolicy) -> aiohttp.SocketFactoryType:
    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = info
        if not _is_allowed(str(host), int(port), allow):
            raise AddressNotAllowedError
        return socket.socket(family, kind, protocol)

    return make


def _is_allowed(text: str, port: int, allow: AddressPolicy) -> bool:
    address = parse_ip(text)
    return address is not None and allow(address, port)


def _resolve_result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
