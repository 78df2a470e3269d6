"""Judges notices: people hear of every run of failures, and of its end."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from tests.chaos.history import Json
from tests.chaos.oracle import instant
from tests.chaos.plans import Plan
from tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from tests.chaos.checker import Evidence

FAILURES = {"failed", "timed_out", "abandoned"}


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
    seen = {(instant(call.occurrence), call.attempt): call.ended for call in evidence.calls[task_id]}
    ends.sort(key=lambda run: _when(run, seen))
    ends = _until_it_flapped(task_id, ends, told)
    failing = False
    for failed, group in groupby(ends, key=lambda run: run["outcome"] in FAILURES):
        streak = list(group)
        if failed:
            _one_of(streak, "failure", told, verdict)
        elif failing:
            _one_of(streak[:1], "recovery", told, verdict)
        failing = failed


def _when(run: Json, seen: dict[tuple[datetime, int], float]) -> tuple[float, datetime]:
    """When it ended, by the target's clock where that saw it: a process's own may have been wrong."""
    occurrence = instant(run["occurrence"])
    ended = seen.get((occurrence, run["attempt"]))
    return (instant(run["finishedAt"]).timestamp() if ended is None else ended), occurrence


def _until_it_flapped(task_id: str, ends: list[Json], told: set[str]) -> list[Json]:
    """The runs before people were told that the task changes too often; after that there is to be quiet."""
    said = {f"{task_id}@{run['occurrence']}#flapping" for run in ends} & told
    return list(takewhile(lambda run: f"{task_id}@{run['occurrence']}#flapping" not in said, ends))


def _one_of(runs: list[Json], kind: str, told: set[str], verdict: Verdict) -> None:
    wanted = {f"{run['taskId']}@{run['occurrence']}#{kind}" for run in runs}
    if wanted & told:
        verdict.counts[f"told: {kind}"] += 1
    else:
        verdict.object("not_told", ", ".join(sorted(wanted)[:3]))
