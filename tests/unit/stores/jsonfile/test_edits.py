"""A person edits the file: what is added, changed and removed by hand, also while the scheduler works."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.events import Dependent
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Outcome, Run, succeeded
from functions.domain.sharding import shard_of
from functions.domain.storage import ConditionalWrite, RunBatch, VersionedTask, WriteStatus
from functions.domain.task import Claim, Job, Pause, Task, TaskSpec
from functions.domain.types import OutcomeKind, Status
from functions.engine.tick import tick
from functions.errors import StoreError, StoreUnavailableError
from functions.interfaces import TickDependencies
from functions.stores.editable.queries import apply_writes
from functions.stores.jsonfile.tasks import TaskFiles
from tests.conftest import NOON
from tests.contract.documents import broken_ids, changing, create, ids, read
from tests.support.json_places import TASK, Folder

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def settled(folder: Folder, **fields: Any) -> VersionedTask:
    """A task a person added at noon, with *fields*, as the scheduler took it in."""
    folder.save({**TASK, **fields}, at=NOON)
    store = folder.store()
    await store.fetch_due(NOON, limit=1)
    stored = await read(store, "ping")
    await store.close()
    return stored


# -- what is added ---------------------------------------------------------------------------------------


async def test_a_task_of_four_fields_is_scheduled_from_when_it_was_saved(folder: Folder) -> None:
    folder.save(TASK, at=NOON + 5 * MINUTE)
    store = folder.store()

    found = await store.fetch_due(NOON + 10 * MINUTE, limit=10)

    assert ((), ()) == (found.tasks, found.invalid)
    task = (await read(store, "ping")).task
    assert (Status.SCHEDULED, NOON + HOUR, NOON + HOUR) == (
        task.status,
        task.next_occurrence,
        task.next_run_at,
    )
    assert ("Ping", "", shard_of("ping")) == (task.title, task.origin, task.shard)
    assert NOON + 5 * MINUTE == task.created_at


async def test_its_first_occurrence_is_not_put_off_by_every_new_look(folder: Folder) -> None:
    """Each checkout of a repository saves the file anew; the next run must not move with it."""
    folder.save(TASK, at=NOON)
    await folder.store().fetch_due(NOON, limit=10)

    folder.save(TASK, at=NOON + HOUR + MINUTE)

    assert ["ping"] == ids(await folder.store().fetch_due(NOON + HOUR + MINUTE, limit=10))


async def test_what_a_person_wrote_is_left_as_he_wrote_it(folder: Folder) -> None:
    text = '{"tasks": [\n  {"type": "http",  "id": "ping", "schedule": "0 * * * *" }]}'
    folder.save_text(text, at=NOON)
    store = folder.store()
    await store.fetch_due(NOON, limit=1)

    [written] = await store.write([changing(await read(store, "ping"), run_count=1)])

    assert (WriteStatus.APPLIED, text) == (written.status, folder.path.read_text())


async def test_a_file_of_long_ago_owes_nothing(folder: Folder) -> None:
    folder.save(TASK, at=NOON - timedelta(days=400))
    store = folder.store()

    found = await store.fetch_due(NOON, limit=10)

    assert [NOON] == [stored.task.next_run_at for stored in found.tasks]
    assert [] == await store.runs()


async def test_it_can_be_named_by_its_title_alone(folder: Folder) -> None:
    folder.save({"title": "Water the plants", "type": "http", "schedule": "daily"}, at=NOON)

    store = folder.store()
    await store.fetch_due(NOON, limit=1)

    assert "Water the plants" == (await read(store, "water-the-plants")).task.title


async def test_it_can_be_changed_before_any_tick_has_seen_it(folder: Folder) -> None:
    folder.save(TASK, at=NOON)
    store = folder.store()
    stored = await read(store, "ping")

    [written] = await store.write([changing(stored, next_run_at=NOON)])

    assert WriteStatus.APPLIED is written.status
    assert ["ping"] == ids(await store.fetch_due(NOON, limit=1))


@pytest.mark.parametrize(
    ("entry", "name", "reason"),
    [
        ({**TASK, "prioritty": "high"}, "ping", "prioritty: unknown field; did you mean priority?"),
        ({"id": "ping", "type": "http", "schedul": "daily"}, "ping", "schedul: unknown field"),
        ({**TASK, "runCount": 3}, "ping", "runCount: is kept by the scheduler, and cannot be set"),
        ({**TASK, "schedule": "0 25 * * *"}, "ping", "schedule: "),
        ({**TASK, "schedule": "at 2020-01-01T00:00"}, "ping", "no occurrence left"),
        ({**TASK, "id": "Not An Id"}, "Not An Id", "id: "),
        ({"id": "ping", "schedule": "daily"}, "ping", "type: "),
        ({**TASK, "after": [{"task": "fine"}]}, "ping", "after: cannot be written by hand: take"),
        ({"type": "http"}, "tasks[0]", "id: is required"),
        ("ping", "tasks[0]", "id: is required"),
    ],
)
async def test_a_slip_is_told_at_every_tick_and_stops_no_other_task(
    folder: Folder, entry: Any, name: str, reason: str
) -> None:
    folder.save(entry, {**TASK, "id": "fine"}, at=NOON)
    store = folder.store()

    for now in (NOON, NOON + HOUR):
        [broken] = (await store.fetch_due(now, limit=10)).invalid
        assert name == broken.id
        assert reason in broken.reason

    [fine] = (await store.fetch_due(NOON + HOUR, limit=10)).tasks
    await store.write(
        [changing(fine, title="Changed"), ConditionalWrite(fine.task.model_copy(update={"id": "new"}), None)]
    )
    assert entry in folder.entries()


async def test_an_id_given_twice_is_told_and_neither_is_lost(folder: Folder, make_task: MakeTask) -> None:
    folder.save(TASK, {**TASK, "schedule": "daily"}, at=NOON)
    store = folder.store()

    found = await store.fetch_due(NOON, limit=10)
    await create(store, make_task("other"))

    assert (["ping"], True) == (broken_ids(found), "twice" in found.invalid[0].reason)
    assert ["other", "ping", "ping"] == [entry["id"] for entry in folder.entries()]


TWICE = """{"tasks": [
  {"id": "fine", "type": "http", "params": {"url": "https://example.com"}, "schedule": "0 * * * *"},
  {"id": "ping", "type": "http", "params": {"url": "https://a.example", "url": "https://b.example"},
   "schedule": "0 * * * *", "schedule": "daily"}
]}"""


async def test_a_name_given_twice_stops_its_task_alone_and_neither_value_is_lost(
    folder: Folder, make_task: MakeTask
) -> None:
    """Which of the two was meant is a guess, and a rewritten file would have only one of them."""
    folder.save_text(TWICE, at=NOON)
    store = folder.store()

    found = await store.fetch_due(NOON + HOUR, limit=10)
    [fine] = found.tasks
    [settled] = await store.write([changing(fine, run_count=1)])
    with pytest.raises(StoreError, match=r"tasks\.json: ping: schedule: is given twice.*nothing was changed"):
        await create(store, make_task("other"))

    [broken] = found.invalid
    both = "schedule: is given twice; give it once; params.url: is given twice; give it once"
    assert ("ping", both) == (broken.id, broken.reason)
    assert (WriteStatus.APPLIED, TWICE) == (settled.status, folder.path.read_text())
    assert ["fine"] == ids(await folder.store().fetch_due(NOON + HOUR, limit=10))


async def test_a_task_with_a_name_given_twice_can_be_removed_or_mended(folder: Folder) -> None:
    folder.save_text(TWICE, at=NOON)
    store = folder.store()
    [broken] = (await store.get_tasks(["ping"])).invalid
    [fine] = (await store.get_tasks(["fine"])).tasks

    mended = fine.task.model_copy(update={"id": "ping"})
    [written] = await store.write([ConditionalWrite(mended, broken.revision)])

    assert WriteStatus.APPLIED is written.status
    assert ["fine", "ping"] == [entry["id"] for entry in folder.entries()]


async def test_a_file_with_two_lists_of_tasks_is_refused_whole(folder: Folder) -> None:
    folder.save_text('{"tasks": [], "tasks": [{"id": "ping"}]}', at=NOON)

    with pytest.raises(StoreError, match="tasks: is given twice; give it once; nothing was changed"):
        await folder.store().fetch_due(NOON, limit=10)


async def test_what_else_the_file_says_is_kept(folder: Folder, make_task: MakeTask) -> None:
    folder.save_text('\ufeff{"$schema": "x.json", "tasks": []}', at=NOON)

    await create(folder.store(), make_task("ping"))

    assert folder.path.read_text().startswith('{\n  "$schema": "x.json",\n  "tasks": [\n')


# -- what is changed -------------------------------------------------------------------------------------


async def test_another_schedule_is_kept_to_from_when_it_was_saved(folder: Folder) -> None:
    await settled(folder)
    folder.edit("0 * * * *", "30 * * * *", at=NOON + MINUTE)

    store = folder.store()
    await store.fetch_due(NOON + 2 * MINUTE, limit=1)

    task = (await read(store, "ping")).task
    assert (NOON + 30 * MINUTE,) * 2 == (task.next_occurrence, task.next_run_at)


async def test_what_the_old_schedule_owed_is_not_forgotten(folder: Folder) -> None:
    await settled(folder)
    folder.edit("0 * * * *", "30 * * * *", at=NOON + HOUR + MINUTE)

    [stored] = (await folder.store().fetch_due(NOON + HOUR + 2 * MINUTE, limit=1)).tasks

    assert [NOON + HOUR] == [extra.at for extra in stored.task.backlog]
    assert NOON + HOUR + 30 * MINUTE == stored.task.next_occurrence


async def test_what_the_old_schedule_owed_in_a_pause_is_recorded(folder: Folder) -> None:
    stored = await settled(folder)
    store = folder.store()
    pause = {"pause": Pause(note="Holiday"), "status": Status.PAUSED, "next_run_at": None}
    await store.write([changing(stored, **pause)])
    folder.edit("0 * * * *", "30 * * * *", at=NOON + HOUR + MINUTE)

    await store.fetch_due(NOON + HOUR + 2 * MINUTE, limit=1)
    await store.fetch_due(NOON + HOUR + 3 * MINUTE, limit=1)

    assert ["paused"] == [run.skip_reason for run in await store.runs()]
    assert Status.PAUSED is (await read(store, "ping")).task.status


async def test_an_old_version_put_back_does_not_take_the_schedule_back_past_what_was_run(
    folder: Folder,
) -> None:
    stored = await settled(folder)
    store = folder.store()
    ran = {"last_run_at": NOON + HOUR, "next_occurrence": NOON + 2 * HOUR, "next_run_at": NOON + 2 * HOUR}
    await store.write([changing(stored, **ran)])

    folder.edit("0 * * * *", "45 * * * *", at=NOON + MINUTE)
    await store.fetch_due(NOON + HOUR + MINUTE, limit=1)

    assert NOON + HOUR + 45 * MINUTE == (await read(store, "ping")).task.next_occurrence


async def test_an_edit_of_anything_else_leaves_the_next_run_where_it_is(folder: Folder) -> None:
    before = await settled(folder, schedule="every 7m")
    folder.edit("example.com", "example.org", at=NOON + 3 * MINUTE)

    store = folder.store()
    await store.fetch_due(NOON + 4 * MINUTE, limit=1)

    after = (await read(store, "ping")).task
    assert (before.task.next_occurrence, before.task.next_run_at) == (
        after.next_occurrence,
        after.next_run_at,
    )
    assert {"url": "https://example.org"} == after.params


async def test_switched_off_and_on_by_hand(folder: Folder) -> None:
    await settled(folder)
    store = folder.store()

    folder.save({**TASK, "enabled": False}, at=NOON + MINUTE)
    await store.fetch_due(NOON + MINUTE, limit=1)
    off = (await read(store, "ping")).task
    assert None is folder.kept("ping")["nextRunAt"]  # said, though it is the default: people look for it
    folder.save(TASK, at=NOON + 3 * HOUR + MINUTE)
    await store.fetch_due(NOON + 3 * HOUR + MINUTE, limit=1)
    on = (await read(store, "ping")).task

    assert (Status.PAUSED, None) == (off.status, off.next_run_at)
    assert (Status.SCHEDULED, NOON + 4 * HOUR) == (on.status, on.next_run_at)


async def test_a_task_the_scheduler_stopped_starts_again_when_a_person_has_edited_it(folder: Folder) -> None:
    stored = await settled(folder)
    store = folder.store()
    stopped = {"pause": Pause(by="scheduler"), "status": Status.PAUSED, "next_run_at": None}
    await store.write([changing(stored, **stopped, consecutive_failures=5)])

    folder.edit("example.com", "example.org", at=NOON + MINUTE)
    await store.fetch_due(NOON + MINUTE, limit=1)

    task = (await read(store, "ping")).task
    assert (Status.SCHEDULED, None, NOON + HOUR) == (task.status, task.pause, task.next_run_at)


async def test_a_one_off_that_is_over_is_not_run_again_for_a_new_title(folder: Folder) -> None:
    stored = await settled(folder, schedule="at 2026-11-20T12:30")
    store = folder.store()
    over = {"next_occurrence": None, "next_run_at": None, "status": Status.ENDED, "run_count": 1}
    await store.write([changing(stored, **over, last_run_at=NOON + 30 * MINUTE)])

    renamed = {**TASK, "schedule": "at 2026-11-20T12:30", "title": "Renamed"}
    folder.save(renamed, at=NOON + 31 * MINUTE)
    found = await store.fetch_due(NOON + 32 * MINUTE, limit=1)

    task = (await read(store, "ping")).task
    assert ([], "Renamed", Status.ENDED) == (ids(found), task.title, task.status)


async def test_what_runs_after_others_can_be_edited_but_for_that(folder: Folder, make_task: MakeTask) -> None:
    """Those others keep a list of who runs after them, which no saving of a file brings up to date."""
    store = folder.store()
    await create(store, make_task("first"), make_task("ping", after=[{"task": "first"}], title="Second"))

    folder.edit('"Second"', '"Edited"', at=NOON + MINUTE)
    await store.fetch_due(NOON + MINUTE, limit=1)
    fine = (await read(store, "ping")).task
    folder.edit('"task": "first"', '"task": "other"', at=NOON + 2 * MINUTE)
    [broken] = (await store.get_tasks(["ping"])).invalid

    assert ("Edited", "first") == (fine.title, fine.after[0].task)
    assert broken.reason.startswith("after: cannot be changed by hand")


@pytest.mark.parametrize("is_seen_by_a_tick", [True, False])
async def test_a_task_that_comes_back_knows_who_runs_after_it(
    folder: Folder, make_task: MakeTask, is_seen_by_a_tick: bool
) -> None:
    """A branch without it was checked out, and a tick came, before the file was as before."""
    store = folder.store()
    after = make_task("ping", after=[{"task": "first", "on": "finished"}])
    await create(store, make_task("first"), after, make_task("other"))
    with_both = folder.entries()
    folder.save(*(one for one in with_both if one["id"] != "first"), at=NOON + MINUTE)
    await store.write([changing(await read(store, "other"), run_count=1)])  # which forgets what is gone
    folder.save(*with_both, at=NOON + 2 * MINUTE)

    if is_seen_by_a_tick:
        await store.fetch_due(NOON + 2 * MINUTE, limit=10)
    stored = await read(store, "first")
    await store.write([changing(stored, run_count=1)])

    assert (Dependent(task="ping", on="finished"),) == (await read(store, "first")).task.dependents
    assert () == (await read(store, "other")).task.dependents


async def test_an_edit_is_a_changed_revision(folder: Folder) -> None:
    stored = await settled(folder)
    folder.edit("example.com", "example.org", at=NOON + MINUTE)

    [written] = await folder.store().write([changing(stored, run_count=1)])

    assert WriteStatus.CONFLICT is written.status


async def test_another_way_to_write_the_same_is_no_edit(folder: Folder) -> None:
    stored = await settled(folder)
    folder.save_text(json.dumps({"tasks": [dict(reversed(list(TASK.items())))]}, indent=7), at=NOON + MINUTE)

    [written] = await folder.store().write([changing(stored, run_count=1)])

    assert WriteStatus.APPLIED is written.status


async def test_an_edit_that_spoils_a_task_is_told_and_its_state_waits(folder: Folder) -> None:
    stored = await settled(folder)
    store = folder.store()
    await store.write([changing(stored, run_count=7)])

    folder.edit('"http"', '"HTTP"', at=NOON + MINUTE)
    spoiled = await store.fetch_due(NOON + MINUTE, limit=1)
    folder.edit('"HTTP"', '"http"', at=NOON + 2 * MINUTE)
    await store.fetch_due(NOON + 2 * MINUTE, limit=1)

    assert ["ping"] == broken_ids(spoiled)
    assert 7 == (await read(store, "ping")).task.run_count


async def test_a_task_removed_by_hand_is_gone_and_comes_back_as_a_new_one(folder: Folder) -> None:
    stored = await settled(folder)
    store = folder.store()
    await store.write([changing(stored, run_count=7)])

    folder.save({**TASK, "id": "other"}, at=NOON)
    await store.fetch_due(NOON, limit=1)
    removed = await store.get_tasks(["ping"])
    folder.save(TASK, at=NOON + MINUTE)
    await store.fetch_due(NOON + MINUTE, limit=1)

    assert ((), 0) == (removed.tasks, (await read(store, "ping")).task.run_count)


# -- at the same time ------------------------------------------------------------------------------------


async def one_tick(folder: Folder, now: datetime, work: Callable[[], None]) -> dict[str, Any]:
    """A real tick at *now*, in which the task's work is *work*."""
    store = folder.store()

    async def perform(job: Job) -> Outcome:
        work()
        return succeeded("Done")

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


