"""What becomes of a notice that a channel refuses, loses, or cannot take: with the real engine."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.http_client.trusted import HttpResponse, PostError, TrustedHttpClient
from functions.notifications import create_channels
from functions.notifications.channel import SendResult
from tests.conftest import NOON
from tests.fakes.smtp_server import SmtpServer
from tests.support.clock import Clock
from tests.unit.notifications.engine import MINUTE, Engine, Listener

HOUR = timedelta(hours=1)
GONE = SendResult(ok=False, permanent=True, detail="HTTP 410: the hook is gone")


REFUSED = SendResult(ok=False, rejected=True, detail="code 554")


class Censor(Listener):
    """A channel that takes no message with a word in it, and what it says of one."""

    def __init__(
        self, name: str, clock: Clock, word: str, *, says: SendResult | BaseException = REFUSED
    ) -> None:
        super().__init__(name, clock)
        self.word, self.says = word, says
        self.asked = 0

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        self.asked += 1
        if not any(self.word in one.title for one in notifications):
            return await super().send(notifications, now)
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says


class Counting(Listener):
    """A channel that counts how often it is asked."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.asked: list[datetime] = []

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        self.asked.append(self._clock())
        return await super().send(notifications, now)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = NOON - MINUTE
    return clock


@pytest.fixture
async def engines(clock: Clock) -> AsyncIterator[Any]:
    """Make an engine with these channels."""
    made: list[Engine] = []

    def make(*listeners: Listener) -> Engine:
        made.append(Engine({one.name: one for one in listeners}, clock))
        return made[-1]

    yield make
    for engine in made:
        await engine.store.close()


def broken(_: Job) -> Outcome:
    return failed("Answered 503")


def titles(listener: Listener) -> list[list[str]]:
    return [[one.title for one in notices] for _, notices in listener.messages]


@pytest.mark.parametrize("says", [REFUSED, GONE, ValueError("cannot be rendered")])
async def test_one_notice_that_is_refused_stops_no_other_and_is_reported_elsewhere(
    says: SendResult | BaseException, engines: Any, clock: Clock
) -> None:
    mail = Censor("mail", clock, "Viagra", says=says)
    chat = Listener("chat", clock)
    engine = engines(mail, chat)
    engine.work = broken
    await engine.put(*({"title": name} for name in ("A", "B", "Viagra", "C", "D")))

    await engine.live(NOON + 5 * MINUTE)

    told = sorted(title for message in titles(mail) for title in message if title != "mail")
    assert ["A", "B", "C", "D"] == told
    assert "undelivered" in [kind for kinds in chat.kinds for kind in kinds]
    assert (await engine.channels.settings())["mail"].disabled is None


async def test_report_of_a_refused_notice_names_channel_reason_and_notice(engines: Any, clock: Clock) -> None:
    mail, chat = Censor("mail", clock, "Viagra"), Listener("chat", clock)
    engine = engines(mail, chat)
    engine.work = broken
    await engine.put({"title": "Viagra"})

    await engine.live(NOON + 5 * MINUTE)

    assert [["failure"], ["undelivered"]] == chat.kinds
    assert "failure: Answered 503 (not delivered: mail: code 554)" == chat.messages[1][1][0].summary
    assert [["test"]] == mail.kinds  # which showed that it was the content
    assert "lostNotices" not in engine.reports[0]


async def test_channel_that_refuses_every_content_is_one_that_fails_and_loses_nothing(
    engines: Any, clock: Clock
) -> None:
    """A vendor's code that we do not know may mean the channel: no rights to write, a locked thread."""
    chat = Counting("chat", clock)
    chat.answer = REFUSED
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop"}, {"title": "Blog"})

    await engine.live(NOON + 5 * MINUTE)
    problem = (await engine.channels.settings())["chat"].problem
    chat.answer = SendResult(ok=True)
    await engine.live(NOON + 8 * MINUTE)

    assert "code 554" == problem.reason
    assert [["failure", "failure"]] == chat.kinds
    assert "lostNotices" not in {name for report in engine.reports for name in report}


async def test_what_one_delivery_has_no_room_for_is_no_fault_of_the_channel(
    engines: Any, clock: Clock
) -> None:
    mail = Censor("mail", clock, "Viagra")
    engine = engines(mail)
    engine.work = broken
    await engine.put(*({"title": f"T{n:02} {'Viagra' if n % 2 else 'Shop'}"} for n in range(40)))

    await engine.tick()  # before anything is due
    clock.move(minutes=1)
    await engine.tick()

    assert len([one for _, notices in mail.messages for one in notices]) < 20
    assert (await engine.channels.settings())["mail"].problem is None


