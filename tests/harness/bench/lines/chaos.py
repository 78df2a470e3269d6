"""The line of the invariants: what `scripts/chaos` says of them, by its exit code."""

import re
import subprocess

from tests.harness.bench.measures import Check, Figure, Line
from tests.harness.bench.place import Place
from tests.harness.bench.processes import ROOT, Failed

COMMAND = ROOT / "scripts" / "chaos"
SAID = ROOT / ".cronfire" / "bench" / "chaos.log"  # outlives the run: a violation is to be followed up
WITHIN_S = 3600


def chaos(place: Place) -> Line:
    """Run it whole.

    Raises:
        Failed: It is not there, there is no time for it, or it did not come to a verdict.
    """
    if place.quick:
        raise Failed("it takes minutes: left out of a quick run; see scripts/chaos")
    if not COMMAND.exists():
        raise Failed("there is no scripts/chaos")
    try:
        done = subprocess.run(
            [COMMAND], capture_output=True, text=True, check=False, timeout=WITHIN_S, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"scripts/chaos did not end within {WITHIN_S} s") from None
    if done.returncode < 0:
        raise Failed(f"scripts/chaos was ended by signal {-done.returncode}")
    SAID.parent.mkdir(parents=True, exist_ok=True)
    SAID.write_text(done.stdout + done.stderr, encoding="utf-8")
    last = [line for line in done.stdout.splitlines() if line.strip()][-1:] or ["no output"]
    return Line(
        "chaos",
        "Chaos: duplicate pings, kills, store restarts, slow and cut network, clock jumps",
        "0 lost, 0 at the same time twice",
        (Figure(f"its exit code; it said: {re.sub(r'[|*]', ' ', last[0])[:120]}", (done.returncode,), ""),),
        (),
        (Check("exit code", done.returncode, 0),),
    )
