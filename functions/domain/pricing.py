"""What a set of tasks costs on Google Cloud: operations and seconds, against the free tier and above it.

Sources: Firestore's and Cloud Run's public price lists for us-central1 and the free quotas named there, as of
October 2026. A run is one document read and two written, or one where its settlement is deferred; the runs of
a tick share batches of a hundred; a tick that finds nothing pays for the one read of its query.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.lifecycle.decide import claim_until
from functions.domain.lifecycle.deferral import MAX_DEFERRAL
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.storage import RUNS_PER_BATCH
from functions.domain.task import Task

SAMPLE_PERIOD = timedelta(days=28)  # four whole weeks: each weekday counts the same
DAYS_PER_MONTH = 30.4

ASSUMPTIONS = (
    "each occurrence succeeds at its first attempt, and an attempt takes 0.5 s",
    "one ping a minute, answered by an instance of 1 vCPU and 0.5 GiB; an idle tick takes 0.1 s",
    "200 attempts at once; no notices, pages or commands",
    "the database is the first of its project: others have no free quota; no backups, paid by the GiB",
)
ATTEMPT_S, IDLE_TICK_S, OVERHEAD_S = 0.5, 0.1, 0.2
CONCURRENCY, MEMORY_GIB = 200, 0.5


@dataclass(frozen=True, slots=True)
class CostItem:
    """One thing Google counts.

    Attributes:
        name: As on the bill.
        a_day: How many a day.
        free_a_day: How many of them cost nothing; quotas a month are spread over its days.
        usd_per_million: The price above that.
    """

    name: str
    per_day: float
    free_per_day: float
    usd_per_million: float

    @property
    def per_month(self) -> float:
        """How many a month."""
        return self.per_day * DAYS_PER_MONTH

    @property
    def fraction_of_free(self) -> float:
        """1.0 when the free quota is just used up; 0.0 where there is none."""
        return self.per_day / self.free_per_day if self.free_per_day else 0.0

    @property
    def usd_per_month(self) -> float:
        """What is to be paid for all above the free quota."""
        return max(0.0, self.per_day - self.free_per_day) * DAYS_PER_MONTH * self.usd_per_million / 1e6


@dataclass(frozen=True, slots=True)
class FixedCost:
    """What an installation has whether tasks run or not.

    Attributes:
        name: What it is.
        amount: How many, or how many GiB.
        free: How many of them cost nothing.
        usd_each: The price of each above that, a month.
    """

    name: str
    amount: float
    free: float
    usd_each: float

    @property
    def usd_per_month(self) -> float:
        """What is to be paid for all above the free amount."""
        return max(0.0, self.amount - self.free) * self.usd_each


# What infra/ makes. The free amounts of jobs are for a billing account, the others for a project.
FIXED_COSTS = (
    FixedCost("Cloud Scheduler jobs", 1, 3, 0.10),
    FixedCost("secret versions", 5, 6, 0.06),
    FixedCost("alert conditions", 3, 0, 0.10),
    FixedCost("GiB of images in Artifact Registry, one for each deploy that is kept", 0.3, 0.5, 0.10),
)


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The bill, item by item, and how many runs a day it is for."""

    runs_per_day: float
    items: tuple[CostItem, ...]

    @property
    def usd_per_month(self) -> float:
        """The whole bill."""
        return sum(item.usd_per_month for item in self.items)


def estimate_cost(tasks: Sequence[Task], *, now: datetime, defers: bool = False) -> CostEstimate:
    """Return what *tasks* cost from *now* on, estimated from the next four weeks.

    Args:
        defers: Whether SETTLEMENTS is `deferred`; the pings come in the first seconds of each minute.
    """
    days = SAMPLE_PERIOD / timedelta(days=1)
    per_minute = _runs_per_minute(tasks, now=now)
    runs = sum(per_minute.values())
    # For each a slot is taken and freed, at the most: what starts or ends together shares these.
    in_groups = sum(_runs_per_minute((task for task in tasks if task.group), now=now).values())
    ticks = SAMPLE_PERIOD / timedelta(minutes=1)
    idle = ticks - len(per_minute)
    frequent = [task for task in tasks if defers and task.delivery == "at_least_once"]
    deferred = _runs_per_minute(frequent, now=now, is_deferred=True)
    batches = sum(math.ceil(count / RUNS_PER_BATCH) for count in per_minute.values())
    busy_s = sum(OVERHEAD_S + ATTEMPT_S * math.ceil(count / CONCURRENCY) for count in per_minute.values())
    seconds = (busy_s + idle * IDLE_TICK_S) / days
    return CostEstimate(
        runs / days,
        (
            # What a tick deferred, the next one reads in its records.
            CostItem("Firestore reads", (runs + in_groups + idle + len(deferred)) / days, 50_000, 0.30),
            CostItem(
                "Firestore writes",
                (2 * (runs + in_groups) - sum(deferred.values()) + batches) / days,
                20_000,
                0.90,
            ),
            # History expires by TTL, whose deletes have no free quota: one for each ledger document.
            CostItem("Firestore TTL deletes", batches / days, 0, 0.10),
            CostItem("Cloud Run requests", ticks / days, 2e6 / DAYS_PER_MONTH, 0.40),
            CostItem("Cloud Run vCPU-seconds", seconds, 180_000 / DAYS_PER_MONTH, 24.0),
            CostItem("Cloud Run GiB-seconds", seconds * MEMORY_GIB, 360_000 / DAYS_PER_MONTH, 2.5),
        ),
    )


def _runs_per_minute(tasks: Iterable[Task], *, now: datetime, is_deferred: bool = False) -> dict[int, int]:
    """How many runs start in which minute of the sample; minutes without any are left out.

    Args:
        is_deferred: Whether only those count whose settlement may wait for the next one's claim.
    """
    alike: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        if task.enabled:
            anchored = task.created_at if task.schedule.strip().lower().startswith("every") else None
            hashed = task.id if "H" in task.schedule.upper() else None
            timeout = task.timeout_seconds if is_deferred else None
            key = (task.schedule, task.timezone, task.start_at, task.end_at, anchored, hashed, timeout)
            alike.setdefault(key, []).append(task)
    per_minute: dict[int, int] = {}
    for group in alike.values():
        claim = claim_until(group[0], now=now) - now
        for minute in _run_minutes(group[0], now=now, within=(claim, MAX_DEFERRAL) if is_deferred else None):
            per_minute[minute] = per_minute.get(minute, 0) + len(group)
    return per_minute


def _run_minutes(
    task: Task, *, now: datetime, within: tuple[timedelta, timedelta] | None = None
) -> Iterable[int]:
    """The minutes in which *task* runs; those alone, with *within*, whose next run is so far away."""
    at = next_occurrence(task, after=now)
    while at is not None and at <= now + SAMPLE_PERIOD:
        following = next_occurrence(task, after=at)
        if within is None or (following is not None and within[0] < following - at <= within[1]):
            yield int(at.timestamp() // 60)
        at = following
