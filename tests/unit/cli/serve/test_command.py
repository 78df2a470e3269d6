"""Where `serve` listens."""

import socket

import pytest

from functions.cli.serve.command import WILDCARDS, find_free_port, format_address
from functions.errors import InputError


def test_an_address_of_this_machine_is_listened_on() -> None:
    for host in ("127.0.0.1", "0.0.0.0", "localhost"):  # what is tested
        assert find_free_port(0, host) > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_another_address_is_refused_by_its_option(host: str) -> None:
    with pytest.raises(InputError, match=r"--host: .* is no address of this machine"):
        find_free_port(0, host)


def test_a_port_that_is_taken_is_refused_by_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="--port"):
        find_free_port(taken.getsockname()[1])


def test_a_server_on_all_addresses_is_called_on_loopback() -> None:
    assert "http://127.0.0.1:80" == format_address(WILDCARDS["0.0.0.0"], 80)  # as above
    assert "http://[::1]:80" == format_address(WILDCARDS["::"], 80)
