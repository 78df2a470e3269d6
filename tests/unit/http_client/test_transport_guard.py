"""No way of writing, hiding or moving an address leads to one that is not allowed."""

import asyncio
from collections.abc import Sequence

import pytest

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.resolver import NameResolver
from tests.support.peers import Request, Trap, answer
from tests.unit.http_client.conftest import Failure, MakeClient, Serve
from tests.unit.http_client.vectors import (
    KNOWN_NAMES,
    LOOPBACK_HOSTS,
    METADATA_HOSTS,
    ODD_ONLY_ALONE,
    ODD_URLS,
)

TARGETS = [f"http://{host}:{{port}}/" for host in LOOPBACK_HOSTS + METADATA_HOSTS]


class Resolver:
    """Answers from a table, else as the system does, without asking anybody on the network."""

    def __init__(self) -> None:
        self._system = NameResolver()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return KNOWN_NAMES[host] if host in KNOWN_NAMES else await self._system(host, port)


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
async def test_no_way_of_writing_loopback_connects(
    host: str, trap: Trap, make_client: MakeClient, failure: Failure, resolver: Resolver
) -> None:
    error = await failure(make_client(resolve=resolver), f"http://{host}:{trap.port}/")

    assert isinstance(error, BlockedRequestError)
    assert trap.touched == 0


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("host", METADATA_HOSTS)
async def test_no_way_of_writing_metadata_connects_even_where_private_addresses_may(
    host: str, private: bool, make_client: MakeClient, failure: Failure, resolver: Resolver
) -> None:
    client = make_client(allow=None, allow_private=private, resolve=resolver)

    error = await failure(client, f"http://{host}/computeMetadata/v1/")

    assert isinstance(error, BlockedRequestError)


@pytest.mark.parametrize("form", ODD_URLS + ODD_ONLY_ALONE)
async def test_no_odd_url_connects(form: str, trap: Trap, make_client: MakeClient, failure: Failure) -> None:
    error = await failure(make_client(), form.format(port=trap.port))

    assert isinstance(error, BlockedRequestError)
    assert trap.touched == 0


@pytest.mark.parametrize("target", [*TARGETS, *ODD_URLS])
@pytest.mark.parametrize("status", [302, 307])
async def test_no_redirect_leads_there(
    target: str,
    status: int,
    serve: Serve,
    trap: Trap,
    make_client: MakeClient,
    failure: Failure,
    resolver: Resolver,
) -> None:
    server = await serve(answer(status, headers={"Location": target.format(port=trap.port)}))

    error = await failure(make_client(server, resolve=resolver), server.url)

    assert isinstance(error, BlockedRequestError)
    assert error.reason.startswith("The redirect was not followed: ")
    assert len(server.requests) == 1
    assert trap.touched == 0


