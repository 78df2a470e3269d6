"""Every store under one suite: `store` is parametrised, and whatever passes here may serve a tick."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.types import OutcomeKind
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.places import BitablePlace, FirestorePlace, JsonPlace, Place, SqlitePlace
from tests.contract.promises import NO_CONDITIONAL_WRITE
from tests.fakes.bitable import FakeBitable


@pytest.fixture(params=["sqlite", "json", "bitable", pytest.param("firestore", marks=pytest.mark.emulator)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A fresh place for documents, of each kind in turn."""
    async with place_of(request.param, tmp_path) as place:
        yield place


@pytest.fixture
def one_writer_wins(request: pytest.FixtureRequest) -> bool:
    """Whether the store promises that of several writes at the same instant one succeeds."""
    return request.node.callspec.params["place"] not in NO_CONDITIONAL_WRITE


@asynccontextmanager
async def place_of(kind: str, folder: Path) -> AsyncIterator[Place]:
    """A fresh place of one kind; the test is skipped where its server is not there."""
    if kind == "bitable":
        async with FakeBitable().serving() as feishu:
            yield BitablePlace(feishu)
    elif kind == "sqlite":
        yield SqlitePlace(folder)
    elif kind == "json":
        yield JsonPlace(folder)
    else:
        yield FirestorePlace()


@pytest.fixture
async def open_store(place: Place) -> AsyncIterator[Callable[[], Store]]:
    """Open the place once more, as another process would. Closed at the end."""
    opened: list[Store] = []

    def open_once_more() -> Store:
        opened.append(place.open())
        return opened[-1]

    yield open_once_more
    for store in opened:
        await store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """An empty store."""
    return open_store()


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Build a valid record of an attempt; a test names only the fields it is about (Python names)."""

    def make(task_id: str = "water-plants", *, finished_at: datetime = NOON, **changes: Any) -> Run:
        defaults: dict[str, Any] = {
            "task_id": task_id,
            "occurrence": NOON,
            "attempt": 1,
            "token": "ab.1",
            "outcome": OutcomeKind.SUCCEEDED,
            "summary": "Answered 200",
            "started_at": finished_at - timedelta(milliseconds=50),
            "finished_at": finished_at,
        }
        return Run.model_validate(defaults | changes)

    return make
