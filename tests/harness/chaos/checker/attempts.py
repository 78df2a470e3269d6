"""Judges attempts: what the target saw against what is on record, one task at a time."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.harness.chaos.checker.excuses import OUTAGE_S, TICK_S
from tests.harness.chaos.checker.history import TARGET, Call, Json
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.plans import Plan
from tests.harness.chaos.checker.verdict import Verdict
from tests.harness.chaos.world.tasks import is_guilty

if TYPE_CHECKING:
    from tests.harness.chaos.checker.check import Evidence

SLACK_S = 0.25  # between the moment a caller has gone and the moment the target notices
CUT = "The tick's time was up"  # what the record of an attempt says that the end of its tick has cut
LATE = "Its claim was late"  # what it says when the claim took so long that less than the timeout was left
LEAD_S = 10.0  # a claim that is late by less leaves the whole timeout
FIRST_S = 10.0  # what a task that never ran is expected to take, at most
MEASURED = 0.8  # of a claim's lateness, to be among the measured delays: short ones are not noted
CUTS = 3  # attempts at an occurrence that are cut from outside: with the last it is over
TICKING_S = 1.0  # clocks of one machine agree, but a second is allowed for rounding


def judge_attempts(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """Each request is on record, each success on record was a request, and none was one too many."""
    records: dict[tuple[str, int], list[Json]] = defaultdict(list)
    for run in evidence.runs[task_id]:
        if run["outcome"] != "skipped" and run.get("token"):
            records[_instant_text(run["occurrence"]), run["attempt"]].append(run)
    by_key: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls[task_id]:
        by_key[call.occurrence].append(call)
        _judge_call(call, records[_instant_text(call.occurrence), call.attempt], plan, evidence, verdict)
    for calls in by_key.values():
        verdict.counts["occurrences attempted"] += 1
        if len(calls) > 1 and plan.spec.get("delivery") == "at_most_once":
            verdict.object("at_most_once", _seen(calls))
        for before, after in pairwise(calls):
            again = records[_instant_text(before.occurrence), before.attempt]
            _judge_repeat(before, after, again, plan, evidence, verdict)
    for before, after in pairwise(evidence.calls[task_id]):
        if before.key != after.key:
            _judge_overlap(before, after, evidence, verdict)
    for found in records.values():
        for run in found:
            _judge_record(run, by_key, plan, evidence, verdict)
    _judge_given_up(task_id, plan, evidence, verdict)


def _judge_call(call: Call, records: list[Json], plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    at = instant(call.occurrence)
    if at not in plan.may and at not in plan.by_hand and not plan.vague:
        verdict.object("phantom", _seen([call]))
    if call.arrived < at.timestamp() - TICKING_S:
        if evidence.excuses.foreseen(at.timestamp() - TICKING_S, call.arrived):
            verdict.counts["early by a fast clock"] += 1
        else:
            verdict.object("early", _seen([call]))
    if not records and not plan.deleted:
        verdict.object("unrecorded", _seen([call]))


def _judge_repeat(
    before: Call, after: Call, records: list[Json], plan: Plan, evidence: Evidence, verdict: Verdict
) -> None:
    """A further attempt needs a reason: the one before failed, or was left unfinished."""
    excuses, until = evidence.excuses, after.arrived
    frozen = excuses.frozen(after.process, before.arrived - 60, until)  # a zombie that sent when it woke
    results = [run for run in records if run["outcome"] != "abandoned"]
    reason = excuses.overslept if results else excuses.takeover  # what is on record must have been found
    excused = reason(before.process, before.arrived, until) or frozen
    if after.arrived < before.ended - SLACK_S:
        _excused("doubled", "attempts at the same time", excused, [before, after], excuses, verdict)
        return
    failed = any(
        not run["final"] and run["outcome"] in ("failed", "timed_out", "abandoned") for run in records
    )
    if after.attempt > before.attempt and any(_was_cut(run, [before], plan, evidence) for run in records):
        verdict.counts["made again after it was cut"] += 1
        return
    crashed = any(run["outcome"] == "abandoned" for run in records) or not records
    if failed and not crashed and after.attempt > before.attempt:
        verdict.counts["retried after a failure"] += 1
        return
    _excused("repeated", "repeated after a fault", excused, [before, after], excuses, verdict)


def _judge_overlap(before: Call, after: Call, evidence: Evidence, verdict: Verdict) -> None:
    """Two occurrences of one task are never in work at the same time."""
    if after.arrived < before.ended - SLACK_S:
        excused = evidence.excuses.takeover(before.process, before.arrived, after.arrived)
        frozen = evidence.excuses.frozen(after.process, before.arrived - 60, after.arrived)
        _excused(
            "doubled",
            "attempts at the same time",
            excused or frozen,
            [before, after],
            evidence.excuses,
            verdict,
        )


def _excused(
    code: str, what: str, excused: bool, calls: list[Call], excuses: object, verdict: Verdict
) -> None:
    if excused:
        verdict.counts[f"{what}, explained"] += 1
    else:
        verdict.object(code, _seen(calls))


def _judge_record(
    run: Json, by_key: dict[str, list[Call]], plan: Plan, evidence: Evidence, verdict: Verdict
) -> None:
    at = instant(run["occurrence"])
    began, ended = instant(run["startedAt"]).timestamp(), instant(run["finishedAt"]).timestamp()
    if at not in plan.may and at not in plan.by_hand and not plan.vague:
        verdict.object("phantom", f"{run['taskId']} has a record of {run['occurrence']}")
    calls = [call for call in by_key.get(run["occurrence"], ()) if call.attempt == run["attempt"]]
    if run["outcome"] == "succeeded" and not any(call.answer == "ok" for call in calls):
        near = [call for call in evidence.calls[run["taskId"]] if began - 60 < call.arrived < ended + 60]
        found = f"{run['taskId']}@{run['occurrence']}#{run['attempt']} {run['startedAt']}-{run['finishedAt']}"
        verdict.object("false_record", f"{found} {run['token']}; near it: {_seen(near)}")
    if run["outcome"] == "failed" and calls and not _has_failed(calls, began, ended, evidence):
        found = f"{run['taskId']}@{run['occurrence']}#{run['attempt']} {run['startedAt']}-{run['finishedAt']}"
        verdict.object("false_record", f"{found} failed: {run.get('summary')}; {_seen(calls)}")
    if run["outcome"] == "abandoned":
        process = calls[0].process if calls else ""
        verdict.counts["attempts abandoned"] += 1
        if run.get("summary", "").startswith(LATE) and _needs_all(run, plan, evidence):
            verdict.object("begun_too_late", f"{run['taskId']}@{run['occurrence']}: {run['summary']}")
        if _was_cut(run, calls, plan, evidence):
            verdict.counts["attempts cut by the end of a tick, or by a late claim"] += 1
        elif evidence.excuses.takeover(process or evidence.process_of(run), began - 1, ended) or any(
            # A record has the time of its process, whose clock may have been set; the target's is never set.
            evidence.excuses.takeover(call.process, call.arrived - 1, call.ended)
            for call in calls
        ):
            verdict.counts["attempts abandoned after a fault"] += 1
        elif not calls and _was_not_released(run, evidence):
            verdict.counts["claims without an attempt: a slow store took no release in time"] += 1
        else:
            verdict.object("abandoned_without_cause", f"{run['taskId']}@{run['occurrence']}#{run['attempt']}")


def _was_not_released(run: Json, evidence: Evidence) -> bool:
    """Whether the process that made the claim of *run* was held up when it would have released it."""
    claimed, found = instant(run["startedAt"]).timestamp(), instant(run["finishedAt"]).timestamp()
    until = min(found, claimed + TICK_S)
    return evidence.excuses.held_up_one(evidence.process_of(run), claimed - 1, until) >= OUTAGE_S


def _judge_given_up(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """What was cut from outside is made again, up to the third time, unless one try at most is to be made."""
    acts = any(op.task == task_id and op.kind != "create" for op in evidence.history.ops)
    if plan.spec.get("delivery") == "at_most_once" or acts or is_guilty(plan.spec):
        return
    cut = [run for run in evidence.runs[task_id] if run["outcome"] == "abandoned"]
    for run in cut:
        tries = sum(other["occurrence"] == run["occurrence"] for other in cut)
        if run["final"] and tries < CUTS:
            verdict.object("given_up", f"{task_id}@{run['occurrence']} after {tries}: {run.get('summary')}")


def _has_failed(calls: list[Call], began: float, ended: float, evidence: Evidence) -> bool:
    """Whether the target, or the network, gave a reason for a failure: not that its process was stopped."""
    answered_badly = any(call.answer not in ("ok", "gone") for call in calls)
    return answered_badly or evidence.excuses.disconnected(began - 1, ended + 1)


def _was_cut(run: Json, calls: list[Call], plan: Plan, evidence: Evidence) -> bool:
    """Whether the attempt was cut by the end of its tick, or because its claim was late.

    The record says so, no answer was out in time, and for a late claim a delay was measured that explains it.
    """
    said = run.get("summary", "")
    if run["outcome"] != "abandoned" or not said.startswith((CUT, LATE)):
        return False
    return _was_open(run, calls, evidence) and (said.startswith(CUT) or _was_late(run, calls, plan, evidence))


def _was_open(run: Json, calls: list[Call], evidence: Evidence) -> bool:
    """Whether a request had no answer yet when its process gave it up, as far as that could know."""
    ended = instant(run["finishedAt"]).timestamp()
    for call in calls:
        # An answer lies there unread while its process is held up, or what passes it on to that.
        held_up = sum(evidence.excuses.held_up(one, call.ended, ended) for one in (call.process, TARGET))
        read = call.ended + SLACK_S + held_up
        if read + (0 if call.answer == "ok" else TICKING_S) > ended:
            return True
    return not calls and run.get("summary", "").startswith(LATE)  # cut before it was sent


def _was_late(run: Json, calls: list[Call], plan: Plan, evidence: Evidence) -> bool:
    """Whether what was measured explains that the attempt had less time than its timeout."""
    began, ended = instant(run["startedAt"]).timestamp(), instant(run["finishedAt"]).timestamp()
    timeout = float(plan.spec.get("timeoutSeconds", 20))
    late = LEAD_S + timeout - (ended - began)
    process, until = (calls[0].process, calls[0].arrived) if calls else (evidence.process_of(run), began)
    delay = evidence.excuses.held_up_one(process, until - LEAD_S - 2 * timeout, until)
    return delay >= MEASURED * late


def _needs_all(run: Json, plan: Plan, evidence: Evidence) -> bool:
    """Whether the attempt of *run* begins with its whole timeout or not at all: its record shows no less.

    Tasks that are made once, those that never ran (their timeouts are short), and those that were cut.
    """
    before = [other for other in evidence.runs[run["taskId"]] if other["outcome"] != "skipped"]
    before = [one for one in before if instant(one["finishedAt"]) <= instant(run["startedAt"])]
    last = max(before, key=lambda one: instant(one["finishedAt"]), default={"outcome": "abandoned"})
    is_short = float(plan.spec.get("timeoutSeconds", 20)) <= FIRST_S
    hung = last["outcome"] in ("timed_out", "abandoned")
    return plan.spec.get("delivery") == "at_most_once" or (hung and (bool(before) or is_short))


def _instant_text(text: str) -> str:
    return instant(text).isoformat()


def _seen(calls: list[Call]) -> str:
    return "; ".join(
        f"{call.key}#{call.attempt} by {call.process} {call.arrived:.3f}-{call.ended:.3f} {call.answer}"
        for call in calls
    )
