"""Calls that come to an answer: what is sent, what is followed, what is read."""

import asyncio
import gzip
import json
import logging
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from functions.http_client import BlockedRequestError
from functions.http_client.client import USER_AGENT, build_guarded_client
from functions.http_client.httpx import httpx
from functions.http_client.lazy import guarded_client
from tests.support.peers import Request, Script, Server, Trap, answer
from tests.unit.http_client.conftest import Failure, MakeClient, Serve
from tests.unit.http_client.test_responses import bomb

SECRETS = {"Authorization": "Bearer canary", "Cookie": "sid=canary", "X-Api-Key": "canary"}


def site(**pages: Script) -> Script:
    """A script that answers by the first word of the path."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        page = request.line.split()[1].strip("/").split("?")[0]
        await pages[page or "home"](request, writer)

    return script


def moved(location: str, status: int = 302) -> Script:
    return answer(status, b"moved", headers={"Location": location})


async def test_an_answer_is_told_whole(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(503, b"busy", headers={"Retry-After": "30", "X-A": "1", "x-a": "2"}))

    response = await make_client(server).request("get", server.url, timeout=5)

    assert (503, b"busy", server.url) == (response.status_code, response.content, str(response.url))
    assert {"content-length": "4", "retry-after": "30", "x-a": "1, 2"} == dict(response.headers)
    assert 0 <= response.extensions["elapsed_ms"] < 5000
    assert {"elapsed_ms", "truncated"} == response.extensions.keys()
    assert not response.extensions["truncated"]


async def test_what_is_sent_is_what_was_given_and_our_name(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())

    await make_client(server).request(
        "POST",
        server.url,
        headers={"Content-Type": "application/json", "X-Api-Key": "k"},
        content=b"{}",
        timeout=5,
    )

    sent = server.requests[0]
    assert ("POST /?token=canary HTTP/1.1", b"{}") == (sent.line, sent.body)
    assert {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "gzip",
        "content-type": "application/json",
        "content-length": "2",
        "x-api-key": "k",
    } == sent.headers


async def test_our_name_may_be_replaced(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())

    await make_client(server).request("GET", server.url, headers={"user-agent": "me"}, timeout=5)

    assert "me" == server.requests[0].headers["user-agent"]
    assert 1 == server.requests[0].head.lower().count("user-agent:")


def test_our_name_carries_the_version_of_the_project() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]

    assert f"Cronfire/{project['version']}" == USER_AGENT


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "GET /x HTTP/1.1\r\nHost:", "", "FETCH"])
async def test_odd_methods_are_refused(
    method: str, trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    error = await failure(make_client(), f"http://127.0.0.1:{trap.port}/", method)

    assert isinstance(error, BlockedRequestError)
    assert error.reason.startswith("The method is not allowed; allowed are DELETE, GET, HEAD,")


async def test_a_url_too_long_to_be_one_is_refused(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())

    error = await failure(make_client(server), f"{server.url}{'a' * 2048}")

    assert isinstance(error, BlockedRequestError)
    assert "The URL is longer than 2048 characters" == error.reason
    assert 0 == server.connections


async def test_a_forbidden_header_stops_the_call(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())

    error = await failure(make_client(server), server.url, headers={"Metadata-Flavor": "Google"})

    assert isinstance(error, BlockedRequestError)
    assert 0 == server.connections


async def test_no_cookie_is_kept(serve: Serve, make_client: MakeClient) -> None:
    """One owner's session must not answer for another's."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await serve(answer(headers={"Set-Cookie": "sid=1; Path=/"}))
    client = make_client(server, resolve=here)
    url = f"http://shop.example:{server.port}/"

    for auth in (None, ("ann", "pw")):
        await client.get(url)
        await client.get(url, params={"n": 1}, auth=auth)

    assert ["cookie" in request.headers for request in server.requests] == [False] * 4


async def test_a_connection_is_used_again(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)

    for _ in range(3):
        await client.request("GET", server.url, timeout=5)

    assert (3, 1) == (len(server.requests), server.connections)


async def test_a_connection_closed_while_idle_is_replaced(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)
    await client.request("GET", server.url, timeout=5)
    await server.hang_up()

    response = await client.request("GET", server.url, timeout=5)

    assert b"ok" == response.content
    assert 2 == server.connections


