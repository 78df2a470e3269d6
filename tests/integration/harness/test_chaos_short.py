"""A short run of chaos with real server processes, on each store; `scripts/chaos` does the long ones."""

import asyncio
import dataclasses
import random
from pathlib import Path

import pytest

from tests.harness.chaos.checker.history import load
from tests.harness.chaos.faults.nemesis import plan
from tests.harness.chaos.report import as_json, as_markdown, as_text
from tests.harness.chaos.run import Result, run
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.world.clock import fast_loop
from tests.support.firestore_emulator import emulator_host
from tests.support.shared import one_at_a_time

pytestmark = pytest.mark.timeout(400)  # many processes each, one after the other

SHORT = Setup(
    store="sqlite",
    seed=7,
    occurrences=46,
    task_count=24,
    speed=16.0,
    gap_s=7.0,
    people_every_s=6.0,
    settled_after_s=30.0,
)


def _chaos(setup: Setup, folder: Path) -> Result:
    with one_at_a_time("chaos"), asyncio.Runner(loop_factory=fast_loop(setup.speed)) as runner:
        return runner.run(run(setup, folder, say=lambda _: None))


def test_the_embedded_store_comes_through(tmp_path: Path) -> None:
    result = _chaos(SHORT, tmp_path)

    assert [] == result.verdict.violations
    assert result.verdict.counts["occurrences due"] >= 30
    assert len(result.history.faults) >= 5
    assert "PASSED" in as_text(result).splitlines()[-1]
    assert as_json(result)["passed"]
    assert "| lost | 0 |" in as_markdown(result)
    assert result.history == load(tmp_path / "history.json")


@pytest.mark.emulator
def test_firestore_comes_through(tmp_path: Path) -> None:
    """With deferred settlements: the embedded store has them at once.

    The emulator is shared with other tests: it is not stopped, but the network before it fails.

    At twice the speed a claim that the emulator grants late, beside other tests, looks like one given up.
    """
    setup = dataclasses.replace(
        SHORT,
        store="firestore",
        shared_emulator=emulator_host(),
        speed=6.0,
        occurrences=40,
        settlements="deferred",
    )

    result = _chaos(setup, tmp_path)

    assert [] == result.verdict.violations
    assert result.verdict.counts["occurrences due"] >= 25


def test_the_plan_of_faults_follows_from_the_seed() -> None:
    one, same, other = (
        plan(random.Random(seed), until=3600, processes=2, network=True, restarts=True)
        for seed in ("1 faults", "1 faults", "2 faults")
    )

    assert one == same
    assert one != other
    assert {blow.kind for blow in one} >= {"kill", "crash", "freeze", "clock", "store_cut", "restart", "hold"}
