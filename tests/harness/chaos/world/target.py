"""The other side: an HTTP target that misbehaves as its address asks, and the sink of notices."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.harness.chaos.checker.history import Call

QUIET = logging.getLogger("chaos.target")  # connections that are cut are no news here
QUIET.disabled = True
# Set as the answer leaves: what comes after that does not take it back.
ANSWERED = web.RequestKey("answered", bool)
HANG_S = 30.0  # longer than any timeout in these runs
WELL = ("slow", "drip", "wait", "deadly", "refused")  # other ways to a good answer
MIXED = (
    ("ok",) * 80 + ("500",) * 5 + ("503",) * 4 + ("hang",) * 2 + ("reset",) * 3 + ("slow",) * 5 + ("drip",)
)


class Target:
    """Serves `/t/<manner>/...` and `/notices` on one port of the loopback; keeps what it saw.

    How a call with manner `mixed` is answered follows from the seed, the key and the attempt alone; with
    manner `hand`, from whom a test puts in charge.

    Attributes:
        arrived: Calls so far, those not answered yet included.
        by_hand: Returns the manner of a call, given its key and attempt.
        released: Set when calls of the manner `wait` are to be answered.
        refuses_notices: Whether the channel is down.
    """

    def __init__(self, seed: int, time: Callable[[], float]) -> None:
        self.calls: list[Call] = []
        self.told: list[str] = []
        self.told_at: list[float] = []
        self.long_words: list[float] = []
        self.arrived = 0
        self.refuses_notices = False
        self.released = asyncio.Event()
        self.by_hand: Callable[[str, int], str] = lambda _key, _attempt: "ok"
        self.port = 0
        self._seed = seed
        self._time = time
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Open a free port."""
        app = web.Application()
        app.router.add_post("/t/{manner}", self._called)
        app.router.add_post("/notices", self._noticed)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, logger=QUIET)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=2048)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _called(self, request: web.Request) -> web.StreamResponse:
        arrived = self._time()
        key, attempt = request.headers["Idempotency-Key"], int(request.headers["X-Attempt"])
        manner = request.match_info["manner"]
        if manner == "mixed":
            manner = random.Random(f"{self._seed} {key} {attempt}").choice(MIXED)
        if manner == "hand":
            manner = self.by_hand(key, attempt)
        self.arrived += 1
        answer = "gone"
        try:
            if manner == "wait":
                await self.released.wait()
            response = await ANSWERS[manner](request)
            request[ANSWERED] = True
        finally:
            if request.get(ANSWERED):  # the caller may have gone since, with the answer
                answer = manner if manner not in WELL else "ok"
            process = request.headers.get("X-Process", "?")
            self.calls.append(Call(key, attempt, process, arrived, self._time(), answer))
        return response

    async def _noticed(self, request: web.Request) -> web.Response:
        message = json.loads(await request.read())
        if self.refuses_notices:
            return web.Response(status=503)
        ids = [notice["id"] for notice in message["data"]["notices"]]
        self.told += ids
        self.told_at += [self._time()] * len(ids)
        if message["data"].get("more"):
            self.long_words.append(self._time())
        return web.Response(status=204)


async def _ok(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.02)
    return await _sent(request, 200)


async def _fails(request: web.Request) -> web.StreamResponse:
    return await _sent(request, 500)


async def _busy(request: web.Request) -> web.StreamResponse:
    return await _sent(request, 503, {"Retry-After": "5"})


async def _hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(HANG_S)
    return await _sent(request, 200)


async def _resets(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=200)


async def _slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(1.5)
    return await _sent(request, 200)


async def _drips(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "8"})
    request[ANSWERED] = True  # a caller may be content with the status
    await response.prepare(request)
    for left in reversed(range(8)):
        await response.write(b".")
        if left:
            await asyncio.sleep(0.15)
    await response.write_eof()
    return response


async def _sent(
    request: web.Request, status: int, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Send the whole answer now, so that the log's end of the call is the answer's."""
    response = web.Response(status=status, text="done", headers=headers)
    request[ANSWERED] = True  # it may leave whole with the headers
    await response.prepare(request)
    await response.write_eof()
    return response


ANSWERS: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "ok": _ok,
    "wait": _ok,
    "500": _fails,
    "503": _busy,
    "hang": _hangs,
    "reset": _resets,
    "slow": _slow,
    "drip": _drips,
    "deadly": _ok,
    "refused": _ok,
}
