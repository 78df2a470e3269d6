"""A TCP proxy whose connections can be delayed, cut, half-closed or refused."""

import asyncio
from contextlib import suppress

CHUNK = 65_536


class Proxy:
    """Passes bytes on to *host*:*port*, in the manner it was last told.

    Attributes:
        delay_s: What each piece of data waits before it is passed on.
        refusing: Whether new connections are closed at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.delay_s = 0.0
        self.refusing = False
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Open a free port on the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self, share: float = 1.0) -> None:
        """Reset a share of the open connections, both ways."""
        for writer in list(self._writers)[: max(1, int(len(self._writers) * share))]:
            writer.transport.abort()

    def half_close(self, share: float = 1.0) -> None:
        """End one direction of a share of the open connections, politely."""
        for writer in list(self._writers)[: max(1, int(len(self._writers) * share))]:
            with suppress(OSError, RuntimeError):
                writer.write_eof()

    def heal(self) -> None:
        """Pass everything on at once, from now on."""
        self.delay_s, self.refusing = 0.0, False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._writers -= {writer, back}
            for one in (writer, back):
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, RuntimeError):
            while data := await reader.read(CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
            return
        writer.transport.abort()
