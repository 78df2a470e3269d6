"""One worker process: says that it is ready, waits for the word, does its shares until they are empty."""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import timedelta

from functions.app.application import build
from functions.config.settings import Settings
from functions.domain.lifecycle.time_budget import Budget
from functions.domain.sharding import read_share
from functions.errors import StoreUnavailable

BUDGET = Budget(stop_starting=timedelta(seconds=270), answer_by=timedelta(seconds=280))
FIGURES = ("due", "started", "succeeded", "failed", "retrying", "skipped", "left", "taken", "reads", "writes")


async def main(store_url: str, *shares: str) -> None:
    """Do the *shares*, as JSON, one after the other; print the figures of all rounds, added up, as JSON."""
    environment = {
        "STORE_URL": store_url,
        "ALLOW_PRIVATE_NETWORKS": "1",
        "FIRESTORE_EMULATOR_HOST": os.environ.get("FIRESTORE_EMULATOR_HOST", ""),
    }
    wired = build(Settings.from_env(environment, door=False))
    await wired.status()  # connected, as a worker that is warm
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    sums: Counter[str] = Counter()
    rounds = 0
    for share in shares:
        due = True
        while due:
            try:
                report = await wired.work(read_share(share.encode()), BUDGET)
            except StoreUnavailable:  # answered by 503, and so the queue sends the share again
                sums["again"] += 1
                continue
            sums.update({name: int(str(report[name])) for name in FIGURES})
            rounds += 1
            due = bool(report["due"])
    await wired.close()
    sys.stdout.write(json.dumps(dict(sums) | {"rounds": rounds}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
