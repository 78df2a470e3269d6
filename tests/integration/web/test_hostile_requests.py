"""Schedules and bodies made to be slow: each is answered, and the loop serves others meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.task_types.registry import example_params, type_names
from functions.web.factory import build_api_app
from tests.conftest import NOON
from tests.integration.test_hostile_documents import MAX_STALL_S, Heartbeat
from tests.unit.web.api.conftest import ADMIN
from tests.unit.web.asgi import Answer, call

KB64 = 64 * 1024
EVERYTHING = ",".join(map(str, range(60)))
SCHEDULES = {
    "never": "0 0 31 2 *",
    "nearly never": "0 0 29 2 */7",
    "never by the clock": "*/30 2 25-31 3 */7",
    "the fifth of a weekday": "0 0 * 2 1#5",
    "the last day": "59 23 L 12 *",
    "every minute, by a list": f"{EVERYTHING} * * * *"[:200],
    "ranges": "0-59/1 0-23/1 1-31/1 1-12/1 0-6/1",
    "ranges that end where they begin": ",".join(["1-1"] * 40) + " * * * *",
    "names": ",".join(["MON-SUN"] * 20) + " * * * *",
    "names of days": "0 0 * * " + ",".join(["MON-SUN"] * 20),
    "hashes": "H H H H H",
    "hashes in ranges": "H(0-59)/7 H(0-23)/5 * * *",
    "steps": "*/59 */23 */31 */12 */6",
    "a long number": "9" * 190 + " * * * *",
    "stars": "*" * 200,
    "commas": "," * 200,
    "slashes": "*/" * 100,
    "spaces": " " * 199 + "x",
    "words": "every " * 33,
    "a long interval": "every 999999999999999h",
    "the shortest interval": "every 1m",
    "an instant": "at 9000-12-31T23:59:59",
    "no instant": "at " + "1" * 190,
    "digits of others": "٠ ٠ * * *",
}
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe")
TASK: dict[str, Any] = {
    "id": "slow",
    "title": "Slow",
    "type": "http",
    "schedule": "@daily",
    "params": {"url": "https://example.com/"},
}


def body_of(**changes: Any) -> bytes:
    return json.dumps(TASK | changes).encode()


def filled(start: bytes, part: bytes, end: bytes) -> bytes:
    """As many of *part* as a body may hold."""
    return start + part * ((KB64 - len(start) - len(end)) // len(part)) + end


START = body_of()[:-1]
PARAMS = START + b',"params":{"url":"https://e.com",'
BODIES = {
    "deep lists": filled(b"", b"[", b""),
    "deep objects": filled(b"", b'{"a":', b""),
    "deep params": filled(START + b',"params":{"json":', b"[", b""),
    "as deep as may be": PARAMS + b'"json":' + b"[" * 90 + b"]" * 90 + b"}}",
    "many small values": filled(START + b',"params":{"json":[', b"[],", b"1]}}"),
    "many names": b"{" + b",".join(b'"a%d":1' % number for number in range(6000)) + b"}",
    "one name many times": filled(b"{", b'"title":1,', b'"a":1}'),
    "a long number": filled(START + b',"maxRuns":', b"9", b"}"),
    "a long fraction": filled(START + b',"timeoutSeconds":0.', b"1", b"}"),
    "many exponents": filled(START + b',"params":{"json":[', b"1e308,", b"1]}}"),
    "escapes": filled(START + b',"description":"', b"\\u0041", b'"}'),
    "half pairs": filled(START + b',"description":"', b"\\ud800", b'"}'),
    "a long title": filled(START + b',"title":"', b"a", b'"}'),
    "accents": filled(START + b',"id":null,"title":"', "e\u0301".encode(), b'"}'),
    "braces": filled(PARAMS + b'"body":"', b"{{", b'"}}'),
    "secrets that are none": filled(PARAMS + b'"body":"', b"{{secret:", b'"}}'),
    "secrets with room": filled(START + b',"params":{"body":"', b"{{ secret: " + b" " * 90, b'"}}'),
    "a long address": filled(START + b',"params":{"url":"https://', b"a.", b'"}}'),
    "an address of brackets": filled(START + b',"params":{"url":"https://[', b":", b'"}}'),
    "many addresses in one": filled(START + b',"params":{"url":"https://', b"user:pass@", b'e.com"}}'),
    "many tags": filled(START + b',"tags":[', b'"a",', b'"b"]}'),
    "many that it runs after": filled(START + b',"after":[', b'{"task":"a"},', b'{"task":"b"}]}'),
    "many rules": filled(START + b',"notify":[', b'{"on":["failure"]},', b'{"on":["failure"]}]}'),
    "many headers": filled(PARAMS + b'"headers":{', b'"A":"b",', b'"c":"d"}}}'),
    "no JSON": filled(b"", b'{"', b""),
    "no UTF-8": filled(b'{"title":"', b"\xff", b'"}'),
    "UTF-16": json.dumps(TASK).encode("utf-16"),
    "spaces": filled(b"", b" ", b"1"),
    "nothing but commas": filled(b"[", b",", b"]"),
}


class Asker:
    """Sends requests while a heart beats in the loop, and holds each to the limit."""

    def __init__(self, app: Any, heart: Heartbeat) -> None:
        self._app = app
        self._heart = heart

    async def __call__(self, method: str, target: str, body: bytes = b"", *, name: str = "") -> Answer:
        for _ in range(2):  # once more, as the machine's other work costs processor time as well
            self._heart.longest_s = 0.0
            answer = await self.warm_up(method, target, body)
            await asyncio.sleep(0.015)  # one more beat
            if self._heart.longest_s < MAX_STALL_S:
                break
        assert self._heart.longest_s < MAX_STALL_S, f"{name}: the loop stood still"
        assert answer.status < 500, name
        return answer

    async def warm_up(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Send a request that may take its time, as the first of a kind imports what the others use."""
        headers = [("Authorization", f"Bearer {ADMIN}"), ("Content-Type", "application/json")]
        return await call(self._app, method, target, *headers, body=body)


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Asker]:
    env = {"STORE_URL": f"sqlite:///{tmp_path}/hostile.db", "API_KEY": ADMIN}
    wired = App(Settings.from_env(env, serves_http=False), clock=lambda: NOON)
    seconds = iter(range(10**9))
    settings = Settings.from_env({"API_KEY": ADMIN}, serves_http=False)
    heart = Heartbeat()
    beating = asyncio.create_task(heart.beat())
    asker = Asker(build_api_app(settings, wired, clock=lambda: float(next(seconds))), heart)
    await asker.warm_up("GET", "/api/schedule/preview?schedule=@daily")
    await asker.warm_up("POST", "/api/tasks", body_of(id="first"))
    yield asker
    beating.cancel()
    await wired.close()


