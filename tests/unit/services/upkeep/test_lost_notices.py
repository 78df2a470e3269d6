"""The record of notices that reached nobody: counted, shown for a day, then begun anew."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from functions.domain.alerts.outbox import Undelivered
from functions.services.upkeep.lost_notices import recently_lost, record_lost
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.unit.notifications.conftest import MakeNotice, make_notice

__all__ = ["make_notice"]  # the fixture


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:")
    yield store
    await store.close()


async def test_what_reached_nobody_is_counted_and_shown_for_a_day(
    store: SqliteStore, make_notice: MakeNotice
) -> None:
    shown = [await recently_lost(store, now=NOON)]
    one = Undelivered(make_notice(), {"email": "code 554"}, is_lost=True)
    for many in (1, 2):
        await record_lost(store, [one] * many, now=NOON)
        shown.append(await recently_lost(store, now=NOON + timedelta(hours=24)))
    shown.append(await recently_lost(store, now=NOON + timedelta(hours=25)))
    await record_lost(store, [one], now=NOON + timedelta(days=9))
    shown.append(await recently_lost(store, now=NOON + timedelta(days=9)))

    assert [
        "",
        "A notice about shop-front (failure) reached nobody at 2026-11-20T12:00:00Z: code 554",
        "3 notices, the last about shop-front (failure) reached nobody at 2026-11-20T12:00:00Z: code 554",
        "",
        "A notice about shop-front (failure) reached nobody at 2026-11-29T12:00:00Z: code 554",
    ] == shown