async def test_an_edit_during_a_run_is_kept_and_so_is_the_result(folder: Folder) -> None:
    await settled(folder)

    report = await one_tick(
        folder,
        NOON + HOUR,
        lambda: folder.edit("0 * * * *", "30 * * * *", at=NOON + HOUR + timedelta(seconds=1)),
    )

    store = folder.store()
    await store.fetch_due(NOON + HOUR + MINUTE, limit=1)
    task = (await read(store, "ping")).task
    assert (1, 1, "Done") == (report["succeeded"], task.run_count, task.last_result_summary)
    assert ("30 * * * *", NOON + HOUR + 30 * MINUTE) == (task.schedule, task.next_run_at)
    assert (Status.SCHEDULED, None) == (task.status, task.claim)
    assert 1 == len(await store.runs(task_id="ping"))


async def test_a_task_removed_during_its_run_does_not_come_back(folder: Folder) -> None:
    await settled(folder)

    await one_tick(folder, NOON + HOUR, lambda: folder.save(at=NOON + HOUR))

    store = folder.store()
    assert ((), []) == ((await store.get_tasks(["ping"])).tasks, folder.entries())
    assert ["ping"] == [run.task_id for run in await store.runs()]


def test_what_a_person_saves_while_we_write_is_not_overwritten(folder: Folder, make_task: MakeTask) -> None:
    folder.save(TASK, at=NOON)
    table = TaskFiles(folder.path, nullcontext)
    after, _ = apply_writes(table.load_locked(), [ConditionalWrite(make_task("new"), None)])
    folder.save(TASK, {**TASK, "id": "pong"}, at=NOON + MINUTE)

    with pytest.raises(StoreUnavailableError, match="somebody saved it at this moment; try again"):
        table.write(after)

    assert ["ping", "pong"] == list(table.load_locked().rows)


