"""The local pinger: asks a server on this machine for a tick, at once and then at even intervals."""

import asyncio
import http.client
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from functions.commands.ticking import sentence

ANSWER_WITHIN_S = 90.0  # more than any tick takes
LOOK_AGAIN_S = 0.1


class Pinger:
    """Knows the server's address and secret.

    Args:
        clock: The present moment.
    """

    def __init__(self, host: str, port: int, *, secret: str, clock: Callable[[], datetime]) -> None:
        self.address = f"http://{host}:{port}"
        self._host = host
        self._port = port
        self._secret = secret
        self._clock = clock

    async def until_it_answers(self) -> None:
        """Return when the server answers; until then ask again and again."""
        while True:
            try:
                status, _ = await asyncio.to_thread(self._call, "GET", "/healthz")
            except (OSError, http.client.HTTPException):
                status = 0
            if status == http.client.OK:
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def for_ever(self, *, every_s: int, tell: Callable[[str], None]) -> None:
        """Ping now, and then every *every_s* seconds by the clock; *tell* gets a line each time."""
        while True:
            said = await self.ping()
            tell(said)
            await asyncio.sleep(every_s - self._clock().timestamp() % every_s)

    async def ping(self) -> str:
        """Ask for one tick; return what came of it, in one line."""
        try:
            status, answer = await asyncio.to_thread(self._call, "POST", "/tick")
        except (OSError, http.client.HTTPException) as exc:
            return f"no answer ({type(exc).__name__})"
        if answer.get("status") == "ok":
            return sentence(answer)
        return f"HTTP {status}: {json.dumps(answer, ensure_ascii=False)}"

    def _call(self, method: str, path: str) -> tuple[int, Mapping[str, Any]]:
        # The standard library's client, because it takes no proxy from the environment.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self._secret}"})
            response = connection.getresponse()
            return response.status, _object(response.read())
        finally:
            connection.close()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
