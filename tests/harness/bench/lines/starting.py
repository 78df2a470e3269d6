"""Cold starts and memory, beside a function that imports two libraries and does nothing."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.harness.bench import seeding
from tests.harness.bench.measures import Check, Figure, Line, ratio
from tests.harness.bench.place import Place
from tests.harness.bench.processes import ROOT, Failed, peak_memory_mib, wait_until
from tests.harness.bench.served import SECRET, Served, function, product

BASELINE = Path(__file__).parents[1] / "baseline" / "function.py"
BASELINE_NAME = "baseline: imports functions-framework and google-cloud-firestore"
SQLITE, FIRESTORE = "Cronfire, SQLite", "Cronfire, Firestore emulator"
COLD_LIMITS = {SQLITE: 1.0, FIRESTORE: 1.4}  # times the baseline
MEMORY_LIMITS = {SQLITE: 1.3, FIRESTORE: 1.6}
DUE = 1000


def cold_start(place: Place) -> Line:
    """Start processes in turns, each until it has answered; ours has done an idle tick by then.

    Each round begins with another one: what follows an end, or work of the emulator, is slower.
    """
    starts: dict[str, Callable[[], float]] = {BASELINE_NAME: partial(_cold_baseline, place)}
    for name, url in _urls(place).items():
        seeding.fill(url, place.server_url, count=10)
        starts[name] = partial(_cold_product, url, place)
    for start in starts.values():  # the first one makes the file, and warms the disk's cache
        start()
    took: dict[str, list[float]] = {name: [] for name in starts}
    order = deque(starts)
    for _ in range(2 * place.rounds):  # they differ by a third from one to the next
        for name in order:
            took[name].append(starts[name]())
        order.rotate()
    baseline, *ours = (Figure(name, tuple(samples), "s") for name, samples in took.items())
    return Line(
        "cold-start",
        "Cold start: process start to the first answered tick",
        _target_text(COLD_LIMITS),
        tuple(ours),
        (baseline,),
        tuple(_check(one, baseline, COLD_LIMITS) for one in ours),
    )


def memory(place: Place) -> Line:
    """The most a serving process has had resident after ticks with 1,000 due."""
    ours = []
    for name, url in _urls(place).items():
        samples = []
        for _ in range(1 if place.quick else 3):
            seeding.make_due(url, place.server_url, count=DUE)
            with product(url, place.folder) as served:
                _first_answer(served, {"Authorization": f"Bearer {SECRET}"})
                samples.append(peak_memory_mib(served.process))
        ours.append(Figure(name, tuple(samples), "MiB"))
    with _baseline(place) as served:
        _first_answer(served, {})
        baseline = Figure(BASELINE_NAME, (peak_memory_mib(served.process),), "MiB")
    return Line(
        "memory",
        f"Memory: the most resident in a tick of {DUE:,} due tasks",
        _target_text(MEMORY_LIMITS),
        tuple(ours),
        (baseline,),
        tuple(_check(one, baseline, MEMORY_LIMITS) for one in ours),
    )


def _urls(place: Place) -> dict[str, str]:
    urls = {SQLITE: place.sqlite("starting")}
    if not isinstance(place.emulator, Failed):
        urls[FIRESTORE] = place.firestore()
    return urls


def _target_text(limits: Mapping[str, float]) -> str:
    return f"SQLite <= {limits[SQLITE]} x, Firestore <= {limits[FIRESTORE]} x the baseline"


def _check(ours: Figure, baseline: Figure, limits: Mapping[str, float]) -> Check:
    return ratio(ours.who.split(", ")[1], ours, baseline, limits[ours.who])


def _cold_product(url: str, place: Place) -> float:
    started = time.perf_counter()
    with function(ROOT / "main.py", "scheduler", place.folder, **_settings(url)) as served:
        _first_answer(served, {"Authorization": f"Bearer {SECRET}"})
        return time.perf_counter() - started


def _cold_baseline(place: Place) -> float:
    started = time.perf_counter()
    with _baseline(place) as served:
        _first_answer(served, {})
        return time.perf_counter() - started


@contextmanager
def _baseline(place: Place) -> Iterator[Served]:
    with function(BASELINE, "baseline", place.folder) as served:
        yield served


def _settings(url: str) -> dict[str, str]:
    return {"CRON_SECRET": SECRET, "STORE_URL": url, "LOG_LEVEL": "WARNING"}


def _first_answer(served: Served, headers: dict[str, str]) -> None:
    def answered() -> bool:
        connection = HTTPConnection("127.0.0.1", served.port, timeout=60)
        try:
            connection.request("POST", "/tick", headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
        assert response.status == 200, text
        return True

    wait_until(answered, "the first answer", process=served.process)
