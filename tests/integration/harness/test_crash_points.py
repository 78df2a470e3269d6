"""A process that dies anywhere in its work loses nothing, and what it had done is not done again."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.checker.history import History
from tests.harness.chaos.faults.points import POINTS
from tests.harness.chaos.scenarios.deaths import LATER, Scene

SENT_AND_NOT_ON_RECORD = {"before_send", "after_send", "before_ledger"}
MAY_HAVE_RUN = {"after_claim", *SENT_AND_NOT_ON_RECORD}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    await scene.start()
    yield scene
    await scene.stop()


def _ends(history: History, delivery: str) -> set[str]:
    """What the tasks of one way of delivery came to, those that fail at their target left out."""
    names = {f"{delivery}-0", f"{delivery}-1"}
    return {run["outcome"] for run in history.runs if run["taskId"] in names and run["final"]}


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_killed_there_loses_and_doubles_nothing(scene: Scene, point: str) -> None:
    died = await scene.dies(point)
    ended = await scene.ticks("heir", LATER)

    history = await scene.history()
    assert (-signal.SIGKILL, 0) == (died, ended)
    assert [] == judge(history).violations
    assert {"succeeded"} == _ends(history, "at-least-once")
    if point in MAY_HAVE_RUN:
        assert "abandoned" in _ends(history, "at-most-once")
    else:
        assert {"succeeded"} == _ends(history, "at-most-once")


async def test_what_was_owed_for_long_is_on_record_whenever_the_process_dies(tmp_path: Path) -> None:
    """The occurrences a run stands in for are recorded with it, and it dies before it can."""
    scene = Scene(tmp_path, owed=4)
    await scene.start()

    await scene.dies("before_ledger")
    await scene.ticks("heir", LATER)

    verdict = judge(await scene.history())
    await scene.stop()
    assert ([], 18) == (verdict.violations, verdict.counts["ended: skipped (misfire)"])


async def test_four_deaths_in_a_row_stop_a_task_and_people_hear_of_it(scene: Scene) -> None:
    """It takes its process down with it, it seems, and was alone at the last: somebody must look."""
    await scene.dies("after_claim")
    for ahead in ("30", "60", "90"):  # each claim has expired: 3 s, and what a claim has beyond its attempt
        (scene.folder / "dying.point").write_text("after_claim:1")
        await scene.ticks("dying", [ahead])

    await scene.ticks("heir", ["120", "150", "240"])

    history = await scene.history()
    by_id = {task["id"]: task["status"] for task in history.tasks}
    assert "quarantined" == by_id["at-least-once-0"]
    assert 1 == list(by_id.values()).count("quarantined")
    assert any("at-least-once-0" in told and "paused" in told for told in history.told)
