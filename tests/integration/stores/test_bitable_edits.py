"""A person works in the table: what is added, changed and removed by hand, also while the scheduler works."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, succeeded
from functions.domain.sharding import shard_of
from functions.domain.storage import TaskFilter, WriteStatus
from functions.domain.task import Job, Pause, Task
from functions.domain.types import Status
from functions.engine.tick import tick
from functions.interfaces import TickDependencies
from functions.stores.bitable.config import CellParser
from functions.stores.bitable.store import BitableStore
from functions.stores.bitable.tasks import FULL_SCAN_INTERVAL
from tests.conftest import NOON
from tests.contract.documents import broken_ids, changing, create, ids, read
from tests.fakes.bitable import FakeBitable, Row
from tests.support.bitable_places import Sheet
from tests.support.clock import Clock

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TASK = {"id": "ping", "type": "http", "params": '{"url": "https://example.com"}', "schedule": "0 * * * *"}


@pytest.fixture
def day() -> Clock:
    return Clock()


@pytest.fixture
async def sheet(day: Clock) -> AsyncIterator[Sheet]:
    async with FakeBitable(day).serving() as feishu:
        yield Sheet(feishu)


@pytest.fixture
async def store(sheet: Sheet) -> AsyncIterator[BitableStore]:
    store = sheet.store()
    yield store
    await store.close()


async def settled(sheet: Sheet, store: BitableStore, **fields: Any) -> Row:
    """A task a person added at noon, with *fields*, as the scheduler took it in."""
    row = sheet.add(**TASK | fields)
    await store.fetch_due(NOON, limit=1)
    return row


# -- what is added ---------------------------------------------------------------------------------------


async def test_a_row_of_three_cells_is_a_task_and_gets_an_id(sheet: Sheet, store: BitableStore) -> None:
    row = sheet.add(title="Water the plants!", type="http", schedule="0 * * * *")

    found = await store.fetch_due(NOON + MINUTE, limit=10)

    task = (await read(store, "water-the-plants")).task
    assert ((), ()) == (found.tasks, found.invalid)
    assert (Status.SCHEDULED, NOON + HOUR, shard_of(task.id)) == (task.status, task.next_run_at, task.shard)
    assert ("water-the-plants", "scheduled", "True") == (
        row.text("id"),
        row.text("status"),
        row.text("enabled"),
    )
    assert str(int((NOON + HOUR).timestamp())) == row.text("nextRunAt")
    assert "Water the plants!" == row.text("title")


async def test_its_schedule_counts_from_when_it_was_written(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    day.now = NOON - 10 * MINUTE
    sheet.add(**TASK | {"schedule": "*/5 * * * *"})

    found = await store.fetch_due(NOON + MINUTE, limit=10)

    assert [NOON - 5 * MINUTE] == [stored.task.next_run_at for stored in found.tasks]


async def test_ids_made_of_titles_are_each_their_own(sheet: Sheet, store: BitableStore) -> None:
    await settled(sheet, store)
    same = [sheet.add(title="Ping", type="http", schedule="daily") for _ in range(2)]
    chinese = sheet.add(title="早上好", type="http", schedule="daily")

    await store.fetch_due(NOON + MINUTE, limit=10)

    assert ["ping-2", "ping-3"] == [row.text("id") for row in same]
    assert f"task-{chinese.record_id.lower()}" == chinese.text("id")


async def test_an_id_made_of_a_title_is_not_one_that_a_task_not_due_has(
    sheet: Sheet, store: BitableStore
) -> None:
    await settled(sheet, store, id="first")
    sheet.add(**TASK)
    await store.fetch_due(NOON + MINUTE, limit=10)
    new = sheet.add(title="Ping", type="http", schedule="daily")

    await store.fetch_due(NOON + 2 * MINUTE, limit=10)

    assert ("ping-2", "scheduled") == (new.text("id"), new.text("status"))


async def test_blank_rows_and_columns_of_a_persons_own_are_passed_over(
    sheet: Sheet, store: BitableStore
) -> None:
    sheet.tasks.add_field("Who asked", 1)
    own = sheet.add(**{"Who asked": "Bob"})
    await settled(sheet, store, **{"Who asked": "Alice"})

    found = await store.list_tasks(TaskFilter())

    assert (["ping"], ()) == (ids(found), found.invalid)
    assert ["Who asked"] == [name for name in own.fields() if name != "id"]


@pytest.mark.parametrize(
    ("cells", "name", "reason"),
    [
        ({**TASK, "schedule": "0 25 * * *"}, "ping", "schedule: "),
        ({**TASK, "params": "{url: "}, "ping", "params: this is not JSON"),
        ({**TASK, "params": "[1]"}, "ping", "params: must be a mapping of names to values"),
        ({"id": "ping", "schedule": "daily"}, "ping", "type: "),
        ({**TASK, "id": "Not An Id"}, "Not An Id", "id: "),
        ({**TASK, "maxRuns": 0}, "ping", "maxRuns: "),
        ({**TASK, "params": '{"a": [{"b": 1, "b": 2}]}'}, "ping", "params: a[0].b: is given twice"),
        ({"title": "Ping", "type": "http"}, "ping", "schedule: is required"),
        ({"type": "http", "schedule": "daily"}, "", "id: is required"),
    ],
)
async def test_a_slip_is_told_in_its_row_once_and_stops_no_other_task(
    sheet: Sheet, store: BitableStore, cells: dict[str, Any], name: str, reason: str
) -> None:
    row = sheet.add(**cells)
    fine = sheet.add(**TASK | {"id": "fine"})

    for now in (NOON, NOON + MINUTE, NOON + 2 * FULL_SCAN_INTERVAL):
        [broken] = (await store.fetch_due(now, limit=10)).invalid
        assert name in broken.id
        assert reason in broken.reason

    assert ("broken", True) == (row.text("status"), reason in row.text("lastError"))
    assert "scheduled" == fine.text("status")
    told = [one for one in sheet.feishu.asked("batch_update") if row.record_id in str(one.body)]
    assert 1 == len(told)


async def test_a_slip_that_is_mended_is_told_no_longer(sheet: Sheet, store: BitableStore) -> None:
    row = sheet.add(**TASK | {"schedule": "never"})
    await store.fetch_due(NOON, limit=10)

    row.set("schedule", "0 * * * *")
    await store.fetch_due(NOON + MINUTE, limit=10)

    assert ("scheduled", "") == (row.text("status"), row.text("lastError"))


async def test_a_row_that_is_half_written_gets_no_id(sheet: Sheet, store: BitableStore) -> None:
    """Else it would be named for the first word of its title."""
    row = sheet.add(title="Wat")
    await store.fetch_due(NOON, limit=10)
    half = row.text("id")
    row.set("title", "Water the plants")
    row.set("type", "http")
    row.set("schedule", "daily")
    await store.fetch_due(NOON + MINUTE, limit=10)

    assert ("", "water-the-plants") == (half, row.text("id"))


async def test_an_id_given_twice_is_told_in_both_rows_and_neither_runs(
    sheet: Sheet, store: BitableStore
) -> None:
    await settled(sheet, store)
    copy = sheet.add(**TASK)

    found = await store.fetch_due(NOON + HOUR, limit=10)

    assert ([], ["ping"]) == (ids(found), broken_ids(found))
    same = [row for row in sheet.tasks.rows if row.text("id") == "ping"]
    assert ["broken"] * 2 == [row.text("status") for row in same]
    assert all("twice" in row.text("lastError") for row in same)
    copy.set("id", "pong")
    await store.fetch_due(NOON + HOUR, limit=10)
    assert ["ping", "pong"] == ids(await store.list_tasks(TaskFilter()))
    assert ("scheduled", "") == (copy.text("status"), copy.text("lastError"))


async def test_a_row_copied_whole_and_renamed_is_a_task_of_its_own(sheet: Sheet, store: BitableStore) -> None:
    """Its state was copied with it; it is another task's."""
    original = await settled(sheet, store)
    await store.write([changing(await read(store, "ping"), run_count=7)])
    copy = sheet.add(**TASK | {"id": "pong", "state": original.text("state")})

    await store.fetch_due(NOON + MINUTE, limit=10)

    assert (7, 0) == (
        (await read(store, "ping")).task.run_count,
        (await read(store, "pong")).task.run_count,
    )
    assert "pong" == copy.text("id")


