"""The dashboard over a real store; cookies are kept as a browser keeps them."""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.web.factory import build_api_app
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, api, clock, make_key, wired
from tests.unit.web.asgi import Answer, call

__all__ = ["Browser", "Clock", "api", "clock", "make_key", "wired"]


class Browser:
    """Asks for pages and sends forms, with the cookie and the proof it was given."""

    def __init__(self, app: object) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}
        self.proof = ""
        self.extra_headers: dict[str, str] = {}

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def request(self, method: str, path: str) -> Answer:
        return self._seen(await call(self._app, method, path, *self._headers()))  # type: ignore[arg-type]

    async def post(self, path: str, *, proof: str | None = None, **typed: str) -> Answer:
        body = urlencode({"csrf_token": self.proof if proof is None else proof} | typed).encode()
        headers = [*self._headers(), ("Content-Type", "application/x-www-form-urlencoded")]
        return self._seen(await call(self._app, "POST", path, *headers, body=body))  # type: ignore[arg-type]

    async def sign_in(self, key: str = ADMIN, to: str = "/dashboard") -> Answer:
        answer = await self.post("/dashboard/sign-in", key=key, to=to)
        await self.get("/dashboard")
        return answer

    def _headers(self) -> list[tuple[str, str]]:
        return [*([("Cookie", self.cookie)] if self.cookie else []), *self.extra_headers.items()]

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @cookie.setter
    def cookie(self, header: str) -> None:
        self.cookies = dict(one.split("=", 1) for one in header.split("; ") if one)

    def _seen(self, answer: Answer) -> Answer:
        if given := answer.headers.get("set-cookie"):
            name, _, value = given.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in given:
                del self.cookies[name]
        if found := re.search(rb'name="csrf_token" value="([0-9a-f]+)"', answer.body):
            self.proof = found[1].decode()
        return answer


@pytest.fixture
def browser(wired: App) -> Browser:
    return make_browser(wired)()


def make_browser(wired: App) -> Callable[[], Browser]:
    app = build_api_app(
        Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired, clock=lambda: wired.now().timestamp()
    )
    return lambda: Browser(app)
