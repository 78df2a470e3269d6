"""Credits in a tick, on the embedded store: set aside once a wave, counted once, told once."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.costs.credits import Account, PriceList
from functions.domain.costs.task_budget import CreditLimit, Spending
from functions.domain.run import Outcome, Run, failed, succeeded
from functions.domain.storage import ConditionalWrite, Document, VersionedTask, WriteResult
from functions.domain.task import Claim, Job, Retry, Task
from functions.domain.types import OutcomeKind, SkipReason, Status
from functions.engine.tick import tick
from functions.errors import StoreUnavailableError
from functions.interfaces import DocumentStore, TickDependencies
from functions.services.access.accounts import AccountStore
from functions.services.access.credits import StoredCreditLedger
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]
RATES = PriceList({"agent": 5}, per_1k_tokens=2)
FIVE_MINUTES = timedelta(minutes=5)


@dataclass
class World:
    """A store with priced agents in it; each attempt uses 1,500 tokens, which is 8 credits."""

    store: SqliteStore
    shelf: DocumentStore
    now: datetime = NOON
    rates: PriceList = RATES
    work: Callable[[Job], Awaitable[Outcome]] | None = None
    jobs: list[Job] = field(default_factory=list)
    told: list[Notification] = field(default_factory=list)
    names: Any = field(default_factory=lambda: count(1))

    @property
    def accounts(self) -> AccountStore:
        return AccountStore(self.shelf, clock=lambda: self.now)

    async def put(self, *tasks: Task) -> None:
        await self.store.write([ConditionalWrite(task, None) for task in tasks])

    async def task(self, task_id: str) -> Task:
        return (await self.store.get_tasks([task_id])).tasks[0].task

    async def account(self, owner: str = "ann") -> Account:
        return await self.accounts.get(owner)

    async def runs(self) -> list[Run]:
        return await self.store.runs()

    def parts(self) -> TickDependencies:
        return TickDependencies(
            store=self.store,
            run_task=self.perform,
            notify=self.tell,
            clock=lambda: self.now,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=random.Random(1).random,
            credits=StoredCreditLedger(self.accounts, self.rates, clock=lambda: self.now),
        )

    async def tick(self, parts: TickDependencies | None = None) -> dict[str, Any]:
        return (await tick(parts or self.parts(), TimeBudget(None, None))).as_json()

    async def perform(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return await self.work(job) if self.work else uses(1000, 500)

    async def tell(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.told += notifications
        return [() for _ in notifications]


def uses(prompt: int, completion: int) -> Outcome:
    return succeeded("Done", metrics={"promptTokens": prompt, "completionTokens": completion})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(str(tmp_path / "credits.db"))
    yield World(store, store)
    await store.close()


@pytest.fixture
def agent(make_task: MakeTask) -> MakeTask:
    def make(task_id: str, **changes: Any) -> Task:
        defaults: dict[str, Any] = {"type": "agent", "owner": "ann", "params": {"maxTokens": 10_000}}
        return make_task(task_id, **defaults | changes)

    return make


async def test_a_run_costs_what_it_used(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=100)
    await world.put(agent("a"))

    await world.tick()

    account = await world.account()
    assert (8.0, 0.0) == (account.used_credits, account.reserved_credits)
    [run] = await world.runs()
    assert (8.0, 8.0, 92.0) == tuple(
        run.metrics[name] for name in ("credits", "ownerCreditsUsed", "ownerCreditsLeft")
    )


async def test_an_owner_without_an_account_gets_one_without_a_limit(world: World, agent: MakeTask) -> None:
    await world.put(agent("a"))

    await world.tick()

    account = await world.account()
    assert (None, 8.0) == (account.monthly_credits, account.used_credits)
    assert "ownerCreditsLeft" not in (await world.runs())[0].metrics


async def test_what_costs_nothing_costs_no_operation(world: World, make_task: MakeTask) -> None:
    await world.put(*(make_task(f"t{n}", owner="ann") for n in range(30)))

    report = await world.tick()

    assert (30, 61) == (report["reads"], report["writes"])
    assert [] == (await world.accounts.list_accounts()).accounts


async def test_many_runs_of_one_owner_are_one_reservation(world: World, agent: MakeTask) -> None:
    """One read and one write before, one write after, however many they are."""
    await world.put(*(agent(f"a{n}") for n in range(30)))

    report = await world.tick()

    assert 30 * 8.0 == (await world.account()).used_credits
    assert (30 + 1, 61 + 2) == (report["reads"], report["writes"])


async def test_owners_do_not_share(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=0)
    await world.put(agent("a"), agent("b", owner="bob"), agent("n", owner=""))

    report = await world.tick()

    assert {"b", "n"} == {job.task_id for job in world.jobs}
    assert (2, 1, 8.0) == (report["succeeded"], report["skipped"], (await world.account("bob")).used_credits)
    assert ["ann", "bob"] == [account.name for account in (await world.accounts.list_accounts()).accounts]


async def test_spent_credits_skip_the_run_and_say_why(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.put(agent("a"))
    await world.tick()
    world.now += FIVE_MINUTES

    report = await world.tick()

    task, run = await world.task("a"), (await world.runs())[0]
    assert (1, 1) == (report["skipped"], len(world.jobs))
    assert (OutcomeKind.SKIPPED, SkipReason.BUDGET) == (run.outcome, run.skip_reason)
    assert run.summary.startswith("ann has used 8 of 10 credits of November 2026")
    assert (Status.SCHEDULED, NOON + 2 * FIVE_MINUTES) == (task.status, task.next_run_at)
    assert 0.0 == (await world.account()).reserved_credits


async def test_credits_given_elsewhere_are_seen_at_once(world: World, agent: MakeTask) -> None:
    """A process that remembers the account must not refuse from memory."""
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.put(agent("a"))
    parts = world.parts()
    await world.tick(parts)
    await world.accounts.set_plan("ann", monthly_credits=100)
    world.now += FIVE_MINUTES

    report = await world.tick(parts)

    assert (1, 0) == (report["succeeded"], report["skipped"])


async def test_a_new_month_goes_on(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.put(agent("a", misfire={"policy": "skip"}))
    await world.tick()
    world.now = datetime.fromisoformat("2026-12-01T00:00:00+00:00")

    await world.tick()

    account = await world.account()
    assert (2, "2026-12", 8.0) == (len(world.jobs), account.month, account.used_credits)


async def test_a_run_gets_the_tokens_that_are_left(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=15)
    await world.put(agent("a"))

    await world.tick()

    assert [5000] == [job.max_tokens for job in world.jobs]


async def test_a_task_stops_at_its_own_budget(world: World, agent: MakeTask) -> None:
    await world.put(agent("a", owner="", budget=CreditLimit(credits_per_run=9, credits_per_month=12)))

    for _ in range(3):
        await world.tick()
        world.now += FIVE_MINUTES

    task = await world.task("a")
    assert ([2000], Spending(month="2026-11", credits=8)) == (
        [job.max_tokens for job in world.jobs],
        task.credits_spent,
    )
    assert "This task has used 8 of 12 credits" in task.last_error
    assert [] == (await world.accounts.list_accounts()).accounts


async def test_credits_set_aside_elsewhere_leave_the_run_due(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=100)
    await world.accounts.update({"ann": lambda one: one.reserve("other.1", 96, until=NOON)})
    await world.put(agent("a"))

    first = await world.tick()
    await world.accounts.update({"ann": lambda one: one.charge("other.1", 3)})
    second = await world.tick()

    assert (1, 0) == (first["postponed"], first["started"])
    assert (1, 11.0) == (second["succeeded"], (await world.account()).used_credits)
    assert 1 == len(await world.runs())


async def test_each_attempt_costs(world: World, agent: MakeTask) -> None:
    await world.put(agent("a", retry=Retry(max_attempts=2, min_backoff_seconds=1, max_backoff_seconds=1)))
    world.work = _fails

    await world.tick()
    world.now += timedelta(seconds=2)
    await world.tick()

    assert (2, 14.0) == (len(world.jobs), (await world.account()).used_credits)


async def test_an_attempt_that_is_out_of_time_costs_what_was_set_aside(world: World, agent: MakeTask) -> None:
    await world.put(agent("a", timeout_seconds=0.01))
    world.work = _for_ever

    await world.tick()

    assert 25.0 == (await world.account()).used_credits


async def test_ticks_that_overlap_count_every_run(world: World, agent: MakeTask) -> None:
    await world.put(*(agent(f"a{n}") for n in range(40)))

    reports = await asyncio.gather(*(world.tick() for _ in range(4)))

    account = await world.account()
    assert 40 == len(world.jobs) == sum(report["succeeded"] for report in reports)
    assert (40 * 8.0, 0.0) == (account.used_credits, account.reserved_credits)


async def test_a_tick_never_spends_more_than_there_is(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=100)
    await world.put(*(agent(f"a{n}") for n in range(40)))
    world.work = _all_it_may

    for _ in range(4):
        await world.tick()

    account = await world.account()
    assert 94 < account.used_credits <= 100
    assert 0.0 == account.reserved_credits


# -- being told -------------------------------------------------------------------------------------------


async def test_people_hear_of_80_and_100_percent_once_each(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=40)
    await world.put(*(agent(f"a{n}", notify=()) for n in range(3)))

    for _ in range(4):
        await world.tick()
        world.now += FIVE_MINUTES

    words = [(notice.kind, notice.title, notice.summary.split(" are ")[0]) for notice in world.told]
    assert [
        ("credits", "ann", "32 of the 40 credits of November 2026"),
        ("credits", "ann", "The 40 credits of November 2026"),
    ] == [word for word in words if word[0] == "credits"]
    assert 100 == (await world.account()).notified_level


@pytest.mark.slow
async def test_results_written_at_the_same_time_tell_once(world: World, agent: MakeTask) -> None:
    """A hundred at a time: both batches count beyond 80 % before either is written."""
    await world.accounts.set_plan("ann", monthly_credits=122)
    await world.put(*(agent(f"h{n}", type="http", notify=()) for n in range(120)))
    world.rates = PriceList({"http": 1})

    await world.tick()

    assert ["owner.ann@2026-11#credits80"] == [one.id for one in world.told]
    assert 120.0 == (await world.account()).used_credits


async def test_a_new_month_is_told_of_anew(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.put(agent("a", schedule="0 0 1 * *", notify=()))

    await world.tick()
    world.now = datetime.fromisoformat("2026-12-01T00:00:00+00:00")
    await world.tick()

    assert ["owner.ann@2026-11#credits80", "owner.ann@2026-12#credits80"] == [one.id for one in world.told]


async def test_a_month_that_ends_meanwhile_leaves_the_new_one_untold(world: World, agent: MakeTask) -> None:
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.put(agent("a"))
    [stored] = (await world.store.get_tasks(["a"])).tasks
    claim = Claim(token="tick.1", until=NOON, started_at=NOON)
    claimed = VersionedTask(stored.task.model_copy(update={"claim": claim}), stored.revision)
    credits = world.parts().credits
    await credits.reserve([claimed])
    [charged] = await credits.charge([(claimed, uses(1000, 500))])
    world.now = datetime.fromisoformat("2026-12-01T00:00:00+00:00")

    await credits.mark_notified(charged.notifications)

    assert ("2026-12", 0) == ((await world.account()).month, (await world.account()).notified_level)
    assert ["owner.ann@2026-11#credits80"] == [notice.id for notice in charged.notifications]


async def test_a_notice_whose_tick_died_is_carried_by_another_run(world: World, agent: MakeTask) -> None:
    """The account counts before the task is written: what dies between the two has told nobody."""
    await world.accounts.set_plan("ann", monthly_credits=10)
    await world.accounts.update({"ann": lambda one: one.reserve("dead.1", 9, until=NOON).charge("dead.1", 9)})
    await world.put(agent("a", params={"maxTokens": 100}, notify=()))
    world.rates = PriceList({"agent": 0.5})

    await world.tick()

    assert ["owner.ann@2026-11#credits80"] == [one.id for one in world.told]
    assert 80 == (await world.account()).notified_level


# -- when things break ------------------------------------------------------------------------------------


class Broken:
    """A shelf that does not answer: the next *lost* writes are done in silence; *down*, nothing is done."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.lost = 0
        self.down = False

    async def get_documents(self, *given: Any) -> list[Document]:
        if self.down:
            raise StoreUnavailableError("down")
        return await self._store.get_documents(*given)

    async def list_documents(self, *given: Any, **named: Any) -> list[Document]:
        return await self._store.list_documents(*given, **named)

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        if self.down:
            raise StoreUnavailableError("down")
        answers = await self._store.put_documents(documents)
        if self.lost:
            self.lost -= 1
            raise StoreUnavailableError("no answer")
        return answers

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        return await self._store.delete_documents(documents)


