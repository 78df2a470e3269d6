"""The tasks of a run: every kind of schedule, policy and behaviour, drawn from the seed."""

import random
from collections.abc import Sequence
from typing import Any

FREQUENT = ("* * * * *", "* * * * *", "every 1m")
SELDOM = ("*/2 * * * *", "*/3 * * * *", "every 2m")
NOTIFIED = 30  # tasks with the default channels: as many as fit one message, so that each can be told apart
TIMEOUTS_S = (3, 4, 5)
A_MINUTE = 0.8  # occurrences a minute of a task, on the average, without those that people delete


# The limits of groups that some tasks share, none of whose notices is judged.
GROUPS: Sequence[dict[str, Any]] = (
    {"name": "one", "maxConcurrent": 1},
    {"name": "two", "maxConcurrent": 2},
    {"name": "rate", "maxConcurrent": 3, "perMinute": 6},
)
IN_GROUPS = range(NOTIFIED, NOTIFIED + 6 * len(GROUPS))

# Tasks that harm what runs beside them: only they may be stopped for good.
DEADLY = "deadly"  # its attempt kills its process
REFUSED = "refused"  # the store never takes what comes of it


def specs(
    dice: random.Random,
    count: int,
    *,
    target: str,
    hanging_every: int = 100,
    timeouts: Sequence[int] = TIMEOUTS_S,
    guilty_from: str = "",
    period: int = 1,
    with_groups: bool = False,
) -> list[dict[str, Any]]:
    """*count* tasks that call `<target>/t/<manner>`; one in *hanging_every* always hangs.

    Args:
        guilty_from: When those begin that harm others; empty for none of them.
        period: Minutes between two occurrences; 1 for every minute, or every second or third.
        with_groups: Whether some of them share groups.
    """
    made = [_spec(dice, number, target, hanging_every, timeouts) for number in range(count)]
    for number in IN_GROUPS if with_groups else ():
        made[number]["group"] = GROUPS[number % len(GROUPS)]
    if period > 1:
        made = [spec | {"schedule": f"*/{period} * * * *"} for spec in made]
    return made + [_guilty(manner, target, guilty_from) for manner in (DEADLY, REFUSED) if guilty_from]


def is_guilty(spec: dict[str, Any]) -> bool:
    """Whether the task of *spec* may be quarantined."""
    return str(spec.get("params", {}).get("url", "")).endswith((DEADLY, REFUSED))


def _guilty(manner: str, target: str, start_at: str) -> dict[str, Any]:
    return {
        "id": manner,
        "title": f"The {manner} one",
        "type": "http",
        "params": {"method": "POST", "url": f"{target}/t/{manner}"},
        "schedule": "* * * * *",
        "startAt": start_at,
        "timeoutSeconds": 4,
        "retry": {"maxAttempts": 1},
        "notify": [],
    }


def _spec(
    dice: random.Random, number: int, target: str, hanging_every: int, timeouts: Sequence[int]
) -> dict[str, Any]:
    hangs = number % hanging_every == 13 % hanging_every
    manner = "500" if number % 50 == 7 else "hang" if hangs else "mixed"
    schedule = dice.choice(FREQUENT if dice.random() < 0.75 else SELDOM)
    spec: dict[str, Any] = {
        "id": f"t{number}",
        "title": f"Task {number}",
        "type": "http",
        "params": {"method": "POST", "url": f"{target}/t/{manner}", "timeoutSeconds": max(10, *timeouts)},
        "schedule": schedule,
        "timezone": dice.choice(("UTC", "Europe/Berlin", "Asia/Kolkata")),
        "timeoutSeconds": dice.choice(timeouts),
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
