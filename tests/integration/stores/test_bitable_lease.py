"""One pinger at a time on one table: who has the lock, who waits, and who takes over from the dead."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.storage import WriteStatus
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.stores.bitable.lease import LEASE_ROW
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids, read
from tests.fakes.bitable import FakeBitable
from tests.support.bitable_places import QUICK, Sheet, credentials, served

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
LEASE = QUICK.lease


@pytest.fixture
async def sheet() -> AsyncIterator[Sheet]:
    async with FakeBitable().serving() as feishu:
        yield Sheet(feishu)


def holder(sheet: Sheet) -> str:
    return str(json.loads(sheet.kept.row("id", LEASE_ROW).text("data")).get("holder", ""))


def calls(sheet: Sheet) -> int:
    return len(sheet.feishu.asked(sheet.kept.table_id))


async def test_another_process_finds_nothing_says_why_once_and_may_do_all_else(
    sheet: Sheet, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = sheet.store(), sheet.store()
    [stored] = await create(one, make_task("ping"))
    await one.fetch_due(NOON, limit=9)

    found = [await other.fetch_due(NOON + MINUTE, limit=9) for _ in range(2)]
    [written] = await other.write([changing(stored, title="Edited")])

    assert [(), ()] == [each.tasks for each in found]
    assert ["leader_lease_held"] == [
        one.message for one in caplog.records if one.name.startswith("functions")
    ]
    assert (WriteStatus.APPLIED, "Edited") == (written.status, (await read(other, "ping")).task.title)
    await one.close()
    await other.close()


async def test_it_is_given_back_when_the_process_ends(sheet: Sheet, make_task: MakeTask) -> None:
    one, other = sheet.store(), sheet.store()
    await create(one, make_task("ping"))
    await one.fetch_due(NOON, limit=9)
    await one.close()

    assert "" == holder(sheet)
    assert ["ping"] == ids(await other.fetch_due(NOON, limit=9))
    await other.close()


async def test_it_passes_on_when_the_lease_is_over_and_who_slept_finds_it_gone(
    sheet: Sheet, make_task: MakeTask
) -> None:
    one, other = sheet.store(), sheet.store()
    await create(one, make_task("ping"))
    await one.fetch_due(NOON, limit=9)

    early = await other.fetch_due(NOON + LEASE - timedelta(seconds=1), limit=9)
    late = await other.fetch_due(NOON + LEASE, limit=9)
    late_one = await one.fetch_due(NOON + LEASE + MINUTE, limit=9)

    assert ([], ["ping"], []) == (ids(early), ids(late), ids(late_one))
    await one.close()
    assert "" != holder(sheet)  # who lost it does not give it away
    await other.close()


async def test_it_is_renewed_when_half_of_it_is_gone_and_not_before(sheet: Sheet) -> None:
    store = sheet.store()
    await store.fetch_due(NOON, limit=9)
    before = calls(sheet)

    await store.fetch_due(NOON + LEASE / 2 - timedelta(seconds=1), limit=9)
    nothing = calls(sheet) - before
    await store.fetch_due(NOON + LEASE / 2, limit=9)

    assert (0, 2) == (nothing, calls(sheet) - before)
    other = sheet.store()
    assert () == (await other.fetch_due(NOON + LEASE, limit=9)).tasks
    assert calls(sheet) - before == 3
    await store.close()
    await other.close()


async def test_a_long_tick_renews_it_as_it_writes(sheet: Sheet, make_task: MakeTask) -> None:
    store = sheet.store(replace(QUICK, lease=timedelta(seconds=1)))
    [stored] = await create(store, make_task("ping"))
    await store.fetch_due(NOON, limit=9)
    first = holder(sheet), sheet.kept.row("id", LEASE_ROW).text("data")
    await asyncio.sleep(0.45)

    await store.write([changing(stored, run_count=1)])

    assert first[0] == holder(sheet)
    assert first[1] != sheet.kept.row("id", LEASE_ROW).text("data")
    await store.close()


@pytest.mark.parametrize("latency_s", [0.0, 0.002, 0.01])
async def test_of_many_at_the_same_instant_one_has_it_at_most(
    sheet: Sheet, make_task: MakeTask, latency_s: float
) -> None:
    stores = [sheet.store(replace(QUICK, settle_s=0.4)) for _ in range(4)]
    await create(stores[0], make_task("ping"))
    sheet.feishu.latency_s = latency_s
    await asyncio.gather(*(store.get_tasks(["ping"]) for store in stores))

    found = await asyncio.gather(*(store.fetch_due(NOON, limit=9) for store in stores))

    assert 1 == sum(len(each.tasks) for each in found)
    for store in stores:
        await store.close()


async def test_who_is_too_slow_in_writing_his_name_steps_back(sheet: Sheet, make_task: MakeTask) -> None:
    """He saw it free, and by the time his name arrives another may have waited long enough."""
    slow, quick = sheet.store(replace(QUICK, settle_s=0.2)), sheet.store(replace(QUICK, settle_s=0.2))
    await create(quick, make_task("ping"))
    await slow.get_tasks(["ping"])
    gate = sheet.feishu.hold_next(f"{sheet.kept.table_id}/records/batch_update")
    late = asyncio.create_task(slow.fetch_due(NOON, limit=9))
    await gate.reached.wait()
    await asyncio.sleep(0.25)
    gate.release()

    found = await late
    names = [
        json.loads(one.body["records"][0]["fields"]["data"])["holder"]
        for one in sheet.feishu.asked(f"{sheet.kept.table_id}/records/batch_update")
        if "holder" in str(one.body)
    ]
    assert (2, names[1]) == (len(set(names)), holder(sheet))  # it began anew, under another name
    assert ["ping"] == ids(found)
    await slow.close()
    await quick.close()


async def test_a_lock_that_cannot_be_read_is_no_reason_to_ping(sheet: Sheet, make_task: MakeTask) -> None:
    store = sheet.store()
    await create(store, make_task("ping"))
    sheet.kept.row("id", LEASE_ROW).delete()

    with pytest.raises(Exception, match="scheduler bitable setup"):
        await store.fetch_due(NOON, limit=9)
    await store.close()


# -- whole schedulers -------------------------------------------------------------------------------------


@pytest.fixture
def feishu() -> Iterator[FakeBitable]:
    with served() as feishu:
        yield feishu


async def test_two_whole_schedulers_on_one_table_run_each_task_once(feishu: FakeBitable) -> None:
    """Ticks through the wiring, at the same time, as two functions pinged by mistake."""
    sheet = Sheet(feishu)
    for number in range(20):
        sheet.add(title=f"Task {number}", type="publish_event", schedule="every 1m", params="eventType: a.b")
    environment = {"STORE_URL": sheet.url, **credentials(feishu)}
    times = [NOON]
    both = [App(Settings.from_env(environment, serves_http=False), clock=lambda: times[0]) for _ in range(2)]
    budget = TimeBudget(start_limit=MINUTE, response_limit=MINUTE)

    await asyncio.gather(*(wired.tick(budget) for wired in both))
    times[0] = NOON + 2 * MINUTE
    reports = await asyncio.gather(*(wired.tick(budget) for wired in both))

    assert [0, 20] == sorted(int(str(report["succeeded"])) for report in reports), reports
    runs = await both[0].store.runs(limit=100)
    done = [run.task_id for run in runs if run.outcome is OutcomeKind.SUCCEEDED]
    assert (20, 20) == (len(done), len(set(done)))
    for wired in both:
        await wired.close()


async def test_a_lease_outlasts_the_next_ping_however_rare_pings_are(sheet: Sheet) -> None:
    """Taking the lock anew costs three calls and a wait; renewing it two, at every second ping."""
    store = sheet.store()
    quarter = timedelta(minutes=15)
    for number in range(3):
        await store.fetch_due(NOON + number * quarter, limit=9)
    before = calls(sheet)

    for number in range(3, 7):
        await store.fetch_due(NOON + number * quarter, limit=9)

    assert 4 == calls(sheet) - before
    await store.close()