async def test_answers_that_were_lost_change_no_sum(world: World, agent: MakeTask) -> None:
    world.shelf = broken = Broken(world.store)
    await world.put(agent("a"), agent("b"))
    broken.lost = 1

    async def loses(_: Job) -> Outcome:
        broken.lost = 1
        return uses(1000, 500)

    world.work = loses
    await world.tick()

    account = await world.account()
    assert (16.0, 0.0) == (account.used_credits, account.reserved_credits)


@pytest.mark.usefixtures("retries_at_once")
async def test_accounts_out_of_reach_leave_priced_runs_due_and_no_others(
    world: World, agent: MakeTask, make_task: MakeTask
) -> None:
    world.shelf = broken = Broken(world.store)
    await world.put(agent("a"), make_task("free"))
    broken.down = True

    first = await world.tick()
    broken.down = False
    second = await world.tick()

    assert (1, 1) == (first["succeeded"], first["postponed"])
    assert ["free", "a"] == [job.task_id for job in world.jobs]
    assert 1 == second["succeeded"]


@pytest.mark.usefixtures("retries_at_once")
async def test_a_result_is_written_when_it_cannot_be_counted_and_counted_later(
    world: World, agent: MakeTask
) -> None:
    world.shelf = broken = Broken(world.store)
    await world.put(
        agent("a"), agent("b", next_run_at=NOON + FIVE_MINUTES, next_occurrence=NOON + FIVE_MINUTES)
    )
    parts = world.parts()

    async def breaks(_: Job) -> Outcome:
        broken.down = True
        return uses(1000, 500)

    world.work = breaks
    report = await world.tick(parts)
    before = await world.store.get_documents("owners", ["ann"])
    broken.down, world.work = False, None
    world.now += FIVE_MINUTES
    await world.tick(parts)

    assert (1, 8.0) == (report["succeeded"], (await world.runs())[-1].metrics["credits"])
    assert "usedCredits" not in before[0].data
    account = await world.account()
    assert (3, 24.0, 0.0) == (len(world.jobs), account.used_credits, account.reserved_credits)


