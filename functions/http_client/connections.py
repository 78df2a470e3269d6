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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from functions.http_client import BlockedRequestError, FetchError, request_sent
from functions.http_client.addresses import AddressPolicy, parse_ip
from functions.http_client.errors import ADDRESS_NOT_ALLOWED, AddressNotAllowedError
from functions.http_client.resolver import NameResolver

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_DNS_CACHE_S = 10  # long enough to ask once for many tasks of one tick, short enough for a failover
_MAX_HEADER_BYTES = 40_960  # policies of 34 KB are met in the wild
_MAX_HEADERS = 100
MAX_INTERIM = 100  # answers of 1xx to one request; aiohttp reads them without end, as fast as they come
_BUFFER_BYTES = 65_536
_NO_TIMEOUT = aiohttp.ClientTimeout(
    total=None, sock_connect=None
)  # the caller's one deadline is over everything

Certificate = Mapping[str, Any]
_certificate: ContextVar[Certificate | None] = ContextVar("certificate", default=None)


class Connections:
    """All connections of one client. Build it anywhere: they belong to the loop that first uses them.

    A process that runs one loop after another gets new connections in each.

    Args:
        allow: Which addresses may be connected to; None for all.
        resolve: Turns a host and port into addresses, in place of the system's resolver.
        max_connections: Open at one time, over all hosts; further calls wait, within their deadline.
        keepalive_s: How long an idle connection is kept; 0 closes it after each call.
        ssl_context: Whom to trust, in place of the system's authorities.
    """

    def __init__(
        self,
        *,
        allow: AddressPolicy | None,
        resolve: Resolver | None = None,
        max_connections: int = 200,
        keepalive_s: float = 15.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = allow
        self._resolve = resolve or NameResolver()
        self._max_connections = max_connections
        self._keepalive_s = keepalive_s
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def session(self) -> aiohttp.ClientSession:
        """Return the session of the running loop, in which calls are made."""
        if self._session is None or self._loop is not asyncio.get_running_loop():
            self._session = self._open_session()
        return self._session

    async def close(self) -> None:
        """Close every connection; calls under way fail. A later call opens new ones."""
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is not None:
            self._session.detach()  # its loop has ended, and its connections with it
        self._loop = asyncio.get_running_loop()
        return aiohttp.ClientSession(
            connector=self._build_connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            read_bufsize=_BUFFER_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )

    def _build_connector(self) -> aiohttp.TCPConnector:
        options: dict[str, Any] = {"keepalive_timeout": self._keepalive_s}
        if self._keepalive_s == 0:
            options = {"force_close": True}
        if self._allow is not None:
            options["socket_factory"] = _guarded_socket_factory(self._allow)
        return _Connector(
            limit=self._max_connections,
            resolver=_GuardedResolver(self._resolve, self._allow),
            ssl=self._ssl_context or True,
            ttl_dns_cache=_DNS_CACHE_S,
            **options,
        )


def current_certificate() -> Certificate | None:
    """Return the certificate behind the latest answer to this task; None on http."""
    return _certificate.get()


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *args: Any, **options: Any) -> Connection:
        """Note the connection, bound the heads that are read, and keep the certificate.

        Once a short body is complete, the connection is no longer the answer's.
        """
        connection = await super().connect(*args, **options)
        request_sent.set(True)
        if (protocol := connection.protocol) is not None:
            read = type(protocol).read.__get__(protocol)  # its own, also on a connection that is used again
            protocol.read = _BoundedRead(read)  # type: ignore[method-assign]
        transport = connection.transport
        _certificate.set(transport.get_extra_info("peercert") if transport is not None else None)
        return connection


class _BoundedRead:
    """Reads the heads of answers from a connection: at most MAX_INTERIM of "continue" and its like."""

    def __init__(self, read: Callable[[], Awaitable[tuple[Any, Any]]]) -> None:
        self._read = read
        self._interim = 0

    async def __call__(self) -> tuple[Any, Any]:
        message, payload = await self._read()
        if 100 <= message.code < 200 and message.code != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise FetchError("It answers that an answer will come, and none does")
        return message, payload


class _GuardedResolver(AbstractResolver):
    def __init__(self, resolve: Resolver, allow: AddressPolicy | None) -> None:
        self._resolve = resolve
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolve(host, port)
        if not found:
            raise OSError(socket.EAI_NODATA, "no address")  # as the system's resolver would
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


def _is_allowed(text: str, port: int, allow: AddressPolicy | None) -> bool:
    if allow is None:
        return True
    address = parse_ip(text)
    return address is not None and allow(address, port)


def _resolve_result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
