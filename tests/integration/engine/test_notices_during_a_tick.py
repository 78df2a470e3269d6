"""A tick notifies while its longest attempt still runs, and repeats nothing that another tick delivered."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.cloud_events import CloudEvent
from functions.engine import steps
from tests.integration.engine.conftest import MINUTE, Installation

NO_LIMIT = TimeBudget(None, None)
CLOSED = "http://127.0.0.1:9"


class Receiver:
    """Takes notifications and events, and says when the first has come."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.notified = asyncio.Event()
        self.published = asyncio.Event()

    async def notify(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.kinds += [f"{one.task_id} {one.kind}" for one in notifications]
        self.notified.set()
        return [()] * len(notifications)

    async def publish(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        self.published.set()
        return 0


@pytest.fixture
def receiver(installation: Installation) -> Receiver:
    receiver = Receiver()
    app = installation.app
    app.tick_dependencies = replace(
        app.tick_dependencies, notify=receiver.notify, routing=None, publish=receiver.publish
    )
    return receiver


async def _begin(installation: Installation) -> asyncio.Task[dict[str, object]]:
    """Start a tick that has no limit, with a task that fails at once and one that takes its time."""
    await installation.put("long", path="held/0", timeoutSeconds=600)
    installation.address = CLOSED
    await installation.put("fails", path="x", retry={"maxAttempts": 1})
    return asyncio.create_task(installation.tick(NO_LIMIT))


async def test_nobody_waits_for_the_longest_attempt_of_a_tick(
    installation: Installation, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notifications and callbacks used to come when the whole tick was over: with `serve`, after an hour."""
    monkeypatch.setattr(steps, "NOTIFY_EVERY", timedelta(seconds=0.1))
    running = await _begin(installation)

    async with asyncio.timeout(30):
        await receiver.notified.wait()
        await receiver.published.wait()
        while (await installation.task("fails")).alert.pending:  # noqa: ASYNC110  # a store sets no event
            await asyncio.sleep(0.02)

    assert ["fails failure"] == receiver.kinds
    assert not running.done()
    installation.released.set()
    assert 1 == (await running)["succeeded"]
    assert ["fails failure"] == receiver.kinds


async def test_what_another_tick_has_delivered_meanwhile_is_not_sent_again(
    installation: Installation, receiver: Receiver
) -> None:
    """A recovery that another tick told was followed by the failure, once more, as the first one ended."""
    running = await _begin(installation)
    async with asyncio.timeout(20):
        while not (await installation.task("fails")).alert.pending:  # noqa: ASYNC110  # a store sets no event
            await asyncio.sleep(0.02)

    installation.pass_time(2 * MINUTE)
    await installation.tick()
    installation.released.set()
    await running

    assert ["fails failure"] == receiver.kinds
