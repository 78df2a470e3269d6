"""Judges how tasks were left at the end, and how soon healthy ticks saw to what was due."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.harness.chaos.checker.history import Call, Json, Ping
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.plans import Plan
from tests.harness.chaos.checker.verdict import Verdict
from tests.harness.chaos.world.tasks import DEADLY, is_guilty

if TYPE_CHECKING:
    from tests.harness.chaos.checker.check import Evidence

CLAIMED_S = 1.5  # a claim may wait a second for a slot; a result waits a quarter of one to be written
LONGEST_CLAIM_S = 10.0  # that a store may take to grant one
RETRY_S = 60.0  # an attempt that was not the last leaves its occurrence in hand
LONGEST_TICK_S = 120.0  # one whose pinger has gone may go on for so long
ENDED_EARLY_S = 12.0  # a tick starts attempts for 18 s: one that ended by then had time for what it left
QUICK_S = 3.0  # a task whose attempts all took less is expected to take little
KILLS = 8  # twice as many as may be needed to find out which task kills its process


def judge_endings(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """Nothing is left in hand, and the next look is at the next occurrence."""
    if plan.deleted or plan.vague:
        return
    task = evidence.tasks.get(task_id)
    if task is None:
        verdict.object("vanished", task_id)
        return
    _judge_stuck(task, evidence, verdict)
    if task["status"] == "scheduled":
        _judge_next(task, plan, evidence, verdict)
    _judge_punctuality(task_id, plan, evidence, verdict)
    _judge_rest(task, plan, evidence, verdict)
    for run in evidence.runs[task_id]:
        match run.get("skipReason"):
            case "overlap":
                _judge_overlap_skip(run, evidence, verdict)
            case "misfire":
                _judge_misfire(run, plan, evidence, verdict)
            case "capacity":
                _judge_full(run, evidence, verdict)
            case "paused":
                _judge_pause(run, plan, evidence, verdict)
            case None:
                pass
            case other:
                verdict.object("skipped_without_cause", f"{task_id}@{run['occurrence']}: {other}")


def _judge_stuck(task: Json, evidence: Evidence, verdict: Verdict) -> None:
    healed, read = evidence.history.healed, evidence.history.read
    claim = task.get("claim")
    if claim and instant(claim["until"]).timestamp() < read:
        verdict.object("stuck", f"{task['id']}: its claim expired at {claim['until']}")
    resting = task["status"] in ("paused", "quarantined")
    waiting = [extra["at"] for extra in task.get("backlog", ()) if not resting]
    waiting += [task["occurrence"]] if task.get("occurrence") else []
    waiting += [task["nextOccurrence"]] if task.get("nextOccurrence") and not resting else []
    late = [at for at in waiting if instant(at).timestamp() <= healed]
    if late:
        verdict.object("stuck", f"{task['id']} is {task['status']}, waiting: {late}")
    if task["alert"]["pending"] and task["alert"].get("retryAt") is None:
        verdict.object("stuck", f"{task['id']}: notices wait and nothing will wake them")


def _judge_next(task: Json, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    upcoming, look = instant(task["nextOccurrence"]), task.get("nextRunAt")
    earliest = [upcoming] + [instant(at) for at in (task["alert"].get("retryAt"),) if at]
    # What is written after the occurrence was due has its own moment as the next look: it is due at once.
    latest = max(upcoming + timedelta(seconds=task["jitterSeconds"]), _at(evidence.history.read))
    waiting = bool(task.get("backlog"))
    if upcoming not in plan.may:
        verdict.object("wrong_next", f"{task['id']}: {upcoming} is no occurrence of {task['schedule']}")
    elif look is None or not (min(earliest) <= instant(look) <= latest or waiting):
        verdict.object("wrong_next", f"{task['id']}: next look {look}, next occurrence {upcoming}")


def _judge_punctuality(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """With nothing wrong, a tick that saw to everything saw to this occurrence as well."""
    first: dict[str, Call] = {}
    for each in evidence.calls[task_id]:
        first.setdefault(instant(each.occurrence).isoformat(), each)
    jitter = plan.spec.get("jitterSeconds", 0)
    for at in plan.must:
        due = at.timestamp() + jitter
        call = first.get(at.isoformat())
        if call is None or plan.edits:
            continue
        begun = call.arrived
        verdict.lateness.append(max(0.0, begun - due))
        if not evidence.excuses.calm(at.timestamp(), begun):
            continue
        seeing = _thorough(evidence, due, begun)
        if not plan.spec.get("group") and _is_quick_and_on_time(task_id, call, evidence):
            seeing += _ended_early(evidence, due, begun)
        seeing = [ping for ping in seeing if not _claimed_by_then(call, ping, evidence)]
        passing = next((ping for ping in seeing if not _busy(task_id, ping, evidence)), None)
        if passing is not None:
            verdict.object("passed_over", f"{task_id}@{at} by the tick of {passing.sent:.1f}")


def _judge_rest(task: Json, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """Only a task that harms others is quarantined, and only what asked for it, or a person, is paused."""
    if is_guilty(plan.spec):
        stopped = task["id"] in evidence.history.quarantined
        verdict.counts["guilty tasks quarantined"] += stopped
        kills = sum(fault.point == DEADLY for fault in evidence.history.faults if fault.kind == "crash")
        if kills >= KILLS and not stopped and task["id"] == DEADLY:
            verdict.object("unstopped", f"{task['id']} has killed its process {kills} times")
        return
    if task["id"] in evidence.history.quarantined:
        verdict.object("punished", f"{task['id']} was quarantined")
    paused_by_people = any(op.kind == "pause" for op in evidence.history.ops if op.task == task["id"])
    if task["status"] == "paused" and not (paused_by_people or plan.spec.get("pauseAfterFailures")):
        verdict.object("punished", f"{task['id']} is paused at the end: {task.get('pause')}")


def _judge_misfire(run: Json, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """That no tick came in time is false where one came, whether it saw to everything or had no room.

    In time means: for the last of what was skipped, and before the next occurrence stood in for that.
    """
    task_id, last = run["taskId"], instant(run.get("last") or run["occurrence"])
    jitter = plan.spec.get("jitterSeconds", 0)
    due, skipped = last.timestamp() + jitter, instant(run["startedAt"]).timestamp()
    excuses = evidence.excuses
    if plan.edits or not excuses.calm(due, skipped) or excuses.foreseen(skipped, skipped):
        return  # a clock that was fast may have shown that moment long before
    following = min((at.timestamp() for at in plan.may if at > last), default=math.inf)
    limits = [skipped - 1, following]
    misfire = plan.spec.get("misfire", {})
    if misfire.get("policy") == "skip" and isinstance(misfire.get("graceSeconds"), int):
        limits.append(last.timestamp() + misfire["graceSeconds"])
    came = [ping for ping in _came(evidence, due, min(limits)) if not _busy(task_id, ping, evidence)]
    if came:
        seen = f"{task_id}@{run['occurrence']} as missed, but a tick came at {came[0].sent:.1f}"
        verdict.object("skipped_without_cause", seen)


def _judge_full(run: Json, evidence: Evidence, verdict: Verdict) -> None:
    """That ticks had no room needs a tick that came since it was due."""
    due, skipped = instant(run["occurrence"]).timestamp(), instant(run["startedAt"]).timestamp()
    came = any(
        ping.sent <= skipped and ping.answered >= due
        for ping in evidence.history.pings
        if ping.sent >= due - 60
    )
    if not came and not evidence.excuses.unclocked(due, skipped):
        verdict.object("skipped_without_cause", f"{run['taskId']}@{run['occurrence']} for want of room")


def _judge_pause(run: Json, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """A skip for a pause needs somebody, or something, that paused it."""
    by_people = any(op.kind in ("pause", "edit") for op in evidence.history.ops if op.task == run["taskId"])
    by_rule = bool(plan.spec.get("pauseAfterFailures")) or is_guilty(plan.spec)
    if not by_people and not by_rule:
        verdict.object("skipped_without_cause", f"{run['taskId']}@{run['occurrence']} for a pause")


def _came(evidence: Evidence, due: float, until: float) -> list[Ping]:
    """The pings after *due* whose ticks worked and were answered before *until*."""
    return [
        ping
        for ping in evidence.history.pings
        if due + 1 < ping.sent and ping.answered < until and ping.report.get("status") == "ok"
    ]


def _thorough(evidence: Evidence, due: float, until: float) -> list[Ping]:
    """Those whose ticks saw to everything."""
    return [
        ping
        for ping in _came(evidence, due, until)
        if not ping.report.get("postponed")
        and not ping.report.get("backlog")
        and not ping.report.get("lostClaims")
    ]


def _ended_early(evidence: Evidence, due: float, until: float) -> list[Ping]:
    """Those whose ticks left something due although they had time to start it.

    The time that a process needs to start is the pinger's as well: a report's own duration says too little.
    """
    return [
        ping
        for ping in _came(evidence, due, until)
        if (ping.report.get("postponed") or ping.report.get("backlog"))
        and not ping.report.get("lostClaims")
        and ping.answered - ping.sent < ENDED_EARLY_S
    ]


def _is_quick_and_on_time(task_id: str, call: Call, evidence: Evidence) -> bool:
    """Whether nothing but want of time or slots can postpone what *call* was made for."""
    attempts = [run for run in evidence.runs[task_id] if run["outcome"] != "skipped"]
    at = instant(call.occurrence)
    first = [run for run in attempts if instant(run["occurrence"]) == at and run["attempt"] == 1]
    quick = all(
        run["outcome"] in ("succeeded", "failed")
        and (instant(run["finishedAt"]) - instant(run["startedAt"])).total_seconds() < QUICK_S
        for run in attempts
    )
    return quick and bool(first) and all(run["trigger"] == "schedule" for run in first)


def _claimed_by_then(call: Call, ping: Ping, evidence: Evidence) -> bool:
    """Whether the tick that made *call* was at work beside *ping*: it may have held the claim already."""
    return any(
        other.process == call.process.partition("/")[0]
        and call.arrived - LONGEST_TICK_S <= other.sent <= ping.answered
        and not (other.status and other.answered < call.arrived)
        for other in evidence.history.pings
        if other is not ping
    )


def _busy(task_id: str, ping: Ping, evidence: Evidence) -> bool:
    """Whether the task had something else in hand during *ping*, or somebody was at work on it.

    Another tick may hold it for an older occurrence: from its claim, a little before the attempt, until the
    result is written, a little after it; and longer where processes were held up meanwhile.
    """
    for run in evidence.runs[task_id]:
        began, ended = instant(run["startedAt"]).timestamp(), instant(run["finishedAt"]).timestamp()
        process = evidence.process_of(run)
        held_up = evidence.excuses.held_up_one(process, began - CLAIMED_S, ended + CLAIMED_S)
        after = CLAIMED_S + held_up if run["final"] else RETRY_S
        in_hand = began - CLAIMED_S - held_up <= ping.answered and ping.sent <= ended + after
        if run["outcome"] != "skipped" and in_hand:
            return True
    return any(op.task == task_id and op.kind != "create" for op in evidence.history.ops)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _judge_overlap_skip(run: Json, evidence: Evidence, verdict: Verdict) -> None:
    """A skip for an overlap needs an attempt that was in work as the occurrence came."""
    at, until = instant(run["occurrence"]).timestamp(), instant(run["finishedAt"]).timestamp()
    in_work = any(
        _claimed(other, evidence) - 1 <= at <= instant(other["finishedAt"]).timestamp() + 1
        for other in evidence.runs[run["taskId"]]
        if other["outcome"] != "skipped"
    )
    if not in_work and not evidence.excuses.takeover("", at - 120, until):
        verdict.object("skipped_without_cause", f"{run['taskId']}@{run['occurrence']}")


def _claimed(run: Json, evidence: Evidence) -> float:
    """The earliest moment at which the claim of an attempt may have been made."""
    began = instant(run["startedAt"]).timestamp()
    return began - evidence.excuses.held_up_one(evidence.process_of(run), began - LONGEST_CLAIM_S, began)
