"""Judges the history of a run: every occurrence has exactly one end, and no attempt was one too many.

It knows the documented rules and the oracle of schedules, and nothing of the product's code.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any

from tests.harness.chaos.checker.attempts import judge_attempts
from tests.harness.chaos.checker.endings import judge_endings
from tests.harness.chaos.checker.excuses import OUTAGE_S, TICK_S, Excuses
from tests.harness.chaos.checker.groups import judge_groups
from tests.harness.chaos.checker.history import Call, History, Json
from tests.harness.chaos.checker.notices import (
    clocks_ahead,
    judge_telling,
    judge_told_once,
    processes_of_ticks,
    seen_by_the_target,
)
from tests.harness.chaos.checker.oracle import instant
from tests.harness.chaos.checker.plans import Plan, plans
from tests.harness.chaos.checker.verdict import Verdict
from tests.harness.chaos.world.turns import judge_ticks

FINAL = {"succeeded", "failed", "timed_out", "cancelled", "abandoned"}


class Evidence:
    """A history, sorted by task."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.excuses = Excuses(history.faults)
        self.plans = plans(history)
        self.tasks = {task["id"]: task for task in history.tasks}
        self.runs: dict[str, list[Json]] = defaultdict(list)
        self.calls: dict[str, list[Call]] = defaultdict(list)
        for run in history.runs:
            self.runs[run["taskId"]].append(run)
        for call in sorted(history.calls, key=lambda call: call.arrived):
            self.calls[call.task].append(call)
        self.seen = seen_by_the_target(history)
        self.ahead = clocks_ahead(history, self.seen)
        self._processes = processes_of_ticks(history)

    def process_of(self, run: Json) -> str:
        """Whose tick made the attempt of *run*; empty where the target saw no attempt of that tick."""
        return self._processes.get(str(run.get("token", "")).rpartition(".")[0], "")


def judge(history: History) -> Verdict:
    """Return the verdict on *history*; one without violations means that all was as promised."""
    verdict = Verdict()
    evidence = Evidence(history)
    for task_id, plan in evidence.plans.items():
        _judge_accounts(task_id, plan, evidence, verdict)
        judge_attempts(task_id, plan, evidence, verdict)
        judge_endings(task_id, plan, evidence, verdict)
        judge_telling(task_id, plan, evidence, verdict)
    judge_ticks(evidence, verdict)
    judge_groups(evidence, verdict)
    judge_told_once(evidence, verdict)
    verdict.counts["tasks"] = len(evidence.plans)
    verdict.counts["calls"] = len(history.calls)
    verdict.counts["unknown operations"] = sum(op.result == "unknown" for op in history.ops)
    return verdict


def _judge_accounts(task_id: str, plan: Plan, evidence: Evidence, verdict: Verdict) -> None:
    """Every occurrence that was due has exactly one end."""
    if plan.vague or plan.deleted:
        verdict.counts["occurrences of tasks deleted or in doubt"] += len(plan.must)
        return
    task = evidence.tasks.get(task_id)
    ends: dict[datetime, list[Json]] = defaultdict(list)
    skips: list[Json] = []
    for run in evidence.runs[task_id]:
        if run["outcome"] == "skipped":
            skips.append(run)
        elif run["final"]:
            ends[instant(run["occurrence"])].append(run)
    for at in sorted(plan.must | (plan.by_hand if task else set())):
        covering = [run for run in skips if _covers(run, at, plan)]
        waiting = [] if task is None else _waiting(task, at, plan)
        verdict.counts["occurrences due"] += at in plan.must
        _one_end(f"{task_id}@{at:%FT%TZ}", at, [*ends[at], *covering], waiting, evidence, verdict)
    for run in skips:
        _judge_count(run, plan, verdict)


