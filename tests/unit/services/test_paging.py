"""Paging: whatever the size of the pages, nothing is missing and nothing is there twice."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.run import Run
from functions.domain.storage import Document, TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.services import paging
from functions.services.paging import all_tasks, iter_documents, iter_runs
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.contract.documents import create


def run_at(number: int, seconds: float) -> Run:
    """A record; all records of one second finished at the very same moment."""
    at = NOON + timedelta(seconds=seconds)
    return Run(
        task_id=f"t{number}",
        occurrence=NOON,
        attempt=1,
        token=f"a.{number}",
        outcome=OutcomeKind.SUCCEEDED,
        started_at=at,
        finished_at=at,
    )


class Ledger:
    """Gives pages as every store does."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = sorted(runs, key=lambda run: run.finished_at, reverse=True)

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        return [
            run
            for run in self._runs
            if (task_id is None or run.task_id == task_id)
            and (since is None or run.finished_at >= since)
            and (before is None or run.finished_at < before)
        ][:limit]


@pytest.mark.slow
@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 7))
async def test_every_record_comes_once_whatever_the_pages(seconds: list[int], page: int) -> None:
    runs = [run_at(number, second) for number, second in enumerate(seconds)]

    found = [run async for run in iter_runs(Ledger(runs), page_size=page)]

    assert sorted(run.key for run in runs) == sorted(run.key for run in found)
    assert sorted((run.finished_at for run in runs), reverse=True) == [run.finished_at for run in found]


@pytest.mark.parametrize("many", [10, 25])
async def test_one_moment_may_fill_more_than_a_page(many: int) -> None:
    runs = [run_at(number, 3) for number in range(many)] + [run_at(99, 1)]

    found = [run async for run in iter_runs(Ledger(runs), page_size=10)]

    assert many + 1 == len({run.key for run in found}) == len(found)


async def test_the_span_is_kept() -> None:
    runs = [run_at(number, number) for number in range(9)]
    bound: Callable[[int], datetime] = lambda second: NOON + timedelta(seconds=second)  # noqa: E731  # a name for it

    found = [run async for run in iter_runs(Ledger(runs), since=bound(2), before=bound(6), page_size=2)]

    assert ["t5", "t4", "t3", "t2"] == [run.task_id for run in found]


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(paging, "PAGE_SIZE", 3)
    one = SqliteStore(str(tmp_path / "pages.db"))
    yield one
    await one.close()


@pytest.mark.parametrize("many", [1, 3, 6, 7])
async def test_every_document_and_task_comes_once(
    store: SqliteStore, make_task: Callable[..., Task], many: int
) -> None:
    ids = [f"n{number}" for number in range(many)]
    await store.put_documents([Document("meta", id_, {"n": 1}) for id_ in ids])
    await create(store, *(make_task(id=id_) for id_ in ids))

    assert ids == [document.id async for document in iter_documents(store, "meta")]
    assert ids == [stored.task.id for stored in await all_tasks(store, TaskFilter())]


async def test_documents_of_a_prefix_end_with_it(store: SqliteStore) -> None:
    ids = ["a.1", "b", *(f"b.{number}" for number in range(7)), "c.1"]
    await store.put_documents([Document("meta", id_, {"n": 1}) for id_ in ids])

    assert ids[2:9] == [document.id async for document in iter_documents(store, "meta", prefix="b.")]
