"""The rule about addresses, at its edges."""

import pytest

from functions.http_client.addresses import Address, parse, public_only, public_or_private
from tests.unit.http_client.vectors import METADATA, NOWHERE, PRIVATE, PUBLIC


def address(text: str) -> Address:
    found = parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text: str) -> None:
    assert public_only(address(text), 443)
    assert public_or_private(address(text), 443)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_allowed_only_on_request(text: str) -> None:
    assert not public_only(address(text), 443)
    assert public_or_private(address(text), 443)


@pytest.mark.parametrize("text", METADATA + NOWHERE)
def test_metadata_and_reserved_addresses_are_never_allowed(text: str) -> None:
    assert not public_only(address(text), 443)
    assert not public_or_private(address(text), 443)


@pytest.mark.parametrize(
    "text", ["fe80::1%eth0", "2606:4700::1%1", "localhost", "127.1", "0x7f.0.0.1", "010.0.0.1"]
)
def test_only_addresses_in_their_usual_form_and_without_a_zone_are_read(text: str) -> None:
    assert parse(text) is None
