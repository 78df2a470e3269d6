"""The load test in short: several worker processes drain what is due, and run each task once."""

from pathlib import Path

import pytest

from tests.harness.load.draining import counting, drain
from tests.support.firestore_emulator import emulator_host, fresh_project


@pytest.mark.parametrize("store", ["sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
def test_two_workers_drain_four_hundred_tasks_each_once(store: str, tmp_path: Path) -> None:
    if store == "firestore":
        emulator_host()
    url = f"sqlite:///{tmp_path}/load.db" if store == "sqlite" else f"firestore://{fresh_project()}"

    with counting(tmp_path) as target:
        done = drain(url, target, tasks=400, workers=2)

    assert done.each_once, done
    assert 0 == done.taken  # their shards have no task in common
