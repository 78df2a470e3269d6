"""One HTTP exchange with Feishu: the only place of this store that opens connections."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.stores.bitable.config import NoAnswerError

if TYPE_CHECKING:
    import aiohttp

MAX_RESPONSE_BYTES = 64 << 20  # a page of 500 rows with long notes; more is no answer of Feishu's
KEEPALIVE_S = 10.0  # a connection kept longer may be dead after the freeze between two ticks


@dataclass(frozen=True, slots=True)
class FeishuResponse:
    """What came back.

    Attributes:
        headers: By lower-case name.
        body: A JSON object; empty when it was none.
    """

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class HttpConnection:
    """Connections to one host: no redirects, no proxy of the environment, no cookies.

    Needs a running loop only when it is asked; works in a second loop after the first has ended.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: Any, timeout_s: float
    ) -> FeishuResponse:
        """Ask once.

        Raises:
            NoAnswerError: No answer within *timeout_s* seconds in all, or none that can be read.
        """
        import aiohttp  # ~100 ms at a cold start: only who keeps tasks in Feishu pays for it

        content = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(method, path, headers, content)
        except TimeoutError:
            raise NoAnswerError(f"Feishu did not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # whose text would name the base
            raise NoAnswerError(f"Feishu could not be reached ({type(exc).__name__})") from None

    async def close(self) -> None:
        """Release the connections. A later question opens new ones."""
        session, self._session = self._session, None
        if session is not None and self._loop is asyncio.get_running_loop():
            await session.close()

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None
    ) -> FeishuResponse:
        url = f"{self._base_url}{path}"
        async with self._get_session().request(
            method, url, data=content, headers=headers, allow_redirects=False
        ) as response:
            text = bytearray()
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > MAX_RESPONSE_BYTES:
                    raise ValueError("too long")
            named = {name.lower(): value for name, value in response.headers.items()}
            return FeishuResponse(response.status, named, _parse_object(bytes(text)))

    def _get_session(self) -> "aiohttp.ClientSession":
        import aiohttp  # loaded by now

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # ours is around the whole exchange
                skip_auto_headers=("User-Agent",),
                headers={"User-Agent": "cronfire"},
                trust_env=False,
            )
        return self._session

    def __repr__(self) -> str:
        return "HttpConnection()"


def _parse_object(text: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(text or b"{}")
    except ValueError:  # a gateway's page
        return {}
    return body if isinstance(body, dict) else {}
