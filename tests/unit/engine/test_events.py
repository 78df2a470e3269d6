"""Tasks that start on events and after others: each end is heard once, whoever dies on the way."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.cloud_events import CloudEvent
from functions.domain.events import After, Dependent, Event, OnEvent
from functions.domain.lifecycle.edit import new_task, queue_runs
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult, WriteStatus
from functions.domain.task import Job, Pause, Task, TaskSpec
from functions.domain.types import Status, Trigger
from functions.engine.tick import tick
from functions.errors import InputError
from functions.interfaces import AttemptSlots, TickDependencies
from functions.services.dependencies import all_subscribers, check_links, subscribers, sync_links
from functions.services.events import PublishResult, publish_event
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)
UNLIMITED = TimeBudget(None, None)
PAID = Event(id="7", type="order.paid", source="shop", time=NOON, data={"total": 12})


@dataclass
class World:
    """A store, and what surrounds a tick on it."""

    store: SqliteStore
    over: Any = None  # what stands in front of the store
    now: datetime = NOON
    jobs: list[Job] = field(default_factory=list)
    published: list[CloudEvent] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    ticks: int = 0

    async def make(self, task_id: str, **changes: Any) -> Task:
        """Make a task as people do, links included."""
        given = {"id": task_id, "title": task_id, "type": "http", "params": {}} | changes
        spec = TaskSpec.model_validate(given)
        task = new_task(spec, now=self.now - MINUTE, origin="test")
        async with sync_links(self.store, spec):
            [written] = await self.store.write([ConditionalWrite(task, None)])
        assert written.status is WriteStatus.APPLIED
        return task

    async def task(self, task_id: str) -> Task:
        return (await self.store.get_tasks([task_id])).tasks[0].task

    async def tick(self, budget: TimeBudget = UNLIMITED, **changes: Any) -> dict[str, Any]:
        self.ticks += 1
        parts = TickDependencies(
            store=self.over or self.store,
            run_task=self.perform,
            notify=self.tell,
            clock=self.clock,
            new_tick_id=lambda: f"tick{self.ticks}",
            random=lambda: 0.5,
            publish=self.publish,
            subscribers=partial(subscribers, self.store),
        )
        return (await tick(replace(parts, **changes), budget)).as_json()

    def clock(self) -> datetime:
        """The present moment: never the same twice."""
        self.now += timedelta(microseconds=1)
        return self.now

    async def perform(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.outcomes.get(job.task_id, succeeded(f"Done {job.task_id}"))

    async def tell(self, notifications: Sequence[Any], *, within: timedelta) -> list[tuple[str, ...]]:
        return [() for _ in notifications]

    async def publish(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        self.published += [event for event in events if not event.type.startswith("cronfire.")]
        return 0

    async def announce(self, event: Event) -> PublishResult:
        now = self.clock()
        return await publish_event(self.store, event, now=now, new_id=lambda: f"a{now:%H%M%S%f}")

    @property
    def ran(self) -> list[str]:
        return [job.task_id for job in self.jobs]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(str(tmp_path / "events.db"))
    yield World(store)
    await store.close()


# -- after ---------------------------------------------------------------------------------------------


async def test_a_follower_runs_in_the_same_tick_and_knows_why(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch"}])

    report = await world.tick()

    assert ["fetch", "report"] == world.ran
    assert (2, 2) == (report["started"], report["succeeded"])
    job = world.jobs[1]
    assert job.event is not None
    assert Trigger.EVENT is job.trigger
    assert ("cronfire.run.finished", "fetch") == (job.event.type, job.event.subject)
    assert ("succeeded", "Done fetch") == (job.event.data["outcome"], job.event.data["summary"])
    [run] = await world.store.runs(task_id="report")
    assert "cronfire.run.finished from fetch" == run.cause


async def test_a_follower_that_was_postponed_already_is_counted_once(world: World) -> None:
    """It was counted where the tick had no room for it, and again when it was due by the event as well."""
    await world.make("fetch", schedule="* * * * *", priority="urgent")
    await world.make("report", schedule="* * * * *", after=[{"task": "fetch"}])
    report = await world.task("report")
    known = report.model_copy(update={"recent": "succeeded 15000 2026-11-20T11:58:00Z"})
    [stored] = (await world.store.get_tasks(["report"])).tasks
    await world.store.write([ConditionalWrite(known, stored.revision)])

    async def fetch(job: Job) -> Outcome:
        world.now += timedelta(seconds=12)  # of 22.5
        return await world.perform(job)

    slots, room = AttemptSlots(1), TimeBudget(timedelta(seconds=18), timedelta(seconds=24))
    done = await world.tick(room, run_task=fetch, slots=slots)

    assert (["fetch"], 1, 1) == (world.ran, done["succeeded"], done["postponed"])


async def test_a_task_without_a_schedule_waits_and_is_not_over(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")
    made = await world.make("report", after=[{"task": "fetch"}])

    await world.tick()

    assert (Status.SCHEDULED, None) == (made.status, made.next_run_at)
    after = await world.task("report")
    assert (Status.SCHEDULED, None, None) == (after.status, after.next_run_at, after.event)
    assert () == (await world.task("fetch")).outbox.events


@pytest.mark.parametrize(
    ("on", "outcome", "runs"),
    [
        ("success", succeeded("Fine"), True),
        ("success", failed("No", permanent=True), False),
        ("failure", succeeded("Fine"), False),
        ("failure", failed("No", permanent=True), True),
        ("finished", failed("No", permanent=True), True),
        ("finished", succeeded("Fine"), True),
    ],
)
async def test_only_the_end_that_is_wanted_starts_a_follower(
    world: World, on: str, outcome: Outcome, runs: bool
) -> None:
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch", "on": on}])
    world.outcomes["fetch"] = outcome

    await world.tick()

    assert runs is ("report" in world.ran)


async def test_an_attempt_that_is_tried_again_is_no_end(world: World) -> None:
    await world.make("fetch", schedule="0 12 * * *")
    await world.make("alarm", after=[{"task": "fetch", "on": "failure"}])
    world.outcomes["fetch"] = failed("Not now")

    await world.tick()

    assert ["fetch"] == world.ran


async def test_a_chain_runs_to_its_end_in_one_tick(world: World) -> None:
    await world.make("a", schedule="* * * * *")
    for before, task_id in (("a", "b"), ("b", "c"), ("c", "d")):
        await world.make(task_id, after=[{"task": before}])

    await world.tick()

    assert ["a", "b", "c", "d"] == world.ran
    assert [1, 2, 3] == [job.event.hops for job in world.jobs if job.event]


@pytest.mark.slow
async def test_runs_that_wait_in_a_task_with_followers_run_in_one_tick(world: World) -> None:
    """Each delivery of an end writes the task once more, after it was noted that it is due again."""
    await world.make("fetch", schedule="0 0 1 1 *")
    await world.make("report", after=[{"task": "fetch"}])
    await world.make("send", after=[{"task": "report"}])
    [stored] = (await world.store.get_tasks(["fetch"])).tasks
    asked = [NOON - number * MINUTE for number in range(2, 7)]
    changes = queue_runs(stored.task, asked, Trigger.BACKFILL, now=NOON).changes
    await world.store.write([ConditionalWrite.for_changes(stored, changes)])

    report = await world.tick()

    assert {"fetch": 5, "report": 5, "send": 5} == Counter(world.ran)
    assert (15, 0) == (report["succeeded"], report["lostClaims"])


async def test_events_that_wait_in_a_task_with_followers_run_in_one_tick(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}])
    await world.make("ship", after=[{"task": "pack"}])
    for number in range(4):
        await world.announce(PAID.model_copy(update={"id": f"{number}"}))

    report = await world.tick()

    assert {"pack": 4, "ship": 4} == Counter(world.ran)
    assert 0 == report["lostClaims"]


async def test_a_run_nobody_follows_costs_what_it_did(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")

    report = await world.tick()

    assert (1, 3) == (report["reads"], report["writes"])


async def test_a_follower_costs_its_run_and_two_writes_more(world: World) -> None:
    """One read and one write bring it the event, one write strikes that out of the outbox."""
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch"}])

    report = await world.tick()

    assert (1 + 1, (2 + 1) + (2 + 1) + 2) == (report["reads"], report["writes"])


async def test_somebody_who_waits_for_one_task_does_not_wait_for_its_followers(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch"}])

    await world.tick(run_dependents=False)

    assert ["fetch"] == world.ran
    await world.tick()
    assert ["fetch", "report"] == world.ran


# -- what can go wrong on the way --------------------------------------------------------------------------


class DiedError(BaseException):
    """The process is gone: nobody catches that."""


class Dying:
    """A store whose *n*-th write is the last thing that is done, or not even that."""

    def __init__(self, inner: Any, deadly: int, *, applied: bool) -> None:
        self._inner = inner
        self._left = deadly
        self._applied = applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        return await self.write_with_runs(None, writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        self._left -= 1
        if self._left < 0 or (self._left == 0 and not self._applied):
            raise DiedError
        written: list[WriteResult] = await self._inner.write_with_runs(batch, writes)
        if self._left == 0:
            raise DiedError
        return written


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("deadly", range(1, 8))
async def test_an_end_is_heard_once_wherever_a_tick_dies(world: World, deadly: int, applied: bool) -> None:
    """Each write fails in turn, applied or not; later ticks heal it, and nobody hears the same end twice."""
    await world.make("fetch", schedule="0 12 * * *")
    await world.make("report", after=[{"task": "fetch", "on": "finished"}])
    await world.make("ledger", after=[{"task": "report", "on": "finished"}])
    world.over = Dying(world.store, deadly, applied=applied)

    with suppress(DiedError):
        await world.tick()
    world.over = None
    for _ in range(12):
        world.now += MINUTE
        await world.tick()

    for task_id in ("fetch", "report", "ledger"):
        runs = await world.store.runs(task_id=task_id)
        assert 1 == len({run.occurrence for run in runs}), task_id
        assert 1 == sum(run.final and run.outcome != "abandoned" for run in runs), task_id
        assert () == (await world.task(task_id)).outbox.events


async def test_the_end_of_a_run_known_from_the_ledger_alone_is_heard_too(world: World) -> None:
    """The tick died between record and settlement: who settles from the record tells the followers."""
    await world.make("fetch", schedule="0 12 * * *")
    await world.make("report", after=[{"task": "fetch"}])

    class Records:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

        async def write_with_runs(
            self, entry: RunBatch | None, writes: Sequence[ConditionalWrite]
        ) -> list[WriteResult]:
            if entry is None:
                return await world.store.write_with_runs(None, writes)
            await world.store.write_with_runs(entry, [])
            raise DiedError

    world.over = Records()
    with suppress(DiedError):
        await world.tick()
    world.over = None
    world.now += 2 * MINUTE
    await world.tick()

    assert ["fetch", "report"] == world.ran


async def test_a_follower_that_was_deleted_is_let_go(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch"}])
    [stored] = (await world.store.get_tasks(["report"])).tasks
    await world.store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])

    await world.tick()

    assert ["fetch"] == world.ran
    assert () == (await world.task("fetch")).outbox.events


async def test_a_paused_follower_has_it_on_record(world: World) -> None:
    await world.make("fetch", schedule="* * * * *")
    await world.make("report", after=[{"task": "fetch"}])
    [stored] = (await world.store.get_tasks(["report"])).tasks
    changes = {"status": Status.PAUSED, "pause": Pause(note="Holiday")}
    await world.store.write([ConditionalWrite.for_changes(stored, changes)])

    report = await world.tick()

    assert ["fetch"] == world.ran
    [run] = await world.store.runs(task_id="report")
    assert ("skipped", "paused") == (run.outcome, run.skip_reason)
    assert 1 == report["skipped"]


# -- events of the users' own --------------------------------------------------------------------------------


async def test_all_who_listen_run_on_an_event_and_no_others(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}])
    await world.make("thank", onEvent=[{"type": "order.paid", "source": "shop"}])
    await world.make("other-shop", onEvent=[{"type": "order.paid", "source": "market"}])
    await world.make("refund", onEvent=[{"type": "order.cancelled"}])

    announced = await world.announce(PAID)
    await world.tick()

    assert ("pack", "thank") == announced.started
    assert ["pack", "thank"] == sorted(world.ran)
    assert world.jobs[0].event is not None
    assert {"total": 12} == world.jobs[0].event.data


async def test_the_same_event_is_heard_once_however_often_it_comes(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}])

    await world.announce(PAID)
    await world.tick()
    again = await world.announce(PAID)
    await world.tick()

    assert PublishResult(duplicate=("pack",)) == again
    assert ["pack"] == world.ran


async def test_events_wait_for_one_another_whatever_overlap_says(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}], overlap="skip")

    for number in range(5):
        await world.announce(PAID.model_copy(update={"id": str(number)}))
    await world.tick()

    assert ["0", "1", "2", "3", "4"] == [job.event.id for job in world.jobs if job.event]


@pytest.mark.slow
async def test_more_events_than_may_wait_are_skipped_on_record(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}])

    for number in range(52):
        await world.announce(PAID.model_copy(update={"id": str(number)}))

    assert 50 == len((await world.task("pack")).backlog)
    assert ["overlap"] * 2 == [run.skip_reason for run in await world.store.runs(task_id="pack")]


async def test_an_event_for_one_task_reaches_that_one(world: World) -> None:
    await world.make("pack", onEvent=[{"type": "order.paid"}])
    await world.make("thank", onEvent=[{"type": "order.paid"}])

    await world.announce(PAID.model_copy(update={"to": "thank"}))
    await world.tick()

    assert ["thank"] == world.ran


async def test_an_event_for_a_task_that_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(InputError, match="to: there is no task 'nobody'"):
        await world.announce(PAID.model_copy(update={"to": "nobody"}))


async def test_the_events_of_one_owner_start_no_tasks_of_another(world: World) -> None:
    await world.make("alices", onEvent=[{"type": "order.paid"}], owner="alice")
    await world.make("bobs", onEvent=[{"type": "order.paid"}], owner="bob")

    announced = await world.announce(PAID.model_copy(update={"owner": "alice"}))

    assert ("alices",) == announced.started


async def test_nobody_sends_the_schedulers_own_events(world: World) -> None:
    with pytest.raises(InputError, match="own events"):
        await world.announce(PAID.model_copy(update={"type": "cronfire.run.finished"}))


async def test_an_event_that_a_task_sends_reaches_listeners_and_the_topic(world: World) -> None:
    await world.make("sell", schedule="* * * * *")
    await world.make("pack", onEvent=[{"type": "order.paid", "source": "sell"}])
    sent = PAID.model_copy(update={"source": "sell"})
    world.outcomes["sell"] = succeeded("Sold", events=(sent,))

    await world.tick()

    assert ["sell", "pack"] == world.ran
    assert [("7", "order.paid", {"total": 12})] == [
        (event.id, event.type, event.data) for event in world.published
    ]
    assert () == (await world.task("sell")).outbox.events


@pytest.mark.slow
async def test_tasks_that_start_one_another_by_events_come_to_an_end(world: World) -> None:
    """Nobody can see such a circle beforehand; it ends after twenty events, on record."""
    await world.make("ping", schedule="0 12 * * *", onEvent=[{"type": "pong"}])
    await world.make("pong", onEvent=[{"type": "ping"}])

    async def answer(job: Job) -> Outcome:
        world.jobs.append(job)
        event = Event(id=f"{job.idempotency_key}", type=job.task_id, source=job.task_id, time=world.now)
        return succeeded("Sent", events=(event,))

    for _ in range(5):
        await world.tick(run_task=answer)
        world.now += MINUTE

    assert 21 == len(world.jobs)
    skipped = [run for run in await world.store.runs() if run.skip_reason == "config"]
    assert ["20 events led to one another; do these tasks start in a circle?"] == [
        run.summary for run in skipped
    ]


# -- links ---------------------------------------------------------------------------------------------


async def test_links_follow_what_people_write(world: World) -> None:
    await world.make("a", schedule="* * * * *")
    await world.make("b", schedule="* * * * *")
    task = await world.make("c", after=[{"task": "a"}], onEvent=[{"type": "x"}, {"type": "y"}])
    assert (Dependent(task="c", on="success"),) == (await world.task("a")).dependents
    assert {"x": ("c",), "y": ("c",)} == await all_subscribers(world.store)
    changes = {"after": (After(task="b", on="failure"),), "on_event": (OnEvent(type="y"),)}
    written = TaskSpec.model_validate(task.model_dump(include=set(TaskSpec.model_fields)))
    changed = written.model_copy(update=changes)

    async with sync_links(world.store, changed, before=task):
        pass

    assert () == (await world.task("a")).dependents
    assert (Dependent(task="c", on="failure"),) == (await world.task("b")).dependents
    assert {"y": ("c",)} == await all_subscribers(world.store)


async def test_what_runs_after_nothing_is_refused(world: World) -> None:
    with pytest.raises(InputError, match=r"after\.0\.task: there is no task 'nobody'"):
        await world.make("report", after=[{"task": "nobody"}])


async def test_a_circle_is_refused_and_named(world: World) -> None:
    await world.make("a", schedule="* * * * *")
    await world.make("b", after=[{"task": "a"}])
    await world.make("c", after=[{"task": "b"}])
    spec = TaskSpec.model_validate(
        {"id": "a", "title": "a", "type": "http", "schedule": "* * * * *", "after": [{"task": "c"}]}
    )

    with pytest.raises(InputError, match=r"circle: .*a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c"):
        await check_links(world.store, [spec], known={"a": spec})


async def test_a_task_that_is_followed_is_not_removed(world: World) -> None:
    await world.make("a", schedule="* * * * *")
    await world.make("b", after=[{"task": "a"}])

    with pytest.raises(InputError, match="a: b run after it"):
        async with sync_links(world.store, None, before=await world.task("a")):
            raise AssertionError("it must not come this far")
