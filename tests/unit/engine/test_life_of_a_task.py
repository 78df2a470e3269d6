"""One task's life, whatever people and processes do to it: each occurrence has one end, or waits for it.

Hypothesis plays people, a pinger that comes when it likes, and processes that die with work in hand.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.complete import REQUESTED_TRIGGERS
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Outcome, Run, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult
from functions.domain.task import Job, Task, TaskSpec
from functions.domain.types import Status
from functions.engine.tick import tick
from functions.errors import InputError
from functions.interfaces import TickDependencies
from functions.services import task_commands
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.profile import examples

STEP = timedelta(minutes=10)  # between two occurrences
BORN = NOON + timedelta(seconds=30)  # so that no wish of a person falls upon an occurrence
BUDGET = TimeBudget(start_limit=None, response_limit=None)
OUTCOMES = {
    "succeeds": succeeded("Done"),
    "fails": failed("Answered 503"),
    "fails for good": failed("Answered 404", permanent=True),
}


class Killed(BaseException):
    """The end of a process: no handler of errors sees it."""


class MortalStore(SqliteStore):
    """A store whose user dies between a claim and its result: before the record, or between both writes."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.kills: str | None = None

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        if self.kills and batch is not None:  # a claim comes without a record, and is let through
            attempted = any(run.attempt for run in batch.runs)  # a skip alone may be recorded twice, see docs
            if self.kills == "after the record" and attempted:
                await super().write_with_runs(batch, [])
            raise Killed
        return await super().write_with_runs(batch, writes)


