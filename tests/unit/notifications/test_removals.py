"""A task that is removed while people know of its failure: they have the end of it, whatever happens then."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from functions.domain.access import Principal
from functions.domain.lifecycle.complete import resume
from functions.domain.run import failed, succeeded
from functions.domain.storage import ConditionalWrite, TaskFilter, WriteStatus
from functions.errors import ConflictError, StoreUnavailableError
from functions.notifications.channel import SendResult
from functions.services.apply import apply_plan
from functions.services.removal import remove_stored
from functions.services.tasks import TaskService
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.notifications.engine import MINUTE, Engine, Listener
from tests.unit.notifications.test_killed_ticks import Killed, Life, MortalListener, MortalStore

SHOP: dict[str, Any] = {"id": "shop", "title": "Shop front"}
QUIET = {"quiet": [{"from": "12:20", "to": "20:00"}]}
DOWN = SendResult(ok=False, detail="HTTP 503")


@pytest.fixture
async def engine(clock: Clock) -> AsyncIterator[Engine]:
    """Every run fails."""
    people = {name: Listener(name, clock) for name in ("chat", "pager")}
    engine = Engine(people, clock, work=lambda job: failed("Answered 503"))
    yield engine
    await engine.store.close()


def service_of(engine: Engine) -> TaskService:
    author = Principal(id="k", name="alice", scopes=frozenset({"read", "run", "write"}))
    names = engine.names
    return TaskService(engine.store, author, clock=engine.clock, new_id=lambda: f"id{next(names)}")


async def remove(engine: Engine) -> None:
    """As the command line, the API, the dashboard and assistants do."""
    await service_of(engine).delete("shop")


async def prune(engine: Engine) -> None:
    """Apply a file that has the task no more."""
    stored = (await engine.store.get_tasks(["shop"])).tasks[0]
    of_file = stored.task.model_copy(update={"origin": "file:shop"})
    await engine.store.write([ConditionalWrite(of_file, stored.revision)])
    names = engine.names
    await apply_plan(
        engine.store, [], origin="file:shop", now=engine.clock(), new_id=lambda: f"id{next(names)}"
    )


async def ids(engine: Engine) -> list[str]:
    return [stored.task.id for stored in (await engine.store.list_tasks(TaskFilter())).tasks]


@pytest.mark.parametrize(("way", "by"), [(remove, "alice"), (prune, "apply")])
async def test_who_has_the_failure_of_a_removed_task_has_its_end_and_nothing_is_left(
    engine: Engine, way: Callable[[Engine], Awaitable[None]], by: str
) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    await way(engine)
    await engine.tick()

    assert [["failure"], ["removed"]] == engine.listeners["pager"].kinds
    [end] = engine.listeners["chat"].messages[-1][1]
    assert ("shop", f"by {by}; last: Answered 503") == (end.task_id, end.summary)
    assert [] == await ids(engine)
    await engine.live(NOON + 48 * 60 * MINUTE)
    assert [["failure"], ["removed"]] == engine.listeners["pager"].kinds


async def test_removal_of_a_task_that_is_well_writes_and_says_nothing(engine: Engine) -> None:
    engine.work = lambda job: succeeded("Answered 200")
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    await remove(engine)

    assert [] == await ids(engine)
    assert [] == engine.listeners["chat"].kinds


async def test_removal_leaves_nothing_where_there_is_no_channel(clock: Clock) -> None:
    """As with a store on one's own machine: what was removed is gone at once."""
    engine = Engine({}, clock, work=lambda job: failed("Answered 503"))
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    await remove(engine)
    left = await ids(engine)
    await engine.store.close()

    assert [] == left


async def test_what_a_removal_leaves_says_what_it_is_and_takes_no_place_of_the_owner(engine: Engine) -> None:
    await engine.put(SHOP | {"owner": "ann"})
    await engine.live(NOON + 20 * MINUTE)
    await remove(engine)
    [left] = (await engine.store.list_tasks(TaskFilter())).tasks

    assert "Last notifications of shop" == left.task.title
    assert 0 == await engine.store.count_tasks(TaskFilter(owner="ann"))
    await engine.tick()
    [end] = engine.listeners["chat"].messages[-1][1]
    assert ("removed", "Shop front") == (end.kind, end.title)


async def test_channel_that_is_down_at_the_removal_has_the_end_when_it_is_back(engine: Engine) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    engine.listeners["pager"].answer = DOWN
    await remove(engine)
    await engine.live(NOON + 180 * MINUTE)
    engine.restart()
    engine.listeners["pager"].answer = SendResult(ok=True)
    await engine.live(NOON + 300 * MINUTE)

    assert [["failure"], ["removed"]] == engine.listeners["pager"].kinds
    assert [["failure"], ["removed"]] == engine.listeners["chat"].kinds
    assert [] == await ids(engine)


async def test_recovery_that_a_channel_lacks_survives_the_removal(engine: Engine) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    engine.listeners["pager"].answer = DOWN
    engine.work = lambda job: succeeded("Answered 200")
    await engine.live(NOON + 40 * MINUTE)
    await remove(engine)
    engine.listeners["pager"].answer = SendResult(ok=True)
    await engine.live(NOON + 120 * MINUTE)

    assert [["failure"], ["recovery"]] == engine.listeners["pager"].kinds


