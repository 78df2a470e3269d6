"""The client for addresses that come from the program's own settings, never from a user's task."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import aiohttp

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
    """No answer came. The text never holds the address, which is often the secret itself."""


class TrustedHttpClient:
    """Sends requests without redirects, without a proxy of the environment and without cookies.

    Needs a running loop only when it is called; works in a second loop after the first has ended.

    Args:
        keepalive_s: How long a connection is kept for the next request. By default it is closed at once: a
            connection kept from the last tick is dead after the freeze between two ticks.
        compressed: Whether compressed responses are asked for. By default they are not.
    """

    def __init__(self, *, keepalive_s: float | None = None, compressed: bool = False) -> None:
        self._keepalive_s = keepalive_s
        self._compressed = compressed
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

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
        import aiohttp  # ~100 ms of a cold start; most ticks send nothing

        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(method, url, headers, body, max_bytes)
        except TimeoutError:
            raise PostError(f"no answer within {timeout_s:g} s") from None  # the cause names the address
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise PostError(f"no answer ({type(exc).__name__})") from None

    async def close(self) -> None:
        """Release the session. A later call opens a new one."""
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, max_bytes: int
    ) -> HttpResponse:
        async with self._get_session().request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > max_bytes:
                    break
            named = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(
                response.status, named, bytes(content[:max_bytes]), truncated=len(content) > max_bytes
            )

    def _get_session(self) -> "aiohttp.ClientSession":
        import aiohttp  # loaded by now

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            headers = {"User-Agent": "cronfire"}
            if not self._compressed:
                headers["Accept-Encoding"] = "identity"
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True)
                if self._keepalive_s is None
                else aiohttp.TCPConnector(keepalive_timeout=self._keepalive_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # `request` bounds the whole exchange
                auto_decompress=self._compressed,
                skip_auto_headers=("User-Agent",),
                headers=headers,
                trust_env=False,
            )
        return self._session

    def __repr__(self) -> str:
        return "TrustedHttpClient()"
