"""What is Firestore's own in the store, against the official emulator."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from google.cloud.firestore import Client
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport

from functions.app.factories import build_store
from functions.config.settings import Settings
from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, Run, succeeded
from functions.domain.storage import (
    ConditionalWrite,
    OperationCounts,
    RunBatch,
    TaskFilter,
    WriteStatus,
)
from functions.domain.task import Claim, Job, Task
from functions.domain.types import Status
from functions.engine.tick import tick
from functions.errors import StoreError
from functions.interfaces import TickDependencies
from functions.observability import logs
from functions.stores.firestore import reads
from functions.stores.firestore import store as firestore_store
from functions.stores.firestore.store import FirestoreStore
from tests.conftest import NOON
from tests.support.faulty_firestore import faulty_firestore
from tests.support.firestore_emulator import emulator_host, fresh_project, fresh_store
from tests.unit.stores.firestore.test_codec_tasks import full
from tests.unit.stores.firestore.test_runs_and_documents import make_run

pytestmark = pytest.mark.emulator

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store() -> AsyncIterator[FirestoreStore]:
    async with fresh_store() as fresh:
        yield fresh


async def test_every_field_of_a_task_survives_the_store(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"in": deep}
    task = full(make_task).model_copy(update={"memory": {"deep": deep, "__odd__": {"": [[1.0]]}}})

    [created] = await store.write([ConditionalWrite(task, None)])

    [stored] = (await store.get_tasks([task.id])).tasks
    assert task == stored.task
    assert created.revision == stored.revision


async def test_a_write_that_changes_nothing_keeps_the_revision_so_it_guards_nothing(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    """Why each claim carries a fresh token: of two writes that differ in nothing, Firestore lets both win."""
    await store.write([ConditionalWrite(make_task(), None)])
    [stored] = (await store.get_tasks(["water-plants"])).tasks
    same = ConditionalWrite.for_changes(stored, {"status": Status.SCHEDULED})

    first, second = [(await store.write([same]))[0] for _ in range(2)]

    assert [WriteStatus.APPLIED, WriteStatus.APPLIED] == [first.status, second.status]
    assert stored.revision == first.revision == second.revision


async def test_of_many_claims_with_tokens_of_their_own_one_wins(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    await store.write([ConditionalWrite(make_task(), None)])
    [stored] = (await store.get_tasks(["water-plants"])).tasks
    claims = [
        ConditionalWrite.for_changes(
            stored, {"claim": Claim(token=f"tick-{n}.0", until=NOON, started_at=NOON)}
        )
        for n in range(10)
    ]

    answers = await asyncio.gather(*(store.write([claim]) for claim in claims))

    results = [answer.status for [answer] in answers]
    assert 1 == results.count(WriteStatus.APPLIED)
    winner = claims[results.index(WriteStatus.APPLIED)].task
    assert [winner] == [each.task for each in (await store.get_tasks(["water-plants"])).tasks]


async def test_a_partial_write_leaves_other_fields_and_returns_its_own_to_their_defaults(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    task = make_task(attempt=2, description="by the window", next_run_at=NOON)
    await store.write([ConditionalWrite(task, None)])
    [stored] = (await store.get_tasks([task.id])).tasks
    blinkered = stored.task.model_copy(update={"attempt": 0, "next_run_at": None, "description": "unseen"})

    await store.write(
        [ConditionalWrite(blinkered, stored.revision, fields=frozenset({"attempt", "next_run_at"}))]
    )

    [after] = (await store.get_tasks([task.id])).tasks
    assert task.model_copy(update={"attempt": 0, "next_run_at": None}) == after.task
    assert () == (await store.fetch_due(NOON, limit=9)).tasks


async def test_a_write_of_no_field_changes_nothing(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    await store.write([ConditionalWrite(make_task(), None)])
    [stored] = (await store.get_tasks(["water-plants"])).tasks

    [answer] = await store.write([ConditionalWrite.for_changes(stored, {})])

    assert WriteStatus.APPLIED is answer.status
    assert (stored,) == (await store.get_tasks(["water-plants"])).tasks


async def test_more_than_a_request_takes_is_cut_into_several(make_task: Callable[..., Task]) -> None:
    """The emulator answers 4 MiB and more with an error that Google's library repeats for a minute."""
    tasks = [make_task(f"task-{number}", memory={"page": "x" * 500_000}) for number in range(20)]
    async with faulty_firestore(emulator_host()) as between, fresh_store(emulator=between.host) as store:
        answers = await store.write([ConditionalWrite(task, None) for task in tasks])

        assert {WriteStatus.APPLIED} == {answer.status for answer in answers}
        assert 4 * 2**20 > max(map(len, between.requests))
        assert tasks[13].memory == (await store.get_tasks(["task-13"])).tasks[0].task.memory


