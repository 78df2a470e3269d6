"""The API over a real store in a file and a real tick; the time stands still."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.web.factory import build_api_app
from tests.support.clock import Clock
from tests.unit.web.asgi import Answer, call

ADMIN = "an-administrators-key-of-32-characters"
HEALTH = {
    "title": "Shop front answers",
    "type": "health_check_url",
    "schedule": "*/5 * * * *",
    "timezone": "Europe/Riga",
    "params": {"url": "https://shop.example.com"},
}

Call = Callable[..., Awaitable[Answer]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def wired(tmp_path: Path, clock: Clock) -> AsyncIterator[App]:
    settings = Settings.from_env(
        {"STORE_URL": f"sqlite:///{tmp_path}/api.db", "API_KEY": ADMIN}, serves_http=False
    )
    wired = App(settings, clock=clock)
    yield wired
    await wired.close()


@pytest.fixture
def api(wired: App, clock: Clock) -> Call:
    """Ask the API; *key* None sends none, *json_* or *raw* is the body."""
    app = build_api_app(
        Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired, clock=lambda: clock.now.timestamp()
    )

    async def ask(
        method: str,
        target: str,
        json_: Any = None,
        *,
        key: str | None = ADMIN,
        headers: dict[str, str] | None = None,
        raw: bytes = b"",
    ) -> Answer:
        sent = [("Authorization", f"Bearer {key}")] if key else []
        body = raw if json_ is None else json.dumps(json_).encode()
        if json_ is not None:
            sent.append(("Content-Type", "application/json"))
        return await call(app, method, target, *sent, *(headers or {}).items(), body=body)

    return ask


@pytest.fixture
async def description(api: Call, openapi_text: list[bytes]) -> Any:
    """What the API says of itself, for a test to do with as it likes."""
    if not openapi_text:
        openapi_text.append((await api("GET", "/openapi.json", key=None)).body)
    return json.loads(openapi_text[0])


@pytest.fixture(scope="session")
def openapi_text() -> list[bytes]:
    """The first answer: the next application would say the same, and work on it for a fifth of a second."""
    return []


@pytest.fixture
def make_key(api: Call) -> Callable[..., Awaitable[str]]:
    """Make a key with these scopes; return its token."""

    async def make(*scopes: str, **more: Any) -> str:
        made = await api("POST", "/api/keys", {"name": "test", "scopes": scopes} | more)
        assert 201 == made.status, made.body
        token: str = made.json["token"]
        return token

    return make
