"""One worker process: says that it is ready, waits for the word, does its shares until they are empty."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from functions.app.application import App, build_app
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.sharding import parse_assignment
from functions.errors import StoreUnavailableError

BUDGET = TimeBudget(start_limit=timedelta(seconds=270), response_limit=timedelta(seconds=280))
FIGURES = (
    "due",
    "started",
    "succeeded",
    "failed",
    "retrying",
    "skipped",
    "postponed",
    "lostClaims",
    "reads",
    "writes",
)


async def main(*work: str) -> None:
    """Do each share of *work* in turn; print the figures of all rounds, added up, as JSON.

    Args:
        work: `{"url": ..., "emulator": ..., "share": ...}` each.
    """
    shares = [json.loads(one) for one in work]
    apps = {_place_of(share): _app_for(share) for share in shares}
    for app in apps.values():
        await app.store.get_tasks(["none"])  # connected, as a worker that is warm
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    sums: Counter[str] = Counter()
    rounds, processor_s = 0, time.process_time()
    for share in shares:
        due = True
        assignment = parse_assignment(json.dumps(share["share"]).encode())
        while due:
            try:
                report = await apps[_place_of(share)].run_worker(assignment, BUDGET)
            except StoreUnavailableError:  # answered by 503, and so the queue sends the share again
                sums["again"] += 1
                continue
            sums.update({name: int(str(report[name])) for name in FIGURES})
            rounds += 1
            due = bool(report["due"])
    processor_ms = round((time.process_time() - processor_s) * 1000)
    for app in apps.values():
        await app.close()
    sys.stdout.write(json.dumps(dict(sums) | {"rounds": rounds, "processorMs": processor_ms}) + "\n")


def _place_of(share: dict[str, Any]) -> tuple[str, str | None]:
    return share["url"], share["emulator"]


def _app_for(share: dict[str, Any]) -> App:
    environment = {
        "STORE_URL": share["url"],
        "ALLOW_PRIVATE_NETWORKS": "1",
        "FIRESTORE_EMULATOR_HOST": share["emulator"] or os.environ.get("FIRESTORE_EMULATOR_HOST", ""),
    }
    return build_app(Settings.from_env(environment, serves_http=False))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
