"""Channels as people set them, with the real engine: what is held, switched off, told, and read how often."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import ConditionalWrite, Document, VersionedTask
from functions.domain.task import Job
from functions.errors import InputError, StoreUnavailableError
from functions.notifications import channel_config_hashes
from functions.notifications.channel import SendResult
from functions.services.channels import ChannelService
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice
from tests.unit.notifications.engine import MINUTE, Engine, Listener

HOUR = timedelta(hours=1)
GONE = SendResult(ok=False, permanent=True, detail="HTTP 410: the hook is gone")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    clock = Clock()
    clock.now = NOON - MINUTE
    engine = Engine({name: Listener(name, clock) for name in ("chat", "mail")}, clock)
    yield engine
    await engine.store.close()


def breaks(first: timedelta, until: timedelta) -> Callable[[Job], Outcome]:
    """Work that fails from *first* after noon to *until*."""

    def work(job: Job) -> Outcome:
        return (
            failed("Answered 503") if NOON + first <= job.scheduled_at < NOON + until else succeeded("Fine")
        )

    return work


async def set_up(engine: Engine, name: str = "chat", **settings: Any) -> None:
    await engine.channels.update_settings(name, lambda _: ChannelPreferences.model_validate(settings))


async def maintain(engine: Engine, until: timedelta, name: str = "chat", **window: Any) -> None:
    await set_up(engine, name, maintenance=[{"from": NOON, "to": NOON + until} | window])


def kinds(engine: Engine, name: str = "chat") -> list[list[str]]:
    return engine.listeners[name].kinds


# -- holding ---------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_is_held_comes_as_one_message_when_the_channel_opens(engine: Engine) -> None:
    engine.work = breaks(timedelta(), 9 * HOUR)
    await maintain(engine, 6 * HOUR)
    await engine.put(*({"title": f"Shop {number}", "schedule": "0 * * * *"} for number in range(5)))

    await engine.live(NOON + 8 * HOUR)

    assert [(NOON + 6 * HOUR, 5)] == [(at, len(sent)) for at, sent in engine.listeners["chat"].messages]
    assert (NOON, 5) == (
        engine.listeners["mail"].messages[0][0],
        len(engine.listeners["mail"].messages[0][1]),
    )
    assert [["reminder"] * 5] == kinds(engine)  # the newest word of each stands for all before it


@pytest.mark.slow
@pytest.mark.parametrize(("lasts", "expected"), [(HOUR, []), (3 * HOUR, [["recovery"]])])
async def test_failure_that_is_over_when_the_channel_opens_is_told_only_if_it_was_long(
    lasts: timedelta, expected: list[list[str]], engine: Engine
) -> None:
    engine.work = breaks(timedelta(), lasts)
    await maintain(engine, 6 * HOUR)
    await engine.put({"title": "Shop"})

    await engine.live(NOON + 7 * HOUR)

    assert expected == kinds(engine)
    assert "failure" in kinds(engine, "mail")[0]
    assert "recovery" in kinds(engine, "mail")[-1]


async def test_urgent_task_and_tasks_that_are_not_maintained_are_told_at_once(engine: Engine) -> None:
    engine.work = breaks(timedelta(), HOUR)
    await maintain(engine, 6 * HOUR, tags=["web"])
    await engine.put(
        {"title": "Held", "tags": ["web"]},
        {"title": "Urgent", "tags": ["web"], "priority": "urgent"},
        {"title": "Free"},
    )

    await engine.live(NOON + MINUTE)

    told = {notice.task_id for _, sent in engine.listeners["chat"].messages for notice in sent}
    assert {"urgent", "free"} == told


async def test_held_notice_costs_its_task_nothing_until_the_channel_opens(engine: Engine) -> None:
    """It would be an ugly surprise if a maintenance window raised the bill of a task of every minute."""
    engine.work = breaks(timedelta(), 9 * HOUR)
    await maintain(engine, 6 * HOUR)
    await set_up(engine, "mail", enabled=False)
    await engine.put(
        {"title": "Shop", "schedule": "* * * * *", "notify": [{"on": ["failure"], "remind": "never"}]}
    )
    await engine.live(NOON + 2 * MINUTE)
    engine.reports.clear()

    await engine.live(NOON + 10 * MINUTE)

    assert {(1, 3)} == {(report["reads"], report["writes"]) for report in engine.reports}
    assert [] == kinds(engine)


@pytest.mark.slow
async def test_channel_that_is_down_is_not_asked_at_every_run(engine: Engine) -> None:
    """Twenty tries are a day, not the twenty runs of twenty minutes."""
    engine.work = breaks(timedelta(), HOUR * 9)
    engine.listeners["chat"].answer = SendResult(ok=False, detail="HTTP 503")
    await engine.put(
        {"title": "Shop", "schedule": "* * * * *", "notify": [{"on": ["failure"], "remind": "never"}]}
    )

    await engine.live(NOON + 50 * MINUTE)
    tries = (await engine.task("shop")).alert.delivery_attempts
    engine.listeners["chat"].answer = SendResult(ok=True)
    await engine.live(NOON + 2 * HOUR)

    assert (6, [["failure"]]) == (tries, kinds(engine))
    assert [["failure"]] == kinds(engine, "mail")


async def test_rate_of_a_channel_is_kept_and_nothing_is_lost_by_it(engine: Engine) -> None:
    await set_up(engine, ratePerMinute=1)
    await engine.put(*({"title": name, "schedule": "@yearly"} for name in ("a", "b")))
    engine.work = breaks(-HOUR, HOUR)
    for task_id in ("a", "b"):
        [stored] = (await engine.store.get_tasks([task_id])).tasks
        await engine.store.write([_due_now(stored, engine.clock.now)])
        await engine.tick()

    engine.clock.move(minutes=1)
    await engine.tick()

    assert [["failure"], ["failure"]] == kinds(engine)
    assert [NOON - MINUTE, NOON] == [at for at, _ in engine.listeners["chat"].messages]


def _due_now(stored: VersionedTask, now: datetime) -> ConditionalWrite:
    return ConditionalWrite.for_changes(stored, {"next_occurrence": now, "next_run_at": now})


# -- switched off ----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_channel_whose_vendor_refuses_for_good_is_switched_off_and_the_others_hear_once(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.work = breaks(timedelta(), 5 * HOUR)
    engine.listeners["chat"].answer = GONE
    await engine.put({"title": "Shop"})

    await engine.live(NOON + HOUR / 2)
    engine.restart()
    await engine.live(NOON + 2 * HOUR)

    state = (await engine.channels.settings())["chat"]
    assert state.disabled is not None
    assert ("HTTP 410: the hook is gone", ()) == (state.disabled.reason, state.disabled.undelivered)
    assert [["failure"], ["channel"], ["reminder"]] == kinds(engine, "mail")
    assert "scheduler channels enable chat" in engine.listeners["mail"].messages[1][1][0].summary
    assert 1 == sum(record.message == "channel_disabled" for record in caplog.records)


async def test_word_of_a_channel_switched_off_survives_the_process(engine: Engine) -> None:
    await engine.channels.disable_refused("chat", "gone")
    engine.restart()
    engine.work = breaks(timedelta(), HOUR)
    await engine.put({"title": "Shop"})

    await engine.live(NOON + MINUTE)

    assert [["failure"], ["channel"]] == kinds(engine, "mail")


async def test_channel_stays_off_until_somebody_enables_it_or_changes_its_settings(engine: Engine) -> None:
    await engine.channels.disable_refused("chat", "gone")
    seen = []
    for change in ("nothing", "fingerprint", "back", "enable"):
        if change == "fingerprint":
            engine.fingerprints["chat"] = "two"
        if change == "back":
            engine.fingerprints["chat"] = "one"
        engine.restart()
        if change == "enable":
            await engine.channels.enable("chat")
        seen.append(engine.channels.is_open("chat", (await engine.channels.settings())["chat"]))

    assert [False, True, False, True] == seen


async def test_notice_for_channels_that_are_all_off_is_logged(
    engine: Engine, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.channels.disable("chat")

    [way] = await engine.channels.route([make_notice(channels=("chat",))])

    assert ((), {}) == (way.send_now, way.hold)
    assert ["notice_dropped"] == [record.message for record in caplog.records]


# -- reading ---------------------------------------------------------------------------------------------


class CountingShelf:
    """A shelf that counts what it is asked, and fails when told to."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store
        self.reads = 0
        self.down = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get_documents(self, kind: Any, ids: Any) -> list[Document]:
        self.reads += 1
        if self.down:
            raise StoreUnavailableError("The store does not answer")
        return await self._store.get_documents(kind, ids)


