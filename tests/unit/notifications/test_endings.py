"""Who was notified of a failure is notified of its end, and a task that stays silent is noticed again."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from functions.domain.lifecycle.complete import Transition, pause, resume
from functions.domain.lifecycle.edit import edit_task
from functions.domain.run import failed, succeeded
from functions.domain.storage import ConditionalWrite
from functions.domain.task import TaskSpec
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.notifications.engine import MINUTE, Engine, Listener

SHOP: dict[str, Any] = {"id": "shop", "title": "Shop front"}
QUIET = {"quiet": [{"from": "12:20", "to": "20:00"}]}


@pytest.fixture
async def engine(clock: Clock) -> AsyncIterator[Engine]:
    """Every run fails, until `heal`."""
    people = {name: Listener(name, clock) for name in ("chat", "pager")}
    engine = Engine(people, clock, work=lambda job: failed("Answered 503"))
    yield engine
    await engine.store.close()


def heal(engine: Engine) -> None:
    engine.work = lambda job: succeeded("Answered 200")


def a_spec(**fields: Any) -> TaskSpec:
    whole = SHOP | {"type": "health_check_url", "schedule": "*/15 * * * *", "retry": {"maxAttempts": 1}}
    return TaskSpec.model_validate(whole | fields)


async def change(engine: Engine, transition: Any) -> None:
    """Write what *transition* makes of the only task."""
    stored = (await engine.store.get_tasks(["shop"])).tasks[0]
    made: Transition = transition(stored.task, now=engine.clock())
    await engine.store.write(
        [ConditionalWrite(stored.task.model_copy(update=dict(made.changes)), stored.revision)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("summary", ["Answered 503", "Cannot connect"])
async def test_recovery_in_quiet_hours_reaches_who_has_the_failure_from_before_them(
    engine: Engine, summary: str
) -> None:
    """What quiet hours hold of a failure, a reminder or another error, is not all that there is of it."""
    await engine.put(SHOP)
    await engine.channels.update_settings("chat", lambda old: type(old).model_validate(QUIET))
    await engine.live(NOON + 20 * MINUTE)
    engine.work = lambda job: failed(summary)
    await engine.live(NOON + 80 * MINUTE)
    heal(engine)
    await engine.live(NOON + 10 * 60 * MINUTE)

    assert [["failure"], ["recovery"]] == engine.listeners["chat"].kinds


async def test_pause_that_came_before_any_failure_was_notified_of_ends_with_a_recovery(
    engine: Engine,
) -> None:
    rules = [{"on": ["failure", "recovery"], "after": 5}]
    await engine.put(SHOP | {"pauseAfterFailures": 2, "notify": rules})
    await engine.live(NOON + 60 * MINUTE)
    heal(engine)
    await change(engine, resume)
    await engine.live(NOON + 120 * MINUTE)

    assert [["paused"], ["recovery"]] == engine.listeners["pager"].kinds


async def test_channel_that_rules_name_no_more_gets_the_recovery_of_its_failure(engine: Engine) -> None:
    rule = {"on": ["failure", "recovery"]}
    await engine.put(a_spec(notify=[rule | {"channels": ["pager"]}]).model_dump(exclude_unset=True))
    await engine.live(NOON + 20 * MINUTE)
    await change(engine, partial(edit_task, spec=a_spec(notify=[rule | {"channels": ["chat"]}])))
    heal(engine)
    await engine.live(NOON + 60 * MINUTE)
    engine.work = lambda job: failed("Answered 503")
    await engine.live(NOON + 80 * MINUTE)
    heal(engine)
    await engine.live(NOON + 120 * MINUTE)

    assert [["failure"], ["recovery"]] == engine.listeners["pager"].kinds
    assert [["recovery"], ["failure"], ["recovery"]] == engine.listeners["chat"].kinds


async def test_recovery_after_a_pause_reaches_who_was_notified_from_a_later_failure_on(
    engine: Engine,
) -> None:
    """The end of a pause resets the count: the rule with the lowest `after` alone was known to be reached."""
    rule = {"on": ["failure", "recovery"]}
    rules = [rule | {"channels": ["chat"]}, rule | {"channels": ["pager"], "after": 3}]
    await engine.put(SHOP | {"pauseAfterFailures": 5, "notify": rules})
    await engine.live(NOON + 90 * MINUTE)
    heal(engine)
    await change(engine, resume)
    await engine.live(NOON + 120 * MINUTE)

    assert [["failure"], ["paused"], ["recovery"]] == engine.listeners["pager"].kinds
    assert ["recovery"] == engine.listeners["chat"].kinds[-1]


async def test_task_that_was_silent_and_is_resumed_is_noticed_when_it_stays_silent(engine: Engine) -> None:
    """No reminder follows a pause, so the failures from before it are no reason to say nothing."""
    await engine.put(SHOP | {"schedule": "0 0 1 1 *", "expectSeconds": 3600})
    await engine.live(NOON + 70 * MINUTE)
    await change(engine, lambda task, now: pause(task, note="Moving", until=None, by="alice", now=now))
    await change(engine, resume)
    await engine.live(NOON + 140 * MINUTE)

    assert [["silent"], ["silent"]] == engine.listeners["chat"].kinds
