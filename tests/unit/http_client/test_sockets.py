"""Connections without HTTP: the same guard, the same words, bounded in time."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.resolver import NameResolver
from functions.http_client.sockets import GuardedSockets, check_host
from tests.support.authority import Authority
from tests.support.peers import Trap, only
from tests.support.sockets import listening, say_nothing
from tests.unit.http_client.vectors import KNOWN_NAMES, LOOPBACK_HOSTS, METADATA_HOSTS

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


async def resolve(host: str, port: int) -> Sequence[str]:
    return KNOWN_NAMES[host] if host in KNOWN_NAMES else await NameResolver()(host, port)


async def refusal(sockets: GuardedSockets, host: str, port: int, **how: object) -> FetchError:
    options = {"tls": False, "timeout_s": 3.0} | how
    with pytest.raises(FetchError) as caught:
        async with sockets.open(host, port, **options):  # type: ignore[arg-type]
            raise AssertionError("connected")
    assert caught.value.__cause__ is None
    return caught.value


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A port that greets."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.read()

    async with listening(greet) as port:
        yield port


async def test_it_connects_to_what_is_allowed(port: int) -> None:
    async with GuardedSockets(allow=only(port), allow_private=True).open(
        "127.0.0.1", port, tls=False, timeout_s=3
    ) as opened:
        assert await opened.reader.readline() == b"220 ready\r\n"
    assert opened.connect_ms >= 0
    assert (opened.tls_version, opened.issuer, opened.certificate_ends_at) == ("", "", None)


@pytest.mark.parametrize("host", [one for one in LOOPBACK_HOSTS if "@" not in one])
async def test_no_way_of_writing_loopback_connects(host: str, trap: Trap) -> None:
    sockets = GuardedSockets(ports=((1, 65535),), resolve=resolve)
    assert isinstance(await refusal(sockets, host.strip("[]"), trap.port), BlockedRequestError)
    assert trap.touched == 0


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("host", METADATA_HOSTS)
async def test_metadata_stays_shut(host: str, private: bool) -> None:
    sockets = GuardedSockets(allow_private=private, ports=((1, 65535),), resolve=resolve)
    error = await refusal(sockets, host, 80)
    is_number_of_nothing = host == "425.510.425.510"  # which no system takes for an address
    assert isinstance(error, BlockedRequestError) or (is_number_of_nothing and "no such name" in error.reason)


async def test_a_name_that_moves_is_connected_to_where_it_was_checked(trap: Trap) -> None:
    """The address that was checked is the one that is connected to: a second answer is not asked for."""
    asked = []

    async def moving(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    sockets = GuardedSockets(ports=((1, 65535),), resolve=moving)
    await refusal(sockets, "moving.example", trap.port, timeout_s=0.2)
    assert (asked, trap.touched) == (["moving.example"], 0)


async def test_only_ports_that_are_allowed(trap: Trap) -> None:
    error = await refusal(GuardedSockets(), "example.com", 25)
    assert "port 25 is not allowed here" in error.reason
    assert "ALLOW_PORTS" in error.reason


@pytest.mark.parametrize("host", ["", "a b", "https://example.com", "a/b", "u@b", "a?b", "x" * 300, "a..b"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(BlockedRequestError):
        check_host(host, 443)


@pytest.mark.parametrize("host", ["db.example.com:80", "8.8.8.8:80", "[::1]:80", "https://example.com"])
def test_a_host_with_something_else_is_refused_with_an_example(host: str) -> None:
    with pytest.raises(BlockedRequestError, match="a name or an address alone, such as"):
        check_host(host, 443)


async def test_plain_words_for_what_goes_wrong(port: int, trap: Trap) -> None:
    sockets = GuardedSockets(allow_private=True, resolve=resolve)
    async with listening(say_nothing) as free:
        pass
    assert (await refusal(sockets, "127.0.0.1", free)).reason == "The connection was refused"
    unknown = await refusal(sockets, "no-such-name.invalid", 443)
    assert "no-such-name.invalid" in unknown.reason
    plain = await refusal(sockets, "127.0.0.1", port, tls=True)
    assert plain.reason == (
        f"Port {port} of the server does not speak TLS: choose one that does from the start, such as 465 or "
        "993, as STARTTLS is not spoken here"
    )


async def test_a_handshake_that_fails_for_a_rare_reason_has_the_words_of_openssl() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"\x15\x03\x03\x00\x02\x02\x2f")  # a fatal alert: an illegal parameter
        await reader.read()

    async with listening(refuse) as port:
        error = await refusal(GuardedSockets(allow_private=True), "127.0.0.1", port, tls=True)

    assert error.reason.startswith("The TLS handshake failed (OpenSSL: ")
    assert "illegal parameter" in error.reason


async def test_a_handshake_that_hangs_ends_in_time() -> None:
    async with listening(say_nothing) as port:
        error = await refusal(GuardedSockets(allow_private=True), "127.0.0.1", port, tls=True, timeout_s=0.2)
    assert error.reason == "No connection within 0.2 s"


@pytest.mark.slow  # half of the time is waited for the address that hangs
async def test_an_address_that_hangs_leaves_time_for_the_others(tmp_path: Path) -> None:
    """One of a name's servers is down, or its IPv6 leads nowhere."""
    authority = Authority(tmp_path, now=NOW)
    tls = authority.server(names=("twice.example",))
    async with listening(say_nothing, tls=tls) as port, listening(say_nothing, host="127.0.0.2", port=port):

        async def two(host: str, port: int) -> Sequence[str]:
            return ["127.0.0.2", "127.0.0.1"]

        sockets = GuardedSockets(allow_private=True, resolve=two, ssl_context=authority.trusted)
        async with sockets.open("twice.example", port, tls=True, timeout_s=3) as opened:
            assert opened.tls_version


@pytest.mark.slow
async def test_the_certificate_is_read_and_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=NOW)
    trusting = GuardedSockets(allow_private=True, ssl_context=authority.trusted)
    async with listening(say_nothing, tls=authority.server(ends=NOW + 30 * DAY)) as port:
        async with trusting.open("127.0.0.1", port, tls=True, timeout_s=5) as opened:
            pass
        untrusting = await refusal(GuardedSockets(allow_private=True), "127.0.0.1", port, tls=True)
    assert opened.certificate_ends_at == (NOW + 30 * DAY).replace(microsecond=0)
    assert opened.tls_version.startswith("TLSv1.")
    assert "authority unknown here" in untrusting.reason
    expired = authority.server(starts=NOW - 3 * DAY, ends=NOW - DAY)
    async with listening(say_nothing, tls=expired) as port:
        assert "has expired" in (await refusal(trusting, "127.0.0.1", port, tls=True)).reason


@pytest.mark.slow
async def test_authorities_are_loaded_once_and_not_in_the_loop(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take 20 to 50 ms: a hundred checks of certificates held up everybody for seconds."""
    load, threads = ssl.create_default_context, []

    def loading() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return load()

    monkeypatch.setattr(ssl, "create_default_context", loading)
    sockets = GuardedSockets(allow=only(port), allow_private=True)

    await asyncio.gather(*(refusal(sockets, "127.0.0.1", port, tls=True) for _ in range(5)))
    await refusal(sockets, "127.0.0.1", port, tls=True)

    assert 1 == len(threads)
    assert threads[0] is not threading.main_thread()
