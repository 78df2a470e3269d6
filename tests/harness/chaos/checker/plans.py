"""What had to happen to each task, by what people asked for: nothing here comes from the scheduler."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.harness.chaos.checker.history import History, Op
from tests.harness.chaos.checker.oracle import instant, occurrences

CLOCKS = timedelta(seconds=150)  # how far a wrong clock may have run ahead, the pinger's minute included

FORESEEN = timedelta(minutes=10)  # after the end, so that the next look of each task can be judged


@dataclass(slots=True)
class Plan:
    """One task's life.

    Attributes:
        must: Instants that have to come to an end that is recorded.
        may: Instants at which an attempt is no mistake: those, and what was near an edit, or after the end.
        by_hand: Instants somebody asked for.
        edits: When its schedule was changed.
        vague: Whether an operation on it had an unknown result; then it is only judged for doubles.
        deleted: Whether it was deleted, or may have been.
    """

    spec: dict[str, Any]
    created: datetime
    must: set[datetime] = field(default_factory=set)
    may: set[datetime] = field(default_factory=set)
    by_hand: set[datetime] = field(default_factory=set)
    edits: list[datetime] = field(default_factory=list)
    vague: bool = False
    deleted: bool = False

    def between(self, first: datetime, last: datetime) -> int:
        """How many of the instants that must be accounted for lie in a span, both ends included."""
        return sum(first <= at <= last for at in self.must)


def plans(history: History) -> dict[str, Plan]:
    """The life of every task that was created, by id."""
    by_task: dict[str, list[Op]] = {}
    for op in sorted(history.ops, key=lambda op: op.invoked):
        if op.result != "refused":
            by_task.setdefault(op.task, []).append(op)
    return {task: _plan(ops, history) for task, ops in by_task.items() if ops[0].kind == "create"}


def _plan(ops: list[Op], history: History) -> Plan:
    create = ops[0]
    assert create.spec is not None  # an op that creates says what
    plan = Plan(create.spec, instant(create.at))
    healed, read = _at(history.healed), _at(history.read)
    since, spec = plan.created, create.spec
    for op in ops[1:]:
        plan.vague |= op.result == "unknown"
        if op.kind == "run":
            plan.by_hand.add(instant(op.at))
        elif op.kind == "delete":
            plan.deleted = True
            _until(plan, spec, since, min(_at(op.invoked), healed), _at(op.completed) + CLOCKS)
            return plan
        elif op.kind == "edit" and op.spec is not None:
            now = instant(op.at)
            if _timing(op.spec) != _timing(spec):
                plan.edits.append(now)
                _until(plan, spec, since, min(now, healed), _at(op.completed) + CLOCKS)
                since = now
            spec = plan.spec = op.spec
    _until(plan, spec, since, healed, read + FORESEEN)
    return plan


def _until(plan: Plan, spec: dict[str, Any], since: datetime, must: datetime, may: datetime) -> None:
    found = occurrences(spec, created=plan.created, after=since, until=may)
    plan.may.update(found)
    plan.must.update(at for at in found if at <= must)


def _timing(spec: dict[str, Any]) -> list[Any]:
    return [spec.get(name) for name in ("schedule", "timezone", "startAt", "endAt")]


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def earliest(instants: Iterable[datetime]) -> datetime | None:
    return min(instants, default=None)
