"""The commands about calendars, `next` with days, and calendars of task files, over a store."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Scheduler

TASK = {
    "id": "report",
    "title": "Report",
    "type": "http",
    "schedule": "0 9 * * *",
    "params": {"url": "https://example.com/"},
    "except": ["calendar:company", "weekends"],
}


def test_a_calendar_is_set_shown_listed_and_removed(scheduler: Scheduler) -> None:
    assert "There are no calendars yet" in scheduler("calendars").out
    said = scheduler("calendars", "set", "company", "12-24..01-02,holidays:LV", "2027-05-03")

    assert said.code == 0
    assert "company is set: 12-24..01-02, holidays:LV, 2027-05-03; 0 tasks have new days" in said.out
    assert ["12-24..01-02", "holidays:LV", "2027-05-03"] == scheduler(
        "calendars", "show", "company", "--json"
    ).data["entries"]
    assert ["company"] == [one["name"] for one in scheduler("calendars", "list", "--json").data]
    assert "company is removed" in scheduler("calendars", "remove", "company").out
    assert 1 == scheduler("calendars", "show", "company").code


def test_wrong_days_are_refused_with_a_remedy(scheduler: Scheduler) -> None:
    said = scheduler("calendars", "set", "company", "24.12.")

    assert said.code == 2
    assert "write dates (2026-12-24, 12-25)" in said.err


def test_next_takes_days(scheduler: Scheduler) -> None:
    after = ("--after", "2026-12-23T12:00:00Z", "--timezone", "UTC", "--count", "2", "--json")
    scheduler("calendars", "set", "company", "2026-12-28")

    kept = scheduler("next", "0 9 * * *", "--except", "12-24..12-26,weekends", *after)
    named = scheduler("next", "0 9 * * *", "--except", "12-24..12-27", "--except", "calendar:company", *after)
    moved = scheduler("next", "0 9 26 * *", "--on-excluded", "next", *after)
    phrase = scheduler("next", "last business day of month at 17:30", "--except", "12-31", *after)

    assert ["2026-12-28T09:00:00Z", "2026-12-29T09:00:00Z"] == kept.data
    assert ["2026-12-29T09:00:00Z", "2026-12-30T09:00:00Z"] == named.data
    assert ["2026-12-28T09:00:00Z", "2027-01-26T09:00:00Z"] == moved.data
    assert ["2026-12-30T17:30:00Z", "2027-01-29T17:30:00Z"] == phrase.data
    assert 2 == scheduler("next", "daily", "--on-excluded", "later").code


@pytest.mark.slow
def test_a_file_has_calendars_that_apply_writes(scheduler: Scheduler, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"

    def write(*days: str) -> str:
        file.write_text(json.dumps({"calendars": {"company": list(days)}, "tasks": [TASK]}))
        return str(file)

    plan = scheduler("plan", write("12-24"), "--json").data["changes"]
    assert [("calendar:company", "create"), ("report", "create")] == [
        (one["id"], one["action"]) for one in plan
    ]
    assert [] == scheduler("calendars", "list", "--json").data
    assert 0 == scheduler("apply", str(file)).code
    assert ["12-24"] == scheduler("calendars", "show", "company", "--json").data["entries"]
    again = scheduler("apply", str(file), "--json").data["changes"]
    assert {"unchanged"} == {one["action"] for one in again}
    changed = scheduler("apply", write("12-24", "12-31"), "--json").data["changes"]
    assert [("calendar:company", []), ("report", ["except"])] == [
        (one["id"], one["fields"]) for one in changed
    ]
    shown = scheduler("show", "report").out
    assert "Every day at 09:00, except on days of company and weekends" in shown


def test_tasks_of_other_files_have_the_new_days_as_well(scheduler: Scheduler, tmp_path: Path) -> None:
    for name, days in (("one", ["12-24"]), ("two", ["12-24", "12-31"])):
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"calendars": {"company": days}, "tasks": [TASK | {"id": name}]})
        )
        scheduler("apply", str(tmp_path / f"{name}.json"))

    tasks = scheduler("list", "--json").data
    assert [["12-24", "12-31"]] * 2 == [one["calendars"][0]["entries"] for one in tasks]


@pytest.mark.slow
def test_a_plan_names_the_tasks_of_others_that_get_new_days(scheduler: Scheduler, tmp_path: Path) -> None:
    """Of four one stays in the file; one has no calendar, one would have no day left and keeps its days."""
    file = tmp_path / "shared.yaml"
    rare = TASK | {"schedule": "0 9 24,28 12 *", "except": ["calendar:company"], "timezone": "Asia/Tokyo"}
    mine, theirs = rare | {"id": "mine"}, rare | {"id": "theirs"}
    free, last = rare | {"id": "free", "except": []}, rare | {"id": "last", "schedule": "0 9 24 12 *"}

    def have(days: list[str], *tasks: Mapping[str, object]) -> str:
        file.write_text(json.dumps({"calendars": {"company": days}, "tasks": tasks}))
        return str(file)

    assert 0 == scheduler("apply", have(["12-25"], mine, theirs, free, last)).code
    path = have(["12-24"], mine)

    shown = scheduler("plan", "--no-prune", path).out
    planned = scheduler("plan", "--no-prune", path, "--json").data["changes"]
    applied = scheduler("apply", "--no-prune", path, "--json").data["changes"]
    again = scheduler("plan", "--no-prune", path, "--json").data["changes"]
    stored = {one["id"]: one for one in scheduler("list", "--json").data}

    assert [
        ("calendar:company", "update", []),
        ("mine", "update", ["except"]),
        ("theirs", "update", ["except"]),
    ] == [(one["id"], one["action"], one["fields"]) for one in planned]
    [line] = [one for one in shown.splitlines() if "theirs" in one]
    assert ("except", True) == (line.split()[2], line.endswith("JST"))
    assert planned == applied
    assert {"unchanged"} == {one["action"] for one in again}
    assert planned[2]["nextRunAt"] == stored["theirs"]["nextRunAt"]
    assert [["12-24"], ["12-25"]] == [stored[name]["calendars"][0]["entries"] for name in ("theirs", "last")]


def test_what_is_wrong_with_calendars_of_files_is_named(scheduler: Scheduler, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("calendars: {company: [12-32], Other: [sat], empty: []}\ntasks: []\n")
    (tmp_path / "b.yaml").write_text("calendars: {shared: [sat]}\ntasks: []\n")
    (tmp_path / "c.yaml").write_text("calendars: {shared: [sun]}\ntasks: []\n")
    (tmp_path / "d.yaml").write_text("calendars: [company]\ntasks: []\n")

    problems = scheduler("plan", str(tmp_path), "--json").data["problems"]

    assert {
        "calendars.company": "not in the calendar",
        "calendars.Other": "not the name of a calendar",
        "calendars.empty": "has no days",
        "calendars.shared": "another file has a calendar of this name",
        "calendars": "must be a mapping",
    }.items() <= {
        (field, words)
        for field, words in [
            (one["field"], words)
            for one in problems
            for words in (
                "not in the calendar",
                "not the name of a calendar",
                "has no days",
                "another file has a calendar of this name",
                "must be a mapping",
            )
            if words in one["reason"]
        ]
    }
    assert {1} == {one["line"] for one in problems}
