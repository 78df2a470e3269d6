"""Judges whole ticks: what they began first, who had the slots, and what they said of themselves."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.harness.chaos.checker.history import Json
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.verdict import Verdict

if TYPE_CHECKING:
    from tests.harness.chaos.checker.check import Evidence

ON_TIME, MISSED = "schedule", "catch_up"
CATCH_UP_S = 3.6  # a fifth of the 18 s in which a tick starts attempts
LAST_START_S = 3.0  # the last of them is claimed, and waits for its slot, after that
STARTING_S = 1.5  # claimed in time, an attempt waits a second for its slot, and a moment for its claim
RELEASED, FEW = 2, 0.1  # of those on time that may begin later: their claims waited for a slot in vain
BEGUN_S = 1.0  # a tick reads, decides and claims before its first attempt begins
SHARE_OF_SLOW = 0.75  # of the slots of a process, at most
SLACK_S = 0.25  # between the moment a caller has gone and the moment the target notices


def judge_ticks(evidence: Evidence, verdict: Verdict) -> None:
    """Each tick had its order, slow tasks had their share, and what ticks reported is on record."""
    by_tick: dict[str, list[Json]] = defaultdict(list)
    for run in sorted(evidence.history.runs, key=lambda run: str(run["startedAt"])):
        if run["outcome"] != "skipped" and run.get("token"):
            by_tick[str(run["token"]).rpartition(".")[0]].append(run)
    for tick, runs in by_tick.items():
        _judge_order(tick, _first_of_each(_without_groups(runs, evidence)), evidence, verdict)
    _judge_slots(evidence, verdict)
    _judge_reports(evidence, verdict)


def _first_of_each(runs: list[Json]) -> list[Json]:
    """The first attempt of each task in a tick, without those that are no first try."""
    first: dict[str, Json] = {}
    for run in runs:
        first.setdefault(run["taskId"], run)
    return [run for run in first.values() if run["attempt"] == 1]


def _without_groups(runs: list[Json], evidence: Evidence) -> list[Json]:
    """Those of *runs* whose turn is that of the tick: within a group it is that of the group."""
    return [
        run for run in runs if not ((plan := evidence.plans.get(run["taskId"])) and plan.spec.get("group"))
    ]


def _judge_order(tick: str, runs: list[Json], evidence: Evidence, verdict: Verdict) -> None:
    """What was missed begins after what is on time, and only for a while."""
    missed = [_began(run) for run in runs if run["trigger"] == MISSED]
    if not missed:
        return
    began = min(_began(run) for run in runs)
    if not evidence.excuses.calm(began, max(_began(run) for run in runs), but="pings"):
        return  # it may have slept, or had a wrong clock
    waited = [run for run in runs if run["trigger"] == ON_TIME and _due(run, evidence) < began - BEGUN_S]
    waited = [run for run in waited if not _may_be_slow(run, evidence)]
    behind = [run for run in waited if _began(run) > min(missed) + STARTING_S]
    if len(behind) > max(RELEASED, FEW * len(waited)):
        verdict.object("out_of_turn", f"{tick}: {len(behind)} on time waited for {len(missed)} missed")
    took = max(missed) - min(missed)
    held_up = evidence.excuses.held_up_one(evidence.process_of(runs[0]), min(missed), max(missed))
    if took > CATCH_UP_S + LAST_START_S + held_up:
        verdict.object("out_of_turn", f"{tick} began missed work for {took:.1f} s")


def _may_be_slow(run: Json, evidence: Evidence) -> bool:
    """Whether the task may count as one that hangs, and so wait for its share of the slots.

    All targets have one host here: where most hang, each counts as one that did not succeed last time.
    """
    before = [one for one in _attempts(run["taskId"], evidence) if _ended(one) <= _began(run)]
    return bool(before) and max(before, key=_ended)["outcome"] != "succeeded"


def _judge_slots(evidence: Evidence, verdict: Verdict) -> None:
    """Tasks that had timed out the time before never hold more than their share of a process's slots."""
    if not evidence.history.slots:
        return
    moments: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for task, calls in evidence.calls.items():
        results = sorted((_ended(run), str(run["outcome"])) for run in _attempts(task, evidence))
        for call in calls:
            before = [outcome for ended, outcome in results if ended < call.arrived]
            if before and before[-1] == "timed_out":
                until = max(call.arrived, call.ended - SLACK_S)
                moments[call.process] += [(call.arrived, 1), (until, -1)]
    most = int(evidence.history.slots * SHARE_OF_SLOW) + 1
    for process, changes in moments.items():
        now = highest = 0
        for _, change in sorted(changes):
            now += change
            highest = max(highest, now)
        verdict.counts["slow attempts at the same time, at most"] = max(
            verdict.counts["slow attempts at the same time, at most"], highest
        )
        if highest > most:
            seen = f"{process}: {highest} of {evidence.history.slots} slots"
            verdict.object("crowded_out", f"{seen} held by tasks that had timed out")


def _judge_reports(evidence: Evidence, verdict: Verdict) -> None:
    """What ticks say was written is on record. Those whose answers were lost only say less."""
    history = evidence.history
    told = sum(ping.report.get("succeeded", 0) for ping in history.pings)
    found = sum(run["outcome"] == "succeeded" for run in history.runs)
    verdict.counts["successes that ticks reported"] = told
    if told > found and not evidence.excuses.takeover("", 0, history.read):
        verdict.object("false_report", f"{told} successes in reports, {found} on record")
    for ping in history.pings:
        if ping.report.get("unwritten") and ping.report.get("status") == "ok":
            verdict.object("false_report", f"{ping.report['unwritten']} unwritten in a tick that was ok")


def _attempts(task: str, evidence: Evidence) -> list[Json]:
    return [run for run in evidence.runs[task] if run["outcome"] != "skipped"]


def _due(run: Json, evidence: Evidence) -> float:
    plan = evidence.plans.get(run["taskId"])
    jitter = plan.spec.get("jitterSeconds", 0) if plan else 0
    due: datetime = instant(run["occurrence"]) + timedelta(seconds=jitter)
    return due.timestamp()


def _began(run: Json) -> float:
    return instant(run["startedAt"]).timestamp()


def _ended(run: Json) -> float:
    return instant(run["finishedAt"]).timestamp()
