"""Calls that come to an answer: what is sent, what is followed, what is read."""

import asyncio
import gzip
import json
import tomllib
from pathlib import Path

import pytest

from functions.http_client.client import USER_AGENT, FetchError, RefusedError, Response
from tests.support.peers import Request, Script, Trap, answer
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

    response = await make_client(server).request("get", server.url, timeout_s=5)

    assert 0 <= response.elapsed_ms < 5000
    assert response == Response(
        status=503,
        headers={"content-length": "4", "retry-after": "30", "x-a": "2"},
        body=b"busy",
        truncated=False,
        url=server.url,
        elapsed_ms=response.elapsed_ms,
        certificate_days_left=None,
    )


async def test_what_is_sent_is_what_was_given_and_our_name(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())

    await make_client(server).request(
        "POST",
        server.url,
        headers={"Content-Type": "application/json", "X-Api-Key": "k"},
        body=b"{}",
        timeout_s=5,
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

    await make_client(server).request("GET", server.url, headers={"user-agent": "me"}, timeout_s=5)

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

    assert isinstance(error, RefusedError)
    assert error.reason.startswith("The method is not allowed; allowed are DELETE, GET, HEAD,")


async def test_a_forbidden_header_stops_the_call(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())

    error = await failure(make_client(server), server.url, headers={"Metadata-Flavor": "Google"})

    assert isinstance(error, RefusedError)
    assert 0 == server.connections


async def test_no_cookie_is_kept(serve: Serve, make_client: MakeClient) -> None:
    """One owner's session must not answer for another's."""
    server = await serve(answer(headers={"Set-Cookie": "sid=1; Path=/"}))
    client = make_client(server)

    for _ in range(2):
        await client.request("GET", server.url, timeout_s=5)

    assert ["cookie" in request.headers for request in server.requests] == [False, False]


async def test_a_connection_is_used_again(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)

    for _ in range(3):
        await client.request("GET", server.url, timeout_s=5)

    assert (3, 1) == (len(server.requests), server.connections)


async def test_a_connection_closed_while_idle_is_replaced(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)
    await client.request("GET", server.url, timeout_s=5)
    await server.hang_up()

    response = await client.request("GET", server.url, timeout_s=5)

    assert b"ok" == response.body
    assert 2 == server.connections


async def test_redirects_are_followed_to_the_end(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/b", 308), b=moved("c", 307), c=answer(200, b"end")))

    response = await make_client(server).request("GET", server.url, max_redirects=3, timeout_s=5)

    assert (200, b"end") == (response.status, response.body)
    assert f"http://127.0.0.1:{server.port}/c" == response.url
    assert 1 == server.connections


async def test_one_redirect_too_many_is_an_error(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/b"), b=moved("/c"), c=answer()))

    error = await failure(make_client(server), server.url, max_redirects=2)

    assert "It redirects more than 2 times" == error.reason
    assert 3 == len(server.requests)


async def test_redirects_in_a_circle_are_an_error(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(site(home=moved("/a"), a=moved("/?token=canary")))

    error = await failure(make_client(server), server.url, max_redirects=20)

    assert "It redirects in a circle" == error.reason
    assert 2 == len(server.requests)


async def test_a_redirect_is_itself_the_answer_when_none_may_be_followed(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(moved("http://169.254.169.254/"))

    response = await make_client(server).request("GET", server.url, max_redirects=0, timeout_s=5)

    assert (302, b"moved") == (response.status, response.body)
    assert "http://169.254.169.254/" == response.headers["location"]


async def test_a_redirected_post_becomes_a_get_without_its_body(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(site(home=moved("/a", 303), a=answer()))

    await make_client(server).request(
        "POST", server.url, headers={"Content-Type": "text/plain"}, body=b"x", timeout_s=5
    )

    last = server.requests[-1]
    assert ("GET /a HTTP/1.1", b"") == (last.line, last.body)
    assert "content-type" not in last.headers


async def test_a_307_repeats_method_and_body(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(site(home=moved("/a", 307), a=answer()))

    await make_client(server).request("POST", server.url, body=b"x", timeout_s=5)

    assert ("POST /a HTTP/1.1", b"x") == (server.requests[-1].line, server.requests[-1].body)


async def test_secrets_do_not_follow_to_another_origin(serve: Serve, make_client: MakeClient) -> None:
    other = await serve(answer())
    server = await serve(moved(other.url, 307))

    await make_client(server, other).request(
        "GET", server.url, headers=SECRETS | {"Accept": "a/b"}, timeout_s=5
    )

    assert "canary" in json.dumps(server.requests[0].headers)
    assert "canary" not in json.dumps(other.requests[0].headers)
    assert "a/b" == other.requests[0].headers["accept"]


async def test_a_gzipped_body_is_unpacked(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(200, gzip.compress(b"hello" * 100), headers={"Content-Encoding": "gzip"}))

    response = await make_client(server).request("GET", server.url, timeout_s=5)

    assert (b"hello" * 100, False) == (response.body, response.truncated)


async def test_a_bomb_is_cut_at_the_cap_and_its_connection_closed(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer(200, bomb(20), headers={"Content-Encoding": "gzip"}))
    client = make_client(server)

    first = await client.request("GET", server.url, max_body_bytes=1000, timeout_s=5)
    second = await client.request("GET", server.url, max_body_bytes=1000, timeout_s=5)

    assert [(bytes(1000), True)] * 2 == [(first.body, first.truncated), (second.body, second.truncated)]


async def test_a_long_body_is_cut_without_waiting_for_the_rest(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(endless)

    response = await make_client(server).request("GET", server.url, max_body_bytes=1000, timeout_s=5)

    assert (b"x" * 1000, True) == (response.body, response.truncated)


async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 2000)
    await asyncio.Event().wait()


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_need_none(status: int, serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(status, b"", headers={"Content-Encoding": "br"}))

    response = await make_client(server).request("GET", server.url, timeout_s=5)

    assert (status, b"") == (response.status, response.body)


async def test_head_reads_no_body(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer(200, b"", headers={"Content-Encoding": "br"}, length=100))

    response = await make_client(server).request("HEAD", server.url, timeout_s=5)

    assert (200, b"", "100") == (response.status, response.body, response.headers["content-length"])


async def test_a_closed_client_opens_anew(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(answer())
    client = make_client(server)

    for _ in range(2):
        await client.request("GET", server.url, timeout_s=5)
        await client.close()

    assert 2 == server.connections


async def test_a_cancelled_call_leaves_no_connection_behind(serve: Serve, make_client: MakeClient) -> None:
    """The tick cancels attempts; their connections must not stay taken until the process ends."""
    server = await serve(endless)
    client = make_client(server, max_connections=1)
    call = asyncio.create_task(client.request("GET", server.url, max_body_bytes=10_000, timeout_s=60))
    await server.asked.wait()

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    response = await client.request("GET", server.url, max_body_bytes=100, timeout_s=5)
    assert response.truncated


async def test_waiting_for_a_free_connection_is_within_the_deadline(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(endless)
    client = make_client(server, max_connections=1)
    blocking = asyncio.create_task(client.request("GET", server.url, max_body_bytes=10_000, timeout_s=60))
    await server.asked.wait()

    error = await failure(client, server.url, timeout_s=0.1)

    assert FetchError is type(error)
    assert "No answer within 0.1 s" == error.reason
    assert 1 == server.connections
    blocking.cancel()
    await asyncio.gather(blocking, return_exceptions=True)


async def test_the_body_of_a_redirect_is_not_waited_for(serve: Serve, make_client: MakeClient) -> None:
    async def long_goodbye(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 100000\r\n\r\n")
        await asyncio.Event().wait()

    server = await serve(site(home=long_goodbye, end=answer(200, b"end")))

    response = await make_client(server, max_connections=1).request("GET", server.url, timeout_s=5)

    assert b"end" == response.body


async def test_the_time_until_the_headers_is_told_in_milliseconds(
    serve: Serve, make_client: MakeClient
) -> None:
    async def thinking(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)  # the time the server takes, not a wait for something
        await answer()(request, writer)

    server = await serve(site(home=moved("/end"), end=thinking))

    response = await make_client(server).request("GET", server.url, timeout_s=5)

    assert 50 <= response.elapsed_ms < 1000