# -- what is changed -------------------------------------------------------------------------------------


async def test_another_schedule_is_kept_to_from_when_it_was_written(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    row = await settled(sheet, store)
    day.now = NOON + MINUTE
    row.set("schedule", "30 * * * *")

    await store.fetch_due(NOON + 2 * MINUTE + FULL_SCAN_INTERVAL, limit=1)

    assert NOON + 30 * MINUTE == (await read(store, "ping")).task.next_run_at
    assert str(int((NOON + 30 * MINUTE).timestamp())) == row.text("nextRunAt")


async def test_what_the_old_schedule_owed_is_not_forgotten(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    row = await settled(sheet, store)
    day.now = NOON + HOUR + MINUTE
    row.set("schedule", "30 * * * *")

    [stored] = (await store.fetch_due(NOON + HOUR + 2 * MINUTE, limit=1)).tasks

    assert [NOON + HOUR] == [extra.at for extra in stored.task.backlog]


async def test_what_the_old_schedule_owed_in_a_pause_is_recorded_once(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    row = await settled(sheet, store)
    stored = await read(store, "ping")
    pause = {"pause": Pause(note="Holiday"), "status": Status.PAUSED, "next_run_at": None}
    await store.write([changing(stored, **pause)])
    day.now = NOON + HOUR + MINUTE
    row.set("schedule", "30 * * * *")

    for minutes in (2, 3):
        await store.fetch_due(NOON + HOUR + minutes * MINUTE, limit=1)

    assert ["paused"] == [run.skip_reason for run in await store.runs()]
    assert "paused" == row.text("status")


async def test_the_checkbox_pauses_and_lets_go_on(sheet: Sheet, store: BitableStore, day: Clock) -> None:
    row = await settled(sheet, store)
    row.set("enabled", False)
    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)
    off = (await read(store, "ping")).task
    day.now = NOON + 3 * HOUR + MINUTE
    row.set("enabled", True)
    await store.fetch_due(day.now, limit=1)
    on = (await read(store, "ping")).task

    assert (Status.PAUSED, None) == (off.status, off.next_run_at)
    assert (Status.SCHEDULED, NOON + 4 * HOUR) == (on.status, on.next_run_at)


async def test_a_checkbox_that_shows_as_nothing_once_unchecked_pauses_as_well(
    sheet: Sheet, store: BitableStore
) -> None:
    """What the API shows for it is not said anywhere."""
    row = await settled(sheet, store)
    row.clear("enabled")

    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)

    assert "paused" == row.text("status")


async def test_a_link_in_a_cell_is_read_as_the_text_it_shows(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)

    assert 1 < len(row.fields()["params"])  # the app has made a piece of its own of it
    assert {"url": "https://example.com"} == (await read(store, "ping")).task.params


async def test_dates_picked_in_the_app_bound_the_schedule(sheet: Sheet, store: BitableStore) -> None:
    await settled(sheet, store, startAt=datetime(2026, 11, 21, 8, 30, tzinfo=sheet.base.zone))

    task = (await read(store, "ping")).task

    assert datetime(2026, 11, 21, 0, 30, tzinfo=UTC) == task.start_at
    assert datetime(2026, 11, 21, 1, 0, tzinfo=UTC) == task.next_run_at


async def test_what_the_scheduler_writes_is_put_right_when_a_person_changes_it(
    sheet: Sheet, store: BitableStore
) -> None:
    row = await settled(sheet, store)
    row.set("status", "ended")
    row.set("nextRunAt", 9_999_999_999)

    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)

    assert "scheduled" == row.text("status")
    assert str(int((NOON + HOUR).timestamp())) == row.text("nextRunAt")


