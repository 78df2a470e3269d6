"""The history of a JSON store stays in its file and is read from there; small documents expire."""

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.run import Run
from functions.domain.storage import Document, RunBatch
from functions.domain.types import OutcomeKind
from functions.stores.jsonfile.runs import RunLog
from tests.conftest import NOON
from tests.support.json_places import Folder

MINUTE = timedelta(minutes=1)


def batch(tick: int, *, runs: int = 20) -> RunBatch:
    at = NOON + tick * MINUTE
    made = (
        Run(
            task_id=f"task-{number}",
            occurrence=at,
            attempt=1,
            token=f"t{tick}.{number}",
            outcome=OutcomeKind.SUCCEEDED,
            summary="Answered 200 in 12 ms, as it did before",
            started_at=at,
            finished_at=at + timedelta(milliseconds=number),
        )
        for number in range(runs)
    )
    return RunBatch(f"t{tick}.1", at, tuple(made))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLog:
    """The history of 200 ticks of 20 runs, written without waiting for the disk."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    log = RunLog(tmp_path / "tasks.json")
    for tick in range(200):
        log.save(batch(tick))
    return log


@pytest.mark.slow
def test_memory_holds_where_runs_are_and_not_the_runs(log: RunLog, tmp_path: Path) -> None:
    log.runs(None, None, None, 50)
    size = (tmp_path / "tasks.history.jsonl").stat().st_size
    again = RunLog(tmp_path / "tasks.json")

    tracemalloc.start()
    found = again.runs(None, None, None, 50)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 50 == len(found)
    assert held < size / 5  # all records as objects are three times the file


@pytest.mark.slow
def test_the_newest_of_all_and_of_one_task_and_pages_of_both(log: RunLog) -> None:
    newest = [run.token for run in log.runs(None, None, None, 22)]
    assert [f"t199.{number}" for number in reversed(range(20))] + ["t198.19", "t198.18"] == newest

    page = log.runs("task-7", None, NOON + 100 * MINUTE, 3)
    assert ["t99.7", "t98.7", "t97.7"] == [run.token for run in page]
    assert ["t3.7", "t2.7"] == [
        run.token for run in log.runs("task-7", NOON + 2 * MINUTE, NOON + 4 * MINUTE, 9)
    ]
    assert [] == log.runs("task", None, None, 9) == log.runs(None, None, None, 0)


@pytest.mark.slow
def test_an_entry_of_long_ago_that_is_kept_late_is_where_it_belongs(log: RunLog) -> None:
    """A process that overslept, or one whose clock was wrong, writes behind the others."""
    log.save(batch(-5, runs=1))

    assert "t-5.0" == log.runs(None, None, None, 10_000)[-1].token
    assert "t199.19" == log.runs(None, None, None, 1)[0].token
    assert NOON + 199 * MINUTE == log.last_saved_at()


async def test_documents_that_expired_leave_with_the_next_runs(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    store = folder.store()
    gone, soon = NOON, NOON + timedelta(days=1)
    await store.put_documents([Document("meta", "gone", {}, expire_at=gone), Document("meta", "kept", {})])
    await store.put_documents([Document("meta", "soon", {}, expire_at=soon)])

    await store.write_with_runs(batch(30, runs=1), [])
    before = [one.id for one in await store.list_documents("meta")]
    await store.write_with_runs(batch(90, runs=1), [])

    assert (["gone", "kept", "soon"], ["kept", "soon"]) == (
        before,
        [one.id for one in await store.list_documents("meta")],
    )
