"""`apply` makes the store match the files, or changes nothing; `plan` only says what would change."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks


def ids(scheduler: Scheduler) -> list[str]:
    return [task["id"] for task in scheduler("list", "--json").data]


def test_apply_creates_updates_and_removes(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}, {"id": "b"}, {"id": "c"}))

    said = scheduler(
        "apply", write_tasks({"id": "b", "schedule": "0 10 * * *"}, {"id": "c"}, {"id": "d"}), "--json"
    )

    assert 0 == said.code
    assert {"a": "remove", "b": "update", "c": "unchanged", "d": "create"} == {
        change["id"]: change["action"] for change in said.data["changes"]
    }
    assert ["b", "c", "d"] == ids(scheduler)


def test_an_update_names_its_fields_and_moves_the_next_run(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    [change] = scheduler(
        "apply", write_tasks({"id": "a", "schedule": "30 9 * * *", "priority": "low"}), "--json"
    ).data["changes"]

    assert ["priority", "schedule"] == change["fields"]
    assert change["nextRunAtBefore"].endswith("T09:00:00Z")
    assert change["nextRunAt"].endswith("T09:30:00Z")


def test_plan_shows_the_same_and_changes_nothing(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))
    file = write_tasks({"id": "b"})

    planned = scheduler("plan", file, "--json").data
    after_plan = ids(scheduler)
    applied = scheduler("apply", file, "--json").data

    assert ["a"] == after_plan
    assert (False, True) == (planned["applied"], applied["applied"])
    assert ["remove", "create"] == [change["action"] for change in planned["changes"]]
    assert [(one["id"], one["action"]) for one in planned["changes"]] == [
        (one["id"], one["action"]) for one in applied["changes"]
    ]


def test_people_see_signs_fire_times_and_counts(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "old"}, {"id": "same"}, {"id": "moved"}))

    said = scheduler(
        "plan",
        write_tasks(
            {"id": "same"},
            {"id": "new", "timezone": "Europe/Riga"},
            {"id": "moved", "schedule": "30 9 * * *"},
        ),
    )

    _, moved, new, old, counts, _ = said.out.splitlines()
    assert ["~", "moved", "schedule"] == moved.split()[:3]
    assert "→" in moved
    assert new.startswith("+")
    assert new.endswith(("09:00 EET", "09:00 EEST"))
    assert ["-", "old", "remove", "was"] == old.split()[:4]
    assert "1 to create, 1 to update, 1 to remove, 1 unchanged" == counts


def test_with_one_fault_nothing_at_all_is_applied_and_all_faults_are_listed(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "kept"}))
    bad = write_tasks({"id": "good"}, {"id": "b", "timeoutSeconds": 0}, {"id": "c", "schedul": "x"})

    said = scheduler("apply", bad)

    assert (2, "") == (said.code, said.out)
    assert f"{bad}:1: b: timeoutSeconds: must be greater than 0\n" in said.err
    assert f"{bad}:1: c: schedul: unknown field; did you mean schedule?\n" in said.err
    assert said.err.splitlines()[-1].startswith("scheduler: there are 2 errors")
    assert ["kept"] == ids(scheduler)


def test_faults_are_data_for_programs(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("plan", write_tasks({"id": "b", "timeoutSeconds": 0}), "--json")

    assert 2 == said.code
    assert [("b", "timeoutSeconds", 1)] == [
        (one["task"], one["field"], one["line"]) for one in said.data["problems"]
    ]


def test_a_wrong_path_removes_nothing(scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path) -> None:
    scheduler("apply", write_tasks({"id": "a"}))
    (tmp_path / "empty").mkdir()

    assert 2 == scheduler("apply", str(tmp_path / "empty")).code
    assert 2 == scheduler("apply", str(tmp_path / "nowhere")).code
    assert ["a"] == ids(scheduler)


def test_no_prune_keeps_what_is_no_longer_in_the_files(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    scheduler("apply", "--no-prune", write_tasks({"id": "b"}))

    assert ["a", "b"] == ids(scheduler)


def test_a_schedule_without_occurrences_left_is_refused_before_anything_is_written(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    said = scheduler("apply", write_tasks({"id": "a"}, {"id": "late", "schedule": "at 2001-01-01T09:00"}))

    assert 2 == said.code
    assert "scheduler: late: schedule:" in said.err
    assert [] == ids(scheduler)


def test_the_default_zone_is_that_of_the_settings(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}), DEFAULT_TIMEZONE="Asia/Tokyo")

    assert "Asia/Tokyo" == scheduler("show", "a", "--json").data["timezone"]


def test_what_somebody_else_changed_since_is_told_before_it_is_changed_back(
    scheduler: Scheduler, write_tasks: WriteTasks, tmp_path: Path
) -> None:
    """The file wins, as it says; but nobody should lose an edit without having been told."""
    path = write_tasks({"id": "elsewhere"}, {"id": "here"})
    scheduler("apply", path)
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection, connection:
        connection.execute("UPDATE tasks SET doc = json_set(doc, '$.title', 'Edited') WHERE id = 'elsewhere'")
    write_tasks({"id": "elsewhere"}, {"id": "here", "title": "Edited in the file"})

    planned = scheduler("plan", path, "--json")
    shown = scheduler("plan", path)
    scheduler("apply", path)
    after = scheduler("plan", path, "--json")

    assert {"elsewhere": True, "here": False} == {
        change["id"]: change["drifted"] for change in planned.data["changes"]
    }
    assert 1 == shown.out.count("changed elsewhere since the last apply")
    assert ["unchanged", "unchanged"] == [change["action"] for change in after.data["changes"]]


def test_a_timeout_that_no_tick_has_is_a_warning_of_plan_and_apply(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    path = write_tasks({"id": "slow", "timeoutSeconds": 60, "delivery": "at_most_once"}, {"id": "quick"})

    planned, applied = scheduler("plan", path, "--json"), scheduler("apply", path)
    with_more = scheduler("plan", path, "--json", TICK_BUDGET_SECONDS="70")

    [warning] = planned.data["warnings"]
    assert warning.startswith("slow: timeoutSeconds: 60 s, but an attempt has 22.5 s: no attempt is made")
    assert f"warning: {warning}" in applied.err
    assert "warnings" not in with_more.data


def piped(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


A_TASK = "[{id: %s, type: heartbeat, schedule: hourly, params: {}}]"


@pytest.mark.slow
def test_standard_input_is_applied_and_removes_nothing(
    scheduler: Scheduler, write_tasks: WriteTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler("apply", write_tasks({"id": "of-a-file"}))
    for name in ("first", "second"):
        piped(monkeypatch, A_TASK % name)
        assert 0 == scheduler("apply", "-").code
    piped(monkeypatch, A_TASK % "of-a-file")
    taken = scheduler("apply", "-", "--json").data["changes"]

    assert [("of-a-file", "update", "")] == [(one["id"], one["action"], one["movedFrom"]) for one in taken]
    assert ["first", "of-a-file", "second"] == ids(scheduler)
    scheduler("apply", write_tasks({"id": "another"}))
    assert ["another", "first", "second"] == ids(scheduler)


@pytest.mark.slow
def test_standard_input_under_a_name_is_a_file_of_that_name(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        piped(monkeypatch, A_TASK % name)
        scheduler("apply", "-", "--source", "shop")

    assert ["second"] == ids(scheduler)


def test_what_is_wrong_in_standard_input_is_named_with_its_line(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "- id: a\n  type: heartbeat\n  schedule: sometimes\n")
    said = scheduler("plan", "-")
    piped(monkeypatch, "")
    empty = scheduler("apply", "-")
    watched = scheduler("serve", "--tasks", "-")

    assert (2, 2, 2) == (said.code, empty.code, watched.code)
    assert "-:3: a: schedule: " in said.err
    assert "-: " in empty.err
    assert "standard input cannot be read again" in watched.err
