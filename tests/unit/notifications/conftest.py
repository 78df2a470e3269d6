"""A factory of notices, a frozen clock, and the vendors' stand-ins on loopback."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import TrustedHttpClient
from tests.conftest import NOON
from tests.fakes.feishu_bot import FeishuBot
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.clock import Clock

MakeNotice = Callable[..., Notification]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_notice() -> MakeNotice:
    """Build a notice; a test names only the fields it is about."""

    def make(kind: str = "failure", task_id: str = "shop-front", **changes: Any) -> Notification:
        defaults: dict[str, Any] = {
            "id": f"{task_id}@2026-11-20T12:00:00Z#{kind}",
            "kind": kind,
            "task_id": task_id,
            "title": task_id.replace("-", " ").capitalize(),
            "type": "health_check_url",
            "schedule": "*/5 * * * *",
            "timezone": "Asia/Shanghai",
            "occurrence": NOON,
            "at": NOON,
            "summary": "Answered 503, expected 200",
        }
        return Notification.model_validate(defaults | changes)

    return make


@pytest.fixture
async def post() -> AsyncIterator[TrustedHttpClient]:
    """The real one."""
    post = TrustedHttpClient()
    yield post
    await post.close()


@pytest.fixture
async def feishu_bot(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[FeishuBot]]]:
    """Start a bot with the options given."""
    started: list[FeishuBot] = []

    async def start(**options: Any) -> FeishuBot:
        bot = FeishuBot(clock, **options)
        await bot.server.start_server()
        started.append(bot)
        return bot

    yield start
    for bot in started:
        await bot.server.close()


@pytest.fixture
async def receiver(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[WebhookReceiver]]]:
    """Start a receiver with the options given."""
    started: list[WebhookReceiver] = []

    async def start(**options: Any) -> WebhookReceiver:
        fake = WebhookReceiver(clock, **options)
        await fake.server.start_server()
        started.append(fake)
        return fake

    yield start
    for fake in started:
        await fake.server.close()
