"""Optimistic writes: conflicts are repeated on what the other writer left, and not for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.edit import queue_runs
from functions.domain.storage import ConditionalWrite, Document, RunBatch, WriteResult, WriteStatus
from functions.domain.task import Task
from functions.domain.types import Trigger
from functions.errors import NotFoundError, StoreUnavailableError
from functions.services.compare_and_set import MAX_ATTEMPTS, compare_and_set, update_document, update_task
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.contract.documents import create, read

MakeTask = Callable[..., Task]


class LosesAnswers(SqliteStore):
    """A store whose first *lost* writes are applied without an answer."""

    lost = 0

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        return self._lose(await super().put_documents(documents))

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        return self._lose(await super().write_with_runs(batch, writes))

    def _lose(self, results: list[WriteResult]) -> list[WriteResult]:
        if not self.lost:
            return results
        self.lost -= 1
        return [replace(result, status=WriteStatus.UNKNOWN) for result in results]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LosesAnswers]:
    one = LosesAnswers(str(tmp_path / "set.db"))
    yield one
    await one.close()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time here."""
    asked: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr("functions.services.compare_and_set.asyncio.sleep", sleep)
    return asked


def append(letter: str) -> Callable[[Document | None], dict[str, object] | None]:
    def decide(document: Document | None) -> dict[str, object] | None:
        text = str(document.data["text"]) if document else ""
        return None if letter in text else {"text": text + letter}

    return decide


async def text_of(store: SqliteStore) -> str:
    [document] = await store.get_documents("meta", ["doc"])
    return str(document.data["text"])


async def test_attempts_end_with_the_first_result(waits: list[float]) -> None:
    results = iter([None, None, None, "done"])

    async def attempt() -> str | None:
        return next(results)

    assert "done" == await compare_and_set(attempt, subject="it")
    assert [0.02, 0.04] == waits


async def test_attempts_are_limited() -> None:
    made = 0

    async def attempt() -> str | None:
        nonlocal made
        made += 1
        return None

    with pytest.raises(StoreUnavailableError, match="it: other writers change it too quickly"):
        await compare_and_set(attempt, subject="it")
    assert MAX_ATTEMPTS == made


async def test_document_is_created_and_changed(store: LosesAnswers) -> None:
    await update_document(store, "meta", "doc", append("a"))
    await update_document(store, "meta", "doc", append("b"))

    assert "ab" == await text_of(store)


async def test_conflict_is_decided_on_what_the_other_writer_left(store: LosesAnswers) -> None:
    await asyncio.gather(*(update_document(store, "meta", "doc", append(letter)) for letter in "abcd"))

    assert "abcd" == "".join(sorted(await text_of(store)))


async def test_unchanged_document_is_not_written(store: LosesAnswers) -> None:
    await update_document(store, "meta", "doc", append("a"))
    [before] = await store.get_documents("meta", ["doc"])

    await update_document(store, "meta", "doc", append("a"))

    assert [before] == await store.get_documents("meta", ["doc"])


async def test_document_write_without_an_answer_is_looked_up(store: LosesAnswers) -> None:
    store.lost = 1

    await update_document(store, "meta", "doc", append("a"))

    assert "a" == await text_of(store)


def request(minute: int) -> Callable[[Task], Transition]:
    at = NOON + timedelta(minutes=minute)
    return partial(queue_runs, instants=[at], trigger=Trigger.MANUAL, now=NOON)


async def test_conflict_on_a_task_is_decided_again(store: LosesAnswers, make_task: MakeTask) -> None:
    await create(store, make_task(id="one"))

    changed = await asyncio.gather(
        *(update_task(store, "one", request(minute), now=NOON, new_id=lambda: "id") for minute in range(4))
    )

    stored = await read(store, "one")
    assert 4 == len(stored.task.backlog)
    assert stored in changed


async def test_task_write_without_an_answer_is_not_repeated(store: LosesAnswers, make_task: MakeTask) -> None:
    """A requested run would be queued twice."""
    await create(store, make_task(id="one"))
    store.lost = 1

    with pytest.raises(StoreUnavailableError, match="did not say whether one was changed"):
        await update_task(store, "one", request(0), now=NOON, new_id=lambda: "id")

    assert 1 == len((await read(store, "one")).task.backlog)


async def test_missing_task_is_not_found(store: LosesAnswers) -> None:
    with pytest.raises(NotFoundError, match="no task 'one'"):
        await update_task(store, "one", lambda task: pytest.fail(task.id), now=NOON, new_id=lambda: "id")
