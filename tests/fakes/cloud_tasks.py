"""A queue that behaves as Cloud Tasks does where its emulator does not: names, ID tokens, rates, retries."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

NAME = re.compile(r"^projects/[^/]+/locations/[^/]+/queues/[^/]+/tasks/[A-Za-z0-9_-]{1,500}$")
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 409: "ALREADY_EXISTS"}
STATUS |= {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


@dataclass
class FakeCloudTasks:
    """One queue on loopback.

    Attributes:
        token: What callers must have; empty lets everybody in, as an emulator does.
        sign: Makes the ID token for an account and an audience.
        refuses: A status to answer every message with, instead of taking it; 0 for none.
        at_once: Dispatches under way at the same time.
        attempts: Tries at one task, of which any answer of 2xx is the last.
        dispatches: Whether tasks are sent on at all; else they wait in `waiting`.
    """

    token: str = ""
    sign: Callable[[str, str], str] = lambda account, audience: f"{account} for {audience}"
    refuses: int = 0
    hangs: bool = False
    at_once: int = 1000
    attempts: int = 3
    dispatches: bool = True
    address: str = ""
    names: list[str] = field(default_factory=list)
    collapsed: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    most_at_once: int = 0
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _now: int = 0

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    async def create(self, request: web.Request) -> web.Response:
        if self.hangs:
            await asyncio.Event().wait()
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401)
        if self.refuses:
            return _error(self.refuses)
        task = (await request.json())["task"]
        name = task["name"]
        parent = f"{request.match_info['queue']}/tasks/"
        if not NAME.match(name) or not name.startswith(parent) or not _fits(task):
            return _error(400)
        if name in self.names:  # also one that is done: a name is taken for a while after that
            self.collapsed += 1
            return _error(409)
        self.names.append(name)
        if self.dispatches:
            one = asyncio.create_task(self._dispatch(task))
            self._under_way.add(one)
            one.add_done_callback(self._under_way.discard)
        else:
            self.waiting.append(task)
        return web.json_response(task)

    async def drained(self) -> None:
        """Return when every task, and those that came of them, are done or given up."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def _dispatch(self, task: dict[str, Any]) -> None:
        asked = task["httpRequest"]
        headers = {"X-CloudTasks-QueueName": task["name"].split("/")[5], "User-Agent": "Google-Cloud-Tasks"}
        headers |= asked.get("headers", {})
        if token := asked.get("oidcToken"):
            signed = self.sign(token["serviceAccountEmail"], token.get("audience") or asked["url"])
            headers["Authorization"] = f"Bearer {signed}"
        async with aiohttp.ClientSession() as session:
            for attempt in range(self.attempts):
                while self._now >= self.at_once:
                    await asyncio.wait(self._under_way, timeout=0.01)
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                try:
                    async with session.request(
                        asked["httpMethod"],
                        asked["url"],
                        headers=headers | {"X-CloudTasks-TaskRetryCount": str(attempt)},
                        data=base64.b64decode(asked["body"]),
                    ) as answer:
                        self.answers.append((answer.status, await answer.text()))
                        if 200 <= answer.status < 300:
                            return
                finally:
                    self._now -= 1

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeCloudTasks"]:
        app = web.Application()
        app.router.add_post("/v2/{queue:projects/[^/]+/locations/[^/]+/queues/[^/]+}/tasks", self.create)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for one in self._under_way:
                one.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await runner.cleanup()


def _fits(task: dict[str, Any]) -> bool:
    deadline = float(task.get("dispatchDeadline", "600s").removesuffix("s"))
    return 15 <= deadline <= 1800 and len(task["httpRequest"]["body"]) <= 1024 * 1024


def _error(status: int) -> web.Response:
    error = {"code": status, "status": STATUS[status], "message": "a text that may hold what was sent"}
    return web.json_response({"error": error}, status=status)
