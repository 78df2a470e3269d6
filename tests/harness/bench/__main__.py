"""Runs the benchmark: `scripts/bench` says how."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.bench.lines.bills import operations
from tests.harness.bench.lines.chaos import chaos
from tests.harness.bench.lines.client import client
from tests.harness.bench.lines.starting import cold_start, memory
from tests.harness.bench.lines.stored import stored
from tests.harness.bench.lines.throughput import embedded, firestore
from tests.harness.bench.measures import Line
from tests.harness.bench.place import Place, emulated, serving_calls
from tests.harness.bench.processes import Failed
from tests.harness.bench.table import footer, surroundings, table

LINES: dict[str, Callable[[Place], Line]] = {
    "embedded": embedded,
    "firestore": firestore,
    "client": client,
    "operations": operations,
    "cold-start": cold_start,
    "memory": memory,
    "stored": stored,
    "chaos": chaos,
}
NEED_NO_EMULATOR = {"embedded", "client", "stored", "chaos"}


def main(words: Sequence[str]) -> int:
    """Measure; print; 0 when every target is met, 1 when one is missed."""
    options = _options(words)
    names = options.only or list(LINES)
    load_before = os.getloadavg()[0]
    lines = sorted(_measured(names, quick=options.quick), key=lambda line: [*LINES].index(line.name))
    place = surroundings(datetime.now(UTC), load_before)
    if options.as_json:
        _show(json.dumps({"machine": place, "lines": [line.as_json() for line in lines]}, indent=2))
    else:
        for text in (*table(lines), *footer(place)):
            _show(text)
    return 0 if all(line.met for line in lines) else 1


def _measured(names: Sequence[str], *, quick: bool) -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="cronfire-bench-") as name:
        folder = Path(name)
        with serving_calls(folder) as server_url:
            # The emulator is not there while lines are measured that can do without.
            for some in (
                [name for name in LINES if name in names and name in NEED_NO_EMULATOR],
                [name for name in LINES if name in names and name not in NEED_NO_EMULATOR],
            ):
                with _emulated(folder, wanted=not NEED_NO_EMULATOR.issuperset(some)) as emulator:
                    place = Place(folder, server_url, emulator, quick)
                    for one in some:
                        started = time.perf_counter()
                        yield _line(one, place)
                        took_s = time.perf_counter() - started
                        print(f"{one}: measured in {took_s:.0f} s", file=sys.stderr)  # noqa: T201


@contextmanager
def _emulated(folder: Path, *, wanted: bool) -> Iterator[str | Failed]:
    if not wanted:
        yield Failed("not needed")
        return
    with emulated(folder) as emulator:
        yield emulator


def _line(name: str, place: Place) -> Line:
    try:
        return LINES[name](place)
    except Failed as exc:
        return Line(name, name, "", skipped=str(exc))


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures the scheduler beside competitors and baselines; each line has its target.",
        epilog="Exit codes: 0 every target is met, 1 one is missed, 2 wrong usage.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="few samples, without slow competitors: a minute or two"
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="all samples, as JSON")
    parser.add_argument(
        "--only", action="append", choices=tuple(LINES), metavar="NAME", help=", ".join(LINES)
    )
    return parser.parse_args(words)


def _show(text: str) -> None:
    print(text)  # noqa: T201  # this is what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
