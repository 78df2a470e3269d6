"""The client for addresses that come from the program's own settings, never from a user's task."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from functions.http_client import FetchError, lower_first
from functions.http_client.lazy import trusted_client

MAX_RESPONSE_BYTES = 64 * 1024  # more than any service a message is posted to needs for its answer


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to one request.

    Attributes:
        headers: By lower-case name.
        body: At most as many bytes as the caller allowed.
        truncated: True when the body was longer; the rest was not read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


class PostRequest(Protocol):
    """Send *body* to *url* once, following no redirect.

    Raises:
        PostError: No answer within *timeout_s* seconds, or none at all.
    """

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> HttpResponse: ...


class PostError(Exception):
    """No answer came. The text never holds the address, which is often the secret itself.

    Attributes:
        is_sent: False when no connection was made, so that the other side cannot have the request.
    """

    def __init__(self, reason: str, *, is_sent: bool = True) -> None:
        super().__init__(reason)
        self.is_sent = is_sent


class TrustedHttpClient:
    """Sends requests by httpx, without redirects, a proxy of the environment or cookies.

    Needs a running loop only when it is called; works in a second loop after the first has ended.

    Args:
        keepalive_s: How long a connection is kept for the next request. By default it is closed at once: a
            connection kept from the last tick is dead after the freeze between two ticks.
    """

    def __init__(self, *, keepalive_s: float = 0) -> None:
        self._client = trusted_client(keepalive_s=keepalive_s)

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> HttpResponse:
        """Post *body* to *url* once; errors as from `request`."""
        return await self.request("POST", url, headers=headers, body=body, timeout_s=timeout_s)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> HttpResponse:
        """Send one request.

        Args:
            timeout_s: The time for the whole exchange, from the name look-up to the last byte.
            max_bytes: What is read of the body at most, after unpacking.

        Raises:
            PostError: No answer within *timeout_s* seconds, or none at all.
        """
        try:
            response = await self._client().request(
                method,
                url,
                headers=dict(headers),
                content=body,
                timeout=timeout_s,
                extensions={"max_body_bytes": max_bytes},
            )
        except FetchError as exc:
            raise PostError(lower_first(exc.reason), is_sent=exc.is_sent) from None
        except ValueError:  # its text holds the value
            raise PostError("a header cannot be sent: its name is not ASCII", is_sent=False) from None
        return HttpResponse(
            response.status_code,
            dict(response.headers),
            response.content,
            truncated=response.extensions["truncated"],
        )

    async def close(self) -> None:
        """Release the connections. A later call opens new ones."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return "TrustedHttpClient()"