async def test_answers_come_in_the_order_of_the_writes_whatever_the_requests(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    tasks = [make_task(f"task-{number}") for number in range(900)]
    await store.write([ConditionalWrite(task, None) for task in tasks[::2]])

    answers = await store.write([ConditionalWrite(task, None) for task in tasks])

    assert [WriteStatus.CONFLICT, WriteStatus.APPLIED] * 450 == [answer.status for answer in answers]


async def test_a_document_too_large_stops_no_other(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    tasks = [make_task(f"task-{number}") for number in range(5)]
    tasks[3] = tasks[3].model_copy(update={"memory": {"page": "x" * 1_100_000}})

    answers = await store.write([ConditionalWrite(task, None) for task in tasks])

    expected = [
        WriteStatus.APPLIED,
        WriteStatus.APPLIED,
        WriteStatus.APPLIED,
        WriteStatus.INVALID,
        WriteStatus.APPLIED,
    ]
    assert expected == [answer.status for answer in answers]
    assert 4 == len((await store.fetch_due(NOON, limit=9)).tasks)


async def test_a_document_too_large_alone_is_refused_with_a_remedy(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    with pytest.raises(StoreError, match="1 MiB"):
        await store.write([ConditionalWrite(make_task(memory={"page": "x" * 1_100_000}), None)])


async def test_a_value_that_cannot_be_kept_stops_no_other(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    itself: dict[str, Any] = {}
    itself["self"] = itself
    bad = make_task("bad").model_copy(update={"memory": itself})

    answers = await store.write(
        [
            ConditionalWrite(make_task("a"), None),
            ConditionalWrite(bad, None),
            ConditionalWrite(make_task("b"), None),
        ]
    )

    assert [WriteStatus.APPLIED, WriteStatus.INVALID, WriteStatus.APPLIED] == [
        answer.status for answer in answers
    ]
    with pytest.raises(StoreError, match=r"Task bad: it holds a value that cannot be kept"):
        await store.write([ConditionalWrite(bad, None)])


async def test_a_broken_document_is_reported_and_the_others_are_due(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    odd = make_task("odd").model_copy(update={"max_runs": "hunter2"})
    await store.write([ConditionalWrite(odd, None), ConditionalWrite(make_task("sound"), None)])

    answer = await store.fetch_due(NOON, limit=9)

    assert ["sound"] == [each.task.id for each in answer.tasks]
    reason = "maxRuns: must be a whole number"
    assert [("odd", reason)] == [(one.id, one.reason) for one in answer.invalid]


async def test_tasks_hidden_by_too_many_broken_documents_are_an_error(
    store: FirestoreStore, make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick is degraded, with the reason; a list shows what it finds."""
    for module in (firestore_store, reads):
        monkeypatch.setattr(module, "MAX_INVALID_SKIPPED", 4)
    odd = [make_task(f"odd{n}").model_copy(update={"max_runs": "hunter2"}) for n in range(6)]
    await store.write([ConditionalWrite(one, None) for one in (*odd, make_task("sound"))])

    with pytest.raises(StoreError, match="6 tasks that cannot be read hide what is due behind them"):
        await store.fetch_due(NOON, limit=2)
    listed, deeper = await store.list_due(NOON, limit=2), await store.fetch_due(NOON, limit=3)

    assert (0, 2) == (len(listed.tasks), len(listed.invalid))
    assert ["sound"] == [each.task.id for each in deeper.tasks]


async def test_ids_that_can_be_no_document_are_left_out(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    await store.write([ConditionalWrite(make_task(), None)])

    answer = await store.get_tasks(["a/b", "", "..", "__x__", "water-plants", "water-plants", "none"])

    assert ["water-plants"] == [each.task.id for each in answer.tasks]
    assert [] == await store.runs_of_tick("a/b")


async def test_runs_of_a_tick_are_in_the_order_of_their_flushes(store: FirestoreStore) -> None:
    """Also from the tenth on, and without those of a tick whose name begins alike."""
    for entry_id in ("t.10", "t.2", "t.0", "t.2.1", "t.x", "ta.0", "t"):
        name = f"of-{entry_id.replace('.', '-')}"
        await store.write_with_runs(RunBatch(entry_id, NOON, (make_run(name),)), [])

    assert ["of-t-0", "of-t-2", "of-t-10"] == [run.task_id for run in await store.runs_of_tick("t")]


async def test_history_is_by_the_moment_of_each_run_whatever_entry_holds_it(store: FirestoreStore) -> None:
    """A record recovered from a crashed tick is kept late, among newer ones; and entries overlap."""
    minutes = {"t.0": (0, 50), "t.1": (10, 20, 30), "t.2": (40, 5), "t.3": (15,), "t.4": (45,)}
    for entry_id, finished in minutes.items():
        runs = tuple(run_at("a" if at % 10 else "b", at) for at in finished)
        await store.write_with_runs(RunBatch(entry_id, NOON, runs), [])

    assert [50, 45] == await minutes_of(store, limit=2)
    assert [40, 30, 20] == await minutes_of(store, before=NOON + 45 * MINUTE, limit=3)
    assert [45, 40, 30] == await minutes_of(store, since=NOON + 30 * MINUTE, before=NOON + 50 * MINUTE)
    assert [45, 15, 5] == await minutes_of(store, task_id="a")
    assert [15] == await minutes_of(store, task_id="a", before=NOON + 45 * MINUTE, limit=1)
    assert [0] == await minutes_of(store, before=NOON + 5 * MINUTE)
    assert [] == await minutes_of(store, task_id="none")


async def test_history_goes_on_through_many_entries(store: FirestoreStore) -> None:
    for number in range(45):
        await store.write_with_runs(RunBatch(f"t.{number}", NOON, (run_at("a", number),)), [])

    assert [*range(44, -1, -1)] == await minutes_of(store, limit=100)
    assert [*range(44, 4, -1)] == await minutes_of(store, limit=40)


async def test_a_page_of_entries_full_of_old_records_is_not_the_end(store: FirestoreStore) -> None:
    """Thirty records are at hand after the first page; newer ones than half of them are on the second."""
    for number in range(25):
        runs = (run_at("a", 100 + number), run_at("b", number))
        await store.write_with_runs(RunBatch(f"t.{number}", NOON, runs), [])

    assert [*range(124, 99, -1), *range(24, 19, -1)] == await minutes_of(store, limit=30)


async def test_a_listing_of_given_ids_is_filtered_by_all_the_rest(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    tasks = [
        make_task("a", owner="alice"),
        make_task("b", owner="bob"),
        make_task("c", owner="alice", origin="file"),
        make_task("d", owner="alice", tags=("x",)),
        make_task("e", owner="alice"),
    ]
    await store.write([ConditionalWrite(task, None) for task in tasks])

    async def listed(**which: Any) -> list[str]:
        found = await store.list_tasks(TaskFilter(ids=frozenset("abcd"), **which))
        return [each.task.id for each in found.tasks]

    assert ["a", "c", "d"] == await listed(owner="alice")
    assert ["c"] == await listed(owner="alice", origin="file")
    assert ["d"] == await listed(owner="alice", tag="x", status="scheduled")
    assert [] == await listed(type="http")


async def test_a_listing_by_tag_and_more_misses_nothing_between_its_pages(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    tasks = [
        make_task(f"task-{n:03}", owner="alice" if n % 3 else "bob", tags=("odd",) if n % 2 else ())
        for n in range(270)
    ]
    await store.write([ConditionalWrite(task, None) for task in tasks])
    which = TaskFilter(owner="alice", tag="odd")

    listed: list[str] = []
    while page := (await store.list_tasks(which, after=listed[-1] if listed else "", limit=7)).tasks:
        listed += [each.task.id for each in page]

    assert [task.id for task in tasks if task.owner == "alice" and task.tags] == listed


async def test_operations_are_counted_as_they_are_billed(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    tasks = [make_task(f"task-{number}") for number in range(3)]
    entry = RunBatch("t.0", NOON, (make_run(),))

    assert OperationCounts(reads=1) == await billed(store, store.fetch_due(NOON, limit=9))
    assert OperationCounts(writes=4) == await billed(
        store, store.write_with_runs(entry, [ConditionalWrite(t, None) for t in tasks])
    )
    assert OperationCounts(reads=3) == await billed(store, store.fetch_due(NOON, limit=9))
    assert OperationCounts(reads=2) == await billed(store, store.get_tasks(["task-1", "missing"]))
    assert OperationCounts(reads=3) == await billed(store, store.stats(NOON))
    assert OperationCounts(reads=1) == await billed(store, store.runs_of_tick("none"))
    [stored] = (await store.get_tasks(["task-1"])).tasks
    removal = ConditionalWrite(stored.task, stored.revision, delete=True)
    assert OperationCounts(deletes=1) == await billed(store, store.write([removal]))
    assert OperationCounts(deletes=1) == await billed(store, store.write([removal]))


async def test_building_a_store_connects_nothing() -> None:
    """The process forks after it is built; a connection would not survive that."""
    async with faulty_firestore(emulator_host()) as between:
        store = FirestoreStore(fresh_project(), emulator=between.host)

        assert [] == between.calls
        assert {} == store._connection._clients


def test_one_store_serves_one_loop_after_another(make_task: Callable[..., Task]) -> None:
    store = FirestoreStore(fresh_project(), emulator=emulator_host())

    async def use(task_id: str) -> int:
        await store.write([ConditionalWrite(make_task(task_id), None)])
        found = len((await store.fetch_due(NOON, limit=9)).tasks)
        await store.close()
        return found

    assert [1, 2, 3] == [asyncio.run(use(task_id)) for task_id in ("a", "b", "c")]


def test_a_loop_that_ended_without_closing_does_not_disturb_the_next(make_task: Callable[..., Task]) -> None:
    store = FirestoreStore(fresh_project(), emulator=emulator_host())

    async def use(task_id: str) -> int:
        await store.write([ConditionalWrite(make_task(task_id), None)])
        return len((await store.fetch_due(NOON, limit=9)).tasks)

    assert [1, 2] == [asyncio.run(use("a")), asyncio.run(use("b"))]
    assert 1 == len(store._connection._clients)  # the first loop's client is released


async def test_the_settings_say_where_the_emulator_is() -> None:
    url = f"firestore://{fresh_project()}"
    environment = {"STORE_URL": url, "FIRESTORE_EMULATOR_HOST": emulator_host()}
    store = build_store(Settings.from_env(environment, serves_http=False))

    assert () == (await store.fetch_due(NOON, limit=1)).tasks
    await store.close()


async def test_calls_carry_the_headers_by_which_google_finds_the_database() -> None:
    async with faulty_firestore(emulator_host()) as between, fresh_store(emulator=between.host) as store:
        await store.fetch_due(NOON, limit=1)
        await store.get_tasks(["water-plants"])

        database = store._paths.database
        of_query, of_get = between.headers
        assert database == of_query["google-cloud-resource-prefix"]
        assert [f"parent={database}/documents", f"database={database}"] == [
            unquote(each["x-goog-request-params"]) for each in (of_query, of_get)
        ]


async def test_a_closed_store_holds_no_connection_and_opens_another_when_used(store: FirestoreStore) -> None:
    await store.fetch_due(NOON, limit=1)
    transport = (await store._connection.client()).transport
    assert isinstance(transport, FirestoreGrpcAsyncIOTransport)

    await store.close()

    assert grpc.ChannelConnectivity.SHUTDOWN is transport.grpc_channel.get_state()
    assert () == (await store.fetch_due(NOON, limit=1)).tasks


async def test_every_call_tells_the_server_how_long_it_may_take(make_task: Callable[..., Task]) -> None:
    """Without our bound the library waits 60 to 300 s."""
    async with faulty_firestore(emulator_host()) as between, fresh_store(emulator=between.host) as store:
        await store.write_with_runs(
            RunBatch("t.0", NOON, (make_run(),)), [ConditionalWrite(make_task(), None)]
        )
        await store.get_tasks(["water-plants"])
        await store.stats(NOON)

    assert {"BatchWrite", "BatchGetDocuments", "RunQuery", "RunAggregationQuery"} == set(between.calls)
    assert [] == [limit for limit in between.seconds_left if limit is None or limit > 8]


async def test_what_is_stored_is_not_logged_whatever_the_level(
    store: FirestoreStore, make_task: Callable[..., Task], capsys: pytest.CaptureFixture[str]
) -> None:
    """Google's client would log requests and responses, parameters of tasks among them."""
    root = logging.getLogger()
    handler = logs.configure({"LOG_LEVEL": "DEBUG"}, str)
    try:
        await store.write([ConditionalWrite(make_task(params={"url": "https://example.com/canary"}), None)])
        await store.get_tasks(["water-plants"])
    finally:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)

    assert "canary" not in capsys.readouterr().err


async def test_a_revision_later_than_the_documents_refuses_a_write_like_any_other(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    """A database restored from a backup knows less than who had read it before."""
    await store.write([ConditionalWrite(make_task(), None)])
    [stored] = (await store.get_tasks(["water-plants"])).tasks
    known_later = ConditionalWrite(stored.task, stored.revision + 10**9)

    assert [WriteStatus.CONFLICT] == [written.status for written in await store.write([known_later])]


async def test_a_named_database_is_apart_from_the_default(make_task: Callable[..., Task]) -> None:
    project = fresh_project()
    default, named = (
        FirestoreStore(project, name, emulator=emulator_host()) for name in ("(default)", "blue")
    )

    await default.write([ConditionalWrite(make_task(), None)])

    assert 1 == len((await default.fetch_due(NOON, limit=9)).tasks)
    assert () == (await named.fetch_due(NOON, limit=9)).tasks
    await default.close()
    await named.close()


async def test_an_instant_before_which_nothing_is_due(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    early = NOON - timedelta(microseconds=1)
    await store.write(
        [
            ConditionalWrite(make_task("early", next_run_at=early), None),
            ConditionalWrite(make_task("noon"), None),
        ]
    )

    assert ["early"] == [each.task.id for each in (await store.fetch_due(early, limit=9)).tasks]
    assert () == (await store.fetch_due(NOON, limit=0)).tasks


def run_at(task_id: str, minute: int) -> Run:
    moment = NOON + minute * MINUTE
    return make_run(task_id, occurrence=moment, started_at=moment, finished_at=moment)


async def minutes_of(store: FirestoreStore, **which: Any) -> list[int]:
    return [(run.finished_at - NOON) // MINUTE for run in await store.runs(**which)]


async def billed(store: FirestoreStore, work: Any) -> OperationCounts:
    with store.count_operations() as operations:
        await work
    return operations


async def test_a_page_of_documents_is_short_only_at_the_end() -> None:
    """Documents that cannot be read are part of it: whoever reads page by page would stop at a short one."""
    emulator, project = emulator_host(), fresh_project()
    client = Client(project=project)
    for number in range(6):
        good = number in (0, 4, 5)
        client.collection("owners").document(f"o{number}").set({"data": {} if good else "x"})
    client.close()  # type: ignore[no-untyped-call]  # the library leaves it without types
    store = FirestoreStore(project, emulator=emulator)

    pages = [await store.list_documents("owners", after=after, limit=2) for after in ("", "o1", "o3", "o5")]
    await store.close()

    assert [["o0", "o1"], ["o2", "o3"], ["o4", "o5"], []] == [[one.id for one in page] for page in pages]
    assert ["o1", "o2", "o3"] == [one.id for page in pages for one in page if not one.is_readable]


async def test_a_task_above_firestores_limit_stops_no_other_and_is_stopped_by_name(
    store: FirestoreStore, make_task: Callable[..., Task]
) -> None:
    """A MiB is the limit of a document; the other results are written, and the tick is healthy."""
    ids = ["big", *(f"t{number}" for number in range(5))]
    await store.write([ConditionalWrite(make_task(one), None) for one in ids])

    async def run_task(job: Job) -> Outcome:
        return succeeded("Done", memory={"seen": "x" * (1_200_000 if job.task_id == "big" else 10)})

    async def tell(notices: Sequence[Notification], *, within: timedelta) -> list[tuple[str, ...]]:
        return [()] * len(notices)

    parts = TickDependencies(
        store=store,
        run_task=run_task,
        notify=tell,  # type: ignore[arg-type]  # a list is a sequence
        clock=lambda: NOON + timedelta(hours=1),
        new_tick_id=lambda: "ab",
        random=lambda: 0.5,
    )
    report = await tick(parts, TimeBudget(None, None))

    found = {stored.task.id: stored.task for stored in (await store.get_tasks(ids)).tasks}
    assert ("ok", 6) == (report.as_json()["status"], report.as_json()["succeeded"])
    assert {Status.SCHEDULED} == {task.status for task in found.values()}
    assert [{}] == [task.memory for task in found.values() if task.id == "big"]