def _one_end(
    key: str, at: datetime, ended: list[Json], waiting: list[str], evidence: Evidence, verdict: Verdict
) -> None:
    if not ended and not waiting:
        verdict.object("lost", key)
        verdict.counts["lost"] += 1
    elif len(ended) + len(waiting) > 1:
        seen = f"{key}: {[_short(run) for run in ended]} {waiting}"
        since, until = min(_began(run) for run in ended), max(_ended(run) for run in ended)
        tokens = {run.get("token", "") for run in ended}
        if len(tokens) == len(ended) and not waiting and evidence.excuses.overslept("", since, until):
            verdict.counts["overslept: two records, one settlement"] += 1
        elif _only_skips(ended, waiting) and evidence.excuses.broken("", since, until):
            verdict.counts["skipped twice: a process died between record and settlement"] += 1
        elif not waiting and sum(_was_left_behind(run, evidence) for run in ended) >= len(ended) - 1:
            # The tick's time was up before the store took the settlement: the next one decides anew.
            verdict.counts["two records: a slow store took no settlement in time"] += 1
        elif evidence.excuses.unclocked(min(since, at.timestamp()), until):
            verdict.counts["two ends under a wrong clock"] += 1
        else:
            verdict.object("accounted_twice", seen)
    elif ended:
        [run] = ended
        reason = f" ({run['skipReason']})" if run.get("skipReason") else ""
        verdict.counts[f"ended: {run['outcome']}{reason}"] += 1
    else:
        verdict.counts["still due, in line"] += 1


def _was_left_behind(run: Json, evidence: Evidence) -> bool:
    """Whether *run* is a mere decision, and the process that wrote it was measured to have been held up then.

    So it could neither write what follows from the record, nor remove that when another was first. The result
    of an attempt is guarded by its claim, and found again: no delay explains a second one.
    """
    decided = _ended(run)
    is_decision = run["outcome"] in ("skipped", "abandoned")
    return is_decision and evidence.excuses.held_up_one("", decided, decided + TICK_S) >= OUTAGE_S


def _only_skips(ended: list[Json], waiting: list[str]) -> bool:
    return not waiting and all(run["outcome"] == "skipped" for run in ended)


def _covers(run: Json, at: datetime, plan: Plan) -> bool:
    first = instant(run["occurrence"])
    last = instant(run["last"]) if run.get("last") else first
    return first <= at <= last and (at == first or at not in plan.by_hand)


def _waiting(task: Json, at: datetime, plan: Plan) -> list[str]:
    """Return the places of the task's document in which *at* still waits.

    The schedule's own place says nothing of a run that a user asked for: that one goes first, and may end
    while an older occurrence of the schedule waits (in a task that its failures have paused, say).
    """
    found = []
    if task.get("occurrence") and instant(task["occurrence"]) == at:
        found.append("in hand")
    if any(instant(extra["at"]) == at for extra in task.get("backlog", ())):
        found.append("backlog")
    scheduled = at in plan.must and task.get("nextOccurrence")
    if scheduled and instant(task["nextOccurrence"]) <= at and not found:
        found.append("nextOccurrence")
    return found


def _judge_count(run: Json, plan: Plan, verdict: Verdict) -> None:
    first = instant(run["occurrence"])
    last = instant(run["last"]) if run.get("last") else first
    if any(first <= edit <= last for edit in plan.edits) or last not in plan.must or first not in plan.must:
        return
    if plan.between(first, last) != run["count"]:
        verdict.object("miscounted", f"{run['taskId']}: {_short(run)} counts {plan.between(first, last)}")


def _began(run: Json) -> float:
    return instant(run["startedAt"]).timestamp()


def _ended(run: Json) -> float:
    return instant(run["finishedAt"]).timestamp()


def _short(run: Json) -> dict[str, Any]:
    names = (
        "occurrence",
        "last",
        "count",
        "attempt",
        "token",
        "outcome",
        "skipReason",
        "startedAt",
        "finishedAt",
    )
    return {name: run[name] for name in names if run.get(name) not in (None, "")}
