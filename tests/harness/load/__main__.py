"""Drains thousands of due tasks by several worker processes: `scripts/load` says how."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.bench.place import emulated
from tests.harness.bench.processes import Failed
from tests.harness.bench.table import footer, surroundings
from tests.harness.load.draining import Drained, counting, drain


def main(words: Sequence[str]) -> int:
    """Measure; print a table; 0 when every task ran once, in every run."""
    options = _options(words)
    load_before = os.getloadavg()[0]
    runs: list[tuple[str, Drained]] = []
    with tempfile.TemporaryDirectory(prefix="cronfire-load-") as name, counting(Path(name)) as target:
        for store, url in _places(Path(name), options.stores):
            for number, workers in enumerate(options.workers):
                done = drain(url(number), target, tasks=options.tasks, workers=workers)
                runs.append((store, done))
                _show(
                    f"{store}: {workers} workers, {done.per_second:.0f} tasks/s, each once: {done.each_once}"
                )
    for line in (*_table(runs), *footer(surroundings(datetime.now(UTC), load_before))):
        _show(line)
    return 0 if all(done.each_once for _, done in runs) else 1


def _places(folder: Path, stores: Sequence[str]) -> Iterator[tuple[str, Callable[[int], str]]]:
    """Each store's name, and the address of an empty one for each run."""
    if "sqlite" in stores:
        yield "SQLite", lambda number: f"sqlite:///{folder}/load-{number}.db"
    if "firestore" in stores:
        with emulated(folder) as host:
            if isinstance(host, Failed):
                raise host
            yield "Firestore emulator", lambda number: f"firestore://load-{os.getpid()}-{number}"


def _table(runs: Sequence[tuple[str, Drained]]) -> Iterator[str]:
    yield ""
    yield "| store | worker processes | tasks | seconds | tasks/s | each once | claims lost | shares again |"
    yield "|---|---|---|---|---|---|---|---|"
    for store, done in runs:
        once = "yes" if done.each_once else f"NO: {done}"
        cells = (
            done.workers,
            done.tasks,
            f"{done.seconds:.1f}",
            f"{done.per_second:.0f}",
            once,
            done.taken,
            done.again,
        )
        yield f"| {store} | {' | '.join(map(str, cells))} |"


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/load", description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000, help="due at once (default 20000)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="processes of each run")
    parser.add_argument(
        "--stores", nargs="+", default=["sqlite", "firestore"], choices=["sqlite", "firestore"]
    )
    return parser.parse_args(words)


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
