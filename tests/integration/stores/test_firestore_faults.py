"""Lost answers, cut streams, hung and refusing servers: what the store says then, and how soon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest

from functions.domain.storage import ConditionalWrite, RunBatch, TaskFilter, WriteResult, WriteStatus
from functions.domain.task import Claim, Task
from functions.errors import StoreError, StoreUnavailableError
from functions.stores.firestore.store import FirestoreStore
from tests.conftest import NOON
from tests.support.faulty_firestore import (
    Fault,
    FaultyFirestore,
    cut_after,
    drop_reply,
    faulty_firestore,
    hang,
    refuse,
)
from tests.support.firestore_emulator import emulator_host, fresh_project, fresh_store
from tests.unit.stores.firestore.test_runs_and_documents import make_run

SOON_S = 0.5  # the bound under test; far above what the emulator takes, far below a test's patience
ENTRY = RunBatch("t.0", NOON, (make_run(),))


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyFirestore]:
    async with faulty_firestore(emulator_host()) as between:
        yield between


@pytest.fixture
async def store(faulty: FaultyFirestore) -> AsyncIterator[FirestoreStore]:
    async with fresh_store(emulator=faulty.host) as fresh:
        yield fresh


@pytest.mark.emulator
class TestLostAnswers:
    async def test_a_claim_whose_answer_was_lost_is_unknown_and_not_sent_again(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        """Google's library sends it again by itself, is refused by its own first try, and says we lost."""
        await store.write([ConditionalWrite(make_task(), None)])
        [stored] = (await store.get_tasks(["water-plants"])).tasks
        claim = Claim(token="ours.0", until=NOON, started_at=NOON)
        faulty.next("BatchWrite", drop_reply())

        answers = await store.write([ConditionalWrite.for_changes(stored, {"claim": claim})])

        assert [WriteResult(WriteStatus.UNKNOWN)] == answers
        assert 2 == faulty.calls.count("BatchWrite")
        assert claim == (await store.get_tasks(["water-plants"])).tasks[0].task.claim

    async def test_the_other_requests_of_a_call_keep_their_answers(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        faulty.next("BatchWrite", refuse())
        writes = [ConditionalWrite(make_task(f"task-{number}"), None) for number in range(500)]

        answers = [answer.status for answer in await store.write(writes)]

        assert {WriteStatus.UNKNOWN, WriteStatus.APPLIED} == set(answers)
        assert answers.count(WriteStatus.APPLIED) == len((await store.fetch_due(NOON, limit=999)).tasks)

    @pytest.mark.parametrize(
        "code", ["ABORTED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED"]
    )
    async def test_any_other_loss_is_unknown_as_well(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task], code: str
    ) -> None:
        faulty.next("BatchWrite", refuse(grpc.StatusCode[code]))

        answers = await store.write([ConditionalWrite(make_task(), None)])

        assert [WriteResult(WriteStatus.UNKNOWN)] == answers
        assert ["BatchWrite"] == faulty.calls

    async def test_a_ledger_entry_whose_answer_was_lost_is_sent_again_and_is_there_once(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        faulty.next("BatchWrite", drop_reply())

        answers = await store.write_with_runs(ENTRY, [ConditionalWrite(make_task(), None)])

        assert [WriteStatus.APPLIED] == [answer.status for answer in answers]
        assert [make_run()] == await store.runs_of_tick("t")
        assert ["BatchWrite", "BatchWrite", "BatchWrite", "RunQuery"] == faulty.calls

    async def test_no_settlement_is_sent_before_its_record_is_certainly_kept(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        """A settlement without its record would lose the occurrence from the history."""
        faulty.next("BatchWrite", drop_reply(), drop_reply())

        answers = await store.write_with_runs(ENTRY, [ConditionalWrite(make_task(), None)])

        assert [WriteResult(WriteStatus.UNKNOWN)] == answers
        assert ["BatchWrite"] * 2 == faulty.calls
        assert () == (await store.get_tasks(["water-plants"])).tasks

    async def test_an_entry_alone_whose_fate_is_unknown_is_an_error(
        self, store: FirestoreStore, faulty: FaultyFirestore
    ) -> None:
        faulty.next("BatchWrite", refuse(), refuse())

        with pytest.raises(StoreUnavailableError, match="whether the runs were saved"):
            await store.write_with_runs(ENTRY, [])

    async def test_a_settlement_whose_answer_was_lost_is_unknown_and_its_record_kept(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        faulty.next("BatchWrite", Fault(), drop_reply())

        answers = await store.write_with_runs(ENTRY, [ConditionalWrite(make_task(), None)])

        assert [WriteResult(WriteStatus.UNKNOWN)] == answers
        assert [make_run()] == await store.runs_of_tick("t")


@pytest.mark.emulator
class TestReads:
    @pytest.mark.parametrize("fault", [refuse(), cut_after(0), cut_after(2)])
    async def test_a_due_query_cut_short_is_asked_again_and_answers_each_task_once(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task], fault: Fault
    ) -> None:
        """Google's library lets the fault of a cut stream through."""
        await store.write([ConditionalWrite(make_task(f"task-{number}"), None) for number in range(5)])
        faulty.next("RunQuery", fault)

        answer = await store.fetch_due(NOON, limit=9)

        assert [f"task-{number}" for number in range(5)] == [each.task.id for each in answer.tasks]
        assert 2 == faulty.calls.count("RunQuery")

    async def test_every_kind_of_read_survives_one_lost_connection(
        self, store: FirestoreStore, faulty: FaultyFirestore, make_task: Callable[..., Task]
    ) -> None:
        await store.write_with_runs(ENTRY, [ConditionalWrite(make_task(), None)])

        faulty.next("BatchGetDocuments", refuse())
        assert 1 == len((await store.get_tasks(["water-plants"])).tasks)
        faulty.next("RunAggregationQuery", refuse())
        assert 1 == (await store.stats(NOON)).due
        faulty.next("RunQuery", refuse())
        assert 1 == len(await store.runs_of_tick("t"))
        faulty.next("RunQuery", refuse())
        assert 1 == len(await store.runs(task_id="water-plants"))
        faulty.next("RunQuery", refuse())
        assert 1 == len((await store.list_tasks(TaskFilter())).tasks)

    async def test_a_store_that_stays_away_is_unavailable(
        self, store: FirestoreStore, faulty: FaultyFirestore
    ) -> None:
        faulty.next("RunQuery", *[refuse()] * 4)

        with pytest.raises(StoreUnavailableError, match="UNAVAILABLE"):
            await store.fetch_due(NOON, limit=9)
        assert 4 == len(faulty.calls)

    async def test_a_try_that_hangs_leaves_time_for_another(self, faulty: FaultyFirestore) -> None:
        async with fresh_store(emulator=faulty.host, read_timeout_s=4 * SOON_S) as store:
            faulty.next("RunQuery", hang())

            assert () == (await store.fetch_due(NOON, limit=9)).tasks
            assert 2 == len(faulty.calls)


@pytest.mark.emulator
class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "remedy"),
        [
            ("PERMISSION_DENIED", "roles/datastore.user"),
            ("UNAUTHENTICATED", "gcloud auth application-default login"),
            ("NOT_FOUND", "STORE_URL"),
            ("FAILED_PRECONDITION", "indexes"),
            ("INVALID_ARGUMENT", "1 MiB"),
        ],
    )
    async def test_a_refusal_names_the_remedy_and_is_not_tried_again(
        self,
        store: FirestoreStore,
        faulty: FaultyFirestore,
        make_task: Callable[..., Task],
        code: str,
        remedy: str,
    ) -> None:
        faulty.next("RunQuery", refuse(grpc.StatusCode[code]))
        faulty.next("BatchWrite", *[refuse(grpc.StatusCode[code])] * 2)

        with pytest.raises(StoreError, match=remedy) as of_read:
            await store.fetch_due(NOON, limit=9)
        with pytest.raises(StoreError, match=remedy) as of_write:
            await store.write([ConditionalWrite(make_task(), None)])
        with pytest.raises(StoreError, match=remedy):
            await store.write_with_runs(ENTRY, [ConditionalWrite(make_task(), None)])

        assert not isinstance(of_read.value, StoreUnavailableError)
        assert not isinstance(of_write.value, StoreUnavailableError)
        assert ["RunQuery", "BatchWrite", "BatchWrite"] == faulty.calls