class LifeOfATask(RuleBasedStateMachine):
    """The rules are what may happen; the invariants are what is promised."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MortalStore()
        self.now = BORN
        self.names = count(1)
        self.outcome = OUTCOMES["succeeds"]
        self.takes = timedelta()
        self.attempts: Counter[str] = Counter()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()

    @initialize(
        misfire=st.sampled_from(["run_once", "run_all", "skip"]),
        overlap=st.sampled_from(["skip", "queue_one", "queue_all"]),
        delivery=st.sampled_from(["at_least_once", "at_most_once"]),
        attempts=st.integers(1, 3),
        jitter=st.sampled_from([0, 90]),
        pause_after=st.sampled_from([None, 2]),
        max_runs=st.sampled_from([None, None, 4]),
    )
    def is_born(
        self,
        misfire: str,
        overlap: str,
        delivery: str,
        attempts: int,
        jitter: int,
        pause_after: int | None,
        max_runs: int | None,
    ) -> None:
        self.spec = TaskSpec.model_validate(
            {
                "id": "life",
                "title": "Life",
                "type": "http",
                "schedule": "*/10 * * * *",
                "timeoutSeconds": 2000,
                "misfire": {"policy": misfire},
                "overlap": overlap,
                "delivery": delivery,
                "retry": {"maxAttempts": attempts, "minBackoffSeconds": 10, "maxBackoffSeconds": 60},
                "jitterSeconds": jitter,
                "pauseAfterFailures": pause_after,
                "maxRuns": max_runs,
            }
        )
        task = new_task(self.spec, now=self.now, origin="test")
        self.do(self.store.write([ConditionalWrite(task, None)]))

    @rule(minutes=st.integers(1, 45))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(outcome=st.sampled_from(sorted(OUTCOMES)))
    def the_pinger_pings(self, outcome: str) -> None:
        self.outcome = OUTCOMES[outcome]
        self.do(tick(self.parts(), BUDGET))

    @rule(
        when=st.sampled_from(["before the record", "after the record"]),
        outcome=st.sampled_from(sorted(OUTCOMES)),
    )
    def a_tick_dies_with_work_in_hand(self, when: str, outcome: str) -> None:
        """What was done is done; the claim stands until it expires."""
        self.outcome = OUTCOMES[outcome]
        self.store.kills = when
        with suppress(Killed):
            self.do(tick(self.parts(), BUDGET))
        self.store.kills = None
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
            with suppress(asyncio.CancelledError, Killed):
                self.do(task)

    @rule(minutes=st.integers(1, 30))
    def a_run_takes_its_time(self, minutes: int) -> None:
        """So long that the next occurrences come meanwhile."""
        self.outcome = OUTCOMES["succeeds"]
        self.takes = timedelta(minutes=minutes)
        self.do(tick(self.parts(), BUDGET))
        self.takes = timedelta()

    @rule(lasts=st.sampled_from([None, 25]))
    def somebody_pauses_it(self, lasts: int | None) -> None:
        until = self.now + timedelta(minutes=lasts) if lasts else None
        with suppress(InputError):
            self.do(task_commands.pause_task(self.store, "life", note="", until=until, by="me", **self.at()))

    @rule(catch_up=st.booleans())
    def somebody_resumes_it(self, catch_up: bool) -> None:
        with suppress(InputError):
            self.do(task_commands.resume_task(self.store, "life", catch_up=catch_up, **self.at()))

    @rule()
    def somebody_cancels_it(self) -> None:
        with suppress(InputError):
            self.do(task_commands.cancel_task(self.store, "life", **self.at()))

    @rule()
    def somebody_runs_it(self) -> None:
        with suppress(InputError):
            self.do(task_commands.request_run(self.store, "life", **self.at()))

    @precondition(lambda self: self.now > BORN + 2 * STEP)
    @rule(steps=st.integers(1, 4))
    def somebody_backfills_it(self, steps: int) -> None:
        with suppress(InputError):
            first = max(BORN, self.now - steps * STEP)
            self.do(task_commands.backfill_task(self.store, "life", first=first, until=self.now, **self.at()))

    @invariant()
    def its_state_makes_sense(self) -> None:
        task = self.task()
        assert (task.claim is not None) == (task.status is Status.RUNNING)
        if task.claim is not None:
            assert task.claim.until == task.next_run_at
        if task.status in (Status.RUNNING, Status.RETRYING):
            assert task.occurrence is not None
            assert task.attempt >= 1 or task.retry_at is not None
        else:
            assert task.occurrence is None
        if task.status in (Status.SCHEDULED, Status.RUNNING, Status.RETRYING):
            assert task.next_run_at is not None, "somebody must look at it again"
        if task.pause is not None:
            assert task.status in (Status.PAUSED, Status.RUNNING, Status.RETRYING, Status.QUARANTINED)

    @invariant()
    def every_occurrence_has_one_end_or_waits_for_it(self) -> None:
        task = self.task()
        ends = self.ends()
        waiting = self.waiting(task)
        for at in self.due(task):
            waits = at in waiting
            if task.status is Status.RUNNING and ends[at]:
                waits = False  # what was in hand when the process died may be on record and not settled yet
            assert 1 == ends[at] + waits, f"{at} has {ends[at]} ends, {'waits' * waits}"
        assert set(ends) <= set(self.due(task)), "nothing ended that was never due"

    @invariant()
    def no_occurrence_is_tried_more_often_than_allowed(self) -> None:
        most = 1 if self.spec.delivery == "at_most_once" else 30
        for key, number in self.attempts.items():
            if key in self.scheduled_keys():
                assert number <= most, key

    def due(self, task: Task) -> list[datetime]:
        found, at = [], NOON + STEP
        while at <= self.now:
            found.append(at)
            at += STEP
        return found

    def waiting(self, task: Task) -> set[datetime]:
        found = {extra.at for extra in task.backlog if extra.trigger not in REQUESTED_TRIGGERS}
        if task.occurrence is not None and task.trigger not in REQUESTED_TRIGGERS:
            found.add(task.occurrence)
        if task.missed is not None:
            found |= {at for at in self.due(task) if task.missed.first <= at <= task.missed.last}
        if task.next_occurrence is not None:
            return found | {at for at in self.due(task) if at >= task.next_occurrence}
        ended = self.ends()  # the limit of runs was reached: what comes after it is nobody's
        found |= {at for at in self.due(task) if at not in ended}
        return found

    def ends(self) -> Counter[datetime]:
        ends: Counter[datetime] = Counter()
        runs = self.runs()
        for run in runs:
            if run.final and run.skip_reason is None and run.trigger not in REQUESTED_TRIGGERS:
                ends[run.occurrence] += 1
        for run in runs:
            if run.skip_reason is not None and run.trigger not in REQUESTED_TRIGGERS:
                at, number = run.occurrence, run.count
                while number:
                    if ends[at] == 0 or run.last is None:
                        ends[at] += 1
                        number -= 1
                    at += STEP
                    assert number == 0 or run.last is None or at <= run.last
        return +ends

    def scheduled_keys(self) -> set[str]:
        return {f"life@{at.isoformat().replace('+00:00', 'Z')}" for at in self.due(self.task())}

    def runs(self) -> list[Run]:
        return self.do(self.store.runs(task_id="life", limit=1000))  # type: ignore[no-any-return]

    def task(self) -> Task:
        return self.do(self.store.get_tasks(["life"])).tasks[0].task  # type: ignore[no-any-return]

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def at(self) -> dict[str, Any]:
        return {"now": self.now, "new_id": lambda: f"person{next(self.names)}"}

    def parts(self) -> TickDependencies:
        return TickDependencies(
            store=self.store,
            run_task=self.perform,
            notify=self.tell,
            clock=lambda: self.now,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=lambda: 0.5,
        )

    async def perform(self, job: Job) -> Outcome:
        if job.trigger not in REQUESTED_TRIGGERS:
            self.attempts[job.idempotency_key] += 1
        self.now += self.takes
        return self.outcome

    async def tell(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        return [() for _ in notifications]


TestLifeOfATask = LifeOfATask.TestCase
TestLifeOfATask.settings = settings(
    max_examples=examples(25),
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