async def test_a_second_redirect_is_judged_like_the_first(
    serve: Serve, trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        target = f"http://127.0.0.1:{trap.port}/" if "/again" in request.line else "/again"
        await answer(302, headers={"Location": target})(request, writer)

    server = await serve(script)

    error = await failure(make_client(server), server.url)

    assert isinstance(error, BlockedRequestError)
    assert len(server.requests) == 2
    assert trap.touched == 0


class Rebinding:
    """A name server that gives another answer each time it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0)


async def test_the_address_that_was_checked_is_the_one_connected_to(
    serve: Serve, make_client: MakeClient
) -> None:
    """Asking twice, once to check and once to connect, is the hole that rebinding goes through."""
    server = await serve(answer(headers={"Connection": "close"}))
    rebinding = Rebinding(["127.0.0.1"], ["127.0.0.2"])
    client = make_client(server, resolve=rebinding)

    first = await client.request("GET", f"http://rebind.example:{server.port}/", timeout=5)
    second = await client.request("GET", f"http://rebind.example:{server.port}/", timeout=5)

    assert [first.content, second.content] == [b"ok", b"ok"]
    assert server.connections == 2
    assert rebinding.asked == 1


async def test_a_name_that_moves_to_a_forbidden_address_is_refused(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())
    rebinding = Rebinding(["127.0.0.1"], ["127.0.0.2"])
    url = f"http://rebind.example:{server.port}/"

    first = await make_client(server, resolve=rebinding).request("GET", url, timeout=5)
    error = await failure(make_client(server, resolve=rebinding), url)

    assert first.content == b"ok"
    assert isinstance(error, BlockedRequestError)
    assert rebinding.asked == 2
    assert server.connections == 1


async def test_a_redirect_through_a_name_that_moves_is_refused(
    serve: Serve, trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(302, headers={"Location": f"http://rebind.example:{trap.port}/"}))
    rebinding = Rebinding(["127.0.0.1"], ["127.0.0.1"])
    client = make_client(server, resolve=rebinding)

    error = await failure(client, f"http://rebind.example:{server.port}/")

    assert isinstance(error, BlockedRequestError)
    assert rebinding.asked == 2
    assert trap.touched == 0


@pytest.mark.parametrize("found", [["8.8.8.8", "127.0.0.1"], ["2606:4700::1", "::1"], ["8.8.8.8", "?"]])
async def test_one_forbidden_address_among_good_ones_refuses_the_name(
    found: list[str], trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    client = make_client(resolve=Rebinding(found))

    error = await failure(client, f"http://mixed.example:{trap.port}/")

    assert isinstance(error, BlockedRequestError)
    assert trap.touched == 0


async def test_not_even_the_good_address_of_such_a_name_is_called(
    serve: Serve, make_client: MakeClient, failure: Failure
) -> None:
    """Whoever mixes them is playing for the moment in which the other one is picked."""
    server = await serve(answer())
    client = make_client(server, resolve=Rebinding(["127.0.0.1", "127.0.0.2"]))

    error = await failure(client, f"http://mixed.example:{server.port}/")

    assert isinstance(error, BlockedRequestError)
    assert 0 == server.connections


async def test_private_addresses_connect_where_that_is_asked_for(
    serve: Serve, make_client: MakeClient
) -> None:
    server = await serve(answer())
    client = make_client(allow=None, ports=None, allow_private=True)

    response = await client.request("GET", f"http://localhost:{server.port}/", timeout=5)

    assert response.content == b"ok"


async def test_by_default_a_server_on_this_machine_is_out_of_reach(
    trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    error = await failure(make_client(allow=None), f"http://127.0.0.1:{trap.port}/")

    assert error.reason == "The address is private, local or reserved, and so not allowed"
    assert trap.touched == 0


async def test_by_default_only_the_ports_of_the_web_are_called(
    trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    error = await failure(make_client(ports=None), f"http://example.com:{trap.port}/")

    assert error.reason.startswith(f"The URL's port {trap.port} is not allowed here; ")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_named_in_the_environment_is_ignored(
    name: str, serve: Serve, trap: Trap, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect for us, past the guard."""
    server = await serve(answer())
    monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")

    response = await make_client(server).request("GET", server.url, timeout=5)

    assert response.content == b"ok"
    assert trap.touched == 0


async def test_a_name_that_cannot_be_looked_up_says_so(make_client: MakeClient, failure: Failure) -> None:
    async def broken(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    error = await failure(make_client(resolve=broken), "http://nowhere.example/")

    assert error.reason == "The name nowhere.example does not resolve"
    assert not error.permanent
    assert isinstance(error, FetchError)
    assert not isinstance(error, BlockedRequestError)


async def test_a_name_without_addresses_does_not_resolve(make_client: MakeClient, failure: Failure) -> None:
    error = await failure(make_client(resolve=Rebinding([])), "http://nowhere.example/")

    assert "The name nowhere.example does not resolve: it has no address" == error.reason


async def test_a_name_server_that_never_answers_costs_the_deadline_and_no_more(
    make_client: MakeClient, failure: Failure
) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    error = await failure(make_client(resolve=never), "http://slow.example/", timeout=0.1)

    assert error.reason == "No answer within 0.1 s"
