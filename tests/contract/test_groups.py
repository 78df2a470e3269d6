"""Slots of groups on every store: what several processes take at once is never more than there is."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from functions.domain.capacity.flow_control import GroupState, SlotRequest
from functions.domain.storage import Document
from functions.domain.task import Group
from functions.interfaces import Store
from functions.services.access.flow_control import StoredFlowControl
from tests.conftest import NOON

OpenStore = Callable[[], Store]
ID = "all.shop-api"
THREE = Group(name="shop-api", max_concurrent=3, per_minute=4)


def wants(*tokens: str) -> dict[str, list[SlotRequest]]:
    return {ID: [SlotRequest(token, NOON + timedelta(seconds=35), NOON, THREE) for token in tokens]}


async def state_of(store: Store) -> GroupState:
    found = await store.get_documents("groups", [ID])
    return GroupState.from_data(found[0].data if found else {})


async def test_a_slot_is_taken_kept_and_freed(store: Store) -> None:
    flow = StoredFlowControl(store, clock=lambda: NOON)

    first = await flow.exchange(wants("a", "b", "c", "d"), ended={}, unused={})
    other = StoredFlowControl(store, clock=lambda: NOON)
    refused = await other.exchange(wants("e"), ended={}, unused={})
    freed = await flow.exchange({}, ended={ID: ["a", "b"]}, unused={})
    last = await other.exchange(wants("e", "f"), ended={}, unused={})

    assert [["d"], ["e"], [], ["f"]] == [list(one.refused) for one in (first, refused, freed, last)]
    assert ({"c", "e"}, 4) == (set((await state_of(store)).holders), (await state_of(store)).started)


async def test_of_many_at_once_no_more_get_a_slot_than_there_are(
    open_store: OpenStore, one_writer_wins: bool
) -> None:
    """Two processes ask eight times; a store without conditional writes has one pinger, as it says."""
    stores = [open_store() for _ in range(2 if one_writer_wins else 1)]
    flows = [StoredFlowControl(store, clock=lambda: NOON) for store in stores]

    answers = []
    if one_writer_wins:
        answers = await asyncio.gather(
            *(
                flow.exchange(wants(f"p{number}.{n}"), ended={}, unused={})
                for number, flow in enumerate(flows)
                for n in range(4)
            )
        )
    else:
        answers = [await flows[0].exchange(wants(f"p0.{n}"), ended={}, unused={}) for n in range(8)]

    refused = [token for answer in answers for token in answer.refused]
    assert (5, 3) == (len(refused), len((await state_of(stores[0])).holders))


async def test_a_document_of_nonsense_is_replaced(store: Store) -> None:
    await store.put_documents([Document("groups", ID, {"holders": "?", "started": []})])
    flow = StoredFlowControl(store, clock=lambda: NOON)

    answer = await flow.exchange(wants("a"), ended={}, unused={})

    assert ({}, {"a"}) == (answer.refused, set((await state_of(store)).holders))
