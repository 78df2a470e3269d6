"""What a set of tasks costs on Google Cloud: operations and seconds, against the free tier and above it.

Sources: Firestore's and Cloud Run's public price lists for us-central1 and the free quotas named there, as of
October 2026. A run is one document read and two written, or one where its settlement is deferred; the runs of
a tick share batches of a hundred; a tick that finds nothing pays for the one read of its query.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

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
        per_day: How many a day.
        free_per_day: How many of them cost nothing; quotas a month are spread over its days.
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


def estimate_costs(tasks: Iterable[Task], *, now: datetime) -> tuple[CostEstimate, CostEstimate]:
    """Return what *tasks* cost with settlements at once, and with deferred ones.

    Both are estimated from the four weeks that begin *now*. With deferred settlements the pings are taken to
    come in the first seconds of each minute.
    """
    [sample] = _take_samples(tasks, now=now)
    return sample.estimate(defers=False), sample.estimate(defers=True)


def estimate_change(
    before: Iterable[Task], after: Iterable[Task], *, now: datetime, defers: bool
) -> tuple[CostEstimate, CostEstimate]:
    """Return what the tasks *before* a change cost, and those *after* it: see `estimate_costs`.

    Args:
        defers: Whether SETTLEMENTS is `deferred`.
    """
    first, second = _take_samples(before, after, now=now)
    return first.estimate(defers=defers), second.estimate(defers=defers)


def _take_samples(*sets: Iterable[Task], now: datetime) -> "list[_Sample]":
    """Return the runs of each of *sets*; the occurrences of what runs at the same times are found once."""
    samples = [_Sample() for _ in sets]
    for shares in _group_alike(sets):
        first = next(task for share in shares for task in share)
        added = [(sample, _Share.of(share, now=now)) for sample, share in zip(samples, shares, strict=True)]
        at = next_occurrence(first, after=now)
        while at is not None and at <= now + SAMPLE_PERIOD:
            following = next_occurrence(first, after=at)
            for sample, share in added:
                sample.add(share, at, following)
            at = following
    return samples


def _group_alike(sets: Sequence[Iterable[Task]]) -> Iterable[Sequence[Sequence[Task]]]:
    """Those of *sets* that are enabled, in groups that run at the same times: in each the tasks by set."""
    alike: dict[tuple[object, ...], list[list[Task]]] = {}
    for number, tasks in enumerate(sets):
        for task in tasks:
            if task.enabled:
                anchored = task.created_at if task.schedule.strip().lower().startswith("every") else None
                hashed = task.id if "H" in task.schedule.upper() else None
                days = (task.excluded, task.on_excluded, task.calendars)
                key = (task.schedule, task.timezone, task.start_at, task.end_at, anchored, hashed, str(days))
                alike.setdefault(key, [[] for _ in sets])[number].append(task)
    return alike.values()


@dataclass(frozen=True, slots=True)
class _Share:
    """The tasks of one set that run at the same times.

    Attributes:
        grouped: How many of them share a limit with others.
        claims: How long the claims of those last that may leave a settlement to the next one; sorted.
    """

    count: int
    grouped: int
    claims: Sequence[timedelta]

    @classmethod
    def of(cls, tasks: Sequence[Task], *, now: datetime) -> Self:
        """Return the share of *tasks*."""
        claims = [claim_until(task, now=now) - now for task in tasks if task.delivery == "at_least_once"]
        return cls(len(tasks), sum(task.group is not None for task in tasks), sorted(claims))


@dataclass(slots=True)
class _Sample:
    """The runs of the sample period.

    Attributes:
        per_minute: How many runs start in which minute; minutes without any are left out.
        deferred: How many of them may leave their settlement to the next claim.
        in_groups: Runs of tasks that share limits.
    """

    per_minute: dict[int, int] = field(default_factory=dict)
    deferred: dict[int, int] = field(default_factory=dict)
    in_groups: int = 0

    def add(self, share: _Share, at: datetime, following: datetime | None) -> None:
        """Add the runs of *share* at one occurrence; *following* is the next one."""
        if not share.count:
            return
        minute = int(at.timestamp() // 60)
        self.per_minute[minute] = self.per_minute.get(minute, 0) + share.count
        self.in_groups += share.grouped
        if following is not None and following - at <= MAX_DEFERRAL:
            ended = bisect_left(share.claims, following - at)  # these claims are over by then
            self.deferred[minute] = self.deferred.get(minute, 0) + ended

    def estimate(self, *, defers: bool) -> CostEstimate:
        """Return the bill."""
        days = SAMPLE_PERIOD / timedelta(days=1)
        runs = sum(self.per_minute.values())
        ticks = SAMPLE_PERIOD / timedelta(minutes=1)
        idle = ticks - len(self.per_minute)
        batches = sum(math.ceil(count / RUNS_PER_BATCH) for count in self.per_minute.values())
        busy_s = sum(
            OVERHEAD_S + ATTEMPT_S * math.ceil(count / CONCURRENCY) for count in self.per_minute.values()
        )
        seconds = (busy_s + idle * IDLE_TICK_S) / days
        # For each run in a group a slot is taken and freed, at the most: what starts together shares these.
        reads, writes = runs + self.in_groups + idle, 2 * (runs + self.in_groups) + batches
        if defers:  # what a tick defers, the next one reads in its records
            reads += sum(count > 0 for count in self.deferred.values())
            writes -= sum(self.deferred.values())
        return CostEstimate(
            runs / days,
            (
                CostItem("Firestore reads", reads / days, 50_000, 0.30),
                CostItem("Firestore writes", writes / days, 20_000, 0.90),
                # History expires by TTL, whose deletes have no free quota: one for each run batch.
                CostItem("Firestore TTL deletes", batches / days, 0, 0.10),
                CostItem("Cloud Run requests", ticks / days, 2e6 / DAYS_PER_MONTH, 0.40),
                CostItem("Cloud Run vCPU-seconds", seconds, 180_000 / DAYS_PER_MONTH, 24.0),
                CostItem("Cloud Run GiB-seconds", seconds * MEMORY_GIB, 360_000 / DAYS_PER_MONTH, 2.5),
            ),
        )
