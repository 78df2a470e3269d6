"""A base that an older scheduler left: columns of text for options, `frequency` for a schedule."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from functions.domain.types import Status
from functions.stores.bitable.store import BitableStore
from tests.conftest import NOON
from tests.contract.documents import read
from tests.fakes.bitable import FakeBitable
from tests.fakes.bitable.cells import FieldType
from tests.support.bitable_places import Sheet

OLDER_COLUMNS = dict.fromkeys(("status", "type", "priority", "frequency"), FieldType.TEXT)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def sheet() -> AsyncIterator[Sheet]:
    async with FakeBitable(lambda: NOON).serving() as feishu:
        yield Sheet(feishu, older=OLDER_COLUMNS)


@pytest.fixture
async def store(sheet: Sheet) -> AsyncIterator[BitableStore]:
    store = sheet.store()
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("frequency", "minutes"), [("hourly", 60), ("daily", 12 * 60), ("every 15m", 15), (" Hourly ", 60)]
)
async def test_a_frequency_is_the_schedule_and_stays_as_it_is_written(
    sheet: Sheet, store: BitableStore, frequency: str, minutes: int
) -> None:
    row = sheet.add(id="ping", type="http", frequency=frequency, params='{"url": "https://example.com"}')

    await store.fetch_due(NOON, limit=1)
    await store.fetch_due(NOON + MINUTE, limit=1)

    assert ("scheduled", "", "") == (row.text("status"), row.text("lastError"), row.text("schedule"))
    assert (await read(store, "ping")).task.next_run_at == NOON + minutes * MINUTE


async def test_a_schedule_counts_more_than_a_frequency(sheet: Sheet, store: BitableStore) -> None:
    row = sheet.add(id="ping", type="http", frequency="daily", params='{"url": "https://example.com"}')
    await store.fetch_due(NOON, limit=1)

    row.set("schedule", "hourly")

    assert (await read(store, "ping")).task.schedule == "hourly"


async def test_a_changed_frequency_changes_the_schedule(sheet: Sheet, store: BitableStore) -> None:
    row = sheet.add(id="ping", type="http", frequency="daily", params='{"url": "https://example.com"}')
    await store.fetch_due(NOON, limit=1)

    row.set("frequency", "every 15m")
    await store.fetch_due(NOON + 6 * MINUTE, limit=1)

    assert (await read(store, "ping")).task.schedule == "every 15m"
    assert int((NOON + 15 * MINUTE).timestamp()) <= int(row.text("nextRunAt"))


@pytest.mark.parametrize("column", [FieldType.TEXT, FieldType.SINGLE_SELECT])
@pytest.mark.parametrize("status", ["paused", "Disabled", "cancelled", "已暂停"])
async def test_a_row_that_was_stopped_is_a_paused_task_until_it_is_enabled(
    sheet: Sheet, store: BitableStore, status: str, column: FieldType
) -> None:
    sheet.tasks.field("status").type = column
    row = sheet.add(
        id="ping", type="http", frequency="hourly", params='{"url": "https://example.com"}', status=status
    )

    found = await store.fetch_due(NOON + 61 * MINUTE, limit=1)

    assert ((), ()) == (found.tasks, found.invalid)
    assert ("paused", "False") == (row.text("status"), row.text("enabled"))

    row.set("enabled", True)

    assert (await read(store, "ping")).task.status is Status.SCHEDULED


async def test_other_words_pause_nothing(sheet: Sheet, store: BitableStore) -> None:
    row = sheet.add(
        id="ping", type="http", frequency="hourly", params='{"url": "https://example.com"}', status="active"
    )

    await store.fetch_due(NOON, limit=1)

    assert ("scheduled", "True") == (row.text("status"), row.text("enabled"))
