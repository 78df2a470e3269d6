"""One call from first request to last answer: redirects followed by hand, the body read within its bound."""

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp

from functions.actions.net.addresses import Ports
from functions.actions.net.body import read_body
from functions.actions.net.calls import Call, checked_call
from functions.actions.net.connections import Answer, Connections
from functions.actions.net.errors import FetchError, RefusedError
from functions.actions.net.faults import fault
from functions.actions.net.headers import readable
from functions.actions.net.redirects import REDIRECTS, lowered, redirected
from functions.actions.net.response import Response
from functions.deadlines import Deadlines

_SECONDS_A_DAY = 86_400


class Exchange:
    """How calls are made: over which connections, to which ports, by which clocks. Make it inside the loop.

    Args:
        ports: Those a redirect may lead to.
        clock: Seconds since the epoch, to tell how long a certificate lasts.

    Attributes:
        deadlines: Those of the calls.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        ports: Ports,
        clock: Callable[[], float],
    ) -> None:
        self._connections = connections
        self._ports = ports
        self._elapsing = asyncio.get_running_loop().time
        self.deadlines = Deadlines()
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
        call = checked_call(method, url, headers, body, self._ports)
        started = self._elapsing()
        answer = await self._connections.send(call)
        if answer.status in REDIRECTS and max_redirects > 0:
            call, answer = await self._follow(call, answer, max_redirects)
        elapsed_ms = round((self._elapsing() - started) * 1000)
        content, truncated = await _read(answer, max_body_bytes)
        return Response(
            status=answer.status,
            headers=readable(answer.headers.items()),
            body=content,
            truncated=truncated,
            url=str(call.url),
            elapsed_ms=elapsed_ms,
            certificate_days_left=self._days_left(answer),
        )

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        await self._connections.close()

    async def _follow(self, call: Call, answer: Answer, max_redirects: int) -> tuple[Call, Answer]:
        seen = {(call.method, call.url)}
        while (following := self._following(call, answer)) is not None:
            answer.release()
            call = following
            if (call.method, call.url) in seen:
                raise FetchError("It redirects in a circle")
            if len(seen) > max_redirects:
                raise FetchError(f"It redirects more than {max_redirects} times")
            seen.add((call.method, call.url))
            answer = await self._send_on(call)
        return call, answer

    def _following(self, call: Call, answer: Answer) -> Call | None:
        try:
            return redirected(call, answer.status, answer.headers.get("Location"), self._ports)
        except FetchError:
            answer.close()
            raise

    async def _send_on(self, call: Call) -> Answer:
        try:
            return await self._connections.send(call)
        except RefusedError as exc:
            raise RefusedError(f"The redirect was not followed: {lowered(exc.reason)}") from None

    def _days_left(self, answer: Answer) -> int | None:
        if not answer.certificate:
            return None
        ends = ssl.cert_time_to_seconds(answer.certificate["notAfter"])
        return int((ends - self._clock()) // _SECONDS_A_DAY)


async def _read(answer: Answer, max_bytes: int) -> tuple[bytes, bool]:
    encodings = answer.headers.getall("Content-Encoding", ())
    try:
        return await read_body(answer.content.readany, encodings, max_bytes)
    except (aiohttp.ClientError, OSError) as exc:
        raise fault(exc) from None
    finally:
        answer.close()  # one that is read to its end has given its connection back already
