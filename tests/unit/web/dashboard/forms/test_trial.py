"""The request of a task is tested before it is saved: once, bounded, masked, by who may write tasks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.app.application import App
from functions.config.settings import Settings
from tests.support.clock import Clock
from tests.support.html_forms import form_fields
from tests.unit.web.api.conftest import ADMIN, clock
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser, make_browser

__all__ = ["clock"]

NEW = "/dashboard/new"
TOKEN = "a-token-that-nobody-sees"  # what must not be shown
MakeKey = Callable[..., Awaitable[str]]


class Shop:
    """Answers every request with what it was sent."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path_qs}")
        seen = request.headers.get("X-Token", "")
        headers = {"Set-Cookie": "session=secret-of-the-shop", "X-Seen": seen}
        return web.Response(text=f"<b>hello</b> {seen} " + "x" * 9000, headers=headers, status=201)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    await shop.server.start_server()
    yield shop
    await shop.server.close()


@pytest.fixture
async def app(tmp_path: Path, clock: Clock) -> AsyncIterator[App]:
    env = {"STORE_URL": f"sqlite:///{tmp_path}/trial.db", "API_KEY": ADMIN, "ALLOW_PRIVATE_NETWORKS": "1"}
    app = App(Settings.from_env(env | {"TASK_SECRET_SHOP": TOKEN}, serves_http=False), clock=clock)
    yield app
    await app.close()


@pytest.fixture
async def browser(app: App) -> Browser:
    signed_in = make_browser(app)()
    await signed_in.sign_in()
    return signed_in


async def tried(browser: Browser, type_name: str, **typed: str) -> Answer:
    page = await browser.get(f"{NEW}?type={type_name}")
    fields = form_fields(page.body.decode(), form_id="task")
    del fields["csrf_token"]
    return await browser.post(NEW, **fields | typed | {"do": "test"})


@pytest.mark.slow
async def test_the_answer_is_shown_and_nothing_is_saved(browser: Browser, app: App, shop: Shop) -> None:
    url = str(shop.server.make_url("/orders"))
    typed = {"params.url": url, "params.query.0.name": "a", "params.query.0.value": "1"}

    answer = await tried(
        browser,
        "http",
        **typed,
        **{"params.headers.0.name": "X-Token", "params.headers.0.value": "{{secret:SHOP}}"},
    )

    page = answer.body.decode()
    assert (200, ["GET /orders?a=1"]) == (answer.status, shop.calls)
    assert "Answered 201" in page
    assert "&lt;b&gt;hello&lt;/b&gt;" in page
    assert TOKEN not in page
    assert "secret-of-the-shop" not in page
    assert len(page) < 80_000
    assert url == form_fields(page, form_id="task")["params.url"], "what was typed is still there"
    assert [] == list((await app.store.get_tasks(["trial"])).tasks)


async def test_a_check_shows_why_it_would_fail(browser: Browser, shop: Shop) -> None:
    answer = await tried(browser, "health_check_url", **{"params.url": str(shop.server.make_url("/"))})

    assert b"Answered 201, expected 200" in answer.body
    assert b"hello" in answer.body, "the body too, which a check does not read"


@pytest.mark.parametrize(
    ("type_name", "text"), [("health_check_url", ""), ("health_check_url", "tick"), ("http", "tick")]
)
async def test_a_stream_without_an_end_is_judged_as_the_task_will_judge_it(
    browser: Browser, type_name: str, text: str
) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: tick\n\n")
        await asyncio.Event().wait()
        return answer

    app = web.Application()
    app.router.add_get("/", stream)
    async with TestServer(app) as server:
        typed = {"params.url": str(server.make_url("/")), "params.bodyContains": text}
        answer = await tried(browser, type_name, **typed)

    assert b"Answered 200 in" in answer.body
    assert b"data: tick" in answer.body


@pytest.mark.slow
async def test_wrong_settings_are_said_and_nothing_is_sent(browser: Browser, shop: Shop) -> None:
    answer = await tried(browser, "http", **{"params.url": "ftp://x", "title": "", "schedule": "61 * * * *"})

    assert 422 == answer.status
    assert b'id="wrong-params.url"' in answer.body
    assert b'id="wrong-schedule"' not in answer.body, "the schedule has no part in it"
    assert [] == shop.calls


@pytest.mark.slow
async def test_tests_are_few(browser: Browser, shop: Shop) -> None:
    url = str(shop.server.make_url("/"))

    answers = [await tried(browser, "http", **{"params.url": url}) for _ in range(8)]

    assert 6 == len(shop.calls)
    assert b"There are too many tests; wait" in answers[-1].body


async def test_who_may_not_write_tasks_tests_nothing(browser: Browser, app: App, shop: Shop) -> None:
    await browser.post("/dashboard/keys", do="save", name="Reader", **{"scopes.read": "on"})
    made = await browser.get("/dashboard/keys")
    reader = make_browser(app)()
    await reader.sign_in(made.body.decode().partition('id="token">')[2].partition("<")[0])

    answer = await reader.post(NEW, do="test", type="http", **{"params.url": str(shop.server.make_url("/"))})

    assert (403, []) == (answer.status, shop.calls)


@pytest.mark.slow
async def test_private_addresses_stay_shut(tmp_path: Path, clock: Clock, shop: Shop) -> None:
    env = {"STORE_URL": f"sqlite:///{tmp_path}/shut.db", "API_KEY": ADMIN}
    app = App(Settings.from_env(env, serves_http=False), clock=clock)
    signed_in = make_browser(app)()
    await signed_in.sign_in()

    answer = await tried(signed_in, "http", **{"params.url": str(shop.server.make_url("/"))})
    await app.close()

    assert [] == shop.calls
    assert b"fails" in answer.body