async def test_a_process_that_died_leaves_a_reservation_that_expires(world: World, agent: MakeTask) -> None:
    await world.put(agent("a"))
    died = asyncio.Event()

    async def dies(_: Job) -> Outcome:
        died.set()
        return await _for_ever(_)

    world.work = dies
    ticking = asyncio.create_task(world.tick())
    await died.wait()
    before = await world.account()
    world.now += timedelta(hours=1)
    after = await world.account()

    assert (25.0, 0.0) == (before.reserved_credits, after.reserved_credits)
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


async def test_an_account_nobody_can_read_is_told_and_stops_no_other(world: World, agent: MakeTask) -> None:
    await world.store.put_documents([Document("owners", "ann", {"usedCredits": "many"})])
    await world.put(agent("a"), agent("b", owner="bob"))

    report = await world.tick()

    assert (1, 1) == (report["skipped"], report["succeeded"])
    assert "The account of ann cannot be read: usedCredits is wrong" in (await world.task("a")).last_error


async def _fails(_: Job) -> Outcome:
    return failed("no", metrics={"promptTokens": 1000, "completionTokens": 0})


async def _for_ever(_: Job) -> Outcome:
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody waits for ever")


async def _all_it_may(job: Job) -> Outcome:
    tokens = job.max_tokens if job.max_tokens is not None else 10_000
    return uses(tokens, 0)
