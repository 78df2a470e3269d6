"""Mail: what stands in it, what a server's answers mean, and that nobody waits for ever."""

from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from functions.domain.alerts.model import Notification
from functions.http_client.trusted import PostError
from functions.notifications.channel import Channel
from functions.notifications.channels import email
from functions.notifications.channels.email import parse_smtp_url
from tests.conftest import NOON
from tests.fakes.smtp_server import SmtpServer

MakeNotice = Callable[..., Notification]


def channel(server: SmtpServer) -> Channel:
    settings = {
        "SMTP_URL": f"smtp://127.0.0.1:{server.port}",
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


async def test_a_title_makes_no_header(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        await channel(server).send([make_notice("failure", title="x\r\nBcc: eve@example.com")], NOON)

    assert ["alice@example.com", "bob@example.com"] == server.recipients
    assert server.mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("refusals", "permanent"),
    [
        ({"RCPT": "550 no such user"}, True),
        ({"RCPT": "451 try later"}, False),
        ({"MAIL": "553 not your address"}, True),
        ({".": "452 too much mail"}, False),
        ({".": "554 looks like spam"}, True),
    ],
)
async def test_a_code_from_500_on_is_for_good(
    make_notice: MakeNotice, refusals: dict[str, str], permanent: bool
) -> None:
    async with SmtpServer(refusals) as server:
        sent = await channel(server).send([make_notice("failure")], NOON)

    assert (False, permanent) == (sent.ok, sent.permanent)
    assert next(iter(refusals.values()))[:3] in sent.detail
    assert "alice" not in sent.detail


async def test_a_server_that_is_not_there_is_no_answer(make_notice: MakeNotice) -> None:
    async with SmtpServer() as server:
        gone = channel(server)

    with pytest.raises(PostError):
        await gone.send([make_notice("failure")], NOON)


def test_a_password_is_in_no_repr() -> None:
    server = parse_smtp_url("smtps://user%40example.com:canary%2Fpassword@mail.example.com")

    assert ("user@example.com", "canary/password", 465) == (server.user, server.password, server.port)
    assert "canary" not in repr(server)
    assert 587 == parse_smtp_url("smtp+starttls://mail.example.com").port
