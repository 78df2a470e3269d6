"""What a tick reports as its reads and writes is what Firestore was asked, seen from the wire."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from google.cloud.firestore_v1.types import firestore as wrapped

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Job, Task
from functions.engine.tick import tick
from functions.interfaces import TickDependencies
from functions.stores.firestore.store import FirestoreStore
from tests.conftest import NOON
from tests.support.faulty_firestore import FaultyFirestore, faulty_firestore
from tests.support.firestore_emulator import emulator_host, fresh_store

MakeTask = Callable[..., Task]
Bill = tuple[int, int]  # reads, writes


def seen(faulty: FaultyFirestore) -> Bill:
    """By the price list: a document read is one, a query that finds none is one, each write is one."""
    queries = faulty.calls.count("RunQuery")
    found = [answer for method, answer in faulty.answers if method == "RunQuery"]
    documents = sum("document" in wrapped.RunQueryResponse.deserialize(answer) for answer in found)
    asked = list(zip(faulty.calls, faulty.requests, strict=True))
    named = sum(
        len(wrapped.BatchGetDocumentsRequest.deserialize(request).documents)
        for method, request in asked
        if method == "BatchGetDocuments"
    )
    writes = sum(
        len(wrapped.BatchWriteRequest.deserialize(request).writes)
        for method, request in asked
        if method == "BatchWrite"
    )
    assert {"RunQuery", "BatchGetDocuments", "BatchWrite"} >= set(faulty.calls)
    assert queries
    return max(documents, 1) + named, writes


async def report_of_tick(
    store: FirestoreStore, *, at: datetime = NOON, name: str = "tick", defers: bool = False
) -> dict[str, Any]:
    names = count(1)

    async def perform(job: Job) -> Outcome:
        return failed("It is down") if job.task_id.endswith("7") else succeeded("Done")

    async def notify(notifications: Sequence[Notification], *, within: timedelta) -> list[tuple[str, ...]]:
        return [()] * len(notifications)

    parts = TickDependencies(
        store=store,
        run_task=perform,
        notify=notify,
        clock=lambda: at,
        new_tick_id=lambda: f"{name}{next(names)}",
        random=random.Random(1).random,
        defers_settlements=defers,
    )
    return (await tick(parts, TimeBudget(None, None))).as_json()


@pytest.mark.emulator
@pytest.mark.parametrize("due", [0, 1, 250])
async def test_the_report_of_a_tick_is_its_bill(make_task: MakeTask, due: int) -> None:
    async with faulty_firestore(emulator_host()) as faulty, fresh_store(emulator=faulty.host) as store:
        await store.write([ConditionalWrite(make_task(f"t{number}"), None) for number in range(due)])
        for record in (faulty.calls, faulty.requests, faulty.answers):
            record.clear()

        report = await report_of_tick(store)

        assert due == report["started"]
        assert seen(faulty) == (report["reads"], report["writes"])


@pytest.mark.emulator
async def test_a_tick_of_successes_writes_twice_a_run_and_once_a_hundred(make_task: MakeTask) -> None:
    async with faulty_firestore(emulator_host()) as faulty, fresh_store(emulator=faulty.host) as store:
        await store.write([ConditionalWrite(make_task(f"t{number}0"), None) for number in range(200)])
        for record in (faulty.calls, faulty.requests, faulty.answers):
            record.clear()

        await report_of_tick(store)

        assert (200, 2 * 200 + 2) == seen(faulty)


@pytest.mark.emulator
@pytest.mark.parametrize("tasks", [1, 6, 13])
async def test_with_deferred_settlements_a_run_is_one_read_and_one_write(
    make_task: MakeTask, tasks: int
) -> None:
    """From the third tick on: the first has no success before it, and the second no record to read."""
    async with faulty_firestore(emulator_host()) as faulty, fresh_store(emulator=faulty.host) as store:
        often = [make_task(f"t{number}0", schedule="* * * * *") for number in range(tasks)]
        await store.write([ConditionalWrite(task, None) for task in often])
        bills = []
        for minute in range(4):
            for record in (faulty.calls, faulty.requests, faulty.answers):
                record.clear()

            at = NOON + timedelta(minutes=minute)
            report = await report_of_tick(store, at=at, name=f"tick{minute}", defers=True)

            assert seen(faulty) == (report["reads"], report["writes"])
            bills.append(seen(faulty))

    deferred = (tasks + 1, tasks + 1)
    assert [(tasks, 2 * tasks + 1), (tasks, tasks + 1), deferred, deferred] == bills