async def test_spoilt_notes_are_told_and_emptying_them_begins_anew(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)
    row.set("state", "{oops")
    [broken] = (await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)).invalid
    row.clear("state")
    await store.fetch_due(NOON + 2 * FULL_SCAN_INTERVAL, limit=1)

    assert "empty that cell, and the task begins anew" in broken.reason
    assert 0 == (await read(store, "ping")).task.run_count


async def test_an_edit_is_a_changed_revision(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)
    stored = await read(store, "ping")
    row.set("title", "Edited")

    [written] = await store.write([changing(stored, run_count=1)])

    assert WriteStatus.CONFLICT is written.status


async def test_a_settlement_writes_no_cell_that_people_fill_in(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)
    before = len(sheet.feishu.requests)

    await store.write([changing(await read(store, "ping"), run_count=1, last_error="No answer")])

    [update] = [one for one in sheet.feishu.requests[before:] if "batch_update" in one.path]
    assert {"runCount", "lastError", "state"} == set(update.body["records"][0]["fields"])
    assert ("1", "No answer") == (row.text("runCount"), row.text("lastError"))


async def test_a_change_from_outside_writes_only_what_it_changes(sheet: Sheet, store: BitableStore) -> None:
    """A person's own way to put the rest stays."""
    row = await settled(sheet, store, params='{ "url":   "https://example.com" }')
    stored = await read(store, "ping")

    await store.write([changing(stored, title="From the API", tags=("a", "b"))])

    assert ("From the API", "a, b") == (row.text("title"), row.text("tags"))
    assert '{ "url":   "https://example.com" }' == row.text("params")
    assert ("From the API", ("a", "b")) == (
        (await read(store, "ping")).task.title,
        (await read(store, "ping")).task.tags,
    )


