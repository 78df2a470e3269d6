"""What an attempt reads of its owner: one document a while, whoever asks and whoever gives up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.lifecycle.permissions import Capabilities
from functions.errors import LimitsUnknownError, StoreUnavailableError
from functions.services.access.accounts import AccountStore
from functions.services.access.limits import CACHE_TTL, OwnerLimits
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

OPEN = Capabilities(types=("http", "command"))


class Limits:
    """Limits whose clock moves when the test says so, and what they read."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.now = NOON
        self.limits = OwnerLimits(store, clock=lambda: self.now)

    async def reads(self, times: int = 1) -> int:
        """The reads of so many questions at once."""
        with self.store.count_operations() as operations:
            found = await asyncio.gather(*(self.limits.capabilities("ann") for _ in range(times)))
        assert {OPEN} == set(found)
        return operations.reads


@pytest.fixture
async def limits(tmp_path: Path) -> AsyncIterator[Limits]:
    store = SqliteStore(str(tmp_path / "limits.db"))
    await AccountStore(store, clock=lambda: NOON).set_plan("ann", capabilities=OPEN)
    yield Limits(store)
    await store.close()


async def test_an_account_is_read_once_for_all_that_run_and_again_after_a_while(limits: Limits) -> None:
    first, second = await limits.reads(50), await limits.reads(50)
    limits.now += CACHE_TTL - timedelta(seconds=1)
    third = await limits.reads()
    limits.now += timedelta(seconds=1)

    assert (1, 0, 0, 1) == (first, second, third, await limits.reads())


async def test_who_gives_up_takes_the_answer_from_nobody(limits: Limits) -> None:
    first = asyncio.create_task(limits.limits.capabilities("ann"))
    await asyncio.sleep(0)
    second = asyncio.create_task(limits.limits.capabilities("ann"))
    await asyncio.sleep(0)
    first.cancel()

    assert OPEN == await second
    assert first.cancelled()


async def test_an_account_that_cannot_be_read_is_asked_for_again(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailableError("locked")

    with monkeypatch.context() as broken:
        broken.setattr(limits.store, "get_documents", away)
        with pytest.raises(LimitsUnknownError, match="locked"):
            await limits.limits.capabilities("ann")

    assert 1 == await limits.reads()


async def test_an_owner_without_an_account_may_use_little(limits: Limits) -> None:
    assert Capabilities() == await limits.limits.capabilities("bob")
