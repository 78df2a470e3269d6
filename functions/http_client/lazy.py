"""Guarded clients that import aiohttp with their first call, which saves 100 ms of a cold start."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from functions.http_client import BlockedRequestError
from functions.http_client.responses import Response

if TYPE_CHECKING:
    from functions.http_client.client import HttpClient


class LazyHttpClient:
    """An `HttpClient` that is made with its first call; see there for *allow_private*.

    Args:
        clock: The current time, aware and in UTC.
    """

    def __init__(self, *, clock: Callable[[], datetime], allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._client: HttpClient | None = None

    def request(self, method: str, url: str, **options: Any) -> Coroutine[Any, Any, Response]:
        """As `HttpClient.request`."""
        if self._client is None:
            # Imported with the first call: a tick with nothing due need not wait for it.
            from functions.http_client.client import HttpClient

            self._client = HttpClient(
                clock=lambda: self._clock().timestamp(), allow_private=self._allow_private
            )
        return self._client.request(method, url, **options)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()


class SingleOriginClient:
    """Calls one scheme, host and port, and refuses every other; metadata services stay refused even here.

    For example a model's server on the same network, whose address comes from the settings.

    Args:
        origin_url: Any address of the origin.
        clock: As for `HttpClient`.
    """

    def __init__(self, origin_url: str, *, clock: Callable[[], float]) -> None:
        self._origin_url = origin_url
        self._clock = clock
        self._client: HttpClient | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_redirects: int = 0,
        max_body_bytes: int = 65_536,
        timeout_s: float,
    ) -> Response:
        """As `HttpClient.request`, but a redirect is never followed: it could lead elsewhere."""
        # Imported with the first call: most processes never call a model.
        from functions.http_client.client import HttpClient
        from functions.http_client.requests import check_url

        origin = check_url(self._origin_url).origin()
        if origin != check_url(url).origin():
            raise BlockedRequestError("The URL is not on the server that was set up")
        if self._client is None:
            port = origin.port
            ports = frozenset({port}) if port is not None else frozenset[int]()
            self._client = HttpClient(clock=self._clock, allow_private=True, ports=ports)
        return await self._client.request(
            method,
            url,
            headers=headers,
            body=body,
            max_redirects=0,
            max_body_bytes=max_body_bytes,
            timeout_s=timeout_s,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
