"""The connections themselves: an aiohttp session that can only reach allowed addresses.

The guard stands twice, both times in front of an address and never of a name, so it does not matter
how the name was written or what its server says the next time:
- every address a name resolves to is checked, and one that is not allowed refuses the name;
- every socket is checked as it is made, which also catches addresses written as numbers.
A connection that is used again was checked when it was made, and its other end cannot change.
Nor can the short-lived memory of resolved names do harm: it holds checked addresses only.
"""

import socket
import ssl
from collections.abc import Coroutine
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

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
    """All connections of one process. Make it inside the running loop."""

    def __init__(
        self,
        *,
        allow: Allow,
        resolve: Resolve,
        max_connections: int,
        user_agent: str,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        connector = aiohttp.TCPConnector(
            limit=max_connections,
            resolver=_GuardedResolver(resolve, allow),
            socket_factory=_guarded_sockets(allow),
            ssl=ssl_context or True,
            ttl_dns_cache=_NAMES_KEPT_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
            response_class=Answer,
            timeout=_NO_TIMEOUT,  # the caller's one deadline is over everything
            auto_decompress=False,
            raise_for_status=False,
            trust_env=False,
            read_bufsize=_BUFFER_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )

    async def send(self, call: Call) -> Answer:
        """Return the answer to *call* once its headers are here; redirects are answers.

        Raises:
            FetchError: No answer came; RefusedError when its address is not allowed.
        """
        try:
            answer = await self._session.request(
                call.method, call.url, headers=call.headers, data=call.body, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise fault(exc) from None  # the cause would show the address
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
