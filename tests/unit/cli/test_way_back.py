"""What the version before had: it reads the tasks that this one has run, and scripts find what they read."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema_rs
import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks

# What 0.2.0 takes for a task, made of its model. Fields that it does not know are ignored at the top alone.
BEFORE = Path(__file__).with_name("task-0.2.0.schema.json")


@pytest.mark.slow
def test_tasks_that_ran_are_tasks_to_the_version_before(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str, tmp_path: Path
) -> None:
    """It reads its outcomes as a list: with a text in that place nothing ran after going back."""
    broken, once = {"params": {"url": f"{site}/broken"}}, {"retry": {"maxAttempts": 1}}
    channels = {"WEBHOOK_URL": "http://127.0.0.1:1/"}  # nobody is there: what was not delivered is stored
    tasks = write_tasks(
        {"id": "well", "params": {"url": site}, "notify": [{"on": ["success"]}]},
        {"id": "failing"} | broken | once,
        {"id": "retrying"} | broken,
        {"id": "pausing", "pauseAfterFailures": 1} | broken | once,
        {"id": "following", "params": {"url": site}, "after": [{"task": "well"}]},
    )
    scheduler("apply", tasks)
    for _ in range(2):
        scheduler("run", "well", "failing", "retrying", "pausing")
        scheduler("tick", ALLOW_PORTS="1-65535", **channels)

    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection:
        found = [json.loads(text) for (text,) in connection.execute("SELECT doc FROM tasks")]
    before = jsonschema_rs.validator_for(json.loads(BEFORE.read_text()))

    assert {"scheduled", "retrying", "paused"} == {task.get("status", "scheduled") for task in found}
    assert all("recentOutcomes" in task for task in found)
    assert any("pending" in task.get("alert", {}) for task in found)
    assert [] == [(task["id"], error.message) for task in found for error in before.iter_errors(task)]


def test_scripts_that_read_the_last_outcomes_go_on(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    """`show --json` and `list --json` have them as they had, and as the API has: a list."""
    scheduler("apply", write_tasks({"id": "well", "params": {"url": site}}))
    for _ in range(2):
        scheduler("run", "well")
        scheduler("tick", ALLOW_PORTS="1-65535")

    shown = scheduler("show", "well", "--json").data
    [listed] = scheduler("list", "--json").data

    assert ["succeeded", "succeeded"] == [line.partition(" ")[0] for line in shown["recent"]]
    assert shown["recent"] == listed["recent"]
    assert "recentOutcomes" not in shown
