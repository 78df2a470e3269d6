"""RQ: `rq worker-pool` runs jobs, one at a time in each process; `drive` hands them over."""

# Its packages are in an environment of its own.
# mypy: ignore-errors
import os
import time

import urllib3
from redis import Redis
from rq import Queue

from tests.harness.bench.competitors.driving import Timed, drive, wait_for

SERVER_URL = os.environ["SERVER_URL"]

_pool = urllib3.PoolManager(maxsize=1)


def fetch(number: int) -> int:
    return _pool.request("GET", f"{SERVER_URL}/{number}").status


def _main() -> None:
    queue = Queue(connection=Redis(port=int(os.environ["REDIS_PORT"]), db=3))

    def once(count: int) -> Timed:
        before = queue.finished_job_registry.count
        jobs = [
            Queue.prepare_data("tests.harness.bench.competitors.rq_runner.fetch", (number,), result_ttl=600)
            for number in range(count)
        ]
        started = time.perf_counter()
        queue.enqueue_many(jobs)
        handed_over = time.perf_counter() - started
        wait_for(lambda: queue.finished_job_registry.count - before, count)
        return handed_over, time.perf_counter() - started

    drive(once)


if __name__ == "__main__":
    _main()
