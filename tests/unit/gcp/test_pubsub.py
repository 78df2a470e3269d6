"""Events on their way to Pub/Sub: what is said of a run, once a tick, and what follows if it is not taken."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from functions.app.factories import build_google_api
from functions.domain.cloud_events import CloudEvent
from functions.domain.events import RUN_FINISHED, TASK_PAUSED
from functions.domain.run import Outcome, failed
from functions.domain.task import Job, Task
from functions.gcp.pubsub import BATCH_SIZE, PubSubPublisher
from functions.http_client.trusted import TrustedHttpClient
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.serving import free_port
from tests.unit.engine.test_tick import MINUTE, World

MakeTask = Callable[..., Task]
TOPIC = "projects/cronfire-test/topics/events"
WITHIN = timedelta(seconds=20)


@dataclass
class FakePublish:
    """Hears everything, or loses it."""

    loses: bool = False
    batches: list[list[CloudEvent]] = field(default_factory=list)
    within: timedelta | None = None

    async def __call__(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        self.batches.append(list(events))
        self.within = within
        return len(events) if self.loses else 0


@pytest.fixture
def heard() -> FakePublish:
    return FakePublish()


@pytest.fixture
async def world(tmp_path: Path, heard: FakePublish) -> AsyncIterator[World]:
    store = SqliteStore(str(tmp_path / "tick.db"))
    yield World(store, publish=heard)
    await store.close()


async def test_the_runs_of_a_tick_are_published_together(
    world: World, heard: FakePublish, make_task: MakeTask
) -> None:
    await world.put(*(make_task(f"t{n}") for n in range(30)))

    report = await world.tick()

    [events] = heard.batches
    assert {f"t{n}" for n in range(30)} == {event.subject for event in events}
    assert {(RUN_FINISHED, "succeeded")} == {(event.type, event.data["outcome"]) for event in events}
    assert "publishFailures" not in report


async def test_an_event_has_the_id_of_its_run(world: World, heard: FakePublish, make_task: MakeTask) -> None:
    """Who hears of a run twice knows it by its id."""
    await world.put(make_task("ping"))

    await world.tick()

    [[event]] = heard.batches
    [run] = await world.store.runs(task_id="ping")
    assert run.key == event.id
    assert ("2026-11-20T12:00:00Z", 1, True) == tuple(
        event.data[name] for name in ("occurrence", "attempt", "final")
    )


async def test_a_task_that_is_paused_is_an_event(
    world: World, heard: FakePublish, make_task: MakeTask
) -> None:
    async def fail(_: Job) -> Outcome:
        return failed("Answered 503", permanent=True)

    world.work = fail
    await world.put(make_task("ping", pause_after_failures=1, retry={"max_attempts": 1}))

    await world.tick()

    [[run, paused]] = heard.batches
    assert ("failed", TASK_PAUSED, "ping") == (run.data["outcome"], paused.type, paused.subject)
    assert paused.data["by"] == "scheduler"


async def test_an_idle_tick_publishes_nothing(world: World, heard: FakePublish, make_task: MakeTask) -> None:
    await world.put(make_task(next_run_at=NOON + MINUTE))

    await world.tick()

    assert [] == heard.batches


async def test_events_that_are_lost_fail_no_tick_and_are_counted(
    world: World, heard: FakePublish, make_task: MakeTask
) -> None:
    heard.loses = True
    await world.put(make_task("a"), make_task("b"))

    report = await world.tick()

    assert ("ok", 2, 2) == (report["status"], report["succeeded"], report["publishFailures"])


# -- over the wire ---------------------------------------------------------------------------------------


def event(number: int = 0) -> CloudEvent:
    return CloudEvent(f"e{number}", RUN_FINISHED, "ping", NOON, {"summary": "Größe 中 \ud800", "n": number})


@pytest.fixture
async def post() -> AsyncIterator[TrustedHttpClient]:
    one = TrustedHttpClient()
    yield one
    await one.close()


def publisher(host: str, post: TrustedHttpClient, topic: str = TOPIC) -> PubSubPublisher:
    api = build_google_api("", host, post, clock=lambda: NOON)
    return PubSubPublisher(api, topic, source="https://cronfire.example.com", scheduler_id="0123abcd")


async def test_a_topic_that_is_down_is_logged_and_raises_nothing(
    post: TrustedHttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await publisher(f"127.0.0.1:{free_port()}", post)([event()], within=WITHIN)

    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (1, "events_not_published", 1) == (lost, record.getMessage(), vars(record)["count"])


async def test_a_topic_that_hangs_costs_no_more_than_its_time(post: TrustedHttpClient) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    app = web.Application()
    app.router.add_post("/{path:.*}", hang)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"

    events = [event(number) for number in range(BATCH_SIZE + 1)]
    lost = await publisher(host, post)(events, within=timedelta(seconds=0.1))

    await runner.cleanup()
    assert BATCH_SIZE + 1 == lost
