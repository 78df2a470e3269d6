"""The checker reports deliberate mistakes in the product, so that its silence means something."""

from collections.abc import AsyncIterator
from multiprocessing import get_context
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.harness.chaos.__main__ import main
from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.faults.points import Orders
from tests.harness.chaos.mutants import MUTANTS, apply
from tests.harness.chaos.mutation import CONDITIONS, PLAYED
from tests.harness.chaos.scenarios.deaths import LATER, Scene
from tests.harness.chaos.scenarios.zombie_workers import play_zombie_worker
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.processes import ROOT


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path, owed=3)
    await scene.start()
    yield scene
    await scene.stop()


@pytest.mark.parametrize(
    ("mutant", "point", "violation"),
    [
        ("advance_before_run", "after_claim", "lost"),
        ("ledger_after_settlement", "after_ledger", "lost"),
        ("ignore_the_ledger", "after_ledger", "accounted_twice"),
        ("at_most_once_forgotten", "after_send", "at_most_once"),
        ("told_before_it_is_said", "before_notice", "not_told"),
        ("skips_without_record", "after_query", "lost"),
    ],
)
async def test_checker_reports_the_mistake_after_a_death(
    scene: Scene, mutant: str, point: str, violation: str
) -> None:
    died = await scene.dies(point, mutant=mutant)
    lived = await scene.ticks("heir", LATER, mutant=mutant)

    assert (-SIGKILL, 0) == (died, lived)  # a mistake that finds nothing to change ends its process
    assert violation in judge(await scene.history()).codes


async def test_checker_reports_nothing_without_a_mistake(scene: Scene) -> None:
    await scene.dies("after_ledger")
    await scene.ticks("heir", LATER)

    assert [] == judge(await scene.history()).violations


async def test_a_zombie_worker_with_its_fence_changes_nothing(tmp_path: Path) -> None:
    assert [] == judge(await play_zombie_worker(tmp_path)).violations


async def test_checker_reports_a_write_after_a_lost_claim(tmp_path: Path) -> None:
    history = await play_zombie_worker(tmp_path, mutant="settle_without_fence")

    codes = judge(history).codes
    assert "accounted_twice" in codes
    assert codes & {"doubled", "repeated"}  # by how long the second is at work after the third has begun


def test_every_mutant_has_conditions_in_which_it_shows() -> None:
    """`scripts/chaos --mutants` runs them all, with real servers."""
    assert set(MUTANTS) == {*CONDITIONS, *PLAYED}


def test_every_mutant_finds_what_it_changes(tmp_path: Path) -> None:
    """Made in a process of their own: they are changes to modules."""
    process = get_context("fork").Process(target=_apply_all, args=(Orders(tmp_path, "all", Clock(0.0)),))
    process.start()
    process.join()

    assert 0 == process.exitcode


def _apply_all(orders: Orders) -> None:
    for name in MUTANTS:
        apply(name, orders)


def test_every_mutant_of_a_promise_exists() -> None:
    """The table of promises names what would show that one is not kept."""
    page = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
    table = page.partition("## What is promised under load")[2].partition("\n## ")[0]
    cells = [line.split("|")[-2] for line in table.splitlines() if line.startswith("|")]
    named = {word for cell in cells for word in cell.partition(";")[2].split("`")[1::2]}

    assert named <= set(MUTANTS)
    assert len(named) >= 15


def test_a_mutant_alone_is_asked_for_with_all_of_them() -> None:
    """A whole run began, of minutes, and said nothing of the name."""
    with pytest.raises(SystemExit):
        main(["--only", "advance_before_run"])