class TestHungServers:
    """A server that takes a connection and never says a word, as a stopped process does."""

    @pytest.fixture
    async def hung(self) -> AsyncIterator[FirestoreStore]:
        for_ever = asyncio.Event()

        async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await for_ever.wait()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        store = FirestoreStore(
            fresh_project(), emulator=f"127.0.0.1:{port}", read_timeout_s=SOON_S, write_timeout_s=SOON_S
        )
        yield store
        await store.close()
        for_ever.set()
        server.close()
        await server.wait_closed()

    @pytest.mark.parametrize(
        "read",
        [
            lambda store: store.fetch_due(NOON, limit=9),
            lambda store: store.get_tasks(["water-plants"]),
            lambda store: store.runs_of_tick("t"),
            lambda store: store.list_tasks(TaskFilter()),
            lambda store: store.runs(),
            lambda store: store.stats(NOON),
        ],
        ids=["due", "read", "runs_of_tick", "page", "runs", "counts"],
    )
    async def test_every_read_ends_in_time(self, hung: FirestoreStore, read: Callable[[Any], Any]) -> None:
        async with asyncio.timeout(4 * SOON_S):
            with pytest.raises(StoreUnavailableError, match=r"within 0.5 s"):
                await read(hung)

    async def test_a_write_ends_in_time_and_is_unknown(
        self, hung: FirestoreStore, make_task: Callable[..., Task]
    ) -> None:
        async with asyncio.timeout(4 * SOON_S):
            assert [WriteResult(WriteStatus.UNKNOWN)] == await hung.write(
                [ConditionalWrite(make_task(), None)]
            )

    async def test_a_settlement_ends_in_time_and_is_unknown(
        self, hung: FirestoreStore, make_task: Callable[..., Task]
    ) -> None:
        async with asyncio.timeout(4 * SOON_S):
            assert [WriteResult(WriteStatus.UNKNOWN)] == await hung.write_with_runs(
                ENTRY, [ConditionalWrite(make_task(), None)]
            )


class TestConnections:
    async def test_nobody_at_the_address_is_unavailable(self, make_task: Callable[..., Task]) -> None:
        store = FirestoreStore(fresh_project(), emulator="127.0.0.1:1", read_timeout_s=SOON_S)

        with pytest.raises(StoreUnavailableError):
            await store.fetch_due(NOON, limit=9)
        assert [WriteResult(WriteStatus.UNKNOWN)] == await store.write([ConditionalWrite(make_task(), None)])
        await store.close()