async def test_redirects_are_followed_to_the_end(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/b", 308), b=moved("c", 307), c=answer(200, b"end")))

    response = await make_client(server).get(server.url, extensions={"max_redirects": 3}, timeout=5)

    assert (200, b"end") == (response.status_code, response.content)
    assert f"http://127.0.0.1:{server.port}/c" == response.url
    assert 1 == server.connections


async def test_one_redirect_too_many_is_an_error(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/b"), b=moved("/c"), c=answer()))

    error = await failure(make_client(server), server.url, extensions={"max_redirects": 2})

    assert "It redirects more than 2 times" == error.reason
    assert 3 == len(server.requests)


async def test_redirects_in_a_circle_are_an_error(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/?token=canary")))

    error = await failure(make_client(server), server.url, extensions={"max_redirects": 20})

    assert "It redirects in a circle: back to an address called before, with the same cookies" == error.reason
    assert 2 == len(server.requests)


async def test_a_redirect_is_itself_the_answer_when_none_may_be_followed(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(moved("http://169.254.169.254/"))

    response = await make_client(server).get(server.url, extensions={"max_redirects": 0}, timeout=5)

    assert (302, b"moved") == (response.status_code, response.content)
    assert "http://169.254.169.254/" == response.headers["location"]


async def test_a_redirected_post_becomes_a_get_without_its_body(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(site(home=moved("/a", 303), a=answer()))

    await make_client(server).request(
        "POST", server.url, headers={"Content-Type": "text/plain"}, content=b"x", timeout=5
    )

    last = server.requests[-1]
    assert ("GET /a HTTP/1.1", b"") == (last.line, last.body)
    assert "content-type" not in last.headers


async def test_a_307_repeats_method_and_body(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(site(home=moved("/a", 307), a=answer()))

    await make_client(server).request("POST", server.url, content=b"x", timeout=5)

    assert ("POST /a HTTP/1.1", b"x") == (server.requests[-1].line, server.requests[-1].body)


async def test_secrets_do_not_follow_to_another_origin(serve: Serve, make_client: MakeClient) -> None:
    other = await serve(answer())
    server = await serve(moved(other.url, 307))

    await make_client(server, other).request(
        "GET", server.url, headers=SECRETS | {"Accept": "a/b"}, timeout=5
    )

    assert "canary" in json.dumps(server.requests[0].headers)
    assert "canary" not in json.dumps(other.requests[0].headers)
    assert "a/b" == other.requests[0].headers["accept"]


async def test_a_gzipped_body_is_unpacked(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(200, gzip.compress(b"hello" * 100), headers={"Content-Encoding": "gzip"}))

    response = await make_client(server).request("GET", server.url, timeout=5)

    assert (b"hello" * 100, False) == (response.content, response.extensions["truncated"])


async def test_a_bomb_is_cut_at_the_cap_and_its_connection_closed(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer(200, bomb(20), headers={"Content-Encoding": "gzip"}))
    client = make_client(server)

    first = await client.get(server.url, extensions={"max_body_bytes": 1000}, timeout=5)
    second = await client.get(server.url, extensions={"max_body_bytes": 1000}, timeout=5)

    for response in (first, second):
        assert (bytes(1000), True) == (response.content, response.extensions["truncated"])


async def test_a_long_body_is_cut_without_waiting_for_the_rest(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(endless)

    response = await make_client(server).get(server.url, extensions={"max_body_bytes": 1000}, timeout=5)

    assert (b"x" * 1000, True) == (response.content, response.extensions["truncated"])


async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 2000)
    await asyncio.Event().wait()


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_need_none(status: int, serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(status, b"", headers={"Content-Encoding": "br"}))

    response = await make_client(server).request("GET", server.url, timeout=5)

    assert (status, b"") == (response.status_code, response.content)


async def test_head_reads_no_body(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(200, b"", headers={"Content-Encoding": "br"}, length=100))

    response = await make_client(server).request("HEAD", server.url, timeout=5)

    assert (200, b"", "100") == (response.status_code, response.content, response.headers["content-length"])


async def test_a_cancelled_call_leaves_no_connection_behind(serve: Serve, make_client: MakeClient) -> None:
    """The tick cancels attempts; their connections must not stay taken until the process ends."""
    server = await serve(endless)
    client = make_client(server, max_connections=1)
    call = asyncio.create_task(client.get(server.url, extensions={"max_body_bytes": 10_000}, timeout=60))
    await server.asked.wait()

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    response = await client.get(server.url, extensions={"max_body_bytes": 100}, timeout=5)
    assert response.extensions["truncated"]


async def test_waiting_for_a_free_connection_is_within_the_deadline(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(endless)
    client = make_client(server, max_connections=1)
    blocking = asyncio.create_task(client.get(server.url, extensions={"max_body_bytes": 10_000}, timeout=60))
    await server.asked.wait()

    error = await failure(client, server.url, timeout=0.1)

    assert isinstance(error, httpx.TimeoutException)
    assert "No answer within 0.1 s" == error.reason
    assert 1 == server.connections
    blocking.cancel()
    await asyncio.gather(blocking, return_exceptions=True)


async def test_the_body_of_a_redirect_is_not_waited_for(serve: Serve, make_client: MakeClient) -> None:
    async def long_goodbye(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 100000\r\n\r\n")
        await asyncio.Event().wait()

    server = await serve(site(home=long_goodbye, end=answer(200, b"end")))

    response = await make_client(server, max_connections=1).request("GET", server.url, timeout=5)

    assert b"end" == response.content


async def test_the_time_until_the_headers_is_told_in_milliseconds(
    serve: Serve, make_client: MakeClient
) -> None:
    async def thinking(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)  # the time the server takes, not a wait for something
        await answer()(request, writer)

    server = await serve(site(home=moved("/end"), end=thinking))

    response = await make_client(server).request("GET", server.url, timeout=5)

    assert 50 <= response.extensions["elapsed_ms"] < 1000


async def test_what_is_encoded_already_goes_out_byte_for_byte(serve: Serve, make_client: MakeClient) -> None:
    """A signature covers the bytes: decoding or encoding anew would break it."""
    odd = "/%7Ea%2fb%2F?q=%41&r=a%20b|{c}&s=%zz"
    server = await serve(site(start=moved(odd + "&t=é x"), **{odd.partition("?")[0].strip("/"): answer()}))

    for path in (odd, "/start"):
        await make_client(server).get(f"http://127.0.0.1:{server.port}{path}")

    lines = [request.line for request in server.requests]
    assert [f"GET {odd} HTTP/1.1", "GET /start HTTP/1.1", f"GET {odd}&t=%C3%A9%20x HTTP/1.1"] == lines


async def test_the_url_of_a_response_is_where_it_came_from(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(site(home=moved("/a"), a=answer()))

    response = await make_client(server).get(server.url, headers=SECRETS)

    assert f"http://127.0.0.1:{server.port}/a" == str(response.url)
    assert "canary" not in str(response.request.headers)


async def test_redirects_are_not_followed_when_httpx_is_told_so(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(moved("/a"))

    response = await make_client(server).get(server.url, follow_redirects=False)

    assert (302, 1) == (response.status_code, len(server.requests))


async def test_httpx_never_follows_a_redirect_itself(serve: Serve, make_client: MakeClient) -> None:
    """Its own rule would send all headers but Authorization to the other origin."""
    other = await serve(answer())
    server = await serve(moved(other.url))

    client = make_client(server, other)

    for auth in (None, ("ann", "canary")):
        await client.get(server.url, headers=SECRETS, follow_redirects=True, auth=auth)
        itself = await client.get(
            server.url, follow_redirects=True, auth=auth, extensions={"max_redirects": 0}
        )
        assert 302 == itself.status_code

    assert 2 == len(other.requests)
    assert "canary" not in "".join(request.head.partition("\r\n")[2] for request in other.requests)


async def test_credentials_of_the_call_are_sent(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())

    await make_client(server).get(server.url, auth=("ann", "pw"), headers={"Cookie": "a=b"})

    sent = server.requests[0].headers
    assert ("Basic YW5uOnB3", "a=b") == (sent["authorization"], sent["cookie"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "metadata.google.internal"},
        {"Content-Length": "1"},
        {"Transfer-Encoding": "gzip"},
        {"Accept-Encoding": "br"},
        {"Connection": "upgrade"},
        {"X-Note": b"a\x00b"},
    ],
    ids=str,
)
async def test_what_frames_a_message_cannot_be_set(
    headers: dict[str, str], serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())

    error = await failure(make_client(server), server.url, "POST", headers=headers, content=b"xyz")

    assert isinstance(error, BlockedRequestError)
    assert 0 == server.connections


async def test_a_streamed_body_is_sent_whole(serve: Serve, make_client: MakeClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    server = await serve(answer())

    await make_client(server).post(server.url, content=parts())

    assert (b"abc", "3") == (server.requests[0].body, server.requests[0].headers["content-length"])


async def test_a_status_can_be_had_without_the_body(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(endless)
    client = make_client(server, max_connections=1)

    for _ in range(2):
        async with client.stream("GET", server.url, timeout=5) as response:
            assert 200 == response.status_code

    assert 2 == server.connections  # one whose body is still on its way cannot be used again


async def test_a_body_that_is_not_read_leaves_a_usable_connection(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer())
    client = make_client(server)

    for _ in range(2):
        async with client.stream("GET", server.url) as response:
            assert 200 == response.status_code

    assert 1 == server.connections


async def test_the_longest_time_of_httpx_bounds_the_whole_call(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(endless)

    error = await failure(
        make_client(server),
        server.url,
        timeout=httpx.Timeout(0.1, connect=0.2),
        extensions={"max_body_bytes": 10_000},
    )

    assert "The answer had not ended after 0.2 s" == error.reason
    assert isinstance(error, httpx.TimeoutException)


async def test_a_text_in_a_charset_that_is_slow_to_decode_is_read_as_utf_8(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer(headers={"Content-Type": "text/plain; charset=punycode"}))

    response = await make_client(server).get(server.url)

    assert ("utf-8", "ok") == (response.encoding, response.text)


async def test_no_url_is_logged(
    serve: Serve, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx logs each URL at INFO, and a URL may hold a secret."""
    caplog.set_level(logging.DEBUG)
    server = await serve(answer())

    await make_client(server).get(server.url)

    assert "canary" not in caplog.text


def test_a_client_serves_one_loop_after_another() -> None:
    client = build_guarded_client(allow_private=True)

    async def call() -> int:
        server = await Server(answer(headers={"Connection": "close"})).start()
        try:
            return (await client.get(server.url)).status_code
        finally:
            await server.stop()

    async def call_and_close() -> int:
        try:
            return await call()
        finally:
            await client.close_connections()

    assert [200, 200] == [asyncio.run(call()), asyncio.run(call_and_close())]


async def test_a_task_cannot_close_the_client_of_all_tasks(serve: Serve) -> None:
    server = await serve(answer())
    clients = guarded_client(allow_private=True)

    async with clients() as first, clients() as second:
        await first.aclose()
    statuses = [(await clients().get(server.url)).status_code, (await second.get(server.url)).status_code]
    await clients.close()

    assert [200, 200] == statuses
    assert first.is_closed


def test_a_tick_builds_its_client_once_and_anew_after_it_is_closed() -> None:
    clients = guarded_client(allow_private=True)

    async def use() -> httpx.AsyncClient:
        server = await Server(answer()).start()
        try:
            first, second = clients(), clients()
            assert first is second
            assert 200 == (await first.get(server.url)).status_code
            await clients.close()
            assert first.is_closed
            assert 200 == (await clients().get(server.url)).status_code
            await clients.close()
        finally:
            await server.stop()
        return first

    asyncio.run(use())


async def test_query_json_and_form_are_httpx_s(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)

    await client.post(server.url, params={"q": "a b"}, json={"n": 1}, headers={"X-Note": "ü"})
    await client.put(server.url, data={"a": "b c"})

    first, second = server.requests
    assert ("POST /?q=a+b HTTP/1.1", b'{"n":1}') == (first.line, first.body)
    assert ("ü", "application/json") == (first.headers["x-note"], first.headers["content-type"])
    assert (b"a=b+c", USER_AGENT) == (second.body, second.headers["user-agent"])
