"""A name that was good a moment ago and then moves: to whichever address, no socket goes there."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from functions.http_client import BlockedRequestError
from tests.support.peers import Trap, answer
from tests.unit.http_client.conftest import Failure, MakeClient, Serve
from tests.unit.http_client.vectors import METADATA, NOWHERE, PRIVATE

_listeners: list[list[Any]] = []


@cache
def listen() -> None:
    """Note every connection that any library makes, however it is made.

    A hook stays as long as the process, and slows each import and each opened file: who runs no test of this
    file has none.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _listeners and event == "socket.connect":
            for heard in _listeners:
                heard.append(arguments[1])

    sys.addaudithook(hook)


@contextmanager
def connections() -> Iterator[list[Any]]:
    """The addresses connected to meanwhile."""
    listen()
    heard: list[Any] = []
    _listeners.append(heard)
    yield heard
    _listeners.remove(heard)


class Moving:
    """A name server whose next answer is another one."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        return [self._answers.pop(0)]


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("address", METADATA + NOWHERE)
async def test_to_metadata_or_nowhere_no_name_leads(
    address: str, private: bool, make_client: MakeClient, failure: Failure
) -> None:
    client = make_client(allow=None, allow_private=private, resolve=Moving(address))

    with connections() as made:
        error = await failure(client, "http://moving.example:8080/")

    assert isinstance(error, BlockedRequestError)
    assert [] == made


@pytest.mark.parametrize("address", PRIVATE + METADATA + NOWHERE)
async def test_a_name_that_was_good_and_moves_is_refused_before_any_connection(
    address: str, serve: Serve, trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer())
    client = make_client(server, resolve=Moving("127.0.0.1", address))

    with connections() as made:
        good = await client.request("GET", f"http://moving.example:{server.port}/", timeout=5)
        error = await failure(client, f"http://moving.example:{trap.port}/")

    assert 200 == good.status_code
    assert isinstance(error, BlockedRequestError)
    assert [("127.0.0.1", server.port)] == made
    assert 0 == trap.touched


@pytest.mark.parametrize("address", PRIVATE + METADATA + NOWHERE)
async def test_a_redirect_to_a_name_that_moved_is_refused_before_any_connection(
    address: str, serve: Serve, trap: Trap, make_client: MakeClient, failure: Failure
) -> None:
    server = await serve(answer(307, headers={"Location": f"http://moving.example:{trap.port}/"}))
    client = make_client(server, resolve=Moving("127.0.0.1", address))

    with connections() as made:
        error = await failure(client, f"http://moving.example:{server.port}/")

    assert isinstance(error, BlockedRequestError)
    assert [("127.0.0.1", server.port)] == made
    assert 0 == trap.touched


async def test_no_credentials_are_taken_from_a_netrc(
    serve: Serve, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is the machine's; whom a task calls is the task's."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login ann password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = await serve(answer())

    await make_client(server).request("GET", server.url, timeout=5)

    assert "authorization" not in server.requests[0].headers
