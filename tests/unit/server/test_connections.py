"""Connections that send no request, or take no response, on a real uvicorn in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from functions.server.connections import BoundedProtocol

SOON_S = 0.15
LARGE = b"x" * 32_000_000  # more than the kernel keeps for a client that takes nothing


class Quick(BoundedProtocol):
    """With deadlines that a test can wait for, and connections of its own."""

    REQUEST_TIMEOUT_S = SOON_S
    RESPONSE_STEP_S = SOON_S
    MAX_WAITING = 5
    _waiting: ClassVar[dict[BoundedProtocol, asyncio.TimerHandle]] = {}
    parsed: ClassVar[list[int]] = []

    def _parse(self, data: bytes) -> None:
        self.parsed.append(len(data))
        super()._parse(data)


async def _page(request: Request) -> Response:
    match request.url.path:
        case "/slow":
            await asyncio.sleep(1.5 * SOON_S)
        case "/body":
            return PlainTextResponse(str(len(await request.body())))
        case "/large":
            return Response(LARGE)
    return PlainTextResponse("page")


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """A server in this loop, and its port."""
    app = Starlette(routes=[Route("/{path:path}", _page, methods=["GET", "POST"])])
    config = uvicorn.Config(
        app, http=Quick, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield server, listener.getsockname()[1]
        finally:
            server.should_exit = True
            with suppress(TimeoutError):
                await running


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes."""
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            return await reader.read()
    return b""


CLOSED = [  # what is sent first, what again and again, how the answer ends
    (b"", b"", b""),
    (b"GET / HT", b"", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-A", b"a", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1", b"\r\nX-B: 1", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-A", b"a", b"page"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"a", b"page"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"page"),
]


async def send_slowly(port: int, begins: bytes, goes_on: bytes) -> bytes:
    """Return what the server answers before it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begins)

    async def drip() -> None:
        while goes_on:
            writer.write(goes_on)
            await asyncio.sleep(SOON_S / 10)

    dripping = asyncio.create_task(drip())
    received = await read_all(reader)
    dripping.cancel()
    writer.close()
    return received


async def test_connections_without_a_request_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they send a little: uvicorn alone keeps each of these for ever."""
    monkeypatch.setattr(Quick, "MAX_WAITING", 100)
    async with serving() as (server, port):
        received = await asyncio.gather(
            *(send_slowly(port, begins, goes_on) for begins, goes_on, _ in CLOSED)
        )

        assert [True] * len(CLOSED) == [
            answer.endswith(end) and bool(answer) == bool(end)
            for answer, (_, _, end) in zip(received, CLOSED, strict=True)
        ]
        assert not server.server_state.connections
        assert not Quick._waiting


async def test_requests_take_their_time_one_after_the_other() -> None:
    """What is in progress is not bounded here, nor how long a connection serves requests."""
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/", b"/slow", b"/"):
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            async with asyncio.timeout(20):
                assert b"page" in await reader.readuntil(b"page")
        writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\na")
        await asyncio.sleep(1.5 * SOON_S)  # longer than a wait may be: a body is no wait
        writer.write(b"b")

        assert (await read_all(reader)).endswith(b"\r\n\r\n2")

        writer.close()


async def test_what_arrives_at_once_is_parsed_in_slices() -> None:
    """A body beyond what uvicorn buffers, and more requests than a slice holds: nothing is lost or stuck."""
    Quick.parsed.clear()
    body = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000
    requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 400
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serving() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(body + requests + last)

        received = await read_all(reader)

        writer.close()
        assert 402 == server.server_state.total_requests
        assert (1, 401) == (received.count(b"\r\n\r\n300000"), received.count(b"\r\n\r\npage"))
        assert max(Quick.parsed) <= Quick.SLICE_BYTES
        assert sum(Quick.parsed) == len(body + requests + last)


async def test_too_many_silent_connections_close_one_another() -> None:
    """Those that wait longest; who sends a request is answered."""
    async with serving() as (server, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(Quick.MAX_WAITING + 3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert (await read_all(reader)).endswith(b"page")
        assert [b""] * 3 == [await read_all(one) for one, _ in silent[:3]]
        assert len(server.server_state.connections) <= Quick.MAX_WAITING

        for _, one in [*silent, (reader, writer)]:
            one.close()


async def test_who_takes_no_response_is_closed() -> None:
    async with serving() as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(20):
                while server.server_state.total_requests == 0:  # noqa: ASYNC110  # uvicorn sets no event
                    await asyncio.sleep(0.01)
                while server.server_state.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_who_takes_a_response_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quick, "RESPONSE_STEP_S", 2 * SOON_S)  # half of what all of it takes
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2_000_000)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = 0
        async with asyncio.timeout(20):
            while part := await reader.read(4_000_000):
                received += len(part)
                await asyncio.sleep(SOON_S / 3)

        assert received > len(LARGE)

        writer.close()