async def test_a_file_spoiled_during_a_run_costs_no_record(folder: Folder) -> None:
    """The settlement waits until somebody mends the file; the next tick settles from the record."""
    stored = await settled(folder)
    store = folder.store()
    claim = Claim(token="ab.1", until=NOON + HOUR, started_at=NOON)
    [claimed] = await store.write([changing(stored, claim=claim, status=Status.RUNNING)])
    good = folder.path.read_text()
    folder.save_text(good[:-3], at=NOON)
    record = Run(
        task_id="ping",
        occurrence=NOON,
        token="ab.1",
        outcome=OutcomeKind.SUCCEEDED,
        started_at=NOON,
        finished_at=NOON,
    )

    with pytest.raises(StoreError, match=r"tasks\.json: line \d+"):
        await store.write_with_runs(
            RunBatch("ab.1", NOON, (record,)), [ConditionalWrite(stored.task, claimed.revision)]
        )

    assert [record] == await store.runs_of_tick("ab")
    folder.save_text(good, at=NOON)
    assert Status.RUNNING is (await read(store, "ping")).task.status


# -- files of older schedulers ---------------------------------------------------------------------------

OLDER = {
    "id": "health_check_url",
    "frequency": "every_minute",
    "params": {"url": "https://example.com/", "expected_status": 204, "timeout_sec": 7},
}


