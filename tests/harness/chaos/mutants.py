"""Deliberate mistakes in the product, one at a time, that a checker worth its name must object to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle import decide
from functions.domain.run import Run
from functions.domain.storage import LedgerEntry, Result, Stored, Write, Written
from functions.domain.task import Task
from functions.engine import results, tick, writer
from functions.engine.writer import Books, Decided
from tests.harness.chaos.points import Orders

Mutate = Callable[[Orders], None]


def apply(name: str, orders: Orders) -> None:
    """Make the mistake *name* in this process; none when it is empty."""
    if name:
        MUTANTS[name](orders)
        orders.say(event="mutant", name=name)


def _claim_without_precondition(_: Orders) -> None:
    """Whoever writes last has the task."""
    guarded = Books.claim

    async def claim(self: Books, wanted: Sequence[tuple[Stored, Mapping[str, Any]]]) -> list[Stored]:
        found = await self._store.read([stored.task.id for stored, _ in wanted])
        fresh = {stored.task.id: stored.revision for stored in found.tasks}
        return await guarded(
            self, [(Stored(one.task, fresh.get(one.task.id)), changes) for one, changes in wanted]
        )

    setattr(Books, "claim", claim)  # noqa: B010  # mypy would not let a method be assigned


def _settle_without_fence(_: Orders) -> None:
    """A tick that overslept its claim writes its result all the same."""
    setattr(writer, "_still_ours", lambda task, ours: task.occurrence is not None)  # noqa: B010


def _advance_before_run(_: Orders) -> None:
    """The claim itself moves the schedule on, as if a start were a result."""
    judged = getattr(tick, "judge")  # noqa: B009  # it is no export of its module

    def judge(task: Task, *, token: str, now: datetime) -> Any:
        found = judged(task, token=token, now=now)
        if isinstance(found, decide.Start):
            after = task.model_copy(update=dict(found.changes))
            moved = {"status": "scheduled", "next_run_at": after.upcoming}
            return replace(found, changes={**found.changes, **moved})
        return found

    setattr(tick, "judge", judge)  # noqa: B010


def _ledger_after_settlement(_: Orders) -> None:
    """A crash between the two leaves a task that moved on and no record of why."""
    from tests.harness.chaos.inside import ChaosStore  # it imports this module

    async def finish(self: Any, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        written: list[Written] = await self._faulty(writes)
        if entry is not None:
            self._orders.reach("after_ledger")
            await self._inner.finish(entry, [])
        return written

    setattr(ChaosStore, "finish", finish)  # noqa: B010


def _ignore_the_ledger(_: Orders) -> None:
    """An expired claim is run again, whatever the dead tick had recorded."""
    from tests.harness.chaos.inside import ChaosStore  # it imports this module

    async def runs_of_tick(self: Any, tick_id: str) -> list[Run]:
        return []

    setattr(ChaosStore, "runs_of_tick", runs_of_tick)  # noqa: B010


def _unanswered_claims_are_won(_: Orders) -> None:
    """No answer is taken for a yes, without a look at the token."""

    async def claim(self: Books, wanted: Sequence[tuple[Stored, Mapping[str, Any]]]) -> list[Stored]:
        writes = [Write.changing(stored, changes) for stored, changes in wanted]
        answers = await self._answers(None, writes)
        return [
            Stored(write.task, written.revision or write.revision)
            for write, written in zip(writes, answers, strict=True)
            if written.result is not Result.REFUSED
        ]

    setattr(Books, "claim", claim)  # noqa: B010


def _unanswered_claims_are_lost(_: Orders) -> None:
    """No answer is taken for a no, without a look at the token."""

    async def claim(self: Books, wanted: Sequence[tuple[Stored, Mapping[str, Any]]]) -> list[Stored]:
        writes = [Write.changing(stored, changes) for stored, changes in wanted]
        answers = await self._answers(None, writes)
        return [
            Stored(write.task, written.revision)
            for write, written in zip(writes, answers, strict=True)
            if written.result is Result.APPLIED
        ]

    setattr(Books, "claim", claim)  # noqa: B010


def _skips_without_record(_: Orders) -> None:
    """Only the attempt is recorded, not what was skipped with it."""
    settle = Books.settle

    async def short(self: Books, decided: Sequence[Decided]) -> list[Stored | None]:
        cut = [
            replace(one, settlement=replace(one.settlement, runs=one.settlement.runs[:1])) for one in decided
        ]
        return await settle(self, cut)

    setattr(Books, "settle", short)  # noqa: B010


def _told_before_it_is_said(_: Orders) -> None:
    """The duty to tell is struck off first, and then the message is sent."""
    deliver = getattr(tick, "deliver")  # noqa: B009  # it is no export of its module

    async def struck(tasks: Any, *, tell: Any, books: Books, **how: Any) -> None:
        async def done(notices: Sequence[Any], *, within: Any) -> list[tuple[str, ...]]:
            said.extend(notices)
            return [() for _ in notices]

        said: list[Any] = []
        await deliver(tasks, tell=done, books=books, **how)
        if said:
            await tell(said, within=how["answer_by"] - how["clock"]())

    setattr(tick, "deliver", struck)  # noqa: B010


def _at_most_once_forgotten(_: Orders) -> None:
    """An occurrence that may have run is run again, though the task asked that it should not."""
    recover = getattr(results, "recover")  # noqa: B009  # it is no export of its module

    def again(task: Task, recorded: Run | None, *, now: datetime) -> Any:
        return recover(task.model_copy(update={"delivery": "at_least_once"}), recorded, now=now)

    setattr(results, "recover", again)  # noqa: B010


def _runs_early(orders: Orders) -> None:
    """The clock is not asked as it should be."""
    ahead = Orders.now

    def now(self: Orders) -> datetime:
        return ahead(self) + EARLY

    setattr(Orders, "now", now)  # noqa: B010


EARLY = timedelta(seconds=8)

MUTANTS: dict[str, Mutate] = {
    "claim_without_precondition": _claim_without_precondition,
    "settle_without_fence": _settle_without_fence,
    "advance_before_run": _advance_before_run,
    "ledger_after_settlement": _ledger_after_settlement,
    "ignore_the_ledger": _ignore_the_ledger,
    "unanswered_claims_are_won": _unanswered_claims_are_won,
    "unanswered_claims_are_lost": _unanswered_claims_are_lost,
    "skips_without_record": _skips_without_record,
    "told_before_it_is_said": _told_before_it_is_said,
    "at_most_once_forgotten": _at_most_once_forgotten,
    "runs_early": _runs_early,
}
