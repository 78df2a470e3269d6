"""Looking at tasks, steering them, and one tick: the commands over a store, as a person uses them."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.cli.tasks import format_report
from functions.domain.capacity.flow_control import GroupState
from functions.domain.storage import Document
from functions.stores import create_store
from functions.task_types import registry
from functions.task_types.registry import type_names
from functions.taskfiles.schema import task_file_schema
from tests.unit.cli.conftest import Scheduler, WriteTasks

PAST = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z")


def status_of(scheduler: Scheduler, task_id: str) -> str:
    return str(scheduler("show", task_id, "--json").data["status"])


def test_an_empty_store_says_what_to_do(scheduler: Scheduler) -> None:
    assert "scheduler apply" in scheduler("list").out
    assert [] == scheduler("list", "--json").data
    assert "no runs yet" in scheduler("runs").out


def test_list_aligns_its_columns_whatever_the_script(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a", "title": "水"}, {"id": "longer-id", "title": "Water"}))

    head, one, two = scheduler("list").out.splitlines()

    assert head.index("STATUS") == one.index("scheduled") == two.index("scheduled")
    assert one.endswith("水")


def test_a_title_cannot_move_the_cursor(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a", "title": "x\x1b[2J\ny"}))

    assert "\x1b" not in scheduler("list").out + scheduler("show", "a").out
    assert 2 == len(scheduler("list").out.splitlines())


def test_show_has_the_task_in_its_own_zone(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a", "timezone": "Asia/Tokyo", "tags": ["garden"]}))

    said = scheduler("show", "a")

    assert "09:00 JST (in " in said.out
    assert "garden" in said.out


def test_types_are_those_there_are(scheduler: Scheduler) -> None:
    assert list(type_names()) == [one["type"] for one in scheduler("types", "--json").data]


def test_one_type_is_shown_with_its_params(scheduler: Scheduler) -> None:
    one, data, wrong = (
        scheduler("types", *words) for words in (["tls_check"], ["tls_check", "--json"], ["tls"])
    )

    assert "mail.example.com" in one.out
    assert "certificateDaysLeft" in one.out.partition("DESCRIPTION")[2]
    assert "rss_watch" not in one.out
    assert ["tls_check"] == [shown["type"] for shown in data.data]
    assert (2, True) == (wrong.code, "no task type has this name, here or in TASK_TYPES" in wrong.err)


def test_the_schema_of_task_files_is_printed_for_editors(scheduler: Scheduler) -> None:
    whole, one = scheduler("schema"), scheduler("schema", "rss_watch")
    wrong = scheduler("schema", "rss_wach")

    assert (0, task_file_schema()) == (whole.code, json.loads(whole.out))
    assert ["feedUrl"] == json.loads(one.out)["required"]
    assert (2, True) == (wrong.code, "did you mean rss_watch?" in wrong.err)


def test_status_has_the_figures_of_the_function(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))
    scheduler("run", "a")

    figures = scheduler("status", "--json").data

    assert ("healthy", 1, 1) == (figures["status"], figures["scheduledTasks"], figures["tasksCurrentlyDue"])


def test_pause_and_resume(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    paused = scheduler("pause", "a", "--note", "building works", "--until", "2099-01-01T00:00:00Z")
    shown = scheduler("show", "a").out
    resumed = scheduler("resume", "a")

    assert (0, 0) == (paused.code, resumed.code)
    assert "until 2099-01-01 00:00 UTC" in paused.out
    assert "by command line until 2099-01-01 00:00 UTC: building works" in shown
    assert "scheduled" == status_of(scheduler, "a")


@pytest.mark.parametrize("words", [("resume", "a"), ("cancel", "a"), ("backfill", "a", *PAST[:3], PAST[1])])
def test_what_makes_no_sense_is_refused(
    scheduler: Scheduler, write_tasks: WriteTasks, words: tuple[str, ...]
) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    said = scheduler(*words)

    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("scheduler: ")


def test_backfill_asks_for_the_past_and_dry_run_only_shows_it(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    shown = scheduler("backfill", "a", *PAST, "--dry-run", "--json").data
    before = scheduler("show", "a", "--json").data["backlog"]
    asked = scheduler("backfill", "a", *PAST, "--json").data
    after = scheduler("show", "a", "--json").data["backlog"]

    assert ["2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z"] == shown == asked
    assert ([], 2) == (before, len(after))


def test_the_line_of_a_tick_tells_claims_that_the_store_refused_from_those_of_others() -> None:
    report = {"due": 5, "lostClaims": 3, "unclaimed": 2, "unwritten": 1, "durationMs": 5180}

    assert (
        "5 due, 1 claimed by another tick, 2 that the store let nobody claim, "
        "1 whose result the store did not take; 5.18 s"
    ) == format_report(report)
    assert "1 due, 1 that the store let nobody claim; 0.00 s" == format_report(
        {"due": 1, "lostClaims": 1, "unclaimed": 1}
    )


@pytest.mark.slow
def test_a_tick_runs_what_was_asked_for_and_tells_how_it_went(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    scheduler(
        "apply", write_tasks({"id": "a", "params": {"url": site}}, {"id": "b", "params": {"url": site}})
    )
    scheduler("run", "a", "b")

    said = scheduler("tick")

    head, one, two, _, report = said.out.splitlines()
    assert 0 == said.code
    assert head.startswith("FINISHED")
    assert {"a", "b"} == {one.split()[3], two.split()[3]}
    assert "succeeded" in one
    assert "Answered 200" in one
    assert report.startswith("Tick: 2 due, 2 started, 2 succeeded; ")
    assert 2 == len(scheduler("runs", "--json").data)
    assert ["a"] == [run["taskId"] for run in scheduler("runs", "a", "--json").data]
    scheduler("apply", write_tasks({"id": "b", "params": {"url": site}}))  # removes a
    assert ["a"] == [run["taskId"] for run in scheduler("runs", "a", "--json").data]
    assert 1 == scheduler("runs", "never").code


def test_a_tick_in_which_a_task_fails_is_code_1(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    bad = {"id": "bad", "params": {"url": f"{site}/broken"}, "retry": {"maxAttempts": 1}}
    scheduler("apply", write_tasks({"id": "good", "params": {"url": site}}, bad))
    scheduler("run", "good", "bad")

    said = scheduler("tick", "--json")

    assert 1 == said.code
    assert ("ok", 1, 1) == (said.data["status"], said.data["succeeded"], said.data["failed"])


def test_a_tick_in_which_an_attempt_fails_is_code_1_even_if_it_is_made_again(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    scheduler("apply", write_tasks({"id": "bad", "params": {"url": f"{site}/broken"}}))
    scheduler("run", "bad")

    said = scheduler("tick")

    assert 1 == said.code
    assert "failed, retrying" in said.out


def test_a_tick_with_nothing_due_is_code_0(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    said = scheduler("tick")

    assert 0 == said.code
    assert said.out.startswith("Tick: 0 due; ")


def test_a_waiting_retry_can_be_cancelled(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    scheduler("apply", write_tasks({"id": "bad", "params": {"url": f"{site}/broken"}}))
    scheduler("run", "bad")
    scheduler("tick")

    said = scheduler("cancel", "bad")

    assert (0, "bad is cancelled\n") == (said.code, said.out)
    assert "scheduled" == status_of(scheduler, "bad")


def test_what_starts_a_task_and_what_it_starts_are_shown(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "one"}, {"id": "two", "schedule": "", "after": [{"task": "one"}]}))

    listed, one, two = scheduler("list"), scheduler("show", "one"), scheduler("show", "two")

    assert "After one" in listed.out
    assert "two (success)" in one.out
    assert "After one" in two.out


def test_a_task_that_cannot_be_read_is_named(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    scheduler("apply", write_tasks({"id": "spoilt"}))
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = '{}'")

    said = scheduler("list")

    assert "spoilt cannot be read" in said.err
    assert "There is no other task\n" == said.out


def test_a_task_that_cannot_be_read_is_removed_as_doctor_says(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    file = write_tasks({"id": "spoilt"})
    scheduler("apply", file)
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = '{}'")
    [named] = [one["remedy"] for one in scheduler("doctor", "--json").data if "spoilt" in one["text"]]
    blocked = scheduler("apply", file)

    removed = scheduler(*named.partition("or scheduler ")[2].split(), "--yes")

    assert "spoilt cannot be read: id: is required" in blocked.err
    assert [1, 0, 0] == [blocked.code, removed.code, scheduler("apply", file).code], removed.err


@pytest.mark.parametrize("at", ["9999-12-31T23:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("pause", "a", "--until"), "--until"),
        (("next", "@daily", "--after"), "--after"),
        (("next", "every 5m", "--anchor"), "--anchor"),
        (("keys", "create", "x", "--expires"), "--expires"),
        (("backfill", "a", "--to", "2026-01-03T00:00:00Z", "--from"), "--from"),
        (("backfill", "a", "--from", "2026-01-03T00:00:00Z", "--to"), "--to"),
    ],
)
def test_an_instant_out_of_range_is_wrong_usage(
    scheduler: Scheduler, write_tasks: WriteTasks, words: tuple[str, ...], option: str, at: str
) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    said = scheduler(*words, at)

    assert 2 == said.code
    assert option in said.err
    assert "is out of range; use a year from 1970 to 9000" in said.err


def test_a_task_file_with_an_instant_out_of_range_is_refused(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    path = write_tasks({"id": "a", "startAt": "9999-12-31T23:00:00Z", "timezone": "Pacific/Kiritimati"})

    said = scheduler("apply", path)

    assert 0 != said.code
    assert "startAt: is out of range; use a year from 1970 to 9000" in said.err + said.out
    assert [] == scheduler("list", "--json").data


GREETS = '''"""Greets."""

from functions import Job, Outcome, Params as Model, Tools, succeeded


class Params(Model):
    whom: str


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    return succeeded(f"Hello {params.whom}")
'''


def test_types_of_ones_own_are_known_to_every_command(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_greets.py").write_text(GREETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_registered_modules", {})
    file = write_tasks({"id": "a", "type": "shop_greets", "params": {"whom": "Ann"}})
    own = {"TASK_TYPES": "shop_greets"}

    planned = scheduler("plan", file, **own)
    refused = scheduler("plan", write_tasks({"id": "a", "type": "shop_greets", "params": {}}), **own)
    listed = scheduler("types", **own)
    found = scheduler("doctor", **own)
    missing = scheduler("types", TASK_TYPES="shop_greets_not")

    assert (0, 2) == (planned.code, refused.code), planned.err
    assert "params.whom" in refused.err
    assert "shop_greets" in listed.out
    assert "TASK_TYPES adds shop_greets" in found.out
    assert (2, True) == (missing.code, "The module shop_greets_not cannot be imported" in missing.err)


def test_show_has_the_group_and_what_the_task_waits_for(
    scheduler: Scheduler, write_tasks: WriteTasks, environment: dict[str, str]
) -> None:
    scheduler("apply", write_tasks({"id": "one", "group": {"name": "shop-api", "maxConcurrent": 1}}))
    scheduler("run", "one")
    before = scheduler("show", "one")

    async def hold() -> None:
        store = create_store(environment["STORE_URL"])
        state = GroupState({"other.1": datetime.now(UTC) + timedelta(hours=1)})
        await store.put_documents([Document("groups", "all.shop-api", state.to_data())])
        await store.close()

    asyncio.run(hold())
    after = scheduler("show", "one")
    data = scheduler("show", "one", "--json")

    assert "shop-api: 1 at once" in before.out
    assert "It waits" not in before.out
    assert "It waits for the group shop-api: 1 of 1 run" in after.out
    assert "It waits for the group shop-api: 1 of 1 run" == data.data["waiting"]


def test_what_a_task_prints_is_no_part_of_the_data(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_prints.py").write_text(GREETS.replace("    return", "    print('a word')\n    return"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_registered_modules", {})
    own = {"TASK_TYPES": "shop_prints"}
    scheduler("apply", write_tasks({"id": "a", "type": "shop_prints", "params": {"whom": "Ann"}}), **own)
    scheduler("run", "a", **own)

    said = scheduler("tick", "--json", **own)

    assert (1, True) == (said.data["succeeded"], "a word" in said.err)
