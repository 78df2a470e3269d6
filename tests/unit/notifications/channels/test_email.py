"""Mail: what stands in it, what a server's answers mean, and that nobody waits for ever."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path

import pytest

from functions.domain.alerts.model import Notification
from functions.http_client import request_sent
from functions.http_client.trusted import PostError
from functions.notifications.channel import Channel, recipient_key
from functions.notifications.channels import email
from functions.notifications.channels.email import parse_sender, parse_smtp_url
from functions.notifications.rendering.digest import Locale
from functions.notifications.rendering.phrases import EN
from tests.conftest import NOON
from tests.fakes.smtp_server import SmtpServer
from tests.support.authority import Authority
from tests.support.sockets import Talk, listening, say_nothing

MakeNotice = Callable[..., Notification]


def channel(server: SmtpServer | int, *, scheme: str = "smtp") -> Channel:
    port = server if isinstance(server, int) else server.port
    settings = {
        "SMTP_URL": f"{scheme}://127.0.0.1:{port}",
        "NOTIFY_EMAIL_TO": "Alice <alice@example.com>, bob@example.com",
        "NOTIFY_EMAIL_FROM": "Cronfire <cron@example.com>",
        "PUBLIC_URL": "https://cron.example.com",
    }

    async def post(*_: object, **__: object) -> object:
        raise AssertionError("mail goes another way")

    opened = email.create_channel(settings, post)  # type: ignore[arg-type]  # it is not called
    assert opened is not None
    return opened


def part(server: SmtpServer, kind: str) -> str:
    body = server.mails[0].get_body((kind,))
    assert body is not None
    return str(body.get_content())


async def test_a_mail_says_it_in_plain_text_and_in_html(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        sent = await channel(server).send([make_notice("failure", title="Größe <b>大小</b>")], NOON)

    assert sent.ok
    assert ["alice@example.com", "bob@example.com"] == server.recipients
    assert "Größe <b>大小</b>" in str(server.mails[0]["Subject"])
    assert "Cronfire <cron@example.com>" == server.mails[0]["From"]
    assert str(server.mails[0]["Message-ID"]).endswith("@example.com>")
    assert "auto-generated" == server.mails[0]["Auto-Submitted"]
    assert "Answered 503, expected 200" in part(server, "plain")
    assert "Größe &lt;b&gt;大小&lt;/b&gt;" in part(server, "html")
    assert "https://cron.example.com" in part(server, "html")


async def test_an_agents_finds_are_ranked_the_top_five(make_notice: MakeNotice) -> None:
    items = tuple(
        {"title": f"Find {n}", "url": f"https://example.com/{n}", "score": f"0.{9 - n}"} for n in range(9)
    )
    async with SmtpServer() as server:
        await channel(server).send([make_notice("news", type="agent", items=items)], NOON)

    assert 5 == part(server, "html").count("<li>")
    assert "<ol>" in part(server, "html")


async def test_foreign_text_and_addresses_end_no_element_of_the_html(make_notice: MakeNotice) -> None:
    item = {"title": "<b>x</b>", "url": "https://example.com/?a='b'&c=\"d\"", "text": "{{ 7 * 7 }}</li>"}
    async with SmtpServer() as server:
        await channel(server).send([make_notice("news", summary="</p>'\"&amp;", items=(item,))], NOON)

    page = part(server, "html")
    assert [] == [text for text in ("<b>x", "</p>'", "?a='b'", "49", "}}</li>") if text in page]
    links = _Links()
    links.feed(page)
    assert item["url"] == links.targets[0]
    assert page.count("<p") == page.count("</p>")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets.append(dict(attrs)["href"])


async def test_a_headline_stands_over_several_rows_only(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        await channel(server).send([make_notice("failure")], NOON)
        await channel(server).send([make_notice("failure"), make_notice("recovery", task_id="b")], NOON)

    alone, several = (str(mail.get_body(("html",))) for mail in server.mails)
    assert [0, 1] == [page.count("<h2") for page in (alone, several)]


async def test_the_same_news_make_the_same_message_id(make_notice: MakeNotice) -> None:
    """A mail that was sent twice because an answer was lost shows as one."""
    async with SmtpServer() as server:
        for kind in ("failure", "failure", "recovery"):
            await channel(server).send([make_notice(kind)], NOON)

    first, second, third = [mail["Message-ID"] for mail in server.mails]
    assert first == second != third


async def test_mails_about_one_run_of_failures_stand_together(make_notice: MakeNotice) -> None:
    """The recovery lies beneath its failure, and the next outage begins a thread of its own."""
    later = NOON + timedelta(days=1)
    async with SmtpServer() as server:
        for kind, since in (("failure", NOON), ("recovery", NOON), ("failure", later), ("success", None)):
            await channel(server).send([make_notice(kind, since=since)], NOON)
        await channel(server).send([make_notice("failure", since=NOON), make_notice("late")], NOON)

    failure, recovery, another, alone, several = [mail["References"] for mail in server.mails]
    assert failure == recovery == server.mails[1]["In-Reply-To"]
    assert another not in (failure, None)
    assert (None, None) == (alone, several)


async def test_a_title_makes_no_header(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        await channel(server).send([make_notice("failure", title="x\r\nBcc: eve@example.com")], NOON)

    assert ["alice@example.com", "bob@example.com"] == server.recipients
    assert server.mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    "title", ["=?utf-8?b?DQpCY2M6IGV2ZQ==?=", "=?utf-8?b?////?=", "=?zlib_codec?b?eJw=?="]
)
def test_a_title_that_looks_like_an_encoded_word_is_shown_as_it_is(
    title: str, make_notice: MakeNotice
) -> None:
    """One such title made a mail of all tasks that could not be sent."""
    mail = email.render(
        [make_notice(title=title)], Locale(EN), sender="a@example.com", recipients=["b@example.com"], now=NOON
    )

    shown = message_from_bytes(mail.as_bytes(), policy=default)["Subject"]
    assert f"🔴 “{title}” failed" == shown.replace("\u2060", "")


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ({"RCPT": "550 no such user"}, "permanent"),
        ({"RCPT": "451 try later"}, "later"),
        ({"RCPT": "552 5.2.2 mailbox full"}, "later"),
        ({"RCPT": "554 5.2.2 mailbox full"}, "later"),
        ({"MAIL": "550 5.4.5 Daily user sending limit exceeded"}, "later"),
        ({".": "550 5.4.5 Daily user sending limit exceeded"}, "later"),
        ({"MAIL": "553 not your address"}, "permanent"),
        ({"MAIL": "552 5.3.4 too big"}, "rejected"),
        ({".": "452 too much mail"}, "later"),
        ({".": "554 looks like spam"}, "rejected"),
        ({".": "550 5.7.1 refused by content policy"}, "rejected"),
        ({"DATA": "554 no valid recipients"}, "rejected"),
        ({"": "554 your address is on a list"}, "later"),
    ],
)
async def test_a_code_refuses_the_message_or_the_channel_or_says_later(
    make_notice: MakeNotice, refusals: dict[str, str], expected: str
) -> None:
    async with SmtpServer(refusals) as server:
        sent = await channel(server).send([make_notice("failure")], NOON)

    outcome = {"ok": sent.ok, "permanent": sent.permanent, "rejected": sent.rejected}
    assert [expected] == ([word for word, is_so in outcome.items() if is_so] or ["later"])
    assert next(iter(refusals.values()))[:3] in sent.detail


@pytest.mark.parametrize(
    ("refusals", "hint"),
    [
        (
            {"MAIL": "530 5.7.0 Must issue a STARTTLS command first"},
            "a user and a password, or TLS; check SMTP_URL",
        ),
        ({"MAIL": "530 5.7.1 Authentication required"}, "check SMTP_URL"),
        ({"MAIL": "553 5.7.1 Sender address rejected: not owned by user"}, "check NOTIFY_EMAIL_FROM"),
        ({"RCPT": "554 5.7.1 <a@example.com>: Relay access denied"}, "a user and a password in SMTP_URL"),
        ({"RCPT": "550 5.7.1 Unable to relay"}, "a user and a password in SMTP_URL"),
        ({"RCPT": "530 Authentication required"}, "a user and a password in SMTP_URL"),
        ({"RCPT": "550 5.1.1 no such user"}, "check NOTIFY_EMAIL_TO"),
    ],
)
async def test_a_refusal_names_the_setting_that_is_wrong(
    make_notice: MakeNotice, refusals: dict[str, str], hint: str
) -> None:
    async with SmtpServer(refusals) as server:
        sent = await channel(server).send([make_notice("failure")], NOON)

    assert (True, True) == (sent.permanent, sent.detail.endswith(hint)), sent.detail


async def test_a_recipient_that_is_refused_is_named_and_the_other_has_the_mail(
    make_notice: MakeNotice,
) -> None:
    async with SmtpServer(recipients={"bob@example.com": "550 5.1.1 no such user"}) as server:
        mailboxes = channel(server)
        sent = await mailboxes.send([make_notice("failure")], NOON)
        again = await mailboxes.send([make_notice("recovery")], NOON)

    assert (True, True) == (sent.ok, again.ok)
    assert "bob@example.com (code 550)" in sent.detail
    assert [["alice@example.com"], ["alice@example.com"]] == server.envelopes


async def test_a_recipient_that_is_put_off_gets_the_mail_later_and_alone(make_notice: MakeNotice) -> None:
    async with SmtpServer(recipients={"bob@example.com": "450 4.2.0 greylisted"}) as server:
        mailboxes = channel(server)
        first = await mailboxes.send([make_notice("failure")], NOON)
        left = make_notice("failure", lacking={"email": first.lacking})
        again = await channel(server).send([left], NOON)  # another process
        server.refused_recipients.clear()
        last = await mailboxes.send([left], NOON)
        fresh = await mailboxes.send([make_notice("news")], NOON)

    assert (False, False, True, True) == (first.ok, first.permanent, last.ok, fresh.ok)
    assert "bob@example.com (code 450)" in first.detail
    assert (False, first.lacking) == (again.ok, again.lacking)
    assert [["alice@example.com"], ["bob@example.com"], ["alice@example.com", "bob@example.com"]] == (
        server.envelopes
    )


async def test_a_recipient_that_was_put_off_and_is_gone_is_no_fault_of_the_channel(
    make_notice: MakeNotice,
) -> None:
    async with SmtpServer(recipients={"bob@example.com": "550 5.1.1 no such user"}) as server:
        left = make_notice(lacking={"email": (recipient_key("bob@example.com"),)})
        sent = await channel(server).send([left], NOON)

    assert (True, False, ()) == (sent.ok, sent.permanent, sent.lacking)
    assert "bob@example.com (code 550)" in sent.detail


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a@example.com", "a@example.com"),
        ('"Cron, fire" <a@example.com>', '"Cron, fire" <a@example.com>'),
        ('J "Q" <a@example.com>', "J Q <a@example.com>"),
        ("定时 <jörg@example.com>", "定时 <jörg@example.com>"),
        ("=?utf-8?b?////?= <a..b@example.com>", "=\u2060?utf-8?b?////?= <a..b@example.com>"),
    ],
)
def test_the_sender_keeps_the_name_that_is_given(given: str, expected: str, make_notice: MakeNotice) -> None:
    mail = email.render(
        [make_notice()], Locale(EN), sender=parse_sender(given), recipients=["b@example.com"], now=NOON
    )

    assert expected == mail["From"]


async def test_domains_of_other_scripts_are_sent_in_ascii(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{server.port}",
            "NOTIFY_EMAIL_TO": "Jürgen <a@bücher.example>, b@例え.jp",
            "NOTIFY_EMAIL_FROM": "cron@bücher.example",
        }
        opened = email.create_channel(settings, None)  # type: ignore[arg-type]  # it is not called
        assert opened is not None
        sent = await opened.send([make_notice("failure")], NOON)

    assert sent.ok
    assert [["a@xn--bcher-kva.example", "b@xn--r8jz45g.jp"]] == server.envelopes
    assert "cron@xn--bcher-kva.example" == server.mails[0]["From"]


@pytest.mark.parametrize(
    ("extensions", "expected"), [(["SMTPUTF8", "8BITMIME"], (True, False)), ([], (False, True))]
)
async def test_letters_beyond_ascii_before_the_at_need_a_server_that_takes_them(
    extensions: list[str], expected: tuple[bool, bool], make_notice: MakeNotice
) -> None:
    async with SmtpServer(extensions=extensions) as server:
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{server.port}",
            "NOTIFY_EMAIL_TO": "jörg@example.com",
            "NOTIFY_EMAIL_FROM": "cron@example.com",
        }
        opened = email.create_channel(settings, None)  # type: ignore[arg-type]  # it is not called
        assert opened is not None
        sent = await opened.send([make_notice("failure")], NOON)

    assert expected == (sent.ok, sent.permanent)
    assert sent.ok or "letters beyond ASCII" in sent.detail


async def test_a_lost_reply_leaves_open_whether_the_mail_arrived(make_notice: MakeNotice) -> None:
    async with SmtpServer(drops=True) as server:
        with pytest.raises(PostError) as caught:
            await channel(server).send([make_notice("failure")], NOON)

    assert caught.value.is_sent


@pytest.mark.parametrize("last", ["", "EHLO", "MAIL", "RCPT"])
async def test_a_server_that_is_gone_before_the_message_cannot_have_it(
    last: str, make_notice: MakeNotice
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while last and not (line := await reader.readline()).startswith(last.encode()) and line:
            writer.write(b"250 ok\r\n")

    async with listening(talk) as port:
        with pytest.raises(PostError) as caught:
            await channel(port).send([make_notice("failure")], NOON)

    assert not caught.value.is_sent


@pytest.mark.parametrize(("last", "is_sent"), [("MAIL", False), ("DATA", True)])
async def test_a_server_that_hangs_keeps_nobody_and_what_it_may_have_is_known(
    last: str, is_sent: bool, make_notice: MakeNotice
) -> None:
    hangs = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while not (line := await reader.readline()).startswith(last.encode()) and line:
            writer.write(b"250 ok\r\n")
        hangs.set()
        await reader.read()

    async def send() -> None:
        with pytest.raises(asyncio.CancelledError):
            await channel(port).send([make_notice("failure")], NOON)
        assert is_sent is request_sent.get()

    async with listening(talk) as port, asyncio.timeout(5):
        sending = asyncio.create_task(send())
        await hangs.wait()
        sending.cancel()
        await sending


async def test_a_server_that_is_not_there_is_no_answer(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        gone = channel(server)

    with pytest.raises(PostError) as caught:
        await gone.send([make_notice("failure")], NOON)

    assert not caught.value.is_sent


async def greet_as_a_web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, and close."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "talk", "is_tls", "reason"),
    [
        ("smtps", say_nothing, True, "the TLS certificate is signed by an authority unknown here"),
        ("smtps", greet_as_a_web_server, False, "the port does not begin with TLS; write smtp+starttls://"),
        ("smtp", greet_as_a_web_server, False, "what answered is no mail server; check SMTP_URL"),
        ("smtp+starttls", hang_up, False, "the connection was closed before a greeting"),
    ],
)
async def test_why_there_is_no_connection_is_said(
    make_notice: MakeNotice, tmp_path: Path, scheme: str, talk: Talk, is_tls: bool, reason: str
) -> None:
    tls = Authority(tmp_path, now=datetime.now(UTC)).server() if is_tls else None
    async with listening(talk, tls=tls) as port:
        with pytest.raises(PostError) as caught:
            await channel(port, scheme=scheme).send([make_notice("failure")], NOON)

    assert (True, False) == (reason in str(caught.value), caught.value.is_sent), caught.value


@pytest.mark.parametrize(
    ("server", "permanent", "detail"),
    [
        (SmtpServer(), True, "the server does not offer what SMTP_URL asks for: STARTTLS"),
        (
            SmtpServer({"STAR": "454 no TLS now"}, extensions=["STARTTLS"]),
            False,
            "code 454: the server refused the greeting, or to begin TLS",
        ),
    ],
)
async def test_nothing_is_sent_where_tls_is_asked_for_and_not_offered(
    make_notice: MakeNotice, server: SmtpServer, permanent: bool, detail: str
) -> None:
    async with server:
        sent = await channel(server.port, scheme="smtp+starttls").send([make_notice("failure")], NOON)

    assert (permanent, True, []) == (sent.permanent, detail in sent.detail, server.mails), sent.detail


def test_a_password_is_in_no_repr() -> None:
    server = parse_smtp_url("smtps://user%40example.com:canary%2Fpassword@mail.example.com")

    assert ("user@example.com", "canary/password", 465) == (server.user, server.password, server.port)
    assert "canary" not in repr(server)
    assert 587 == parse_smtp_url("smtp+starttls://mail.example.com").port
