"""Connections that send no request, or take no response, on a real uvicorn in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from functions.server.connections import BoundedProtocol

LARGE = b"x" * 32_000_000  # more than the kernel keeps for a client that takes nothing


class Watched(BoundedProtocol):
    """With connections of its own, few of which may wait, and a record of what was parsed."""

    MAX_WAITING = 10
    REQUEST_TIMEOUT_S = 60.0  # no test lasts so long
    _waiting: ClassVar[dict[BoundedProtocol, asyncio.TimerHandle]] = {}
    parsed: ClassVar[list[int]] = []

    def _parse(self, data: bytes) -> None:
        self.parsed.append(len(data))
        super()._parse(data)


class Quick(Watched):
    """With a deadline that a test can wait for."""

    REQUEST_TIMEOUT_S = 0.1


async def _page(request: Request) -> Response:
    match request.url.path:
        case "/body":
            return PlainTextResponse(str(len(await request.body())))
        case "/large":
            return Response(LARGE)
    return PlainTextResponse("page")


@asynccontextmanager
async def serving(protocol: type[Watched] = Watched) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """A server in this loop, and its port."""
    assert not protocol._waiting
    app = Starlette(routes=[Route("/{path:path}", _page, methods=["GET", "POST"])])
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=0
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


WAITING = [  # what is sent first, what again and again, what is answered
    (b"", b"", b""),
    (b"GET / HT", b"", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-A", b"a", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1", b"\r\nX-B: 1", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-A", b"a", b"page"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"a", b"page"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"page"),
]


async def until(is_true: Callable[[], bool]) -> None:
    """Return when it is, which nothing announces."""
    async with asyncio.timeout(20):
        while not is_true():  # noqa: ASYNC110  # uvicorn sets no event
            await asyncio.sleep(0.005)


async def test_what_arrives_extends_no_wait() -> None:
    """However often they send a little: uvicorn alone keeps each of these for ever."""
    async with serving() as (server, port):
        Watched.parsed.clear()
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in WAITING]
        for (reader, writer), (begins, _, answer) in zip(connections, WAITING, strict=True):
            writer.write(begins)
            async with asyncio.timeout(20):
                if answer:
                    await reader.readuntil(answer)
        await until(lambda: sum(Watched.parsed) >= sum(len(begins) for begins, _, _ in WAITING))
        before = {one: timer.when() for one, timer in Watched._waiting.items()}

        for (_, writer), (_, goes_on, _) in zip(connections, WAITING, strict=True):
            writer.write(goes_on)
        sent = sum(len(begins + goes_on) for begins, goes_on, _ in WAITING)
        await until(lambda: sum(Watched.parsed) == sent)
        after = {one: timer.when() for one, timer in Watched._waiting.items()}
        latest = asyncio.get_running_loop().time() + Watched.REQUEST_TIMEOUT_S

        assert (len(WAITING), before) == (len(after), after)
        assert max(after.values()) <= latest

        for one in before:
            cast("Watched", one).end_wait()
        for reader, writer in connections:
            await read_all(reader)
            writer.close()
        assert not server.server_state.connections


async def test_a_wait_ends_by_itself() -> None:
    async with serving(Quick) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert b"" == await read_all(reader)
        assert not server.server_state.connections

        writer.close()


async def test_a_request_in_progress_does_not_wait() -> None:
    """The time of a body is the application's matter, as is that of an answer."""
    async with serving() as (_, port):
        Watched.parsed.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
            await until(lambda: bool(Watched.parsed))
            assert not Watched._waiting
            Watched.parsed.clear()
            writer.write(b"b")
            async with asyncio.timeout(20):
                await reader.readuntil(b"\r\n\r\n2")
            assert 1 == len(Watched._waiting)
            Watched.parsed.clear()
        writer.close()
        await until(lambda: not Watched._waiting)


@pytest.mark.slow
async def test_what_arrives_at_once_is_parsed_in_slices() -> None:
    """A body beyond what uvicorn buffers, and more requests than a slice holds: nothing is lost or stuck."""
    Watched.parsed.clear()
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
        assert max(Watched.parsed) <= Watched.SLICE_BYTES
        assert sum(Watched.parsed) == len(body + requests + last)


async def test_too_many_silent_connections_close_one_another() -> None:
    """Those that wait longest; who sends a request is answered."""
    async with serving() as (server, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(Watched.MAX_WAITING + 3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert (await read_all(reader)).endswith(b"page")
        assert [b""] * 3 == [await read_all(one) for one, _ in silent[:3]]
        assert len(server.server_state.connections) <= Watched.MAX_WAITING

        for _, one in [*silent, (reader, writer)]:
            one.close()


async def test_who_takes_no_response_is_closed_and_who_takes_it_slowly_is_not() -> None:
    async with serving() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000_000)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: server.server_state.total_requests == 1)
        [connection] = server.server_state.connections
        assert isinstance(connection, Watched)
        assert connection._response_timer is not None
        size = connection.transport.get_write_buffer_size()
        while connection.transport.get_write_buffer_size() > size - BoundedProtocol.RESPONSE_STEP_BYTES:
            await reader.read(1_000_000)

        connection._check_response(size)
        assert server.server_state.connections  # it goes on
        connection._check_response(connection.transport.get_write_buffer_size())
        await until(lambda: not server.server_state.connections)

        writer.close()