async def test_nothing_more_is_sent_to_a_channel_that_asks_to_wait(engines: Any, clock: Clock) -> None:
    """The halves of a refused message are messages, too."""
    chat = Counting("chat", clock)
    answers = [REFUSED, SendResult(ok=False, retry_after=HOUR, detail="HTTP 429")]

    async def send(notifications: Sequence[Notification], now: datetime) -> SendResult:
        chat.asked.append(now)
        return answers.pop(0)

    chat.send = send  # type: ignore[method-assign]
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop"}, {"title": "Blog"})

    await engine.live(NOON + 5 * MINUTE)

    assert ([], 2) == (answers, len(chat.asked))


async def test_notice_that_nobody_got_is_in_the_report_and_in_the_store(
    engines: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    mail = Censor("mail", clock, "Viagra")
    engine = engines(mail)
    engine.work = broken
    await engine.put({"title": "Viagra"})

    await engine.live(NOON + 5 * MINUTE)

    assert 1 == engine.reports[0]["lostNotices"]
    [document] = await engine.store.get_documents("meta", ["lost-notices"])
    assert (1, "viagra", "failure", "code 554") == tuple(
        document.data[name] for name in ("count", "task", "kind", "reason")
    )
    assert "notice_given_up" in caplog.messages


async def test_channel_is_disabled_when_a_test_message_is_refused_as_well_and_another_stands_in(
    engines: Any, clock: Clock
) -> None:
    chat, mail = Listener("chat", clock), Listener("mail", clock)
    chat.answer = GONE
    engine = engines(chat, mail)
    engine.work = broken
    await engine.put({"title": "Shop", "notify": [{"on": ["failure"], "channels": ["chat"]}]})

    await engine.live(NOON + 5 * MINUTE)

    assert (await engine.channels.settings())["chat"].disabled is not None
    assert [["channel"], ["failure"]] == sorted(mail.kinds)


async def test_last_channel_that_is_gone_loses_its_notice_and_says_so(engines: Any, clock: Clock) -> None:
    chat = Listener("chat", clock)
    chat.answer = GONE
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop"})

    await engine.live(NOON + 5 * MINUTE)

    assert [1] == [one["lostNotices"] for one in engine.reports if "lostNotices" in one]


async def test_channel_that_is_not_set_up_leaves_the_notice_to_the_others(engines: Any, clock: Clock) -> None:
    chat = Listener("chat", clock)
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop", "notify": [{"on": ["failure"], "channels": ["caht"]}]})

    await engine.live(NOON + 5 * MINUTE)

    assert [["failure"]] == chat.kinds


@pytest.mark.slow
async def test_lost_reply_repeats_a_notice_three_times_at_most(engines: Any, clock: Clock) -> None:
    chat = Counting("chat", clock)
    chat.answer = PostError("no answer")
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop", "notify": [{"on": ["failure"], "remind": "never"}]})

    await engine.live(NOON + 24 * HOUR)

    assert 3 == len(chat.asked)


@pytest.mark.slow
async def test_channel_that_knows_repeats_or_never_got_the_request_is_tried_for_a_day(
    engines: Any, clock: Clock
) -> None:
    chat, pager = Counting("chat", clock), Counting("pager", clock)
    chat.answer, pager.answer = PostError("refused", is_sent=False), PostError("no answer")
    pager.recognises_repeats = True
    engine = engines(chat, pager)
    engine.work = broken
    await engine.put({"title": "Shop", "notify": [{"on": ["failure"], "remind": "never"}]})

    await engine.live(NOON + 25 * HOUR)

    assert len(chat.asked) == len(pager.asked) > 20


@pytest.mark.slow
async def test_new_notices_do_not_ask_a_dead_channel_again_before_its_time(
    engines: Any, clock: Clock
) -> None:
    chat, mail = Counting("chat", clock), Listener("mail", clock)
    chat.answer = SendResult(ok=False, detail="HTTP 503")
    engine = engines(chat, mail)
    engine.work = lambda job: succeeded("Fine", items=({"title": str(job.scheduled_at)},), has_news=True)
    await engine.put(*({"title": f"Feed {number}", "schedule": "* * * * *"} for number in range(3)))

    await engine.live(NOON + 70 * MINUTE)
    engine.restart()
    await engine.live(NOON + 2 * HOUR)

    assert [0, 1, 3, 7, 15, 31, 61] == [round((at - NOON) / MINUTE) for at in chat.asked]
    assert 3 * 120 == len({one.id for _, notices in mail.messages for one in notices})
    assert 3 * 120 == sum(len(notices) for _, notices in mail.messages)


@pytest.mark.slow
async def test_what_a_full_outbox_drops_is_logged_and_in_the_next_message(
    engines: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Listener("chat", clock)
    chat.answer = SendResult(ok=False, detail="HTTP 503")
    engine = engines(chat)
    engine.work = lambda job: succeeded("Fine", items=({"title": str(job.scheduled_at)},), has_news=True)
    await engine.put({"title": "Feed", "schedule": "* * * * *"})

    await engine.live(NOON + 30 * MINUTE)
    dropped = (await engine.task("feed")).alert.dropped
    chat.answer = SendResult(ok=True)
    await engine.live(NOON + 70 * MINUTE)

    assert 10 == dropped
    assert 10 <= sum(
        record.__dict__.get("count", 0) for record in caplog.records if record.msg == "notices_dropped"
    )
    [first, *_] = chat.messages
    assert first[1][-1].dropped_before >= 10
    assert 0 == (await engine.task("feed")).alert.dropped


@pytest.mark.slow
async def test_channel_whose_settings_changed_gets_what_is_new_at_once(engines: Any, clock: Clock) -> None:
    chat = Counting("chat", clock)
    chat.answer = SendResult(ok=False, detail="HTTP 503")
    engine = engines(chat)
    engine.work = broken
    await engine.put({"title": "Shop", "schedule": "* * * * *"})
    await engine.live(NOON + 20 * MINUTE)

    chat.answer = SendResult(ok=True)
    engine.fingerprints["chat"] = "two"
    engine.restart()
    await engine.put({"title": "Other", "schedule": "* * * * *"})
    await engine.live(NOON + 23 * MINUTE)

    assert [["failure"]] == chat.kinds
    assert (await engine.channels.settings())["chat"].problem is None


@pytest.mark.slow
async def test_recipient_whose_mailbox_is_full_delays_and_repeats_nothing_for_the_others(
    clock: Clock,
) -> None:
    """Each tick is a process of its own, as those of a crontab are."""
    async with SmtpServer(recipients={"bob@example.com": "452 4.2.2 mailbox full"}) as server:
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{server.port}",
            "NOTIFY_EMAIL_TO": "alice@example.com, bob@example.com",
            "NOTIFY_EMAIL_FROM": "cron@example.com",
        }
        mail: Any = create_channels(settings, TrustedHttpClient())
        engine = Engine(mail, clock, work=broken)
        at = {"First": "0 12 * * *", "Second": "9 12 * * *"}
        await engine.put(*({"title": title, "schedule": schedule} for title, schedule in at.items()))
        for _ in range(10):
            clock.now += MINUTE
            engine.restart()
            await engine.tick()
        alice = [envelope for envelope in server.envelopes if "alice@example.com" in envelope]
        server.refused_recipients.clear()
        await engine.live(NOON + 60 * MINUTE)
        problem = (await engine.channels.settings())["email"].problem
        await engine.store.close()

    assert [["alice@example.com"]] * 2 == alice
    assert ["🔴 “First” failed", "🔴 “Second” failed"] == [mail["Subject"] for mail in server.mails[:2]]
    assert [["bob@example.com"]] * 2 == server.envelopes[2:]
    assert problem is None


@pytest.mark.parametrize("blocks", ["<script>", ""])
async def test_page_of_a_firewall_stops_the_message_that_it_is_about_or_is_a_fault_of_the_channel(
    blocks: str, clock: Clock
) -> None:
    """Firewalls refuse what looks like an attack, such as an error that quotes a page."""
    taken: list[str] = []
    is_there = True

    async def firewall(url: str, *, body: bytes, **_: Any) -> HttpResponse:
        text = body.decode()
        if is_there and blocks in text:
            return HttpResponse(403, {}, b"<html>Blocked</html>")
        taken.append(text)
        return HttpResponse(202, {}, b'{"status": "success"}')

    channels: Any = create_channels({"PAGERDUTY_ROUTING_KEY": "k" * 32}, firewall)
    engine = Engine(channels, clock, work=lambda job: failed(f"Found {job.title}"))
    await engine.put({"title": "<script>"}, {"title": "Shop"})
    await engine.live(NOON + 5 * MINUTE)
    is_shop_known = any("Shop" in text for text in taken)
    is_there = False
    await engine.live(NOON + 14 * MINUTE)
    settings = (await engine.channels.settings())["pagerduty"]
    await engine.store.close()

    assert (bool(blocks), None) == (is_shop_known, settings.disabled)
    assert any("Shop" in text for text in taken)
    assert bool(blocks) != any("<script>" in text for text in taken)


@pytest.mark.parametrize("says", ["test", "enable"])
async def test_channel_that_is_mended_is_tried_at_once_when_a_person_says_so(
    says: str, engines: Any, clock: Clock
) -> None:
    """The person is in another process than the ticks."""
    mail = Listener("mail", clock)
    engine = engines(mail)
    engine.work = broken
    mail.answer = SendResult(ok=False, retry_after=HOUR, detail="HTTP 503")
    await engine.put({"title": "First"}, {"title": "Second", "schedule": "10 * * * *"})
    await engine.live(NOON + 5 * MINUTE)
    mail.answer = SendResult(ok=True)
    of_ticks = engine.teller, engine.channels
    engine.restart()
    await (engine.teller.test("mail", within=MINUTE) if says == "test" else engine.channels.enable("mail"))
    engine.teller, engine.channels = of_ticks
    await engine.live(NOON + 12 * MINUTE)

    assert ["Second"] == titles(mail)[-1]
