"""Stores to move between, and names for what is moved."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from functions.interfaces import Store
from functions.stores.sqlite.store import SqliteStore
from tests.contract.conftest import make_run as make_run
from tests.contract.conftest import place_of
from tests.contract.places import Place

Opened = Callable[[str], Store]


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Store]:
    """The store that is moved from, in a file of its own."""
    store = SqliteStore(str(tmp_path / "source.db"))
    yield store
    await store.close()


@pytest.fixture(params=["sqlite", "json", "bitable", pytest.param("firestore", marks=pytest.mark.emulator)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A fresh place to move to, of each kind in turn."""
    folder = tmp_path / "target"
    folder.mkdir()
    async with place_of(request.param, folder) as place:
        yield place


@pytest.fixture
async def target(place: Place) -> AsyncIterator[Store]:
    """The store that is moved to, empty."""
    store = place.open()
    yield store
    await store.close()


@pytest.fixture
def ids() -> Callable[[], str]:
    """Fresh names, one after the other."""
    names: Iterator[str] = (f"{number:016x}" for number in range(1, 10**6))
    return lambda: next(names)
