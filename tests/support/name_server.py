"""A name server on this machine, over UDP and TCP at one port, that answers as a test says."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Script = Callable[[dns.message.Message, bool], "bytes | None"]
MAX_UDP_BYTES = 512


def zone(records: Mapping[str, list[str]], *, flags: int = dns.flags.AA | dns.flags.RA) -> Script:
    """Answer from *records*: by `name type`, lines such as `300 IN A 192.0.2.1`."""

    def answer(question: dns.message.Message, is_tcp: bool) -> bytes:
        asked = question.question[0]
        response = dns.message.make_response(question)
        response.flags |= flags
        name = asked.name.to_text().rstrip(".").lower()
        for key, lines in records.items():
            at, _, kind = key.partition(" ")
            if at == name and kind in (dns.rdatatype.to_text(asked.rdtype), "CNAME"):
                response.answer += [dns.rrset.from_text(f"{name}.", 300, "IN", kind, *lines)]
        if not any(key.partition(" ")[0] == name for key in records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        wire = response.to_wire(max_size=65_535)
        if not is_tcp and len(wire) > MAX_UDP_BYTES:
            short = dns.message.make_response(question)
            short.flags |= flags | dns.flags.TC
            wire = short.to_wire()
        return wire

    return answer


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, script: Script, asked: list[str]) -> None:
        self._script = script
        self._asked = asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._asked.append("udp")
        if answer := self._script(dns.message.from_wire(data), False):
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def name_server(script: Script, asked: list[str] | None = None) -> AsyncIterator[int]:
    """Yield the port; *asked* gets `udp` or `tcp` for each question. `None` over TCP is silence."""
    asked = [] if asked is None else asked
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("tcp")
        (size,) = struct.unpack(">H", await reader.readexactly(2))
        answer = script(dns.message.from_wire(await reader.readexactly(size)), True)
        if answer is None:
            await over.wait()
        else:
            writer.write(struct.pack(">H", len(answer)) + answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(script, asked), local_addr=("127.0.0.1", port)
    )
    yield port
    over.set()
    transport.close()
    server.close()
    await server.wait_closed()