async def test_quiet_hours_hold_the_end_of_what_is_known_and_drop_what_nobody_knows(engine: Engine) -> None:
    await engine.put(SHOP, SHOP | {"id": "new", "title": "New", "startAt": "2026-11-20T12:25:00Z"})
    for name in engine.listeners:
        await engine.channels.update_settings(name, lambda old: type(old).model_validate(QUIET))
    await engine.live(NOON + 40 * MINUTE)
    await remove(engine)
    await service_of(engine).delete("new")
    await engine.live(NOON + 9 * 60 * MINUTE)

    assert [["failure"], ["removed"]] == engine.listeners["chat"].kinds
    assert [] == await ids(engine)


async def test_flapping_that_a_removal_ends_is_over_as_well(engine: Engine) -> None:
    turns = iter(range(1000))
    engine.work = lambda job: failed("Answered 503") if next(turns) % 2 else succeeded("Answered 200")
    await engine.put(SHOP)
    await engine.live(NOON + 130 * MINUTE)
    assert "flapping" == engine.listeners["pager"].kinds[-1][0]
    await remove(engine)
    await engine.tick()

    assert ["removed"] == engine.listeners["pager"].kinds[-1]


async def test_failure_that_rules_tell_of_and_whose_end_they_do_not_want_has_no_end(engine: Engine) -> None:
    await engine.put(SHOP | {"notify": [{"on": ["failure"], "channels": ["chat"]}]})
    await engine.live(NOON + 20 * MINUTE)
    await remove(engine)
    await engine.tick()

    assert [["failure"]] == engine.listeners["chat"].kinds


async def test_task_that_was_resumed_and_has_not_run_again_still_owes_the_end(engine: Engine) -> None:
    await engine.put(SHOP | {"pauseAfterFailures": 1})
    await engine.live(NOON + 20 * MINUTE)
    stored = (await engine.store.get_tasks(["shop"])).tasks[0]
    changes = resume(stored.task, now=engine.clock()).changes
    await engine.store.write([ConditionalWrite.for_changes(stored, changes)])
    await remove(engine)
    await engine.tick()

    assert ["removed"] == engine.listeners["pager"].kinds[-1]


@pytest.mark.parametrize("point", range(1, 14))
async def test_ticks_that_are_killed_after_a_removal_lose_no_end(clock: Clock, point: int) -> None:
    chat = MortalListener(clock)
    engine = Engine({"chat": chat}, clock, work=lambda job: failed("Answered 503"))
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    await remove(engine)
    life = Life(ends_at=point)
    chat.life, engine.engine_store = life, MortalStore(engine.store, life)
    try:
        await engine.tick()
    except Killed:
        chat.life, engine.engine_store = Life(ends_at=10**9), engine.store
        engine.restart()
    await engine.live(NOON + 30 * MINUTE)

    assert life.points < 13  # all there are
    assert ["failure", "removed"] == list(dict.fromkeys(kind for kinds in chat.kinds for kind in kinds))
    assert len(chat.kinds) <= 3
    assert [] == await ids(engine)
    await engine.store.close()


async def test_removal_that_another_writer_overtakes_says_nothing(engine: Engine) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    seen = (await engine.store.get_tasks(["shop"])).tasks[0]
    changed = ConditionalWrite.for_changes(seen, {"run_count": 7})
    await engine.store.write([changed])

    assert WriteStatus.CONFLICT is await remove_stored(engine.store, seen, by="bob", now=engine.clock())
    assert ["shop"] == await ids(engine)


async def test_prune_that_another_writer_overtakes_says_nothing(engine: Engine) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    write = engine.store.write_with_runs
    overtaken: list[str] = []

    async def overtake(batch: Any, writes: Any) -> Any:
        if any(one.delete for one in writes) and not overtaken:
            stored = (await engine.store.get_tasks(["shop"])).tasks[0]
            overtaken.append(stored.task.id)
            await write(None, [ConditionalWrite.for_changes(stored, {"run_count": 7})])
        return await write(batch, writes)

    engine.store.write_with_runs = overtake  # type: ignore[method-assign]
    with pytest.raises(ConflictError, match="apply again"):
        await prune(engine)

    assert ["shop"] == await ids(engine)


async def test_task_stays_when_the_store_does_not_say_that_its_end_is_written(engine: Engine) -> None:
    await engine.put(SHOP)
    await engine.live(NOON + 20 * MINUTE)
    write = partial(type(engine.store).write, engine.store)

    async def lose_the_reply(writes: Any) -> Any:
        written = await write(writes)
        is_end = writes[0].task.id != "shop" and not writes[0].delete
        return [type(one)(WriteStatus.UNKNOWN) for one in written] if is_end else written

    engine.store.write = lose_the_reply  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError, match="did not say"):
        await remove(engine)

    assert "shop" in await ids(engine)
