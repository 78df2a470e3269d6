"""The guarded client, imported with its library when the first task needs it: 100 ms of cold start."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from functions.actions.net.response import Response

if TYPE_CHECKING:
    from functions.actions.net.client import HttpClient


class LateHttp:
    """An `HttpClient` that is made with its first call; see there for *allow_private*.

    Args:
        clock: The present moment, aware and in UTC.
    """

    def __init__(self, *, clock: Callable[[], datetime], allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._client: HttpClient | None = None

    async def request(self, method: str, url: str, **how: Any) -> Response:
        """As `HttpClient.request`."""
        if self._client is None:
            # Imported with the first call: a tick with nothing due need not wait for it.
            from functions.actions.net.client import HttpClient

            self._client = HttpClient(
                clock=lambda: self._clock().timestamp(), allow_private=self._allow_private
            )
        return await self._client.request(method, url, **how)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()
