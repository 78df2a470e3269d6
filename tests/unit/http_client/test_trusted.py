"""The client for addresses of the settings: bounded in time and size, no redirects, no cookies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.http_client.trusted import MAX_RESPONSE_BYTES, PostError, TrustedHttpClient

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve every path with a handler; return the address."""
    servers: list[TestServer] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/"))

    yield start
    for server in servers:
        await server.close()


async def test_answer_has_status_lower_case_headers_and_body(serve: Serve, post: TrustedHttpClient) -> None:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read() + request.headers["X-Given"].encode()
        return web.Response(status=429, body=body, headers={"Retry-After": "7"})

    answer = await post(await serve(echo), headers={"X-Given": "!"}, body="字".encode(), timeout_s=5)

    assert (429, "7", "字!".encode()) == (answer.status, answer.headers["retry-after"], answer.body)


async def test_redirect_is_not_followed(serve: Serve, post: TrustedHttpClient) -> None:
    paths: list[str] = []

    async def away(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    answer = await post(await serve(away), headers={}, body=b"", timeout_s=5)

    assert 307 == answer.status
    assert ["/"] == paths


async def test_endless_answer_is_read_to_a_limit(serve: Serve, post: TrustedHttpClient) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 4096)
        except ConnectionError:
            return response

    answer = await post(await serve(endless), headers={}, body=b"", timeout_s=10)

    assert MAX_RESPONSE_BYTES == len(answer.body)


async def test_dripping_answer_ends_in_time(serve: Serve, post: TrustedHttpClient) -> None:
    """A limit for each read alone would wait as long as there are drops."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b".")
                await asyncio.sleep(0.02)
        except ConnectionError:
            return response

    with pytest.raises(PostError, match=r"the answer had not ended after 0\.2 s"):
        await post(await serve(drip), headers={}, body=b"", timeout_s=0.2)


async def test_proxy_of_the_environment_is_not_used(
    serve: Serve, post: TrustedHttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would be shown the address, which is the secret."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    monkeypatch.setenv("NO_PROXY", "")

    async def fine(request: web.Request) -> web.Response:
        return web.Response()

    answer = await post(await serve(fine), headers={}, body=b"", timeout_s=5)

    assert 200 == answer.status


async def test_cookies_are_not_kept(serve: Serve, post: TrustedHttpClient) -> None:
    seen: list[str | None] = []

    async def biscuit(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    url = (await serve(biscuit)).replace("127.0.0.1", "localhost")  # bare numbers are never sent cookies
    for _ in range(2):
        await post(url, headers={}, body=b"", timeout_s=5)

    assert [None, None] == seen


async def test_failures_are_told_without_the_address(post: TrustedHttpClient) -> None:
    with pytest.raises(PostError, match=r"^the connection was refused$"):
        await post("http://127.0.0.1:1/hooks/canary", headers={}, body=b"", timeout_s=5)


@pytest.mark.parametrize("url", ["http://[canary/", "canary", "ftp://canary.example/", "http://0177.0.0.1/"])
async def test_an_address_that_cannot_be_called_is_told_without_it(post: TrustedHttpClient, url: str) -> None:
    with pytest.raises(PostError) as caught:
        await post(url, headers={}, body=b"", timeout_s=5)

    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_values_of_headers_are_sent_as_utf_8(serve: Serve, post: TrustedHttpClient) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["X-Title"])

    answer = await post(await serve(echo), headers={"X-Title": "Köln 城"}, body=b"", timeout_s=5)

    assert "Köln 城".encode() == answer.body


async def test_closed_post_opens_anew(serve: Serve, post: TrustedHttpClient) -> None:
    async def fine(request: web.Request) -> web.Response:
        return web.Response()

    url = await serve(fine)
    await post(url, headers={}, body=b"", timeout_s=5)
    await post.close()
    await post.close()

    assert 200 == (await post(url, headers={}, body=b"", timeout_s=5)).status


async def test_request_without_a_body_is_sent_with_its_method(serve: Serve, post: TrustedHttpClient) -> None:
    async def method(request: web.Request) -> web.Response:
        return web.json_response([request.method, request.headers.get("Content-Type")])

    answer = await post.request("GET", await serve(method), headers={}, timeout_s=5)

    assert b'["GET", null]' == answer.body


@pytest.mark.parametrize(("size", "truncated"), [(999, False), (1000, False), (1001, True)])
async def test_body_longer_than_allowed_is_cut_and_marked(
    serve: Serve, post: TrustedHttpClient, size: int, truncated: bool
) -> None:
    async def long(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    answer = await post.request("GET", await serve(long), headers={}, timeout_s=5, max_bytes=1000)

    assert (min(size, 1000), truncated) == (len(answer.body), answer.truncated)


@pytest.mark.parametrize(("keepalive_s", "connections"), [(0, 2), (10.0, 1)])
async def test_connection_is_kept_only_when_asked_for(
    serve: Serve, keepalive_s: float, connections: int
) -> None:
    transports: list[object] = []

    async def fine(request: web.Request) -> web.Response:
        transports.append(request.transport)
        return web.Response()

    url = await serve(fine)
    async with TrustedHttpClient(keepalive_s=keepalive_s) as client:
        for _ in range(2):
            await client.request("GET", url, headers={}, timeout_s=5)

    assert connections == len(set(transports))


async def test_compressed_body_is_unpacked_within_the_limit(serve: Serve) -> None:
    """A small body that unpacks to a large one is cut like any other."""

    async def bomb(request: web.Request) -> web.Response:
        response = web.Response(body=b"x" * 1_000_000)
        response.enable_compression()
        return response

    async with TrustedHttpClient() as client:
        answer = await client.request("GET", await serve(bomb), headers={}, timeout_s=5, max_bytes=1000)

    assert (b"x" * 1000, True) == (answer.body, answer.truncated)
