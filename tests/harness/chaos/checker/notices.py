"""Judges notices: people hear of every run of failures, and of its end."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import groupby, pairwise, takewhile
from statistics import median
from typing import TYPE_CHECKING

from tests.harness.chaos.checker.history import History, Json
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.plans import Plan
from tests.harness.chaos.checker.verdict import Verdict

if TYPE_CHECKING:
    from tests.harness.chaos.checker.check import Evidence

Attempt = tuple[str, datetime, int]  # task, occurrence, number

BY_SCHEDULE = {"schedule", "catch_up", "queued"}
FAILURES = {"failed", "timed_out", "abandoned"}
SIMULTANEOUS_S = 2.0  # two ticks may deliver the same at the same moment
BEFORE_S, AFTER_S = 120, 300  # a process's clock may be wrong by 90 s; a word waits a minute for another tick


def judge_telling(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """For a task with the default rules: a word of each run of failures, and one of each recovery."""
    if plan.vague or plan.deleted or plan.spec.get("notify") is not None:
        return
    told = set(evidence.history.told)
    ends = [run for run in evidence.runs[task_id] if run["final"] and run["outcome"] != "skipped"]
    ends = [run for run in ends if run["outcome"] in FAILURES | {"succeeded"}]
    if len({run["occurrence"] for run in ends}) < len(ends):
        verdict.counts["tasks whose notices were not judged (two records)"] += 1
        return
    ends = _until_it_flapped(task_id, _in_order(ends, evidence), told, evidence)
    failing = False
    for failed, group in groupby(ends, key=lambda run: run["outcome"] in FAILURES):
        streak = list(group)
        if failed:
            _one_of(streak, "failure", evidence.history, verdict)
        elif failing:
            _one_of(streak[:1], "recovery", evidence.history, verdict)
        failing = failed


def judge_told_once(evidence: Evidence, verdict: Verdict) -> None:
    """What a channel has taken is sent again only after a death, or where the store did not answer."""
    history = evidence.history
    times: dict[str, list[float]] = defaultdict(list)
    for notice, at in zip(history.told, history.told_at, strict=False):
        times[notice].append(at)
    for notice, when in times.items():
        again = [
            (first, second)
            for first, second in pairwise(when)
            if second - first > SIMULTANEOUS_S and evidence.excuses.calm(first, second)
        ]
        verdict.counts["notices sent again"] += len(when) - 1
        if again:
            verdict.object(
                "told_again", f"{notice} {len(when)} times, {again[0][1] - again[0][0]:.0f} s later"
            )


def _in_order(ends: list[Json], evidence: Evidence) -> list[Json]:
    """*ends* as they came, by the target's clock where that saw them: a process's own may have been wrong.

    Of an attempt it did not see, because the network was cut, it is known from others of the same tick by
    how much that tick's clock was wrong, where there are such; and what a schedule brings about is dealt with
    one by one, the oldest first.
    """
    moments = [_when(run, evidence) for run in ends]
    by_schedule = [place for place, run in enumerate(ends) if run["trigger"] in BY_SCHEDULE]
    by_schedule.sort(key=lambda place: instant(ends[place]["occurrence"]))
    unseen = {place for place in by_schedule if _attempt(ends[place]) not in evidence.seen}
    for before, place in pairwise(by_schedule):
        if place in unseen:
            moments[place] = max(moments[place], moments[before])
    for after, place in pairwise(reversed(by_schedule)):
        if place in unseen:
            moments[place] = min(moments[place], moments[after])
    order = sorted(range(len(ends)), key=lambda place: (moments[place], instant(ends[place]["occurrence"])))
    return [ends[place] for place in order]


def _when(run: Json, evidence: Evidence) -> float:
    ended = evidence.seen.get(_attempt(run))
    if ended is None:
        ended = instant(run["finishedAt"]).timestamp() - evidence.ahead.get(_tick(run), 0.0)
    return ended


def seen_by_the_target(history: History) -> dict[Attempt, float]:
    """When each attempt the target saw had its answer, by the target's clock."""
    return {(call.task, instant(call.occurrence), call.attempt): call.ended for call in history.calls}


def processes_of_ticks(history: History) -> dict[str, str]:
    """By whose process each tick was, told from attempts that the target saw."""
    senders = {(call.task, instant(call.occurrence), call.attempt): call.process for call in history.calls}
    return {
        _tick(run): senders[_attempt(run)]
        for run in history.runs
        if run["token"] and _attempt(run) in senders
    }


def clocks_ahead(history: History, seen: dict[Attempt, float]) -> dict[str, float]:
    """By how many seconds each tick's clock was ahead, told from attempts that the target saw."""
    ahead: dict[str, list[float]] = {}
    for run in history.runs:
        if run["token"] and (ended := seen.get(_attempt(run))) is not None:
            ahead.setdefault(_tick(run), []).append(instant(run["finishedAt"]).timestamp() - ended)
    return {tick: median(seconds) for tick, seconds in ahead.items()}


def _attempt(run: Json) -> Attempt:
    return run["taskId"], instant(run["occurrence"]), run["attempt"]


def _tick(run: Json) -> str:
    return str(run["token"]).rpartition(".")[0]


def _until_it_flapped(task_id: str, ends: list[Json], told: set[str], evidence: Evidence) -> list[Json]:
    """The runs before people were told that the task changes too often; after that there is to be quiet.

    Where only its document says so, a long message may have counted that notice among others.
    """
    said = {f"{task_id}@{run['occurrence']}#flapping" for run in ends} & told
    if not said and evidence.tasks.get(task_id, {}).get("alert", {}).get("flapping"):
        return list(takewhile(lambda run: not _may_be_among_the_rest(run, evidence.history), ends))
    return list(takewhile(lambda run: f"{task_id}@{run['occurrence']}#flapping" not in said, ends))


def _one_of(runs: list[Json], kind: str, history: History, verdict: Verdict) -> None:
    wanted = {f"{run['taskId']}@{run['occurrence']}#{kind}" for run in runs}
    if not wanted.isdisjoint(history.told):
        verdict.counts[f"told: {kind}"] += 1
    elif any(_may_be_among_the_rest(run, history) for run in runs):
        verdict.counts[f"told, or counted with others in a long message: {kind}"] += 1
    else:
        verdict.object("not_told", ", ".join(sorted(wanted)[:3]))


def _may_be_among_the_rest(run: Json, history: History) -> bool:
    """Whether a message came about then that named some of its notices, and counted the rest.

    While a channel is down a notice waits, and for a while after: the channel is tried more and more rarely.
    """
    ended = instant(run["finishedAt"]).timestamp()
    until = ended + AFTER_S
    for fault in sorted(history.faults, key=lambda fault: fault.started):
        if fault.kind == "channel" and fault.started <= until and fault.ended >= ended:
            until = max(until, fault.ended + AFTER_S)
    return any(ended - BEFORE_S <= at <= until for at in history.long_words)
