"""Feishu does not answer, refuses, hides or hangs: what the store says then, and how soon."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.run import Run
from functions.domain.storage import (
    RUN_RETENTION,
    ConditionalWrite,
    Document,
    RunBatch,
    TaskFilter,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import InvalidWriteError, StoreError, StoreUnavailableError
from functions.stores.bitable.config import FeishuCredentials, TableRef
from functions.stores.bitable.runs import MAX_ROWS
from functions.stores.bitable.store import BitableStore
from functions.stores.bitable.tasks import FULL_SCAN_INTERVAL
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids, read
from tests.fakes.bitable import FakeBitable
from tests.support.bitable_places import QUICK, Sheet, served
from tests.support.clock import Clock

MakeTask = Callable[..., Task]
SOON = replace(QUICK, call_s=0.5, operation_s=3.0)
ENTRY = RunBatch("ab.1", NOON, ())
DOCUMENT = Document("owners", "alice", {"credits": 1})


@pytest.fixture
def day() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
async def sheet(day: Clock) -> AsyncIterator[Sheet]:
    async with FakeBitable(day).serving() as feishu:
        yield Sheet(feishu)


@pytest.fixture
async def store(sheet: Sheet) -> AsyncIterator[BitableStore]:
    store = sheet.store(SOON)
    yield store
    await store.close()


def run(task_id: str = "ping") -> Run:
    return Run(
        task_id=task_id, occurrence=NOON, token="ab.1", outcome=OutcomeKind.SUCCEEDED,
        started_at=NOON, finished_at=NOON,
    )  # fmt: skip


def of(sheet: Sheet, verb: str, table: str = "tasks") -> str:
    """The part of a path that is one verb on one table."""
    return f"{getattr(sheet, table).table_id}/records/{verb}"


# -- answers that never come -----------------------------------------------------------------------------

LOSSES: list[Callable[[FakeBitable, str, bool], None]] = [
    lambda feishu, part, after: feishu.drop_next(part, after_applying=after, times=2),
    lambda feishu, part, after: feishu.hang_next(part, after_applying=after, times=2),
    lambda feishu, part, after: feishu.fail_next(part, code=1255040, after_applying=after, times=2),
    lambda feishu, part, after: feishu.fail_next(
        part, status=502, text="<html>Bad gateway</html>", after_applying=after, times=2
    ),
]
READS: dict[str, Callable[[BitableStore], Awaitable[Any]]] = {
    "due": lambda store: store.fetch_due(NOON, limit=9),
    "read": lambda store: store.get_tasks(["ping"]),
    "page": lambda store: store.list_tasks(TaskFilter()),
    "counts": lambda store: store.stats(NOON),
    "runs": lambda store: store.runs(),
    "runs_of_tick": lambda store: store.runs_of_tick("ab"),
    "documents": lambda store: store.get_documents("owners", ["alice"]),
    "shelf": lambda store: store.list_documents("owners"),
    "prune": lambda store: store.prune(NOON),
}


@pytest.mark.parametrize("lose", LOSSES, ids=["cut", "hung", "gave up", "gateway"])
@pytest.mark.parametrize("ask", READS.values(), ids=READS.keys())
async def test_a_read_that_is_not_answered_is_unavailable_and_works_again(
    sheet: Sheet,
    store: BitableStore,
    ask: Callable[[BitableStore], Awaitable[Any]],
    lose: Callable[[FakeBitable, str, bool], None],
) -> None:
    await ask(store)
    lose(sheet.feishu, "/records/search", False)

    with pytest.raises(StoreUnavailableError):
        await ask(store)
    await ask(store)


@pytest.mark.parametrize("after", [False, True], ids=["not applied", "applied"])
@pytest.mark.parametrize("lose", LOSSES, ids=["cut", "hung", "gave up", "gateway"])
@pytest.mark.parametrize("verb", ["batch_create", "batch_update", "batch_delete"])
async def test_a_write_that_is_not_answered_is_unknown_and_done_once_at_most(
    sheet: Sheet,
    store: BitableStore,
    make_task: MakeTask,
    verb: str,
    lose: Callable[[FakeBitable, str, bool], None],
    after: bool,
) -> None:
    [there, _] = await create(store, make_task("there"), make_task("other"))
    write = {
        "batch_create": ConditionalWrite(make_task("new"), None),
        "batch_update": changing(there, run_count=1),
        "batch_delete": ConditionalWrite(there.task, there.revision, delete=True),
    }[verb]
    lose(sheet.feishu, of(sheet, verb), after)

    [written] = await store.write([write])

    rows = {row.text("id"): row for row in sheet.tasks.rows if row.text("id")}
    done = {
        "batch_create": "new" in rows,
        "batch_update": "there" in rows and rows["there"].text("runCount") == "1",
        "batch_delete": "there" not in rows,
    }
    assert (after, 2 + done["batch_create"] - done["batch_delete"]) == (done[verb], len(rows))
    looked_after = verb == "batch_delete" and after  # gone is gone: that can be seen
    assert (WriteStatus.APPLIED if looked_after else WriteStatus.UNKNOWN) is written.status


async def test_a_write_whose_answer_was_lost_once_is_sent_again_under_the_same_token(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    sheet.feishu.drop_next(of(sheet, "batch_create"), after_applying=True)

    [stored] = await create(store, make_task("ping"))

    first, second = sheet.feishu.asked(of(sheet, "batch_create"))
    assert first.query["client_token"] == second.query["client_token"]
    assert ["ping"] == [row.text("id") for row in sheet.tasks.rows if row.text("id")]
    assert stored == await read(store, "ping")


async def test_a_refusal_after_a_lost_answer_is_no_answer_either(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    """The first try may have been the one that was done; compared anew, it would look like somebody else."""
    [stored] = await create(store, make_task("ping"))
    sheet.feishu.drop_next("batch_update", after_applying=True)
    sheet.feishu.fail_next("batch_update", code=1254291)

    [written] = await store.write([changing(stored, run_count=1)])

    assert (WriteStatus.UNKNOWN, "1") == (written.status, sheet.row("ping").text("runCount"))


async def test_the_vendors_own_loss_of_a_write_is_not_taken_for_a_refusal(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    sheet.feishu.fail_next("batch_update", code=1255001, status=200, after_applying=True)

    [written] = await store.write([changing(stored, run_count=1)])

    assert (WriteStatus.APPLIED, 2) == (written.status, len(sheet.feishu.asked("batch_update")))


async def test_the_other_batches_of_a_call_keep_their_answers(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    sheet.feishu.drop_next(of(sheet, "batch_create"), times=2)

    answers = await store.write([ConditionalWrite(make_task(f"t{number:03}"), None) for number in range(300)])

    assert [WriteStatus.UNKNOWN] * 200 + [WriteStatus.APPLIED] * 100 == [one.status for one in answers]


async def test_no_settlement_is_sent_before_its_record_is_certainly_kept(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    sheet.feishu.drop_next(of(sheet, "batch_create", "runs"), after_applying=True, times=2)

    answers = await store.write_with_runs(replace(ENTRY, runs=(run(),)), [changing(stored, run_count=1)])

    assert [WriteResult(WriteStatus.UNKNOWN)] == answers
    assert "0" == sheet.row("ping").text("runCount")
    assert [run()] == await store.runs_of_tick("ab")


async def test_an_entry_that_may_be_there_is_not_kept_a_second_time(
    sheet: Sheet, store: BitableStore
) -> None:
    sheet.feishu.drop_next(of(sheet, "batch_create", "runs"), after_applying=True, times=2)
    with pytest.raises(StoreUnavailableError):
        await store.write_with_runs(replace(ENTRY, runs=(run("vain"), run("done"))), [])

    await store.write_with_runs(replace(ENTRY, runs=(run("done"),)), [])

    assert 1 == len(sheet.runs.rows)
    assert [run("done")] == await store.runs_of_tick("ab")


async def test_an_answer_for_a_document_that_is_lost_is_unknown(sheet: Sheet, store: BitableStore) -> None:
    sheet.feishu.drop_next(of(sheet, "batch_create", "kept"), times=2)
    new = await store.put_documents([DOCUMENT])
    await store.put_documents([DOCUMENT])
    [there] = await store.get_documents("owners", ["alice"])
    sheet.feishu.drop_next(of(sheet, "batch_update", "kept"), times=2)
    changed = await store.put_documents([there])

    assert [WriteResult(WriteStatus.UNKNOWN)] == new == changed


async def test_a_question_is_bounded_in_all(sheet: Sheet, make_task: MakeTask) -> None:
    store = sheet.store(replace(SOON, operation_s=0.5, call_s=5.0))
    [stored] = await create(store, make_task("ping"))
    sheet.feishu.hang_next("/records/", times=9)

    async with asyncio.timeout(4):
        with pytest.raises(StoreUnavailableError, match=r"longer than 0\.5 s in all"):
            await store.list_tasks(TaskFilter())
        assert [WriteResult(WriteStatus.UNKNOWN)] == await store.write([changing(stored, run_count=1)])
    await store.close()


# -- refusals --------------------------------------------------------------------------------------------


async def test_a_token_that_ends_is_renewed_and_nobody_notices(
    sheet: Sheet, store: BitableStore, day: Clock, make_task: MakeTask
) -> None:
    await create(store, make_task("ping"))
    sheet.feishu.revoke_tokens()

    assert ["ping"] == ids(await store.fetch_due(NOON, limit=9))
    assert 2 == len(sheet.feishu.asked("tenant_access_token"))


async def test_a_token_refused_again_and_again_is_an_error(sheet: Sheet, store: BitableStore) -> None:
    sheet.feishu.fail_next("/records/search", code=99991663, times=2)

    with pytest.raises(StoreError, match="99991663"):
        await store.list_tasks(TaskFilter())


async def test_ten_questions_at_once_need_one_token(sheet: Sheet, store: BitableStore) -> None:
    await asyncio.gather(
        *(store.runs() for _ in range(5)), *(store.list_tasks(TaskFilter()) for _ in range(5))
    )

    assert 1 == len(sheet.feishu.asked("tenant_access_token"))


@pytest.mark.parametrize(
    ("code", "status", "reset"), [(99991400, 429, "0.05"), (99991400, 400, "0.05"), (1254290, 200, "")]
)
async def test_calls_that_are_too_many_wait_as_long_as_they_are_told(
    sheet: Sheet, store: BitableStore, code: int, status: int, reset: str
) -> None:
    loop = asyncio.get_running_loop()
    await store.list_tasks(TaskFilter())
    headers = {"x-ogw-ratelimit-reset": reset or "0.05"}
    sheet.feishu.fail_next("/records/search", code=code, status=status, headers=headers)
    started = loop.time()

    await store.list_tasks(TaskFilter())

    assert 0.05 <= loop.time() - started < 0.5


async def test_calls_that_are_too_many_for_long_are_given_up(sheet: Sheet, store: BitableStore) -> None:
    headers = {"x-ogw-ratelimit-reset": "0.01"}
    sheet.feishu.fail_next("/records/search", code=99991400, headers=headers, times=99)

    with pytest.raises(StoreUnavailableError, match="too busy"):
        await store.list_tasks(TaskFilter())
    assert 5 == len(sheet.feishu.asked("/records/search"))


async def test_a_write_that_meets_another_is_tried_again(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    sheet.feishu.fail_next("batch_update", code=1254291, times=3)

    [written] = await store.write([changing(stored, run_count=1)])

    assert (WriteStatus.APPLIED, "1") == (written.status, sheet.row("ping").text("runCount"))


async def test_after_a_conflict_the_guard_is_compared_anew(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    other = sheet.store()
    gate = sheet.feishu.hold_next("batch_update")
    first = asyncio.create_task(other.write([changing(stored, run_count=7)]))
    await gate.reached.wait()

    second = asyncio.create_task(store.write([changing(stored, run_count=1)]))
    async with asyncio.timeout(5):
        while 2 > len(sheet.feishu.asked("batch_update")):  # noqa: ASYNC110  # the fake tells of no moment
            await asyncio.sleep(0)
    gate.release()

    assert [WriteStatus.APPLIED, WriteStatus.CONFLICT] == [(await one)[0].status for one in (first, second)]
    assert "7" == sheet.row("ping").text("runCount")
    await other.close()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (91403, "add the app to the base"),
        (1254302, "it must be a manager"),
        (1254040, "APP_TOKEN stands behind /base/"),
        (1254045, "scheduler bitable setup"),
        (99991403, "this month's calls of the free edition"),
        (99991672, "give the app the scope"),
        (1259999, "1259999"),
    ],
)
async def test_a_refusal_for_good_names_its_remedy_and_is_not_tried_again(
    sheet: Sheet, store: BitableStore, code: int, remedy: str
) -> None:
    sheet.feishu.fail_next("/records/search", code=code, status=403, times=9)

    with pytest.raises(StoreError, match=remedy) as caught:
        await store.list_tasks(TaskFilter())

    assert not isinstance(caught.value, StoreUnavailableError)
    assert 1 == len(sheet.feishu.asked("/records/search"))


async def test_a_refused_write_changes_nothing_and_says_why(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    sheet.tasks.rename_field("runCount", "Runs")

    with pytest.raises(StoreError, match=r"a column is missing; run `scheduler bitable setup`"):
        await store.write([changing(stored, run_count=1)])


async def test_no_redirect_is_followed(sheet: Sheet, store: BitableStore) -> None:
    """The token would go along to wherever it leads."""
    elsewhere = f"{sheet.feishu.url}/open-apis/bitable/v1/apps/elsewhere/tables"
    sheet.feishu.fail_next("/records/search", status=302, text="", headers={"Location": elsewhere}, times=2)

    with pytest.raises(StoreUnavailableError, match="HTTP 302"):
        await store.list_tasks(TaskFilter())

    assert [] == sheet.feishu.asked("elsewhere")


async def test_a_wrong_secret_is_told_as_such(sheet: Sheet) -> None:
    app = FeishuCredentials(sheet.feishu.app_id, "wrong-canary", sheet.feishu.url)
    store = BitableStore(TableRef(sheet.base.app_token, sheet.tasks.table_id), app, timeouts=SOON)

    with pytest.raises(StoreError, match="check FEISHU_APP_ID and FEISHU_APP_SECRET") as caught:
        await store.list_tasks(TaskFilter())

    assert "wrong-canary" not in str(caught.value) + repr(app) + repr(store)
    await store.close()


async def test_notes_too_large_for_a_cell_stop_no_other_write(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    import random

    noise = random.Random(7).randbytes(120_000).hex()

    answers = await store.write(
        [
            ConditionalWrite(make_task("big", memory={"a": noise}), None),
            ConditionalWrite(make_task("ok"), None),
        ]
    )
    with pytest.raises(InvalidWriteError, match="Task big: more than a cell holds"):
        await store.write([ConditionalWrite(make_task("big", memory={"a": noise}), None)])

    assert [WriteStatus.INVALID, WriteStatus.APPLIED] == [one.status for one in answers]


async def test_a_document_too_large_for_a_cell_is_refused_by_name(store: BitableStore) -> None:
    with pytest.raises(InvalidWriteError, match="calendars big: more than a cell holds"):
        await store.put_documents([Document("calendars", "big", {"days": ["12-24"] * 20_000})])

    assert [] == await store.list_documents("calendars")


# -- what is hidden --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["due", "read", "page", "counts"])
async def test_rows_that_are_hidden_are_never_no_tasks(
    sheet: Sheet, store: BitableStore, make_task: MakeTask, ask: str
) -> None:
    """Where advanced permissions are on and the app is no manager, Feishu answers success, and nothing."""
    await create(store, make_task("ping"))
    await store.fetch_due(NOON, limit=9)
    sheet.base.advanced_permissions = True

    for later in (timedelta(minutes=1), FULL_SCAN_INTERVAL):
        with pytest.raises(StoreError, match="it must be a manager"):
            await (store.fetch_due(NOON + later, limit=9) if ask == "due" else READS[ask](store))


async def test_a_process_that_starts_when_rows_are_hidden_says_so(sheet: Sheet, make_task: MakeTask) -> None:
    first = sheet.store()
    await create(first, make_task("ping"))
    await first.fetch_due(NOON, limit=9)
    await first.close()
    sheet.base.advanced_permissions = True
    store = sheet.store()

    for ask in ("due", "read", "page", "counts"):
        with pytest.raises(StoreError, match="it must be a manager"):
            await READS[ask](store)
    await store.close()


async def test_a_table_whose_rows_are_all_gone_is_doubted(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    await create(store, make_task("ping"))
    await store.fetch_due(NOON, limit=9)
    for row in sheet.tasks.rows:
        row.delete()

    with pytest.raises(StoreError, match="If you removed them all yourself, run `scheduler bitable setup`"):
        await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=9)
    await store.set_up()

    assert () == (await store.fetch_due(NOON + 2 * FULL_SCAN_INTERVAL, limit=9)).tasks


async def test_a_table_that_the_scheduler_emptied_is_believed(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    for row in sheet.tasks.rows:
        row.delete()
    [stored] = await create(store, make_task("ping"))
    await store.fetch_due(NOON, limit=9)
    await store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])

    assert () == (await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=9)).tasks


async def test_an_edit_by_hand_is_noticed_at_the_next_full_look_at_the_latest(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    tomorrow = NOON + timedelta(days=1)
    await create(store, *(make_task(name, next_run_at=tomorrow) for name in ("first", "later")))
    await store.fetch_due(NOON, limit=9)
    sheet.row("later").set("title", "Edited")
    await store.fetch_due(NOON + timedelta(minutes=1), limit=9)
    before = sheet.notes("later")["contentHash"]

    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=9)

    assert before != sheet.notes("later")["contentHash"]


# -- how much is asked -----------------------------------------------------------------------------------


async def test_an_idle_tick_is_one_call_between_full_looks_and_renewals(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    await create(store, *(make_task(f"t{n}", next_run_at=NOON + timedelta(days=1)) for n in range(3)))
    await store.fetch_due(NOON, limit=9)
    before = len(sheet.feishu.requests)

    await store.fetch_due(NOON + timedelta(minutes=1), limit=9)

    assert 1 == len(sheet.feishu.requests) - before


async def test_batches_are_of_200_and_one_after_the_other(sheet: Sheet, make_task: MakeTask) -> None:
    store = sheet.store(replace(QUICK, write_gap_s=0.5))
    loop = asyncio.get_running_loop()
    started = loop.time()

    await create(store, *(make_task(f"t{number:03}") for number in range(450)))

    assert [200, 200, 50] == [
        len(one.body["records"]) for one in sheet.feishu.asked(of(sheet, "batch_create"))
    ]
    assert loop.time() - started >= 1.0
    await store.close()


def test_one_store_serves_one_loop_after_another_with_one_token(make_task: MakeTask) -> None:
    async def use(store: BitableStore, *task_ids: str) -> int:
        await create(store, *map(make_task, task_ids))
        due = await store.fetch_due(NOON, limit=9)
        await asyncio.gather(*(store.get_tasks(task_ids) for _ in range(2)))  # one waits for the other
        await store.close()
        return len(due.tasks)

    with served() as feishu:
        store = Sheet(feishu).store(replace(QUICK, settle_s=0.3))
        found = [asyncio.run(use(store, *task_ids)) for task_ids in ("a", "bc")]

    assert [1, 3] == found
    assert 1 == len(feishu.asked("tenant_access_token"))


async def test_within_the_vendors_limits_of_calls_nothing_waits(
    sheet: Sheet, store: BitableStore, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    sheet.feishu.limit_rates()
    with caplog.at_level(logging.WARNING):
        await create(store, *(make_task(f"t{number:03}") for number in range(30)))
        await store.fetch_due(NOON, limit=99)
        await store.get_tasks([f"t{number:03}" for number in range(30)])

    assert [] == [record.message for record in caplog.records]


async def test_the_oldest_history_goes_before_the_table_is_full(sheet: Sheet) -> None:
    store = sheet.store()  # whose calls have time: the stand-in sorts 20,000 rows
    assert MAX_ROWS < 20_000
    for number in range(20_000):
        sheet.runs.records[f"recold{number:05}"] = row = sheet.runs.add_row()
        del sheet.runs.records[row.record_id]
        row.record_id = f"recold{number:05}"
    [first, *_] = sheet.runs.rows
    first.set("at", 1.0)

    await store.write_with_runs(replace(ENTRY, runs=(run(),)), [])

    assert 19_501 == len(sheet.runs.rows)
    assert first not in sheet.runs.rows
    assert [run()] == await store.runs_of_tick("ab")
    await store.close()


@pytest.mark.parametrize(("code", "status"), [(1254302, 403), (1255040, 504)], ids=["refused", "no answer"])
async def test_what_cannot_be_removed_stops_no_tick(
    sheet: Sheet,
    store: BitableStore,
    make_task: MakeTask,
    caplog: pytest.LogCaptureFixture,
    code: int,
    status: int,
) -> None:
    await create(store, make_task("due", next_run_at=NOON))
    await store.write_with_runs(replace(ENTRY, runs=(run(),)), [])
    long_after = NOON + 2 * RUN_RETENTION
    sheet.feishu.fail_next(of(sheet, "batch_delete", "runs"), code=code, status=status, times=9)

    found = await store.fetch_due(long_after, limit=9)

    assert ["due"] == ids(found)
    assert ["rows_not_removed"] == [one.message for one in caplog.records if one.levelname == "WARNING"]


async def test_no_secret_is_in_a_log(
    sheet: Sheet, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = sheet.store(SOON)
    sheet.feishu.drop_next("/records/search", times=2)
    with pytest.raises(StoreUnavailableError) as caught:
        await store.list_tasks(TaskFilter())
    await create(store, make_task("ping"))
    await store.fetch_due(NOON, limit=9)
    await store.close()

    logged = [one.getMessage() + str(vars(one)) for one in caplog.records if one.name != "aiohttp.access"]
    said = "".join(logged) + str(caught.value) + repr(store) + repr(caught.value.__cause__)
    for secret in (sheet.feishu.app_secret, sheet.base.app_token):
        assert secret not in said
