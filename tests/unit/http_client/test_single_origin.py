"""The client for one origin: that one may be private, and every other is refused."""

import pytest

from functions.http_client import BlockedRequestError
from functions.http_client.client import build_single_origin_client
from tests.support.peers import Server, answer


@pytest.fixture
async def server() -> Server:
    return await Server(answer()).start()


async def test_its_own_origin_is_reached_though_it_is_private(server: Server) -> None:
    client = build_single_origin_client(f"http://127.0.0.1:{server.port}/v1")

    response = await client.request("GET", f"http://127.0.0.1:{server.port}/other", timeout=20)

    await client.close_connections()
    await server.stop()
    assert 200 == response.status_code


@pytest.mark.parametrize(
    "other", ["http://localhost:{port}/", "http://127.0.0.1:1/", "https://127.0.0.1:{port}/"]
)
async def test_every_other_origin_is_refused(server: Server, other: str) -> None:
    client = build_single_origin_client(f"http://127.0.0.1:{server.port}/v1")

    with pytest.raises(BlockedRequestError):
        await client.request("GET", other.format(port=server.port), timeout=20)

    await client.close_connections()
    await server.stop()
    assert [] == server.requests


async def test_a_redirect_is_not_followed(server: Server) -> None:
    away = await Server(answer(302, headers={"Location": f"http://127.0.0.1:{server.port}/"})).start()
    client = build_single_origin_client(f"http://127.0.0.1:{away.port}")

    response = await client.get(f"http://127.0.0.1:{away.port}/", extensions={"max_redirects": 3})

    await client.close_connections()
    await away.stop()
    await server.stop()
    assert (302, []) == (response.status_code, server.requests)


@pytest.mark.parametrize(
    "base", ["http://169.254.169.254/", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"]
)
async def test_the_metadata_service_is_refused_even_as_an_origin(base: str) -> None:
    async def call() -> None:
        client = build_single_origin_client(base)
        try:
            await client.get(base)
        finally:
            await client.close_connections()

    with pytest.raises(BlockedRequestError):
        await call()
