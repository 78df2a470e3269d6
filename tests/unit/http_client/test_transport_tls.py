"""Certificates: the good are read, the bad refused in plain words."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.authority import Authority
from tests.support.peers import answer
from tests.support.sockets import listening
from tests.unit.http_client.conftest import Failure, MakeClient, Serve

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, now=NOW)


async def test_the_end_of_the_certificate_is_known(
    authority: Authority, serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer(), tls=authority.server(ends=NOW + 30 * DAY))
    client = make_client(server, ssl_context=authority.trusted)

    responses = [await client.request("GET", server.url, timeout=5) for _ in range(2)]

    ends = (NOW + 30 * DAY).replace(microsecond=0)
    assert [ends, ends] == [response.extensions["certificate_ends_at"] for response in responses]
    assert 1 == server.connections


async def test_it_is_known_for_an_answer_without_a_body_too(
    authority: Authority, serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer(204, b""), tls=authority.server(ends=NOW + 30 * DAY))
    client = make_client(server, ssl_context=authority.trusted)

    response = await client.request("HEAD", server.url, timeout=5)

    assert (NOW + 30 * DAY).replace(microsecond=0) == response.extensions["certificate_ends_at"]


async def test_a_certificate_signed_by_itself_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), tls=authority.server(self_signed=True))

    error = await failure(make_client(server, ssl_context=authority.trusted), server.url)

    assert (
        "The TLS certificate is signed by itself: use one of a known authority, or trust it (SSL_CERT_FILE)"
        == error.reason
    )
    assert not error.permanent
    assert [] == server.requests


async def test_an_authority_nobody_knows_is_refused_by_default(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), tls=authority.server())

    error = await failure(make_client(server), server.url)

    assert error.reason.startswith("The TLS certificate is signed by an authority unknown here: ")
    assert [] == server.requests


async def test_an_expired_certificate_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), tls=authority.server(starts=NOW - 3 * DAY, ends=NOW - DAY))

    error = await failure(make_client(server, ssl_context=authority.trusted), server.url)

    assert "The TLS certificate has expired: renew it on the server" == error.reason


async def test_a_certificate_from_the_future_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), tls=authority.server(starts=NOW + DAY, ends=NOW + 3 * DAY))

    error = await failure(make_client(server, ssl_context=authority.trusted), server.url)

    assert "The TLS certificate is not valid yet: check the clocks of both machines" == error.reason


async def test_a_certificate_for_another_address_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), tls=authority.server(address="127.0.0.9"))

    error = await failure(make_client(server, ssl_context=authority.trusted), server.url)

    assert error.reason.startswith("The TLS certificate is not for an address in numbers: ")


async def test_a_certificate_for_another_name_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    """The name asked for is what counts, not the address it was checked and reached by."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await serve(answer(), tls=authority.server(address="127.0.0.1"))
    client = make_client(server, ssl_context=authority.trusted, resolve=here)

    error = await failure(client, f"https://shop.example:{server.port}/")

    assert error.reason.startswith("The TLS certificate of shop.example is for other names: ")


async def test_a_server_that_does_not_speak_tls_is_named_so(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(), greeting=b"220 mail.example ESMTP\r\n")

    error = await failure(make_client(server), server.url.replace("http:", "https:"))

    assert (
        f"Port {server.port} of the server does not speak TLS: write http:// or the port that does"
        == error.reason
    )


async def test_plain_text_within_a_connection_that_was_made_is_no_fault_of_the_port(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    """A proxy that gives up writes its page past the encryption."""

    async def give_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        os.write(writer.get_extra_info("socket").fileno(), b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await reader.read()

    server = await serve(answer())
    async with listening(give_up, tls=authority.server()) as port:
        client = make_client(server, ssl_context=authority.trusted, allow=lambda address, port: True)
        error = await failure(client, f"https://127.0.0.1:{port}/")

    assert "The connection was broken off" == error.reason


async def test_a_redirect_from_https_to_http_is_refused(
    authority: Authority, serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    plain = await serve(answer())
    server = await serve(answer(302, headers={"Location": plain.url}), tls=authority.server())

    error = await failure(make_client(server, plain, ssl_context=authority.trusted), server.url)

    assert "The redirect was not followed: it leaves https for http" == error.reason
    assert 0 == plain.connections
