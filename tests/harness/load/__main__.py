"""Drains thousands of due tasks by several worker processes: `scripts/load` says how.

Beside what was measured stands what a model predicts from two figures: what one worker does by itself, and
what a task costs all processors together. Workers add up until the processors are busy; then the rate bends.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from functions.domain.sharding import SHARDS
from tests.harness.bench.place import emulated, own_emulator
from tests.harness.bench.processes import Failed
from tests.harness.bench.table import footer, surroundings
from tests.harness.load.draining import SHARES, Drained, Part, counting, drain


def main(words: Sequence[str]) -> int:
    """Measure; print a table; 0 when every task ran once, in every run."""
    options = _options(words)
    load_before = os.getloadavg()[0]
    runs: list[tuple[str, Drained]] = []
    with tempfile.TemporaryDirectory(prefix="cronfire-load-") as name, counting(Path(name)) as target:
        for store, parts in _places(Path(name), options.stores, options.emulators):
            for number, workers in enumerate(options.workers):
                done = drain(
                    parts(number), target, tasks=options.tasks, workers=workers, shares=options.shares
                )
                runs.append((store, done))
                _show(
                    f"{store}: {workers} workers, {done.per_second:.0f} tasks/s, each once: {done.each_once}"
                )
    for line in (*_table(runs), *footer(surroundings(datetime.now(UTC), load_before))):
        _show(line)
    return 0 if all(done.each_once for _, done in runs) else 1


def _places(
    folder: Path, stores: Sequence[str], emulators: int
) -> Iterator[tuple[str, Callable[[int], list[Part]]]]:
    """Each store's name, and the parts of an empty one for each run."""
    if "sqlite" in stores:
        yield "SQLite", lambda number: [Part(f"sqlite:///{folder}/load-{number}.db")]
    if "firestore" in stores and emulators == 1:
        with emulated(folder) as host:
            if isinstance(host, Failed):
                raise host
            yield "Firestore emulator", lambda number: [Part(f"firestore://load-{os.getpid()}-{number}")]
    elif "firestore" in stores:
        with ExitStack() as stack:
            hosts = [stack.enter_context(own_emulator(folder)) for _ in range(emulators)]
            for host in hosts:
                if isinstance(host, Failed):
                    raise host
            yield (
                f"{emulators} Firestore emulators",
                lambda number: _split_over(map(str, hosts), emulators, number),
            )


def _split_over(hosts: Iterator[str], count: int, number: int) -> list[Part]:
    """One part for each of the hosts, with as many shards."""
    url = f"firestore://load-{os.getpid()}-{number}"
    return [
        Part(url, range(SHARDS * place // count, SHARDS * (place + 1) // count), host)
        for place, host in enumerate(hosts)
    ]


def predicted(runs: Sequence[Drained], workers: int, *, cores: int) -> float | None:
    """The rate that *workers* are to reach, in tasks a second; None where *runs* do not say enough.

    One worker by itself is limited by its own waiting and working; all of them together by what a task costs
    the processors, of which the cheapest run is the measure.
    """
    alone = next((done for done in runs if done.workers == 1), None)
    costs = [done.processor_s / done.tasks for done in runs if done.processor_s]
    if alone is None or not costs:
        return None
    return min(workers * alone.per_second, cores / min(costs))


def _table(runs: Sequence[tuple[str, Drained]]) -> Iterator[str]:
    yield ""
    yield (
        "| store | worker processes | tasks | seconds | tasks/s | predicted | ms of processor a task, the "
        "worker's of it | each once | claims lost | shares again |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for store, done in runs:
        once = "yes" if done.each_once else f"NO: {done}"
        rate = predicted(
            [run for name, run in runs if name == store], done.workers, cores=os.cpu_count() or 1
        )
        spent = "-" if done.processor_s is None else f"{done.processor_s / done.tasks * 1000:.2f}"
        cells = (
            done.workers,
            done.tasks,
            f"{done.seconds:.1f}",
            f"{done.per_second:.0f}",
            "-" if rate is None else f"{rate:.0f}",
            f"{spent}, {done.worker_s / done.tasks * 1000:.2f}",
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
    parser.add_argument(
        "--emulators", type=int, default=1, help="of Firestore, each with a part of the shards (default 1)"
    )
    parser.add_argument(
        "--shares", type=int, default=SHARES, help=f"spans of shards that are given out (default {SHARES})"
    )
    options = parser.parse_args(words)
    if options.shares % options.emulators or not 1 <= options.emulators <= options.shares <= SHARDS:
        parser.error("--shares: must be a multiple of --emulators, and at most 64")
    return options


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
