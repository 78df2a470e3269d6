"""`HttpClient`, the guarded client: one call to a user's address, redirects included."""

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import aiohttp

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.addresses import (
    ANY_PORT,
    WEB_PORTS,
    AddressPolicy,
    Ports,
    is_public_address,
    is_public_or_private_address,
)
from functions.http_client.requests import (
    REDIRECT_STATUSES,
    Request,
    decode_headers,
    lower_first,
    next_request,
    validate_request,
)
from functions.http_client.responses import Response, read_body
from functions.http_client.transport import (
    GuardedConnector,
    GuardedResponse,
    Resolver,
    ThreadedResolver,
    to_fetch_error,
)

if TYPE_CHECKING:
    pass


__all__ = ["BlockedRequestError", "FetchError", "HttpClient", "Response"]


USER_AGENT = "Cronfire/0.2.0"


class HttpClient:
    """Calls addresses that users gave us, and refuses those no user may reach through us.

    Safe by default: http and https only, the usual ports of the web, public addresses, no proxy and no
    credentials from the environment, no cookies, bounded headers, bodies and time. Build it anywhere; it
    opens nothing before the first call, and belongs to the loop of that call from then on.

    A GET, HEAD, OPTIONS, PUT or DELETE whose connection breaks before any answer is sent once more, as
    RFC 9110 allows: the other side may have closed a connection just as we used it again.

    Args:
        allow_private: Allow private, loopback and link-local addresses, and any port. The metadata
            services of the clouds stay refused: 169.254.169.254, fd20:ce::254, metadata.google.internal
            and their like hand out the machine's own credentials.
        allow: The rule about addresses itself, in place of the one *allow_private* picks.
        ports: Ports that may be called; None means 80, 443, 8080 and 8443, or any with *allow_private*.
        resolve: Turns a host and port into addresses, in place of the system's resolver.
        max_connections: Open at one time, over all hosts; further calls wait, within their deadline.
        ssl_context: Whom to trust, in place of the system's authorities.
        clock: Seconds since the epoch, to tell how long a certificate lasts.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        allow_private: bool = False,
        allow: AddressPolicy | None = None,
        ports: Collection[int] | None = None,
        resolve: Resolver | None = None,
        max_connections: int = 200,
        ssl_context: ssl.SSLContext | None = None,
        user_agent: str = USER_AGENT,
    ) -> None:
        self._allow = allow or (is_public_or_private_address if allow_private else is_public_address)
        default_ports = ANY_PORT if allow_private else WEB_PORTS
        self._ports = default_ports if ports is None else frozenset(ports)
        self._resolver = ThreadedResolver()
        self._resolve = resolve or self._resolver
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._user_agent = user_agent
        self._clock = clock
        self._runner: RequestRunner | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_redirects: int = 3,
        max_body_bytes: int = 65_536,
        timeout_s: float,
    ) -> Response:
        """Return the answer, whatever its status.

        Args:
            headers: Sent as given; across origins only those that cannot hold a secret.
            max_redirects: Followed at most; one more is an error. 0 returns the redirect itself.
            max_body_bytes: Kept of the decompressed body; the rest is not read.
            timeout_s: For everything together: name, connection, TLS, redirects, headers and body.

        Raises:
            BlockedRequestError: The address, or something about the call, is not allowed. Permanent.
            FetchError: No usable answer came, or not in time.
        """
        exchange = self._runner or self._create_runner()
        try:
            async with asyncio.timeout(timeout_s):
                return await exchange.run(
                    method,
                    url,
                    headers or {},
                    body,
                    max_redirects=max_redirects,
                    max_body_bytes=max_body_bytes,
                )
        except TimeoutError:
            raise FetchError(f"No answer within {timeout_s:g} s") from None

    async def close(self) -> None:
        """Close every connection. A later call opens new ones."""
        exchange, self._runner = self._runner, None
        if exchange is not None:
            await exchange.close()
        self._resolver.close()

    def _create_runner(self) -> "RequestRunner":
        # Imported with the first call: aiohttp costs a fifth of a second, which a tick with nothing due,
        # and so most cold starts, need not wait for.
        from functions.http_client.transport import GuardedConnector

        connections = GuardedConnector(
            allow=self._allow,
            resolve=self._resolve,
            max_connections=self._max_connections,
            user_agent=self._user_agent,
            ssl_context=self._ssl_context,
        )
        self._runner = RequestRunner(connections, ports=self._ports, clock=self._clock)
        return self._runner


# -- one call: redirects followed here, the body read within its bound ----------------------

_SECONDS_A_DAY = 86_400


class RequestRunner:
    """How calls are made: over which connections, to which ports, by which clocks. Make it inside the loop.

    Args:
        ports: Those a redirect may lead to.
        clock: Seconds since the epoch, to tell how long a certificate lasts.
    """

    def __init__(
        self,
        connector: GuardedConnector,
        *,
        ports: Ports,
        clock: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._ports = ports
        self._monotonic = asyncio.get_running_loop().time
        self._clock = clock

    async def run(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        max_redirects: int,
        max_body_bytes: int,
    ) -> Response:
        """Do what `HttpClient.request` promises, but for the deadline."""
        call = validate_request(method, url, headers, body, self._ports)
        started = self._monotonic()
        answer = await self._connector.send(call)
        if answer.status in REDIRECT_STATUSES and max_redirects > 0:
            call, answer = await self._follow_redirects(call, answer, max_redirects)
        elapsed_ms = round((self._monotonic() - started) * 1000)
        content, truncated = await _read_response_body(answer, max_body_bytes)
        return Response(
            status=answer.status,
            headers=decode_headers(answer.headers.items()),
            body=content,
            truncated=truncated,
            url=str(call.url),
            elapsed_ms=elapsed_ms,
            certificate_days_left=self._certificate_days_left(answer),
        )

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        await self._connector.close()

    async def _follow_redirects(
        self, request: Request, response: GuardedResponse, max_redirects: int
    ) -> tuple[Request, GuardedResponse]:
        seen = {(request.method, request.url)}
        while (following := self._next_request(request, response)) is not None:
            response.release()
            request = following
            if (request.method, request.url) in seen:
                raise FetchError("It redirects in a circle")
            if len(seen) > max_redirects:
                raise FetchError(f"It redirects more than {max_redirects} times")
            seen.add((request.method, request.url))
            response = await self._send(request)
        return request, response

    def _next_request(self, request: Request, response: GuardedResponse) -> Request | None:
        try:
            return next_request(request, response.status, response.headers.get("Location"), self._ports)
        except FetchError:
            response.close()
            raise

    async def _send(self, request: Request) -> GuardedResponse:
        try:
            return await self._connector.send(request)
        except BlockedRequestError as exc:
            raise BlockedRequestError(f"The redirect was not followed: {lower_first(exc.reason)}") from None

    def _certificate_days_left(self, response: GuardedResponse) -> int | None:
        if not response.certificate:
            return None
        ends = ssl.cert_time_to_seconds(response.certificate["notAfter"])
        return int((ends - self._clock()) // _SECONDS_A_DAY)


async def _read_response_body(response: GuardedResponse, max_bytes: int) -> tuple[bytes, bool]:
    encodings = response.headers.getall("Content-Encoding", ())
    try:
        return await read_body(response.content.readany, encodings, max_bytes)
    except (aiohttp.ClientError, OSError) as exc:
        raise to_fetch_error(exc) from None
    finally:
        response.close()  # one that is read to its end has given its connection back already
