"""What stands in for the application in tests, and what stands in for Google's keys."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.sharding import WorkerAssignment

SECRET = "live-secret-0123456789-abcdefghij"
RETIRING = "retiring-secret-0123456789-abcdef"
AUDIENCE = "https://cronfire.example.com"
ACCOUNT = "pinger@project.iam.gserviceaccount.com"


class FakeWired:
    """Answers what it was told to, and keeps the budgets of its ticks."""

    def __init__(self, failure: Exception | None = None, *, hangs: bool = False) -> None:
        self.failure = failure
        self.hangs = hangs
        self.budgets: list[TimeBudget] = []
        self.shares: list[WorkerAssignment] = []

    async def tick(self, budget: TimeBudget) -> Mapping[str, object]:
        self.budgets.append(budget)
        return await self._answer({"status": "ok", "due": 2, "failed": 2})

    async def run_worker(self, assignment: WorkerAssignment, budget: TimeBudget) -> Mapping[str, object]:
        self.shares.append(assignment)
        return await self.tick(budget)

    async def status(self) -> Mapping[str, object]:
        return await self._answer({"status": "healthy", "scheduledTasks": 15})

    async def metrics(self) -> str:
        await self._answer({})
        return "cronfire_tasks_due 3\n"

    async def _answer(self, body: Mapping[str, object]) -> Mapping[str, object]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        return body


@cache
def private_key(key_id: str) -> rsa.RSAPrivateKey:
    """The key of that name; made once, because making it takes 100 ms."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_key(key_id: str) -> rsa.RSAPublicKey:
    """The public half of the key of that name."""
    return private_key(key_id).public_key()


def web_key(key_id: str) -> dict[str, Any]:
    """The public half as Google publishes it."""
    key = jwt.algorithms.RSAAlgorithm.to_jwk(public_key(key_id), as_dict=True)
    return {"kid": key_id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": key["n"], "e": key["e"]}


def id_token(*, key_id: str = "first", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A token signed with the key of that name; a claim given as None is left out.

    The moments `iat` and `exp`, where they are numbers, are given in seconds from now.
    """
    now = int(time.time())
    for name in ("iat", "exp"):
        if isinstance(claims.get(name), int):
            claims[name] += now
    genuine = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "email_verified": True,
        "iat": now - 60,
        "exp": now + 3540,
    }
    payload = {name: value for name, value in (genuine | claims).items() if value is not None}
    return sign(json.dumps(payload).encode(), key_id=key_id, header=header)


def sign(payload: bytes, *, key_id: str = "first", header: Mapping[str, Any] | None = None) -> str:
    """A token of *payload*, whatever it holds, signed with the key of that name."""
    head = json.dumps({"alg": "RS256", "kid": key_id} | dict(header or {})).encode()
    signed = f"{encoded(head)}.{encoded(payload)}"
    signature = private_key(key_id).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encoded(signature)}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class FakeGoogle:
    """A server of keys on loopback.

    Attributes:
        key_ids: Keys it knows.
        asked: How often it was asked.
    """

    def __init__(self) -> None:
        self.url = ""
        self.key_ids = ["first"]
        self.asked = 0
        self.status = 200
        self.headers = {"Cache-Control": "public, max-age=3600, must-revalidate"}
        self.body: str | None = None
        self.hangs = False

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        body = self.body or json.dumps({"keys": [web_key(key_id) for key_id in self.key_ids]})
        return web.Response(text=body, status=self.status, headers=self.headers)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeGoogle"]:
        app = web.Application()
        app.router.add_get("/keys", self.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
        try:
            yield self
        finally:
            await runner.cleanup()


class FakeClock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
