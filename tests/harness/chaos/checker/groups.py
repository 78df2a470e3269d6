"""Judges groups: never more of their attempts at the target at one time than their limits allow."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.harness.chaos.checker.history import TARGET, Call, Json
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.verdict import Verdict

if TYPE_CHECKING:
    from tests.harness.chaos.checker.check import Evidence

MINUTE_S = 60.0
SLACK_S = 0.25  # between the moment a caller has gone and the moment the target notices
NOTICED_WITHIN_S = 10.0  # by a target that is held up


def judge_groups(evidence: Evidence, verdict: Verdict) -> None:
    """What the target's log shows of each group is within its limits."""
    limits: dict[str, Json] = {}
    calls: dict[str, list[Call]] = defaultdict(list)
    for task, plan in evidence.plans.items():
        if group := plan.spec.get("group"):
            limits[group["name"]] = group
            calls[group["name"]] += evidence.calls[task]
    for name, group in limits.items():
        if most := group.get("maxConcurrent"):
            _judge_concurrency(name, most, calls[name], evidence, verdict)
        if rate := group.get("perMinute"):
            _judge_rate(name, rate, calls[name], evidence, verdict)


def _judge_concurrency(name: str, most: int, calls: list[Call], evidence: Evidence, verdict: Verdict) -> None:
    highest = 0
    still_open: list[tuple[float, Call]] = []
    for call in sorted(calls, key=lambda call: call.arrived):
        still_open = [(until, one) for until, one in still_open if until > call.arrived]
        still_open.append((_over_at(call, evidence), call))
        if len(still_open) > most and any(
            _may_have_lost_its_slot(one, call, evidence) for _, one in still_open
        ):
            verdict.counts["more of a group at once than its limit, explained"] += 1
        elif len(still_open) > most:
            seen = ", ".join(f"{one.key}#{one.attempt} by {one.process}" for _, one in still_open)
            verdict.object("over_limit", f"{name}: {len(still_open)} at {call.arrived:.2f}: {seen}")
        else:
            highest = max(highest, len(still_open))
    verdict.counts[f"attempts of group {name} at once, at most (limit {most})"] = highest


def _judge_rate(name: str, rate: int, calls: list[Call], evidence: Evidence, verdict: Verdict) -> None:
    """Minutes are those of the clock: 60 s that begin anywhere lie in two of them."""
    arrived = sorted(call.arrived for call in calls)
    for place, first in enumerate(arrived):
        beyond = place + 2 * rate
        if beyond < len(arrived) and arrived[beyond] < first + MINUTE_S - SLACK_S:
            since, until = first - MINUTE_S, arrived[beyond]
            if evidence.excuses.unclocked(since, until) or evidence.excuses.frozen("", since, until):
                verdict.counts["more of a group in a minute than its limit, explained"] += 1
            else:
                verdict.object("over_limit", f"{name}: {2 * rate + 1} within 60 s from {first:.2f}")
                return


def _over_at(call: Call, evidence: Evidence) -> float:
    """When the attempt was over for its process, which frees the slot: the target may notice it later."""
    ends = [
        instant(run["finishedAt"]).timestamp()
        for run in evidence.runs[call.task]
        if run["attempt"] == call.attempt and instant(run["occurrence"]) == instant(call.occurrence)
    ]
    held_up = evidence.excuses.held_up(TARGET, call.ended - NOTICED_WITHIN_S, call.ended)
    return min([*ends, call.ended - SLACK_S - held_up])


def _may_have_lost_its_slot(call: Call, newest: Call, evidence: Evidence) -> bool:
    """Whether the slot of *call* may have been free: it had expired, or only the target took it for open."""
    excuses, since, until = evidence.excuses, call.arrived, newest.arrived
    return (
        excuses.frozen(call.process, since, until)
        or excuses.unclocked(since, until)
        or excuses.disconnected(since, until)
    )
