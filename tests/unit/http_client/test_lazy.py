"""The client for one origin: that one may be private, and every other is refused."""

import time

import pytest

from functions.http_client import RefusedError
from functions.http_client.lazy import OriginClient
from tests.support.peers import Server, answer


@pytest.fixture
async def server() -> Server:
    return await Server(answer()).start()


async def test_its_own_origin_is_reached_though_it_is_private(server: Server) -> None:
    client = OriginClient(f"http://127.0.0.1:{server.port}/v1", clock=time.time)

    response = await client.request("GET", f"http://127.0.0.1:{server.port}/other", timeout_s=20)

    await client.close()
    await server.stop()
    assert 200 == response.status


@pytest.mark.parametrize(
    "other", ["http://localhost:{port}/", "http://127.0.0.1:1/", "https://127.0.0.1:{port}/"]
)
async def test_every_other_origin_is_refused(server: Server, other: str) -> None:
    client = OriginClient(f"http://127.0.0.1:{server.port}/v1", clock=time.time)

    with pytest.raises(RefusedError):
        await client.request("GET", other.format(port=server.port), timeout_s=20)

    await client.close()
    await server.stop()
    assert [] == server.requests


async def test_a_redirect_is_not_followed(server: Server) -> None:
    away = await Server(answer(302, headers={"Location": f"http://127.0.0.1:{server.port}/"})).start()
    client = OriginClient(f"http://127.0.0.1:{away.port}", clock=time.time)

    response = await client.request("GET", f"http://127.0.0.1:{away.port}/", max_redirects=3, timeout_s=20)

    await client.close()
    await away.stop()
    await server.stop()
    assert (302, []) == (response.status, server.requests)


@pytest.mark.parametrize(
    "base", ["http://169.254.169.254/", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"]
)
async def test_the_metadata_service_is_refused_even_as_an_origin(base: str) -> None:
    client = OriginClient(base, clock=time.time)

    with pytest.raises(RefusedError):
        await client.request("GET", base, timeout_s=20)

    await client.close()
