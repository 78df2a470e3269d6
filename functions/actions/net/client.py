"""The guarded HTTP client: what the rest of the program holds when it calls an address given by a user."""

import ssl
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from functions.actions.net.addresses import ANY_PORT, WEB_PORTS, Allow, public_only, public_or_private
from functions.actions.net.errors import FetchError, RefusedError
from functions.actions.net.names import Names, Resolve
from functions.actions.net.response import Response

__all__ = ["FetchError", "HttpClient", "RefusedError", "Response"]

if TYPE_CHECKING:
    from functions.actions.net.exchange import Exchange

USER_AGENT = "Cronfire/0.1.0"


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
        allow: Allow | None = None,
        ports: Collection[int] | None = None,
        resolve: Resolve | None = None,
        max_connections: int = 200,
        ssl_context: ssl.SSLContext | None = None,
        user_agent: str = USER_AGENT,
    ) -> None:
        self._allow = allow or (public_or_private if allow_private else public_only)
        default_ports = ANY_PORT if allow_private else WEB_PORTS
        self._ports = default_ports if ports is None else frozenset(ports)
        self._names = Names()
        self._resolve = resolve or self._names
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._user_agent = user_agent
        self._clock = clock
        self._exchange: Exchange | None = None

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
            RefusedError: The address, or something about the call, is not allowed. Permanent.
            FetchError: No usable answer came, or not in time.
        """
        exchange = self._exchange or self._start()
        try:
            with exchange.deadlines.within(timeout_s):
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
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.close()
        self._names.close()

    def _start(self) -> "Exchange":
        # Imported with the first call: aiohttp costs a fifth of a second, which a tick with nothing due,
        # and so most cold starts, need not wait for.
        from functions.actions.net.connections import Connections
        from functions.actions.net.exchange import Exchange

        connections = Connections(
            allow=self._allow,
            resolve=self._resolve,
            max_connections=self._max_connections,
            user_agent=self._user_agent,
            ssl_context=self._ssl_context,
        )
        self._exchange = Exchange(connections, ports=self._ports, clock=self._clock)
        return self._exchange
