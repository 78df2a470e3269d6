"""The way of a request through the program stays short: the targets of `scripts/structure`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.structure import PAUSE, TICK, Trace, over_the_targets

ROOT = Path(__file__).parents[3]
TRIES = 3


@pytest.mark.process
def test_a_tick_and_a_pause_pass_through_few_modules() -> None:
    """A process of its own, as the first tick of a process is measured.

    On a busy machine a check may take seconds, and the tick then looks whether to cancel it: tried again.
    """
    command = [sys.executable, "-m", "tests.harness.structure"]
    for _ in range(TRIES):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not done.returncode:
            break

    assert (0, "") == (done.returncode, done.stderr), done.stdout


def test_what_is_over_a_bar_is_named() -> None:
    long = Trace(ROOT, modules={f"{number}.py" for number in range(61)}, hops=250)
    short = Trace(ROOT, modules={"main.py"}, hops=91)

    assert [
        f"{TICK}: 61 modules, the target is 60",
        f"{PAUSE}: 91 hops, the target is 90",
    ] == over_the_targets({TICK: long, PAUSE: short})