async def test_a_value_no_cell_holds_is_kept_until_its_cell_is_touched(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    at = NOON + timedelta(microseconds=123_457)
    await create(store, make_task("fine", start_at=at, description=" a \u0000 "))
    row = sheet.row("fine")
    row.set("title", "Edited")
    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)
    edited = (await read(store, "fine")).task
    row.set("startAt", NOON - HOUR)
    await store.fetch_due(NOON + 2 * FULL_SCAN_INTERVAL, limit=1)
    touched = (await read(store, "fine")).task

    assert ("Edited", at, " a \u0000 ") == (edited.title, edited.start_at, edited.description)
    assert NOON - HOUR == touched.start_at


async def test_what_starts_a_task_besides_its_schedule_survives_edits(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    await create(store, make_task("first"), make_task("ping", after=[{"task": "first"}], title="Second"))

    sheet.row("ping").set("title", "Edited")
    await store.fetch_due(NOON, limit=1)
    task = (await read(store, "ping")).task

    assert ("Edited", "first") == (task.title, task.after[0].task)


# -- at the same time ------------------------------------------------------------------------------------


async def one_tick(sheet: Sheet, now: datetime, work: Callable[[], Any]) -> dict[str, Any]:
    """A real tick at *now*, in which the task's work is *work*, which returns its memory."""
    store = sheet.store()

    async def perform(job: Job) -> Outcome:
        return succeeded("Done", memory=work())

    async def tell(notifications: list[Notification], *, within: timedelta) -> list[tuple[str, ...]]:
        return [() for _ in notifications]

    parts = TickDependencies(
        store=store,
        run_task=perform,
        notify=tell,  # type: ignore[arg-type]  # a list is a sequence
        clock=lambda: now,
        new_tick_id=lambda: "ab",
        random=lambda: 0.5,
    )
    report = (await tick(parts, TimeBudget(start_limit=MINUTE, response_limit=MINUTE))).as_json()
    await store.close()
    return report


async def test_an_edit_during_a_run_is_kept_and_so_is_the_result(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    row = await settled(sheet, store)
    await store.close()
    day.now = NOON + HOUR + timedelta(seconds=1)

    report = await one_tick(sheet, NOON + HOUR, lambda: row.set("schedule", "30 * * * *"))

    other = sheet.store()
    await other.fetch_due(NOON + HOUR + MINUTE, limit=1)
    task = (await read(other, "ping")).task
    assert (1, 1, "Done") == (report["succeeded"], task.run_count, task.last_result_summary)
    assert ("30 * * * *", NOON + HOUR + 30 * MINUTE) == (task.schedule, task.next_run_at)
    assert (Status.SCHEDULED, None) == (task.status, task.claim)
    assert ("30 * * * *", "Done", "succeeded") == (
        row.text("schedule"),
        row.text("lastResultSummary"),
        row.text("lastOutcome"),
    )
    assert 1 == len(await other.runs(task_id="ping"))
    await other.close()


@pytest.mark.slow
async def test_a_result_too_large_for_a_cell_is_written_without_its_memory(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    """It counted as unanswered: written over and over, and run again when its claim expired."""
    await settled(sheet, store)
    await store.close()
    day.now = NOON + HOUR + timedelta(seconds=1)

    report = await one_tick(sheet, NOON + HOUR, lambda: {"seen": Random(7).randbytes(120_000).hex()})

    other = sheet.store()
    task = (await read(other, "ping")).task
    assert ("ok", 1) == (report["status"], report["succeeded"])
    assert (Status.SCHEDULED, None, 1, {}) == (task.status, task.claim, task.run_count, task.memory)
    await other.close()


async def test_a_row_removed_during_its_run_does_not_come_back(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)
    await settled(sheet, store, id="other", schedule="daily")
    await store.close()

    await one_tick(sheet, NOON + HOUR, row.delete)

    other = sheet.store()
    assert () == (await other.get_tasks(["ping"])).tasks
    assert ["ping"] == [run.task_id for run in await other.runs()]
    await other.close()


async def test_a_row_removed_between_guard_and_write_stops_no_other_of_its_batch(
    sheet: Sheet, store: BitableStore, make_task: MakeTask
) -> None:
    stored = await create(store, *(make_task(name) for name in "abc"))
    gate = sheet.feishu.hold_next("batch_update")
    write = asyncio.create_task(store.write([changing(one, run_count=1) for one in stored]))
    await gate.reached.wait()
    sheet.row("b").delete()
    gate.release()

    results = [one.status for one in await write]

    assert [WriteStatus.APPLIED, WriteStatus.CONFLICT, WriteStatus.APPLIED] == results
    assert ["1", "1"] == [sheet.row(name).text("runCount") for name in "ac"]


async def test_what_another_writes_between_guard_and_write_is_overwritten(
    sheet: Sheet, make_task: MakeTask
) -> None:
    """What cannot be promised: the instant between the reading of a guard and the write that relies on it."""
    other = sheet.store()
    [stored] = await create(other, make_task("ping"))

    def while_it_writes() -> str:  # a name is asked for just before a write is sent
        notes = {**sheet.notes("ping"), "runCount": 7, "revision": 99}
        sheet.row("ping").set("state", json.dumps(notes))
        return "0123456789abcdef"

    store = sheet.store(new_id=while_it_writes)
    [written] = await store.write([changing(stored, run_count=1)])

    assert WriteStatus.APPLIED is written.status
    assert 1 == (await read(other, "ping")).task.run_count
    await other.close()
    await store.close()


# -- what else people do ---------------------------------------------------------------------------------


async def test_an_id_that_was_emptied_is_put_back(sheet: Sheet, store: BitableStore) -> None:
    """The row is still the same task, with all that is known of it."""
    row = await settled(sheet, store, title="Something else")
    await store.write([changing(await read(store, "ping"), run_count=7)])
    row.clear("id")

    found = await store.get_tasks(["ping"])
    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)

    assert [7] == [stored.task.run_count for stored in found.tasks]
    assert "ping" == row.text("id")


async def test_a_new_row_without_a_zone_gets_the_usual_one_and_shows_it(sheet: Sheet) -> None:
    store = sheet.store(reads=CellParser(timezone="Asia/Shanghai"))
    row = sheet.add(**TASK | {"schedule": "0 9 * * *"})
    await store.fetch_due(NOON, limit=1)
    shown, nine = row.text("timezone"), (await read(store, "ping")).task.next_run_at
    row.clear("timezone")
    await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=1)

    assert ("Asia/Shanghai", NOON + 13 * HOUR) == (shown, nine)
    assert ("UTC", NOON + 21 * HOUR) == (
        (await read(store, "ping")).task.timezone,
        (await read(store, "ping")).task.next_run_at,
    )
    await store.close()


async def test_a_row_that_is_refused_stops_no_other_from_being_taken_in(
    sheet: Sheet, store: BitableStore
) -> None:
    for number in range(4):
        sheet.add(**TASK | {"id": f"t{number}", "schedule": "* * * * *"})
    sheet.feishu.fail_next(f"{sheet.tasks.table_id}/records/batch_update", code=1254130, times=3)

    await store.fetch_due(NOON, limit=9)

    looks = [row.text("status") for row in sheet.tasks.rows if row.text("id")]
    assert ["", "scheduled", "scheduled", "scheduled"] == sorted(looks)


async def test_a_row_whose_taking_in_is_not_answered_waits_for_the_next_ping(
    sheet: Sheet, store: BitableStore, day: Clock
) -> None:
    """It must not run before it is known what the scheduler keeps of it."""
    await settled(sheet, store, id="first")
    day.now = NOON - 10 * MINUTE
    row = sheet.add(**TASK | {"schedule": "*/5 * * * *"})
    sheet.feishu.drop_next(f"{sheet.tasks.table_id}/records/batch_update", times=2)

    unsure = await store.fetch_due(NOON + MINUTE, limit=9)
    sure = await store.fetch_due(NOON + 2 * MINUTE, limit=9)

    assert ([], ["ping"], "scheduled") == (ids(unsure), ids(sure), row.text("status"))


async def test_a_task_that_outgrew_its_row_stops_no_other(sheet: Sheet, store: BitableStore) -> None:
    row = await settled(sheet, store)
    await settled(sheet, store, id="fine", schedule="*/5 * * * *")
    noise = Random(7).randbytes(40_000).hex()
    row.set("state", json.dumps({**sheet.notes("ping"), "memory": {"a": noise[:79_000]}}))
    row.set("params", json.dumps({"b": Random(8).randbytes(30_000).hex()}))
    row.set("description", Random(9).randbytes(1_000).hex())

    found = await store.fetch_due(NOON + FULL_SCAN_INTERVAL, limit=9)

    assert ["fine"] == ids(found)
