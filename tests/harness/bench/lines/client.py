"""What a request through the guarded client costs of the processor, beside bare aiohttp."""

import json
import os
import subprocess
import sys

from tests.harness.bench.measures import Figure, Line, ratio
from tests.harness.bench.place import CONCURRENCY, Place
from tests.harness.bench.processes import ROOT, Failed

CALLS = 1000
LIMIT = 2.0  # of bare aiohttp: the guard looks at each address, bounds the time in all and caps the answer


def client(place: Place) -> Line:
    """Measure both in turns, each in a process of its own, so that neither warms the other."""
    samples: dict[str, list[float]] = {"guarded": [], "bare": []}
    for _ in range(place.rounds):
        for which in samples:
            samples[which] += _costs(which, place.server_url)
    ours = Figure("the guarded client", tuple(samples["guarded"]), "ms")
    baseline = Figure("baseline: bare aiohttp", tuple(samples["bare"]), "ms")
    return Line(
        "client",
        f"Processor time a request, {CALLS:,} requests through the guarded client, {CONCURRENCY} at once",
        f"<= {LIMIT} x bare aiohttp",
        (ours,),
        (baseline,),
        (ratio("of the baseline", ours, baseline, LIMIT),),
    )


def _costs(which: str, server_url: str) -> list[float]:
    words = [sys.executable, "-m", "tests.harness.bench.lines.calls", which, server_url]
    words += [str(CALLS), "1", str(CONCURRENCY)]
    env = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, env=env, cwd=ROOT, check=False, timeout=120)
    if done.returncode:
        raise Failed(f"its process ended with {done.returncode}")
    costs: list[float] = json.loads(done.stdout)
    return costs
