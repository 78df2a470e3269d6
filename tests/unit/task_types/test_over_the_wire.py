"""The HTTP task types through the real client to a real server on this machine."""

import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.http_client.client import build_guarded_client
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools, run_job
from tests.unit.parsing.test_feeds import rss
from tests.unit.task_types.conftest import FakeRecords


async def _feed(request: web.Request) -> web.Response:
    if request.headers.get("If-None-Match") == '"v1"':
        return web.Response(status=304)
    body = rss("<title>First</title><link>/posts/1</link>")
    return web.Response(text=body, content_type="application/rss+xml", headers={"ETag": '"v1"'})


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "query": dict(request.query),
            "key": request.headers.get("Idempotency-Key"),
            "body": await request.text(),
        }
    )


async def _busy(_request: web.Request) -> web.Response:
    return web.Response(status=503, headers={"Retry-After": "7"}, text="later")


async def _away(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/feed")


async def _gone(_request: web.Request) -> web.Response:
    return web.Response(status=410)


async def _shop(request: web.Request) -> web.Response:
    if request.headers.get("If-None-Match") == '"v1"':
        return web.Response(status=304)
    body = "<title>Shop</title><main>Price 9</main>"
    return web.Response(text=body, content_type="text/html", headers={"ETag": '"v1"'})


async def _account(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/login")


async def _login(_request: web.Request) -> web.Response:
    body = "<title>Sign in</title><form><input type=password></form>"
    return web.Response(text=body, content_type="text/html")


async def _bomb(_request: web.Request) -> web.Response:
    """10 KB that unfold to 10 MB."""
    body = gzip.compress(b"<p>" * 3_500_000)
    return web.Response(body=body, content_type="text/html", headers={"Content-Encoding": "gzip"})


async def _moved(request: web.Request) -> web.Response:
    raise {"301": web.HTTPMovedPermanently, "308": web.HTTPPermanentRedirect, "302": web.HTTPFound}[
        request.match_info["status"]
    ]("/feed")


@pytest.fixture
async def base() -> AsyncIterator[str]:
    """The address of a server that feeds, echoes, is busy and redirects."""
    app = web.Application()
    app.router.add_get("/feed", _feed)
    app.router.add_route("*", "/echo", _echo)
    app.router.add_get("/busy", _busy)
    app.router.add_route("*", "/away", _away)
    app.router.add_get("/gone", _gone)
    app.router.add_get("/shop", _shop)
    app.router.add_get("/account", _account)
    app.router.add_get("/login", _login)
    app.router.add_get("/bomb", _bomb)
    app.router.add_get("/moved/{status}", _moved)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    client = build_guarded_client(allow_private=True)
    yield Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)
    await client.close_connections()


async def test_a_healthy_address_is_healthy(base: str, tools: Tools, make_job: Callable[..., Job]) -> None:
    outcome = await run_job(
        make_job("health_check_url", {"url": f"{base}/feed", "bodyContains": "First"}), tools
    )

    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert outcome.metrics.keys() == {"status", "latencyMs"}


async def test_a_busy_address_says_when_to_come_back(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    outcome = await run_job(make_job("health_check_url", {"url": f"{base}/busy"}), tools)

    assert "Answered 503, expected 200" == outcome.summary
    assert outcome.retry_after is not None
    assert 7 == outcome.retry_after.total_seconds()


async def test_a_redirect_is_followed_or_is_the_answer(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    followed = await run_job(make_job("health_check_url", {"url": f"{base}/away"}), tools)
    itself = await run_job(make_job("http", {"url": f"{base}/away", "method": "POST"}), tools)

    assert OutcomeKind.SUCCEEDED is followed.kind
    assert f"Answered 302, expected 200-299: it redirects to {base}/feed" == itself.summary


async def test_a_feed_is_fetched_once_and_then_only_asked_about(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    params = {"feedUrl": f"{base}/feed"}
    first = await run_job(make_job("rss_watch", params), tools)

    second = await run_job(make_job("rss_watch", params, memory=first.memory), tools)

    assert "Recorded 1 entry of Example; new ones are reported from now on" == first.summary
    assert "Nothing new: the feed has not changed" == second.summary


@pytest.mark.parametrize(("status", "is_moved"), [("301", True), ("308", True), ("302", False)])
async def test_a_feed_that_has_moved_for_good_says_where(
    status: str, is_moved: bool, base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    """With `feedUrl` set to that address the memory goes on."""
    first = await run_job(make_job("rss_watch", {"feedUrl": f"{base}/moved/{status}"}), tools)
    second = await run_job(make_job("rss_watch", {"feedUrl": f"{base}/feed"}, memory=first.memory), tools)

    notice = f". It has moved for good: set feedUrl to {base}/feed"
    assert is_moved is first.summary.endswith(notice)
    assert (f"{base}/feed" if is_moved else None) == first.metrics.get("movedTo")
    assert second.summary.startswith("Nothing new" if is_moved else "Recorded")


async def test_a_feed_that_is_gone_says_so(base: str, tools: Tools, make_job: Callable[..., Job]) -> None:
    outcome = await run_job(make_job("rss_watch", {"feedUrl": f"{base}/gone"}), tools)

    assert outcome.permanent
    assert outcome.summary.startswith("Answered 410: the feed is gone for good.")


async def test_a_request_arrives_as_written(base: str, tools: Tools, make_job: Callable[..., Job]) -> None:
    params: dict[str, Any] = {
        "method": "PUT",
        "url": f"{base}/echo?a=1",
        "query": {"b": "x y&z"},
        "form": {"c": "ü"},
    }
    for pointer, value in {
        "/method": "PUT",
        "/query": {"a": "1", "b": "x y&z"},
        "/body": "c=%C3%BC",
        "/key": "water-plants@2026-11-20T12:00:00Z",
    }.items():
        outcome = await run_job(make_job("http", params | {"jsonPointer": pointer, "equals": value}), tools)

        assert OutcomeKind.SUCCEEDED is outcome.kind, f"{pointer}: {outcome.metrics}"


@pytest.mark.parametrize(
    ("name", "field"), [("health_check_url", "url"), ("http", "url"), ("rss_watch", "feedUrl")]
)
async def test_our_own_neighbourhood_is_out_of_reach(
    name: str, field: str, base: str, make_job: Callable[..., Job]
) -> None:
    """The client as deployed refuses it, and no retry will change that."""
    client = build_guarded_client()
    tools = Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)

    outcome = await run_job(make_job(name, {field: base}), tools)

    await client.close_connections()
    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "127.0.0.1" not in outcome.summary


async def test_nobody_there_is_a_failure_worth_retrying(tools: Tools, make_job: Callable[..., Job]) -> None:
    outcome = await run_job(make_job("http", {"url": "http://127.0.0.1:1/"}), tools)

    assert (OutcomeKind.FAILED, False) == (outcome.kind, outcome.permanent)


async def test_a_page_is_fetched_once_and_then_only_asked_about(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    params = {"url": f"{base}/shop", "selector": "main"}

    first = await run_job(make_job("page_watch", params), tools)
    again = await run_job(make_job("page_watch", params, memory=first.memory), tools)

    assert (first.summary, again.summary) == (
        "Recorded 7 characters of “Shop”; changes are reported from now on",
        "Nothing new: the page has not changed",
    )


async def test_a_page_that_asks_for_a_password_is_not_taken_for_the_page(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    """The session is over, and the address leads to the sign-in page, which has a body, too."""
    led = await run_job(make_job("page_watch", {"url": f"{base}/account"}), tools)
    named = await run_job(make_job("page_watch", {"url": f"{base}/login", "selector": "title"}), tools)

    assert led.summary == "The address leads to a page that asks for a password: “Sign in”"
    assert named.kind is OutcomeKind.SUCCEEDED


@pytest.mark.slow
async def test_a_page_that_unfolds_without_end_is_refused(
    base: str, tools: Tools, make_job: Callable[..., Job]
) -> None:
    outcome = await run_job(make_job("page_watch", {"url": f"{base}/bomb"}), tools)

    assert outcome.summary == "The page is larger than 5 MB, the most that is read"
