"""One message per channel, and which channels still lack it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.redaction import Redactor
from functions.http_client import request_sent
from functions.http_client.trusted import PostError, TrustedHttpClient
from functions.interfaces import Notify
from functions.notifications import create_channels
from functions.notifications.channel import Channel, SendResult
from functions.notifications.dispatcher import NotificationDispatcher
from tests.fakes.feishu_bot import FeishuBot
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice

StartBot = Callable[..., Awaitable[FeishuBot]]
StartReceiver = Callable[..., Awaitable[WebhookReceiver]]

TEN_S = timedelta(seconds=10)


class Recorder:
    """A channel that does as it is told and remembers what it was given."""

    recognises_repeats = False

    def __init__(self, name: str, answer: SendResult | Exception | None = None) -> None:
        self.name = name
        self.answer = answer or SendResult(ok=True)
        self.messages: list[list[Notification]] = []

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        self.messages.append(list(notifications))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Silent(Recorder):
    """A channel that never answers."""

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        await asyncio.Event().wait()
        raise AssertionError("it waits for ever")


def teller_of(clock: Clock, *channels: Channel, secrets: Sequence[str] = ()) -> NotificationDispatcher:
    return NotificationDispatcher(
        {channel.name: channel for channel in channels}, clock=clock, redact=Redactor(secrets)
    )


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    return [
        (record.levelname, record.message, getattr(record, "channel", ""))
        for record in caplog.records
        if record.name.startswith("functions.")
    ]


async def test_each_channel_gets_one_message_worst_first(clock: Clock, make_notice: MakeNotice) -> None:
    first, second = Recorder("first"), Recorder("second")
    kinds = ["success", "news", "recovery", "paused", "failure"]
    tell: Notify = teller_of(clock, first, second)

    left = await tell([make_notice(kind) for kind in kinds], within=TEN_S)

    assert [()] * 5 == left
    assert [kinds[::-1]] == [[notice.kind for notice in message] for message in first.messages]
    assert first.messages == second.messages


async def test_notice_goes_where_it_says(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Recorder("first"), Recorder("second")
    notices = [
        make_notice(task_id="everywhere"),
        make_notice(task_id="named", channels=("second",)),
        make_notice(task_id="both", channels=("default", "second")),
        make_notice(task_id="nobody", channels=("nobody",)),
    ]

    left = await teller_of(clock, first, second)(notices, within=TEN_S)

    assert [()] * 4 == left
    assert [["everywhere", "both"]] == [[notice.task_id for notice in message] for message in first.messages]
    assert [["everywhere", "named", "both"]] == [
        [notice.task_id for notice in message] for message in second.messages
    ]
    assert [] == events(caplog)


@pytest.mark.parametrize(
    "answer",
    [
        SendResult(ok=False, detail="HTTP 503"),
        PostError("no answer"),
        RuntimeError("https://canary"),
        KeyError("x"),
    ],
)
async def test_failing_channel_is_tried_again_and_others_are_not_told_twice(
    answer: SendResult | Exception, clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = Recorder("broken", answer), Recorder("fine")

    left = await teller_of(clock, broken, fine)(
        [make_notice(), make_notice(task_id="b", channels=("fine",))], within=TEN_S
    )

    assert [("broken",), ()] == left
    assert ("WARNING", "notice_failed", "broken") in events(caplog)
    assert "canary" not in caplog.text


async def test_a_channel_that_crashes_is_logged_with_the_place_and_without_the_text(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = Recorder("broken", KeyError("https://canary")), Recorder("fine")

    await teller_of(clock, broken, fine)([make_notice()], within=TEN_S)

    crashes = [record for record in caplog.records if record.message == "channel_crashed"]
    assert {("ERROR", "broken", "KeyError")} == {
        (record.levelname, record.__dict__["channel"], record.__dict__["error"]) for record in crashes
    }
    assert all("in send" in record.__dict__["trace"] for record in crashes)
    assert "canary" not in str([vars(record) for record in crashes])
    assert [1] == [len(message) for message in fine.messages]


async def test_refusal_for_good_is_logged_once_and_done(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = Recorder(
        "refusing", SendResult(ok=False, permanent=True, detail="code 19021: check the secret")
    )

    left = await teller_of(clock, refusing)([make_notice(), make_notice(task_id="b")], within=TEN_S)

    assert [(), ()] == left
    assert [("WARNING", "notice_refused", "refusing")] == events(caplog)


async def test_default_channels_stand_for_an_unknown_one(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    fine = Recorder("fine")
    notices = [make_notice(task_id=name, channels=("typo",)) for name in ("a", "b")]

    left = await teller_of(clock, fine)(notices, within=TEN_S)

    assert [(), ()] == left
    assert [("WARNING", "channel_unknown", "typo")] == events(caplog)
    assert 1 == len(fine.messages)


async def test_silent_channel_costs_no_more_than_the_time_there_is(
    clock: Clock, make_notice: MakeNotice
) -> None:
    fine = Recorder("fine")

    left = await teller_of(clock, Silent("silent"), fine)([make_notice()], within=timedelta(seconds=0.05))

    assert [("silent",)] == left
    assert 1 == len(fine.messages)


@pytest.mark.parametrize("connects", [True, False])
async def test_message_that_never_got_a_connection_is_not_one_that_may_have_arrived(
    connects: bool, clock: Clock
) -> None:
    """Three of those that may have arrived are the last: a vendor out of reach would lose its notices."""

    class Slow(Silent):
        async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
            request_sent.set(connects)
            return await super().send(notifications, now)

    sent = await teller_of(clock, Slow("slow")).test("slow", within=timedelta(milliseconds=10))

    assert (False, connects) == (sent.ok, sent.unconfirmed)


async def test_what_was_accepted_of_a_message_is_not_sent_again(
    clock: Clock, make_notice: MakeNotice
) -> None:
    notices = [make_notice(task_id=name) for name in ("a", "b")]
    busy = SendResult(ok=False, accepted=frozenset({notices[0].id}), detail="HTTP 429")

    left = await teller_of(clock, Recorder("pager", busy))(notices, within=TEN_S)

    assert [(), ("pager",)] == left


async def test_cancellation_passes_through(clock: Clock, make_notice: MakeNotice) -> None:
    telling = asyncio.ensure_future(teller_of(clock, Silent("silent"))([make_notice()], within=TEN_S))
    await asyncio.sleep(0)

    telling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await telling


async def test_channel_that_asks_to_wait_is_left_alone_until_then(
    clock: Clock, make_notice: MakeNotice
) -> None:
    """Some vendors ban who does not listen."""
    busy = Recorder("busy", SendResult(ok=False, retry_after=timedelta(seconds=90)))
    tell = teller_of(clock, busy)

    first = await tell([make_notice()], within=TEN_S)
    clock.move(seconds=60)
    second = await tell([make_notice()], within=TEN_S)
    clock.move(seconds=30)
    busy.answer = SendResult(ok=True)
    third = await tell([make_notice()], within=TEN_S)

    assert [("busy",), ("busy",), ()] == [*first, *second, *third]
    assert 2 == len(busy.messages)


async def test_without_channels_all_is_done_and_said_once(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tell = teller_of(clock)

    left = [await tell([make_notice()], within=TEN_S) for _ in range(3)]

    assert [[()]] * 3 == left
    assert [("INFO", "no_channel_set_up", "")] == events(caplog)


async def test_nothing_to_say_is_not_said(clock: Clock) -> None:
    channel = Recorder("channel")

    assert [] == await teller_of(clock, channel)([], within=TEN_S)
    assert [] == channel.messages


async def test_loss_in_a_message_that_arrived_is_logged(
    clock: Clock, make_notice: MakeNotice, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Recorder("channel", SendResult(ok=True, detail="sent as plain text"))

    await teller_of(clock, channel)([make_notice()], within=TEN_S)

    assert [("WARNING", "notice_sent", "channel")] == events(caplog)


async def test_secrets_are_masked_before_any_channel_sees_them(clock: Clock, make_notice: MakeNotice) -> None:
    channel = Recorder("channel")
    items = ({"title": "canary-secret", "text": "canary-secret", "url": "https://e.com/?key=public"},)
    notice = make_notice("news", title="canary-secret", summary="is canary-secret", items=items)

    await teller_of(clock, channel, secrets=["canary-secret"])([notice], within=TEN_S)

    (said,) = channel.messages[0]
    assert ("***", "is ***") == (said.title, said.summary)
    assert ({"title": "***", "text": "***", "url": "https://e.com/?key=public"},) == said.items


async def test_tick_of_many_failures_is_one_message_at_each_vendor(
    clock: Clock,
    make_notice: MakeNotice,
    feishu_bot: StartBot,
    receiver: StartReceiver,
    post: TrustedHttpClient,
) -> None:
    bot, hook = await feishu_bot(secret="test-secret"), await receiver(secret="raw-secret")
    settings = {
        "FEISHU_WEBHOOK_URL": bot.url,
        "FEISHU_WEBHOOK_SECRET": "test-secret",
        "WEBHOOK_URL": hook.url,
        "WEBHOOK_SECRET": "raw-secret",
    }
    tell = NotificationDispatcher(create_channels(settings, post), clock=clock, redact=Redactor())
    notices = [make_notice(task_id=f"shop-{number}") for number in range(500)]

    left = await tell(notices, within=TEN_S)

    assert [()] * 500 == left
    assert (1, 1) == (len(bot.messages), len(hook.messages))


async def test_vendor_out_of_reach_leaves_only_itself_to_be_told(
    clock: Clock,
    make_notice: MakeNotice,
    feishu_bot: StartBot,
    receiver: StartReceiver,
    post: TrustedHttpClient,
) -> None:
    bot, hook = await feishu_bot(), await receiver(answer=(503, {"Retry-After": "5"}))
    settings = {"FEISHU_WEBHOOK_URL": bot.url, "WEBHOOK_URL": hook.url}
    tell = NotificationDispatcher(create_channels(settings, post), clock=clock, redact=Redactor())

    first = await tell([make_notice()], within=TEN_S)
    hook.answer = (204, {})
    clock.move(minutes=1)
    second = await tell([make_notice(channels=first[0])], within=TEN_S)

    assert [[("webhook",)], [()]] == [first, second]
    assert (1, 2) == (bot.requests, len(hook.messages))
