"""Celery on gevent: the `celery` command serves `app`, `drive` hands jobs over; results go to Redis."""

# Its packages are in an environment of its own.
# mypy: ignore-errors
import os
import time

import urllib3
from celery import Celery, group
from redis import Redis

from tests.harness.bench.competitors.driving import Timed, drive, wait_for

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}/2"
SERVER_URL = os.environ["SERVER_URL"]

app = Celery("bench", broker=URL, backend=URL)
app.conf.worker_prefetch_multiplier = 4
app.conf.broker_connection_retry_on_startup = True
_pool = urllib3.PoolManager(maxsize=int(os.environ["CONCURRENCY"]))


@app.task
def fetch(number: int) -> int:
    return _pool.request("GET", f"{SERVER_URL}/{number}").status


def _once(count: int) -> Timed:
    started = time.perf_counter()
    result = group(fetch.s(number) for number in range(count)).apply_async()
    handed_over = time.perf_counter() - started
    keys = [f"celery-task-meta-{one.id}" for one in result.results]
    wait_for(lambda: _redis.exists(*keys), count)
    return handed_over, time.perf_counter() - started


if __name__ == "__main__":
    _redis = Redis.from_url(URL)
    drive(_once)
