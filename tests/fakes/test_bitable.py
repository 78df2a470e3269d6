"""The local Bitable answers as Feishu does: what a client passes here it would pass there."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.bitable import FakeBitable
from tests.fakes.bitable_client import Client


@pytest.fixture
async def feishu() -> AsyncIterator[FakeBitable]:
    async with FakeBitable().serving() as fake:
        yield fake


@pytest.fixture
async def client(feishu: FakeBitable) -> AsyncIterator[Client]:
    async with Client.signed_in(feishu) as client:
        yield client


async def test_what_is_created_is_found_with_text_in_pieces(feishu: FakeBitable, client: Client) -> None:
    """Text is written as a string and read as a list: who compares the two finds all changed."""
    table = feishu.add_base().add_table("Tasks", {"Task": 1, "Next": 2}, blank_rows=0)

    created = await client.data(table, "batch_create", records=[{"fields": {"Task": "Water", "Next": 5}}])
    found = await client.data(table, "search")

    [record] = created["records"]
    pieces = [{"type": "text", "text": "Water"}]
    assert {"Task": "Water", "Next": 5} == record["fields"]
    assert [{"record_id": record["record_id"], "fields": {"Task": pieces, "Next": 5}}] == found["items"]
