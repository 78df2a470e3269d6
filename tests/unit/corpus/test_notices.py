"""Notices: what mail servers and messengers answered to other projects."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from functions.errors import SettingsError
from functions.notifications import create_channels
from functions.notifications.channel import Channel, SendResult
from functions.notifications.channels.email import parse_smtp_url
from tests.conftest import NOON
from tests.fakes import vendors
from tests.fakes.smtp_server import SmtpServer
from tests.fakes.vendors import Reply, Rerouted, Vendor
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice, make_notice
from tests.unit.notifications.engine import MINUTE, Engine, Listener

__all__ = ["make_notice"]  # the fixture

MESSENGERS: dict[str, tuple[dict[str, str], str, Any]] = {
    "telegram": (
        {"TELEGRAM_BOT_TOKEN": "123456:canary-token_x", "TELEGRAM_CHAT_ID": "-1001"},
        "https://api.telegram.org",
        vendors.telegram,
    ),
    "discord": (
        {"DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/canary"},
        "https://discord.com",
        vendors.discord,
    ),
    "ntfy": (
        {"NTFY_URL": "https://ntfy.example.com/topic", "NTFY_TOKEN": "canary-token"},
        "https://ntfy.example.com",
        vendors.ntfy,
    ),
    "pagerduty": ({"PAGERDUTY_ROUTING_KEY": "c" * 32}, "https://events.pagerduty.com", vendors.pagerduty),
    "slack": (
        {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/canary"},
        "https://hooks.slack.com",
        vendors.slack,
    ),
    "teams": (
        {"TEAMS_WEBHOOK_URL": "https://teams.example.com/workflows/canary-sig"},
        "https://teams.example.com",
        vendors.workflows,
    ),
}


def mail(server: SmtpServer, **settings: str) -> Channel:
    given = {
        "SMTP_URL": f"smtp://127.0.0.1:{server.port}",
        "NOTIFY_EMAIL_TO": "ann@example.com",
        "NOTIFY_EMAIL_FROM": "cron@example.com",
    }
    return create_channels(given | settings, None)["email"]  # type: ignore[arg-type]  # mail posts nothing


async def tell(
    name: str, notices: Sequence[Any], *, instead: Sequence[Reply] = ()
) -> tuple[SendResult, list[Any]]:
    """Send *notices* to the stand-in of a messenger; return the result, and what it took."""
    settings, home, rules = MESSENGERS[name]
    vendor = Vendor(rules)
    vendor.instead = list(instead)
    await vendor.server.start_server()
    post = Rerouted(vendor, home)
    try:
        return await create_channels(settings, post)[name].send(notices, NOON), vendor.taken
    finally:
        await post.close()
        await vendor.server.close()


def fate(sent: SendResult) -> str:
    words = {"ok": sent.ok, "channel": sent.permanent, "message": sent.rejected}
    return next((word for word, is_so in words.items() if is_so), "later")


# -- mail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "refusals", "expected"),
    [
        ("louislam/uptime-kuma#242", {".": "550 5.2.0 Spam message rejected"}, "message"),
        ("baptisteArno/typebot.io#2377", {"RCPT": "552 5.2.2 mailbox full"}, "later"),
        ("AI-Shipping-Labs/website#827", {"RCPT": "550 5.3.0 denied"}, "channel"),
        ("cividesk/com.cividesk.email.sparkpost#98", {".": "421 4.4.0 no mail servers"}, "later"),
        ("a list that holds the machine's address", {"": "554 5.7.1 blocked"}, "later"),
        ("a provider's limit of messages a day", {".": "452 4.3.1 too many messages"}, "later"),
        ("a policy that forbids the sender", {"MAIL": "550 5.7.60 not allowed to send as"}, "channel"),
    ],
)
async def test_answer_of_a_mail_server(
    source: str, refusals: dict[str, str], expected: str, make_notice: MakeNotice
) -> None:
    async with SmtpServer(refusals) as server:
        sent = await mail(server).send([make_notice()], NOON)

    assert expected == fate(sent), source


@pytest.mark.parametrize("separator", [", ", "; ", ";", " ; "])
async def test_recipients_with_semicolons(separator: str, make_notice: MakeNotice) -> None:
    """jan-vince/smallcontactform#89: people write several addresses as their mail program does."""
    async with SmtpServer() as server:
        to = separator.join(["ann@example.com", "Bob <bob@example.com>"])
        sent = await mail(server, NOTIFY_EMAIL_TO=to).send([make_notice()], NOON)

    assert (True, [["ann@example.com", "bob@example.com"]]) == (sent.ok, server.envelopes)


@pytest.mark.parametrize("password", [',+;"cb)4Ew#HD6*', "5Pk.#Kz%W;}r3Bf_IE&", "a/b\\c@d:e?f"])
def test_password_with_special_characters(password: str) -> None:
    """louislam/uptime-kuma#6108, #4777, caronc/apprise#1432."""
    from urllib.parse import quote

    url = f"smtps://{quote('me@example.com', safe='')}:{quote(password, safe='')}@mail.example.com"

    assert (password, "me@example.com") == (parse_smtp_url(url).password, parse_smtp_url(url).user)


def test_password_with_a_bare_hash_is_refused_with_the_remedy() -> None:
    """caronc/apprise#1432: an address that ends at `#` must not be taken for a server."""
    with pytest.raises(SettingsError, match="SMTP_URL"):
        parse_smtp_url("smtps://me:5Pk.#Kz@mail.example.com")


