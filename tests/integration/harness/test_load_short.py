"""The load test in short: several worker processes drain what is due, and run each task once."""

from pathlib import Path

import pytest

from tests.harness.load.__main__ import predicted
from tests.harness.load.draining import Drained, Part, counting, drain
from tests.support.firestore_emulator import emulator_host, fresh_project


@pytest.mark.parametrize("store", ["sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
def test_two_workers_drain_four_hundred_tasks_each_once(store: str, tmp_path: Path) -> None:
    if store == "firestore":
        emulator_host()
    url = f"sqlite:///{tmp_path}/load.db" if store == "sqlite" else f"firestore://{fresh_project()}"

    with counting(tmp_path) as target:
        done = drain([Part(url)], target, tasks=400, workers=2)

    assert done.each_once, done
    assert 0 == done.taken  # their shards have no task in common


def test_two_stores_with_half_of_the_shards_each_are_drained_each_once(tmp_path: Path) -> None:
    parts = [Part(f"sqlite:///{tmp_path}/{first}.db", shards=range(first, first + 32)) for first in (0, 32)]

    with counting(tmp_path) as target:
        done = drain(parts, target, tasks=200, workers=2, shares=64)

    assert done.each_once, done


def test_workers_add_up_until_the_processors_are_busy() -> None:
    def done(workers: int, seconds: float, processor_s: float | None) -> Drained:
        return Drained(
            workers=workers,
            tasks=1000,
            seconds=seconds,
            taken=0,
            again=0,
            calls=1000,
            addresses=1000,
            most=1,
            ran_once=1000,
            processor_s=processor_s,
            worker_s=0.0,
        )

    runs = [done(1, 2.0, 2.5), done(2, 1.2, 2.0)]

    assert [500, 1000, 1000] == [predicted(runs, workers, cores=2) for workers in (1, 2, 8)]
    assert predicted(runs[1:], 2, cores=2) is None, "one worker by itself was not measured"
    assert predicted([done(1, 2.0, None)], 1, cores=2) is None
