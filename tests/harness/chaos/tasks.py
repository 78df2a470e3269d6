"""The tasks of a run: every kind of schedule, policy and behaviour, drawn from the seed."""

import random
from typing import Any

FREQUENT = ("* * * * *", "* * * * *", "every 1m")
SELDOM = ("*/2 * * * *", "*/3 * * * *", "every 2m")
NOTIFIED = 30  # tasks with the default channels: as many as fit one message, so that each can be told apart
A_MINUTE = 0.8  # occurrences a minute of a task, on the average, without those that people delete


def specs(dice: random.Random, count: int, *, target: str) -> list[dict[str, Any]]:
    """*count* tasks that call `<target>/t/<manner>`."""
    return [_spec(dice, number, target) for number in range(count)]


def _spec(dice: random.Random, number: int, target: str) -> dict[str, Any]:
    manner = "500" if number % 50 == 7 else "hang" if number % 100 == 13 else "mixed"
    schedule = dice.choice(FREQUENT if dice.random() < 0.75 else SELDOM)
    spec: dict[str, Any] = {
        "id": f"t{number}",
        "title": f"Task {number}",
        "type": "http",
        "params": {"method": "POST", "url": f"{target}/t/{manner}", "timeoutSeconds": 10},
        "schedule": schedule,
        "timezone": dice.choice(("UTC", "Europe/Berlin", "Asia/Kolkata")),
        "timeoutSeconds": dice.choice((3, 4, 5)),
        "jitterSeconds": dice.choice((0, 0, 0, 10, 20)),
        "retry": {"maxAttempts": dice.choice((1, 2, 4)), "minBackoffSeconds": 1, "maxBackoffSeconds": 5},
        "misfire": {
            "policy": dice.choice(("run_once", "run_once", "run_all", "skip")),
            "graceSeconds": dice.choice(("auto", 5, 90)),
        },
        "overlap": dice.choice(("skip", "queue_one", "queue_all")),
        "delivery": "at_most_once" if number % 5 == 3 else "at_least_once",
        "priority": dice.choice(("urgent", "high", "medium", "low")),
    }
    if number >= NOTIFIED:
        spec["notify"] = []
    if number % 40 == 21:
        spec["pauseAfterFailures"] = 3
    return spec
