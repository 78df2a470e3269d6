"""Servers, a trap and clients that are closed after each test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from functions.http_client import FetchError
from functions.http_client.client import HttpClient, build_guarded_client
from functions.http_client.httpx import httpx
from functions.http_client.requests import ANY_PORT
from tests.support.peers import Script, Server, Trap, only
from tests.unit.notifications.conftest import post as post

Serve = Callable[..., Awaitable[Server]]
MakeClient = Callable[..., HttpClient]
Failure = Callable[..., Awaitable[FetchError]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that follows a script."""
    servers: list[Server] = []

    async def start(script: Script, **arguments: Any) -> Server:
        servers.append(await Server(script, **arguments).start())
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
def trap() -> Iterator[Trap]:
    """A place on this machine that no call may ever touch."""
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Build a client that may reach exactly the given servers besides the public internet."""
    clients: list[HttpClient] = []

    def make(*servers: Server, **arguments: Any) -> HttpClient:
        defaults: dict[str, Any] = {
            "allow": only(*(server.port for server in servers)),
            "ports": ANY_PORT,
        }
        clients.append(build_guarded_client(**(defaults | arguments)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close_connections()


@pytest.fixture
def failure() -> Failure:
    """Make a call that must fail and return how; whatever it is, it tells no address and no secret."""

    async def fail(client: HttpClient, url: str, method: str = "GET", **arguments: Any) -> FetchError:
        with pytest.raises(FetchError) as caught:
            await client.request(method, url, **({"timeout": 5} | arguments))
        reason = caught.value.reason
        if isinstance(caught.value, httpx.HTTPError):
            assert caught.value.request.method == method.upper()
        assert isinstance(caught.value, httpx.HTTPError | httpx.InvalidURL)  # for those who know httpx
        assert reason == str(caught.value)
        assert caught.value.__cause__ is None  # a log would print it
        for secret in ("127.0.0", "169.254", "::1", "canary", "token", "a9fe"):
            assert secret not in reason
        return caught.value

    return fail