async def test_subject_with_symbols_is_ascii_on_the_wire(make_notice: MakeNotice) -> None:
    """louislam/uptime-kuma#7089, #3821: symbols in a subject, a server without 8BITMIME."""
    async with SmtpServer() as server:
        sent = await mail(server).send([make_notice(title="Größe 日本 🔴")], NOON)

    assert sent.ok
    assert isinstance(server.mails[0], EmailMessage)
    assert "日本" in str(server.mails[0]["Subject"])


# -- messengers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("prometheus/alertmanager#2923, containrrr/shoutrrr#222", "telegram"),
        ("dgtlmoon/changedetection.io#323", "discord"),
        ("binwiederhier/ntfy#918", "ntfy"),
        ("slackapi/bolt-js#2509", "slack"),
    ],
)
async def test_many_long_notices_are_one_message_that_fits(
    source: str, name: str, make_notice: MakeNotice
) -> None:
    notices = [
        make_notice(task_id=f"t{number}", title="<b>&" * 40, summary="*_`[<&😀" * 50) for number in range(40)
    ]

    sent, taken = await tell(name, notices)

    assert (True, "", 1) == (sent.ok, sent.detail, len(taken)), source


@pytest.mark.parametrize(
    ("source", "name", "replies", "expected"),
    [
        ("SickChill/sickchill#4157", "discord", [(429, '{"retry_after": 1.5}', {})], "later"),
        ("TwiN/gatus: a forum's webhook", "discord", [(400, '{"code": 220001}', {})], "channel"),
        ("muety/telepush#66", "webhook", [(400, "message too long", {})], "message"),
        ("yetone/cumora#200", "webhook", [(503, "", {})], "later"),
        ("a receiver that is being replaced", "webhook", [(404, "404 page not found", {})], "later"),
        ("a receiver that was removed", "webhook", [(410, "", {})], "channel"),
        ("a receiver that reads another shape", "webhook", [(422, "", {})], "message"),
        ("rancher/rancher#21886", "pagerduty", [(500, "", {})], "later"),
        ("ntfy: a field that the server does not know", "ntfy", [(400, '{"code":40024}', {})], "message"),
        ("louislam/uptime-kuma#4922", "teams", [(400, '{"error":{"code":"BadRequest"}}', {})] * 2, "message"),
        ("a page to sign in, in the place of Workflows", "teams", [(200, "\n<!DOCTYPE html>", {})], "later"),
        ("a page of a proxy, in the place of Slack", "slack", [(200, "<html>ok</html>", {})], "later"),
        ("Slack: a workspace's rule", "slack", [(403, "action_prohibited", {})], "channel"),
    ],
)
async def test_answer_of_a_messenger(
    source: str, name: str, replies: list[Reply], expected: str, make_notice: MakeNotice
) -> None:
    if name == "webhook":
        vendor = Vendor(lambda path, headers, body: replies[0])
        await vendor.server.start_server()
        post = Rerouted(vendor, "https://hooks.example.com")
        channel = create_channels({"WEBHOOK_URL": "https://hooks.example.com/x"}, post)["webhook"]
        sent = await channel.send([make_notice()], NOON)
        await post.close()
        await vendor.server.close()
    else:
        sent, _ = await tell(name, [make_notice()], instead=replies)

    assert expected == fate(sent), source


@pytest.mark.parametrize("others", [["news"], ["success"], ["news", "stable"], []])
async def test_incident_is_resolved_whatever_else_there_is_to_say(
    others: list[str], make_notice: MakeNotice
) -> None:
    """prometheus/alertmanager#635, TwiN/gatus#688."""
    notices = [make_notice("recovery"), *(make_notice(kind) for kind in others)]

    sent, taken = await tell("pagerduty", notices)

    assert (True, ["resolve"]) == (sent.ok, [event["event_action"] for event in taken])


async def test_group_that_became_a_supergroup(make_notice: MakeNotice) -> None:
    """A Telegram group gets another id when it grows; alerts must not end that day."""
    moved = {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -1001}}
    sent, taken = await tell("telegram", [make_notice()], instead=[(400, json.dumps(moved), {})])

    assert (True, "-1001") == (sent.ok, taken[0]["chat_id"])


# -- over time --------------------------------------------------------------------------------------------


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    clock = Clock()
    clock.now = NOON - MINUTE
    engine = Engine({name: Listener(name, clock) for name in ("chat", "mail")}, clock)
    yield engine
    await engine.store.close()


@pytest.mark.slow
async def test_channel_that_failed_for_hours_works_again_without_a_restart(engine: Engine) -> None:
    """getsentry/sentry#31366."""
    from functions.domain.run import failed

    engine.work = lambda job: failed("Answered 503")
    engine.listeners["chat"].answer = SendResult(ok=False, detail="HTTP 503")
    await engine.put({"title": "Shop"})
    await engine.live(NOON + timedelta(hours=5))

    engine.listeners["chat"].answer = SendResult(ok=True)
    await engine.live(NOON + timedelta(hours=7))

    assert [["reminder", "failure", "reminder"]] == engine.listeners["chat"].kinds[:1]


async def test_channel_switched_off_by_a_person_is_not_one_that_was_refused(engine: Engine) -> None:
    """healthchecks/healthchecks#446."""
    await engine.channels.disable("chat")
    await engine.channels.disable_refused("mail", "gone")

    settings = await engine.channels.settings()

    assert (False, None) == (settings["chat"].enabled, settings["chat"].disabled)
    assert settings["mail"].enabled
    assert settings["mail"].disabled is not None
