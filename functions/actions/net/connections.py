"""The connections themselves: those of aiohttp, which can only reach allowed addresses here.

The guard stands twice, both times in front of an address and never of a name, so it does not matter
how the name was written or what its server says the next time:
- every address a name resolves to is checked, and one that is not allowed refuses the name;
- every socket is checked as it is made, which also catches addresses written as numbers.
A connection that is used again was checked when it was made, and its other end cannot change.
Nor can the short-lived memory of resolved names do harm: it holds checked addresses only.
"""

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict

from functions.actions.net.addresses import Allow, parse
from functions.actions.net.calls import Call
from functions.actions.net.errors import FetchError, RefusedError
from functions.actions.net.faults import NOT_ALLOWED, AddressNotAllowed, fault
from functions.actions.net.names import Resolve

_NAMES_KEPT_S = 10  # long enough to ask once for many tasks of one tick, short enough for a failover
_MAX_HEADER_BYTES = 16_384
_MAX_HEADERS = 100
_BUFFER_BYTES = 65_536
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
_NO_TIMER = TimerNoop()  # the caller's one deadline is over everything
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2


class Answer(aiohttp.ClientResponse):
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


class Connections:
    """All connections of one process. Make it inside the running loop.

    A call goes to aiohttp's connector and request one by one, as its session would hand it on. What a session
    sees to besides (cookies, redirects, proxies, traces, timeouts) has no part here, and takes a seventh
    of a request's time.
    """

    def __init__(
        self,
        *,
        allow: Allow,
        resolve: Resolve,
        max_connections: int,
        user_agent: str,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._connector = aiohttp.TCPConnector(
            limit=max_connections,
            resolver=_GuardedResolver(resolve, allow),
            socket_factory=_guarded_sockets(allow),
            ssl=ssl_context or True,
            ttl_dns_cache=_NAMES_KEPT_S,
        )
        self._loop = asyncio.get_running_loop()
        self._headers = CIMultiDict({"User-Agent": user_agent, "Accept-Encoding": "gzip"})
        # Requests and answers know of a session; it sends nothing, and closes the connector.
        self._session = aiohttp.ClientSession(connector=self._connector, cookie_jar=aiohttp.DummyCookieJar())

    async def send(self, call: Call) -> Answer:
        """Return the answer to *call* once its headers are here; redirects are answers.

        Raises:
            FetchError: No answer came; RefusedError when its address is not allowed.
        """
        try:
            try:
                return await self._sent(call)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
                if call.method not in _REPEATABLE or isinstance(exc, aiohttp.ClientConnectorError):
                    raise
            return await self._sent(call)  # it may have been closed just as we used it again
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise fault(exc) from None  # the cause would show the address

    async def _sent(self, call: Call) -> Answer:
        headers = self._headers.copy()
        for name, value in call.headers.items():
            headers[name] = value
        request = aiohttp.ClientRequest(
            call.method,
            call.url,
            headers=headers,
            data=call.body,
            loop=self._loop,
            response_class=Answer,
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
        assert isinstance(answer, Answer)  # we set response_class
        return answer

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        await self._session.close()


class _GuardedResolver(AbstractResolver):
    def __init__(self, resolve: Resolve, allow: Allow) -> None:
        self._resolve = resolve
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolve(host, port)
        if not found:
            raise FetchError("The name does not resolve")
        if not all(_is_allowed(address, port, self._allow) for address in found):
            raise RefusedError(NOT_ALLOWED)
        return [_result(host, address, port) for address in found]

    async def close(self) -> None:
        """Nothing is ours to close: whoever gave us `resolve` closes it."""


def _guarded_sockets(allow: Allow) -> aiohttp.SocketFactoryType:
    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, (host, port, *_) = info
        if not _is_allowed(str(host), int(port), allow):
            raise AddressNotAllowed
        return socket.socket(family, kind, protocol)

    return make


def _is_allowed(text: str, port: int, allow: Allow) -> bool:
    address = parse(text)
    return address is not None and allow(address, port)


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
