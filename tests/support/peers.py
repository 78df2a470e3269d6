"""The other side: scripted servers that misbehave on demand, and a trap nobody may touch."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from functions.http_client.addresses import Address, Allow, public_only

Script = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What arrived, as it arrived."""

    head: str
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


@dataclass
class Server:
    """A loopback server that does what its script says and remembers what it was asked."""

    script: Script
    tls: ssl.SSLContext | None = None
    greeting: bytes = b""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/?token=canary"

    async def start(self) -> "Server":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close all connections, whatever they are at."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.greeting)
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                request = Request(head, b"")
                length = int(request.headers.get("content-length", "0"))
                request = Request(head, await reader.readexactly(length))
                self.requests.append(request)
                self.asked.set()
                await self.script(request, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class Trap:
    """A listening socket on every local address that knows whether anybody connected."""

    def __init__(self) -> None:
        self._socket = socket.create_server(
            ("::", 0) if socket.has_dualstack_ipv6() else ("0.0.0.0", 0),
            family=socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET,
            dualstack_ipv6=socket.has_dualstack_ipv6(),
        )
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    @property
    def touched(self) -> int:
        """How many connections the kernel has completed since last asked: none may wait here."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._socket.close()


def answer(
    status: int = 200,
    body: bytes = b"ok",
    *,
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> Script:
    """A script that always answers the same; *length* is what Content-Length claims."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return raw("\r\n".join([*lines, "", ""]).encode() + body, close=length is not None)


def raw(data: bytes, *, close: bool = True) -> Script:
    """A script that sends these bytes, HTTP or not."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            writer.close()

    return script


def drip(start: bytes, drop: bytes) -> Script:
    """A script that sends *start*, then *drop* again and again, faster than any pause would notice."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)  # the pace of the drip, not a wait for something

    return script


def only(*ports: int) -> Allow:
    """The rule of production, and beside it exactly these test servers on 127.0.0.1."""

    def allow(address: Address, port: int) -> bool:
        return (str(address), port) in {("127.0.0.1", allowed) for allowed in ports} or public_only(
            address, port
        )

    return allow
