"""Questions to name servers, behind the guard: over UDP, and over TCP when an answer does not fit.

The resolver of the system, which connections use, says an address or none. A check wants the server's code
and its records; what reads them is `functions.parsing.dns_answers`, in a process of its own.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.addresses import (
    is_public_address,
    is_public_or_private_address,
    parse_ip,
)
from functions.http_client.errors import ADDRESS_NOT_ALLOWED

RECORD_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "CAA": 257}
_ADDRESS_TYPES = ("A", "AAAA")
PORT = 53
MAX_SERVERS = 3  # of the system's, as resolvers use
FIRST_TRY_S = 2.0  # then the next server is asked; the last one has all that is left
ASK_AGAIN_S = 1.0  # a datagram may get lost, either way; those who look names up recognise the same question
RESOLV_CONF = Path("/etc/resolv.conf")
_RECURSION_DESIRED = 0x0100
_TRUNCATED = 0x02  # in the third byte of an answer
_HEADER_BYTES = 12
_INTERNAL = ("internal", "local", "localhost", "home.arpa", "lan", "intranet", "corp")
_REFUSED = "The name server does not take questions: the connection was refused or broken off"
_NO_TCP = (
    "The answer of the name server does not fit into a datagram, and it was not given over TCP: let port 53 "
    "through there for TCP as well"
)
_NO_SERVER = "This machine names no name server in /etc/resolv.conf: give the task a server, such as 1.1.1.1"


class NameServers:
    """Asks name servers that users give, or those of this machine.

    Args:
        allow_private: Whether servers with private addresses may be asked, and names of private networks.
        system_servers: Returns the addresses of this machine's servers.
        port: Of all servers.
        new_id: Returns 16 random bits.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        system_servers: Callable[[], Sequence[str]] | None = None,
        port: int = PORT,
        new_id: Callable[[], int],
    ) -> None:
        self._allow_private = allow_private
        self._allow = is_public_or_private_address if allow_private else is_public_address
        self._system_servers = system_servers or read_system_servers
        self._port = port
        self._new_id = new_id

    async def ask(self, name: str, record_type: str, *, server: str = "", timeout_s: float) -> bytes:
        """Return the answer to the question for *name*: a message of at least 12 bytes, with its id.

        Args:
            name: In ASCII, without the dot at its end.
            record_type: One of `RECORD_TYPES`.
            server: The address of the one to ask; empty for those of this machine, one after the other.
            timeout_s: For all of it.

        Raises:
            FetchError: No answer came, or the server or the name is not allowed.
        """
        servers = self._servers_for(name, record_type, server)
        query = build_query(self._new_id(), name, record_type)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_s
        problem = f"No answer from the name server within {timeout_s:g} s"
        for number, address in enumerate(servers):
            left = ends_at - loop.time()
            share = left if number == len(servers) - 1 else min(FIRST_TRY_S, left / 2)
            is_cut = False
            try:
                async with asyncio.timeout(share):
                    answer = await self._ask_by_udp(address, query)
                    is_cut = bool(answer[2] & _TRUNCATED)
                    return await self._ask_by_tcp(address, query) if is_cut else answer
            except TimeoutError:
                problem = _NO_TCP if is_cut else problem
            except OSError:
                problem = _NO_TCP if is_cut else _REFUSED
        raise FetchError(problem)

    def _servers_for(self, name: str, record_type: str, server: str) -> Sequence[str]:
        if server:
            address = parse_ip(server)
            if address is None or not self._allow(address, self._port):
                raise BlockedRequestError(ADDRESS_NOT_ALLOWED)
            return [str(address)]
        # A word alone is the name of a container: the resolver of Docker has the addresses of its neighbours.
        is_private = "." not in name and record_type in _ADDRESS_TYPES
        is_private = is_private or f".{name}".endswith(tuple(f".{one}" for one in _INTERNAL))
        if is_private and not self._allow_private:
            raise BlockedRequestError("The name is one of a private network, and so not allowed")
        servers = self._system_servers()[:MAX_SERVERS]
        if not servers:
            raise FetchError(_NO_SERVER)
        return servers

    async def _ask_by_udp(self, address: str, query: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        transport, question = await loop.create_datagram_endpoint(
            lambda: _Question(query, loop.create_future()), remote_addr=(address, self._port)
        )
        try:
            while not question.answer.done():
                transport.sendto(query)
                await asyncio.wait([question.answer], timeout=ASK_AGAIN_S)
            return question.answer.result()
        finally:
            transport.close()

    async def _ask_by_tcp(self, address: str, query: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(address, self._port)
        try:
            writer.write(struct.pack(">H", len(query)) + query)
            await writer.drain()
            (size,) = struct.unpack(">H", await reader.readexactly(2))
            answer = await reader.readexactly(size)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError from None
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        if not is_answer_to(query, answer):
            raise ConnectionResetError
        return answer


class _Question(asyncio.DatagramProtocol):
    """Waits for the answer with the id of a question; others are passed over."""

    def __init__(self, query: bytes, answer: asyncio.Future[bytes]) -> None:
        self._query = query
        self.answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.answer.done() and is_answer_to(self._query, data):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def build_query(id_: int, name: str, record_type: str) -> bytes:
    """Return the message that asks for the records of *name*; the server looks them up elsewhere."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("ascii").split(b".") if label)
    header = struct.pack(">HHHHHH", id_, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", RECORD_TYPES[record_type], 1)


def is_answer_to(query: bytes, message: bytes) -> bool:
    """Whether *message* is an answer, and has the id of *query*; what else it is its reader says."""
    return len(message) >= _HEADER_BYTES and message[:2] == query[:2] and bool(message[2] & 0x80)


def read_system_servers(path: Path = RESOLV_CONF) -> Sequence[str]:
    """Return the addresses of this machine's name servers; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver" and parse_ip(line[1])]
