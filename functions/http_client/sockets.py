"""Connections without HTTP, behind the same guard: for checks of ports and of TLS."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.addresses import (
    AddressPolicy,
    is_public_address,
    is_public_or_private_address,
    parse_ip,
)
from functions.http_client.connections import Resolver
from functions.http_client.errors import ADDRESS_NOT_ALLOWED, socket_error
from functions.http_client.requests import ANY_PORT, WEB_PORTS, Ports, check_url
from functions.http_client.resolver import NameResolver

CLOSE_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """A connection that was made.

    Attributes:
        connect_ms: How long it took, the look-up of the name and the handshake included.
        certificate_ends_at: When the certificate of the other side ends; None without TLS.
        issuer: Who issued it, in words; empty without TLS.
        tls_version: Such as `TLSv1.3`; empty without TLS.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connect_ms: int
    certificate_ends_at: datetime | None = None
    issuer: str = ""
    tls_version: str = ""


class GuardedSockets:
    """Connects to hosts that users give, and refuses those no user may reach through us.

    Args:
        allow_private: Whether private addresses, and any port, may be connected to.
        ports: Those that may be connected to, as ranges, both ends included; None for the default.
        allow: The rule about addresses itself, in place of the one *allow_private* picks.
        resolve: Turns a host and port into addresses, in place of the system's resolver.
        ssl_context: Whom to trust, in place of the system's authorities.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        ports: tuple[tuple[int, int], ...] | None = None,
        allow: AddressPolicy | None = None,
        resolve: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        default_ports = ANY_PORT if allow_private else WEB_PORTS
        self._ports = default_ports if ports is None else Ports(ports)
        self._allow = allow or (is_public_or_private_address if allow_private else is_public_address)
        self._resolve = resolve or NameResolver()
        self._ssl_context = ssl_context
        self._loading: asyncio.Future[ssl.SSLContext] | None = None
        self._clock = clock

    @asynccontextmanager
    async def open(self, host: str, port: int, *, tls: bool, timeout_s: float) -> AsyncIterator[OpenSocket]:
        """Connect to *host*, whose addresses are tried one after the other, each for its share of the time.

        Args:
            tls: Whether to shake hands; the certificate must be valid for *host*.
            timeout_s: The time for the connection, from the look-up to the end of the handshake.

        Raises:
            FetchError: It cannot be reached, or is not allowed.
        """
        name = check_host(host, port, self._ports)
        began = self._clock()
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await self._connect(name, port, tls=tls, timeout_s=timeout_s)
        except TimeoutError:
            raise FetchError(f"No connection within {timeout_s:g} s", is_sent=False) from None
        elapsed_ms = round((self._clock() - began) * 1000)
        try:
            yield _describe(reader, writer, elapsed_ms)
        finally:
            writer.close()
            with suppress(OSError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await writer.wait_closed()

    async def _connect(
        self, host: str, port: int, *, tls: bool, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ends_at = asyncio.get_running_loop().time() + timeout_s
        try:
            addresses = [host] if parse_ip(host) is not None else await self._resolve(host, port)
        except OSError as exc:
            raise socket_error(exc, host=host, port=port) from None
        if not addresses:
            raise FetchError(f"The name {host} does not resolve: it has no address", is_sent=False)
        if not all(_is_allowed(one, port, self._allow) for one in addresses):
            raise BlockedRequestError(ADDRESS_NOT_ALLOWED)
        context = await self._trusted() if tls else None
        problem: FetchError | None = None
        for number, address in enumerate(addresses):  # what was checked is what is connected to
            left_s = ends_at - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(left_s / (len(addresses) - number)):
                    return await asyncio.open_connection(
                        address, port, ssl=context, server_hostname=host if tls else None
                    )
            except TimeoutError:
                problem = FetchError(f"No connection within {timeout_s:g} s", is_sent=False)
            except OSError as exc:
                problem = socket_error(exc, host=host, port=port)
        assert problem is not None  # there was an address
        raise problem

    async def _trusted(self) -> ssl.SSLContext:
        """Return the authorities to trust, loaded once: 20 to 50 ms, in a thread."""
        if self._ssl_context is None:
            if self._loading is None:
                self._loading = asyncio.ensure_future(asyncio.to_thread(ssl.create_default_context))
            # shielded: the attempt that began it may be cut off before others that wait for it
            self._ssl_context = await asyncio.shield(self._loading)
        return self._ssl_context


def check_host(host: str, port: int, ports: Ports = ANY_PORT) -> str:
    """Return the name or address that will be connected to, without brackets or a dot at its end.

    Raises:
        BlockedRequestError: It is neither, or the port is not allowed.
    """
    written = f"[{host}]" if ":" in host and not host.startswith("[") else host
    has_port = ":" in host and parse_ip(host.strip("[]")) is None
    if has_port or any(sign in host for sign in "/?#@ "):
        raise BlockedRequestError("The host must be a name or an address alone, such as db.example.com")
    found = check_url(f"https://{written}:{port}/", ports).raw_host
    assert found is not None  # a checked URL has one
    return found


def _is_allowed(text: str, port: int, allow: AddressPolicy) -> bool:
    address = parse_ip(text)
    return address is not None and allow(address, port)


def _describe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect_ms: int) -> OpenSocket:
    found = writer.get_extra_info("ssl_object")
    if found is None:
        return OpenSocket(reader, writer, connect_ms)
    certificate = found.getpeercert() or {}
    ends = certificate.get("notAfter")
    names = {key: value for part in certificate.get("issuer", ()) for key, value in part}
    return OpenSocket(
        reader,
        writer,
        connect_ms,
        certificate_ends_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if ends else None,
        issuer=str(names.get("organizationName") or names.get("commonName") or ""),
        tls_version=found.version() or "",
    )