@pytest.mark.parametrize("content", [[OLDER], {"tasks": [OLDER]}, OLDER], ids=["list", "tasks", "one"])
async def test_a_file_of_an_older_scheduler_is_a_store_as_it_is(folder: Folder, content: Any) -> None:
    text = json.dumps(content)
    folder.save_text(text, at=NOON)
    store = folder.store()

    found = await store.fetch_due(NOON + 2 * MINUTE, limit=10)
    again = await folder.store().fetch_due(NOON + 2 * MINUTE, limit=10)

    assert () == found.invalid == again.invalid
    [stored] = found.tasks
    assert ("health_check_url", "every_minute", "Health check url") == (
        stored.task.type,
        stored.task.schedule,
        stored.task.title,
    )
    assert {"url": "https://example.com/", "expected_status": 204, "timeoutSeconds": 7} == stored.task.params
    assert text == folder.path.read_text()


async def test_a_task_made_beside_older_ones_puts_all_under_tasks_and_loses_none(
    folder: Folder, make_task: MakeTask
) -> None:
    folder.save_text(json.dumps([OLDER]), at=NOON)
    store = folder.store()

    [result] = await store.write([ConditionalWrite(make_task("new"), None)])

    assert WriteStatus.APPLIED is result.status
    written = json.loads(folder.path.read_text())["tasks"]
    assert [OLDER, "new"] == [written[0], written[1]["id"]]


async def test_a_task_that_only_runs_when_asked_may_be_edited(folder: Folder) -> None:
    spec = TaskSpec(id="once", title="Once", type="http", params={"url": "https://example.com/"})
    await folder.store().write([ConditionalWrite(new_task(spec, now=NOON, origin="", run_now=True), None)])
    folder.edit("https://example.com/", "https://example.org/", at=NOON + MINUTE)

    [stored] = (await folder.store().fetch_due(NOON + 2 * MINUTE, limit=1)).tasks

    assert ("https://example.org/", "", 1) == (
        stored.task.params["url"],
        stored.task.schedule,
        len(stored.task.backlog),
    )


async def test_a_schedule_that_is_forgotten_or_removed_is_told(folder: Folder) -> None:
    without = {name: value for name, value in TASK.items() if name != "schedule"}
    await settled(folder)
    folder.save(without, {**without, "id": "new"}, at=NOON + MINUTE)

    found = await folder.store().fetch_due(NOON + 2 * MINUTE, limit=10)

    assert ["new", "ping"] == broken_ids(found)
    assert all("schedule: is required" in one.reason for one in found.invalid)
