"""History in a table: pages that stop in time and miss nothing, and long entries in several rows."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, Document, RunBatch
from functions.domain.types import OutcomeKind
from functions.stores.bitable.store import PRUNE_EVERY, BitableStore
from tests.conftest import NOON
from tests.fakes.bitable import FakeBitable
from tests.support.bitable_places import Sheet

SECOND = timedelta(seconds=1)


@pytest.fixture
async def sheet() -> AsyncIterator[Sheet]:
    async with FakeBitable().serving() as feishu:
        yield Sheet(feishu)


@pytest.fixture
async def store(sheet: Sheet) -> AsyncIterator[BitableStore]:
    store = sheet.store()
    yield store
    await store.close()


def run(task_id: str = "ping", *, at: datetime = NOON, **changes: Any) -> Run:
    defaults = {"task_id": task_id, "occurrence": NOON, "token": "ab.1", "outcome": OutcomeKind.SUCCEEDED}
    return Run.model_validate(defaults | {"started_at": at, "finished_at": at} | changes)


async def keep(store: BitableStore, number: int, *runs: Run, at: datetime = NOON) -> None:
    await store.write_with_runs(RunBatch(f"ab.{number}", at, runs), [])


@pytest.mark.slow
async def test_the_newest_few_are_one_page_of_a_long_history(sheet: Sheet, store: BitableStore) -> None:
    for number in range(60):
        await keep(store, number, run(at=NOON + number * SECOND, token=f"ab.{number}"))
    before = len(sheet.feishu.requests)

    newest = await store.runs(limit=3)

    assert [59, 58, 57] == [round((each.finished_at - NOON) / SECOND) for each in newest]
    assert 1 == len(sheet.feishu.requests) - before


@pytest.mark.slow
async def test_a_result_is_found_behind_the_report_that_it_was_given_up(store: BitableStore) -> None:
    """The claim had expired and was given up, and then its attempt reported after all."""
    given_up = run(at=NOON + 600 * SECOND, outcome=OutcomeKind.ABANDONED)
    await keep(store, 1, run(at=NOON))
    for number in range(2, 40):
        await keep(store, number, run("other", at=NOON + number * SECOND, token=f"ab.{number}"))
    await keep(store, 99, given_up)

    newest = await store.runs(limit=2)

    assert OutcomeKind.ABANDONED not in {each.outcome for each in newest}


async def test_an_entry_of_long_records_is_several_rows_and_one_entry(
    sheet: Sheet, store: BitableStore
) -> None:
    items = [{"title": "Ü" * 200, "url": "https://example.com/" + "a" * 200}] * 5
    runs = [run(f"t{number}", token=f"ab.{number}", items=items) for number in range(100)]
    await keep(store, 1, *runs)
    parts = len(sheet.runs.rows)

    await keep(store, 1, *runs[:3])

    assert (True, 1) == (parts > 1, len(sheet.runs.rows))
    assert {"t0", "t1", "t2"} == {each.task_id for each in await store.runs_of_tick("ab")}


async def test_people_read_what_happened_a_line_a_run(sheet: Sheet, store: BitableStore) -> None:
    await keep(store, 1, run("ping", summary="Answered 200"), run("pong", summary="Answered 204"))

    [row] = sheet.runs.rows
    assert "ping: succeeded; Answered 200\npong: succeeded; Answered 204" == row.text("summary")


async def test_what_is_past_keeping_goes_by_itself(sheet: Sheet, store: BitableStore) -> None:
    await keep(store, 1, run())
    await store.put_documents([Document("audit", "a", {"by": "alice"}, expire_at=NOON)])
    late = NOON + RUN_RETENTION + SECOND

    await store.fetch_due(NOON, limit=1)
    kept = len(sheet.runs.rows), len(await store.list_documents("audit"))
    await store.fetch_due(late, limit=1)
    sooner = len(sheet.runs.rows), len(await store.list_documents("audit"))
    await store.write_with_runs(RunBatch("cd.1", NOON, ()), [])
    await store.fetch_due(late + PRUNE_EVERY / 2, limit=1)

    assert ((1, 1), (0, 0), 1) == (kept, sooner, len(sheet.runs.rows))


async def test_a_record_spoilt_by_hand_hides_no_other(sheet: Sheet, store: BitableStore) -> None:
    await keep(store, 1, run("ping"))
    await keep(store, 2, run("pong"))
    sheet.runs.row("tasks", "|ping|").set("runs", "{oops")

    assert ["pong"] == [each.task_id for each in await store.runs()]