async def test_documents_are_read_once_a_minute_and_only_when_there_is_something_to_say(
    engine: Engine, make_notice: MakeNotice
) -> None:
    shelf = CountingShelf(engine)
    channels = ChannelService(shelf, {"chat": "one"}, clock=engine.clock)
    reads = []
    for _ in range(4):
        await channels.route([make_notice()])
        reads.append(shelf.reads)
        engine.clock.move(seconds=30)

    assert [1, 1, 2, 2] == reads


async def test_tick_without_notices_costs_what_it_did(engine: Engine) -> None:
    await engine.put({"title": "Shop"})

    await engine.live(NOON + MINUTE)

    assert [(1, 3)] == [(report["reads"], report["writes"]) for report in engine.reports]


async def test_store_that_does_not_answer_holds_nothing_back(
    engine: Engine, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = CountingShelf(engine)
    shelf.down = True
    channels = ChannelService(shelf, {"chat": "one"}, clock=engine.clock)

    [way] = await channels.route([make_notice()])
    await channels.disable_refused("chat", "gone")

    assert ("chat",) == way.send_now
    assert ["channels_unread", "channel_not_noted"] == [record.message for record in caplog.records]


async def test_document_nobody_can_read_silences_nobody(
    engine: Engine, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.store.put_documents(
        [Document("channels", "chat", {"quiet": "s3cret-canary", "enabled": False})]
    )

    [way] = await engine.channels.route([make_notice()])

    assert ("chat", "mail") == way.send_now
    assert [["quiet"]] == [getattr(record, "fields", None) for record in caplog.records]
    assert "canary" not in str([record.__dict__ for record in caplog.records])


async def test_change_of_somebody_else_meanwhile_is_kept(engine: Engine) -> None:
    others = ChannelService(engine.store, {"chat": "one"}, clock=engine.clock)
    await others.settings()

    await engine.channels.update_settings("chat", lambda old: old.model_copy(update={"rate_per_minute": 9}))
    await others.disable("chat")

    settings = (await engine.channels.settings())["chat"]
    assert (False, 9) == (settings.enabled, settings.rate_per_minute)


async def test_there_must_be_such_a_channel(engine: Engine) -> None:
    with pytest.raises(InputError, match="there is no channel 'typo'; there is chat, mail"):
        await engine.channels.enable("typo")


def test_fingerprint_changes_with_the_settings_and_shows_none_of_them() -> None:
    marks = [
        channel_config_hashes({"WEBHOOK_URL": url, "OTHER": other}, ["webhook"])["webhook"]
        for url, other in (("https://a.example", "1"), ("https://b.example", "1"), ("https://a.example", "2"))
    ]

    assert marks[0] == marks[2] != marks[1]
    assert all(len(mark) == 8 for mark in marks)


@pytest.mark.slow
async def test_vendor_that_asks_for_patience_is_left_alone_and_costs_no_try(engine: Engine) -> None:
    engine.work = breaks(timedelta(), HOUR)
    engine.listeners["chat"].answer = SendResult(ok=False, retry_after=10 * MINUTE)
    await engine.put({"title": "Shop", "schedule": "* * * * *"})
    await engine.live(NOON + 2 * MINUTE)
    engine.listeners["chat"].answer = SendResult(ok=True)

    await engine.live(NOON + 20 * MINUTE)

    assert [NOON + 10 * MINUTE] == [at for at, _ in engine.listeners["chat"].messages]