async def test_a_hostile_schedule_keeps_nobody_waiting(ask: Asker) -> None:
    """To be previewed, to be saved, and to be shown."""
    for number, (name, schedule) in enumerate(SCHEDULES.items()):
        zone = ZONES[number % len(ZONES)]
        query = f"schedule={quote(schedule)}&timezone={zone}&count=100"
        await ask("GET", f"/api/schedule/preview?{query}", name=name)
        body = body_of(id=f"slow-{number}", schedule=schedule, timezone=zone, jitterSeconds=59)
        saved = await ask("POST", "/api/tasks", body, name=name)
        assert saved.status in (201, 409, 422), (name, saved.body)
    listed = await ask("GET", "/api/tasks")

    assert 3 < len(listed.json["tasks"]) < len(SCHEDULES)


@pytest.mark.parametrize("path", ["/api/tasks", "/api/events"])
async def test_a_hostile_body_keeps_nobody_waiting(ask: Asker, path: str) -> None:
    for name, body in BODIES.items():
        assert len(body) <= KB64, name
        await ask("POST", path, body, name=name)


@pytest.mark.parametrize("type_", type_names())
async def test_params_of_each_type_may_be_as_large_as_a_body(ask: Asker, type_: str) -> None:
    """Each text of the example, made as long as may be, of letters that patterns fail on at their end."""
    params = example_params(type_)
    await ask.warm_up("POST", "/api/tasks", body_of(type=type_, params=params))

    for field in (field for field, value in params.items() if isinstance(value, str)):
        for letters in ("a", "a.", "@", "-", "0", "/", "\u0301"):
            text = params[field] + letters * (40_000 // len(letters.encode())) + "\n"
            body = body_of(type=type_, params=params | {field: text})
            await ask("POST", "/api/tasks", body, name=f"{field}: {letters}")
