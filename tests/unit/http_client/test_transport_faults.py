"""Servers that misbehave: each ends in time, in one plain sentence, and tells nothing it should not."""

import asyncio
import errno
import socket
import time

import pytest

from functions.http_client import BlockedRequestError, request_sent
from functions.http_client.errors import timeout_error
from functions.http_client.httpx import httpx
from tests.support.peers import Request, Script, answer, drip, raw
from tests.unit.http_client.conftest import Failure, MakeClient, Serve

OK = b"HTTP/1.1 200 OK\r\n"
SWITCH = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
NO_HTTP = "The answer is not valid HTTP"
TOO_LONG = "The answer's headers are too long"

HEADS = {
    "headers": drip(OK, b"X-More: 1\r\n"),
    "one header": drip(OK + b"X-Long: ", b"x"),
    "status line": drip(b"HTTP/1.1 200 ", b"O"),
    "informational": drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "nothing": drip(b"", b""),
}
BODIES = {
    "body": drip(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
    "chunks": drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}
DRIPS = HEADS | BODIES

ODD = {
    "ssh": (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), NO_HTTP),
    "noise": (raw(bytes(range(256))), NO_HTTP),
    "redis": (raw(b"-ERR unknown command 'GET'\r\n"), NO_HTTP),
    "tls": (raw(b"\x15\x03\x01\x00\x02\x02\x46"), "The answer is not HTTP but TLS"),
    "bad length": (raw(OK + b"Content-Length: x\r\n\r\n"), NO_HTTP),
    "two lengths": (
        raw(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        NO_HTTP,
    ),
    "bad chunk": (
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "The answer's body is framed wrongly",
    ),
    "silent": (raw(b""), "The connection was closed before an answer came"),
    "half a head": (raw(OK + b"X-A: 1\r\n"), "The connection was closed before an answer came"),
    "half a body": (answer(200, b"ok", length=100), "The answer ended too early"),
    "half a chunk": (
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        "The answer ended too early",
    ),
    "huge header": (raw(OK + b"X-Big: " + b"x" * 100_000 + b"\r\n\r\n"), TOO_LONG),
    "many headers": (raw(OK + b"X-A: 1\r\n" * 1000 + b"\r\n"), "The answer has too many headers"),
    "huge status": (
        raw(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n"),
        TOO_LONG,
    ),
    "brotli": (answer(200, b"xx", headers={"Content-Encoding": "br"}), "The answer is compressed as br"),
    "endless continues": (
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000),
        "It answers that an answer will come, and none does",
    ),
    "not gzip": (
        answer(200, b"xx", headers={"Content-Encoding": "gzip"}),
        "The answer's compression is",
    ),
}


@pytest.mark.parametrize("what", DRIPS)
async def test_a_server_that_drips_cannot_outlast_the_deadline(
    what: str, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(DRIPS[what])
    started = time.monotonic()

    error = await failure(make_client(server), server.url, timeout=0.2)

    expected = "The answer had not ended after 0.2 s" if what in BODIES else "No answer within 0.2 s"
    assert expected == error.reason
    assert not error.permanent
    assert time.monotonic() - started < 2


async def test_reading_a_body_ends_when_the_caller_says(serve: Serve, make_client: MakeClient) -> None:
    server = await serve(DRIPS["body"])
    options = {"body_until": asyncio.get_running_loop().time() + 0.2}

    async with (
        asyncio.timeout(10),
        make_client(server).stream("GET", server.url, timeout=20, extensions=options) as response,
    ):
        with pytest.raises(httpx.TimeoutException):
            await response.aread()

    assert response.is_closed


@pytest.mark.parametrize(("script", "reason"), ODD.values(), ids=ODD)
async def test_what_is_wrong_with_an_answer_is_said(
    script: Script, reason: str, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(script)

    error = await failure(make_client(server), server.url)

    assert error.reason.startswith(reason)
    assert not isinstance(error, BlockedRequestError)


async def test_a_server_that_switches_protocols_unasked_does_not_hang_the_call(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(raw(SWITCH, close=False))

    response = await make_client(server).request("GET", server.url, timeout=5)

    assert 101 == response.status_code


async def test_a_connection_for_which_this_machine_has_no_file_is_not_blamed_on_the_other(
    make_client: MakeClient, failure: Failure
) -> None:
    def allow(address: object, port: int) -> bool:  # called as the socket is made
        raise OSError(errno.EMFILE, "Too many open files")

    error = await failure(make_client(allow=allow), "http://127.0.0.1:9/")

    assert error.reason.startswith("Too many files are open where the scheduler runs")
    assert (False, False) == (error.is_sent, error.permanent)


async def test_a_refused_connection_says_so(make_client: MakeClient, failure: Failure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    tried = []

    def allow(address: object, port: int) -> bool:
        tried.append(port)
        return True

    error = await failure(make_client(allow=allow), f"http://127.0.0.1:{port}/")

    assert "The connection was refused" == error.reason
    assert not error.permanent
    assert 1 == len(tried)  # asked again at once it would refuse again


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_reset_connection_says_so(
    method: str, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(reset)

    error = await failure(make_client(server), server.url, method)

    assert "The connection was broken off" == error.reason


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1), ("PATCH", 1)])
async def test_only_what_may_be_repeated_is_sent_once_more(
    method: str, times: int, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(reset)

    await failure(make_client(server), server.url, method)

    assert times == len(server.requests)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_call_that_ends_before_there_is_a_connection_is_known_not_to_be_sent(
    answers: bool, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    """Whether it ends by its own timeout, or is cancelled."""
    asked = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.sleep(0 if answers else 5)
        return ["127.0.0.1"]

    async def ask(_: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(5)

    async def call() -> None:
        with pytest.raises(asyncio.CancelledError):
            await client.get(url)
        assert answers is request_sent.get()

    server = await serve(ask)
    client = make_client(server, resolve=resolve)
    url = f"http://example.com:{server.port}/"

    error = await failure(client, url, timeout=0.4 if answers else 0.02)
    asked.clear()
    calling = asyncio.create_task(call())
    await (asked.wait() if answers else asyncio.sleep(0.01))
    calling.cancel()
    await calling

    assert answers is error.is_sent


async def reset(_: Request, writer: asyncio.StreamWriter) -> None:
    transport = writer.transport
    raw_socket = transport.get_extra_info("socket")
    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    transport.abort()


async def test_some_interim_answers_may_come_before_each_answer(
    serve: Serve, make_client: MakeClient
) -> None:
    """A connection that is used again starts to count anew."""
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 60
    server = await serve(raw(hints + OK + b"Content-Length: 2\r\n\r\nok", close=False))
    client = make_client(server)

    answers = [(await client.get(server.url)).text for _ in range(3)]

    assert ["ok"] * 3 == answers


@pytest.mark.parametrize(
    ("seconds", "shown"), [(8.48755, "8.5"), (0.1, "0.1"), (0.25, "0.25"), (1800.0, "1800")]
)
def test_what_was_left_of_a_limit_is_shown_as_a_person_would_say_it(seconds: float, shown: str) -> None:
    error = timeout_error(seconds, httpx.Request("GET", "http://a.example"))

    assert f"No answer within {shown} s" == error.reason
