"""The call to a vendor: the only place in this room that opens a connection."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a vendor answered.

    Attributes:
        headers: By lower-case name.
        body: At most the first 64 KiB.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


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


MAX_RESPONSE_BYTES = 64 * 1024  # more than any vendor's word; the rest is not read


class TrustedHttpClient:
    """Posts to addresses from our own settings: no redirects, no proxy of the environment, no cookies.

    Needs a running loop only when it is called; works in a second loop after the first has ended.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> HttpResponse:
        """Send *body* to *url* once.

        Raises:
            PostError: No answer within *timeout_s* seconds in all, or none at all.
        """
        import aiohttp  # ~100 ms at a cold start; most ticks tell nobody anything

        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(url, headers, body)
        except TimeoutError:
            raise PostError(f"no answer within {timeout_s:g} s") from None  # the cause names the address
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise PostError(f"no answer ({type(exc).__name__})") from None

    async def close(self) -> None:
        """Release the session. A later call opens a new one."""
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        async with self._get_session().post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) >= MAX_RESPONSE_BYTES:
                    break
            named = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(response.status, named, bytes(content[:MAX_RESPONSE_BYTES]))

    def _get_session(self) -> "aiohttp.ClientSession":
        import aiohttp  # loaded by now

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                # A connection kept from the last tick is dead after the freeze between two requests.
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # ours is around the whole call
                auto_decompress=False,  # nor do we ask for compression: no bombs
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                headers={"Accept-Encoding": "identity", "User-Agent": "cronfire"},
                trust_env=False,
            )
        return self._session

    def __repr__(self) -> str:
        return "TrustedHttpClient()"
