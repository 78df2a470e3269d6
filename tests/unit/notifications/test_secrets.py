"""Canaries: the addresses and keys of channels appear in no log, no answer, no error, on no path."""

import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.redaction import Redactor
from functions.http_client.trusted import PostError, TrustedHttpClient
from functions.notifications import create_channels
from functions.notifications.dispatcher import NotificationDispatcher
from tests.fakes.feishu_bot import FeishuBot
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice

StartBot = Callable[..., Awaitable[FeishuBot]]
StartReceiver = Callable[..., Awaitable[WebhookReceiver]]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that refuses connections for as long as the test lasts."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def dumb_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def said(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged: messages, fields, tracebacks."""
    return "\n".join(str(record.__dict__) + logging.Formatter().format(record) for record in caplog.records)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{closed}/open-apis/bot/v2/hook/canary-token",
        "http://127.0.0.1:{dumb}/open-apis/bot/v2/hook/canary-token",
        "https://127.0.0.1:{closed}/canary-token",
        "http://canary-token.invalid/hook",
        "http://127.0.0.1:99999/canary-token",
        "http://xn--/canary-token",
        "http://canary-token/",
        "not an address canary-token",
        "ftp://canary-token/",
    ],
)
async def test_vendor_that_cannot_be_reached_gives_nothing_away(
    address: str,
    closed_port: int,
    dumb_port: int,
    clock: Clock,
    make_notice: MakeNotice,
    post: TrustedHttpClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = address.format(closed=closed_port, dumb=dumb_port)
    settings = {
        "FEISHU_WEBHOOK_URL": url,
        "FEISHU_WEBHOOK_SECRET": "canary-secret",
        "WEBHOOK_URL": url,
        "WEBHOOK_SECRET": "canary-secret",
    }
    channels = create_channels(settings, post)
    tell = NotificationDispatcher(channels, clock=clock, redact=Redactor())

    left = await tell([make_notice()], within=timedelta(seconds=0.3))

    assert [tuple(channels)] == left
    assert "canary" not in said(caplog)
    assert "canary" not in repr(channels) + repr(post) + repr(left)


@pytest.mark.parametrize("code", [0, 11246, 19021, 19001, 11232])
async def test_whatever_the_vendor_answers_gives_nothing_away(
    code: int,
    clock: Clock,
    make_notice: MakeNotice,
    post: TrustedHttpClient,
    feishu_bot: StartBot,
    receiver: StartReceiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "functions")
    bot = await feishu_bot(refuse_cards=code, secret="canary-secret")
    hook = await receiver(secret="another-secret", answer=(302, {"Location": "https://canary.example/"}))
    settings: dict[str, Any] = {
        "FEISHU_WEBHOOK_URL": bot.url,
        "FEISHU_WEBHOOK_SECRET": "canary-secret",
        "WEBHOOK_URL": hook.url,
        "WEBHOOK_SECRET": "canary-other another-secret",
    }
    tell = NotificationDispatcher(create_channels(settings, post), clock=clock, redact=Redactor())

    left = await tell([make_notice()], within=timedelta(seconds=10))

    assert 1 == len(hook.messages)
    assert "canary" not in str([r.__dict__ for r in caplog.records if r.name.startswith("functions")])
    assert "canary" not in repr(left)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{closed}/canary", "http://127.0.0.1:{dumb}/canary", "canary"]
)
async def test_error_of_a_post_does_not_show_the_address(
    url: str, closed_port: int, dumb_port: int, post: TrustedHttpClient
) -> None:
    with pytest.raises(PostError) as caught:
        await post(url.format(closed=closed_port, dumb=dumb_port), headers={}, body=b"", timeout_s=0.2)

    shown = logging.Formatter().formatException((caught.type, caught.value, None))
    assert "canary" not in str(caught.value) + repr(caught.value) + shown
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
