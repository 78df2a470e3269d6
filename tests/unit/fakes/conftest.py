"""A local Feishu with a clock that stands, a table in it, and a client that has signed in."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.bitable import FakeBitable, FieldType, Table
from tests.fakes.bitable_client import Client
from tests.support.clock import Clock

COLUMNS = {
    "Task": FieldType.TEXT,
    "Next": FieldType.NUMBER,
    "State": FieldType.SINGLE_SELECT,
    "Tags": FieldType.MULTI_SELECT,
    "When": FieldType.DATE,
    "On": FieldType.CHECKBOX,
    "Who": FieldType.USER,
    "Page": FieldType.URL,
    "Phone": FieldType.PHONE,
    "Sum": FieldType.FORMULA,
    "Made": FieldType.CREATED_TIME,
    "Changed": FieldType.MODIFIED_TIME,
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def feishu(clock: Clock) -> AsyncIterator[FakeBitable]:
    async with FakeBitable(clock).serving() as fake:
        yield fake


@pytest.fixture
async def client(feishu: FakeBitable) -> AsyncIterator[Client]:
    async with Client.signed_in(feishu) as client:
        yield client


@pytest.fixture
def table(feishu: FakeBitable) -> Table:
    """An empty table with a column of each type."""
    return feishu.add_base().add_table("Tasks", COLUMNS, blank_rows=0)
