"""Channels to messengers, each against a stand-in that keeps its vendor's rules, over real HTTP."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.notifications import create_channels
from functions.notifications.channel import Channel
from tests.conftest import NOON
from tests.fakes import vendors
from tests.fakes.vendors import Reply, Rerouted, Vendor

MakeNotice = Callable[..., Notification]


@dataclass(frozen=True)
class Kind:
    """A messenger: its settings, its own address, its rules, and how it says each thing."""

    name: str
    settings: Mapping[str, str]
    home: str
    rules: Callable[[str, Mapping[str, str], Any], Reply]
    throttles: Reply
    gone: Reply
    waits: timedelta | None
    canary: str


BLOCKED = "Forbidden: bot was blocked by the user"


def telegram_says(code: int, *, text: str = BLOCKED, **parameters: int) -> Reply:
    said = {"ok": False, "error_code": code, "description": text}
    return code, json.dumps(said | {"parameters": parameters}), {}


def coded(code: int, text: str = "") -> Reply:
    """A refusal of DingTalk or WeCom: HTTP 200."""
    return 200, json.dumps({"errcode": code, "errmsg": text}), {}


KINDS = (
    Kind(
        "telegram",
        {"TELEGRAM_BOT_TOKEN": "123456:canary-token_x", "TELEGRAM_CHAT_ID": "-1001"},
        "https://api.telegram.org",
        vendors.telegram,
        telegram_says(429, retry_after=7),
        telegram_says(403),
        timedelta(seconds=7),
        "canary-token_x",
    ),
    Kind(
        "ntfy",
        {"NTFY_URL": "https://ntfy.example.com/topic", "NTFY_TOKEN": "canary-token"},
        "https://ntfy.example.com",
        vendors.ntfy,
        (429, '{"code":42901}', {"Retry-After": "7"}),
        (403, '{"code":40301}', {}),
        timedelta(seconds=7),
        "canary-token",
    ),
    Kind(
        "teams",
        {"TEAMS_WEBHOOK_URL": "https://teams.example.com/workflows/canary-sig"},
        "https://teams.example.com",
        vendors.workflows,
        (429, "", {"Retry-After": "7"}),
        (404, "", {}),
        timedelta(seconds=7),
        "canary-sig",
    ),
    Kind(
        "pagerduty",
        {"PAGERDUTY_ROUTING_KEY": "c" * 32},
        "https://events.pagerduty.com",
        vendors.pagerduty,
        (429, "", {}),
        (400, '{"status":"invalid event","errors":["Invalid routing key"]}', {}),
        None,
        "c" * 32,
    ),
    Kind(
        "slack",
        {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/canary"},
        "https://hooks.slack.com",
        vendors.slack,
        (429, "rate_limited", {"Retry-After": "7"}),
        (404, "no_service", {}),
        timedelta(seconds=7),
        "services/canary",
    ),
    Kind(
        "discord",
        {"DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/canary"},
        "https://discord.com",
        vendors.discord,
        (429, '{"message": "You are being rate limited.", "retry_after": 7.0, "global": false}', {}),
        (404, '{"message": "Unknown Webhook", "code": 10015}', {}),
        timedelta(seconds=7),
        "webhooks/1/canary",
    ),
    Kind(
        "dingtalk",
        {
            "DINGTALK_WEBHOOK_URL": "https://oapi.dingtalk.com/robot/send?access_token=canary-token",
            "DINGTALK_SECRET": "canary-secret",
        },
        "https://oapi.dingtalk.com",
        vendors.dingtalk,
        coded(130101, "send too fast, exceed 20 times per minute"),
        coded(300005, "token is not exist"),
        timedelta(minutes=10),
        "canary",
    ),
    Kind(
        "wecom",
        {"WECOM_WEBHOOK_URL": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=canary-key"},
        "https://qyapi.weixin.qq.com",
        vendors.wecom,
        coded(45009, "api freq out of limit, from ip: 192.0.2.1"),
        coded(93000, "invalid webhook url, from ip: 192.0.2.1"),
        None,
        "canary-key",
    ),
)


@dataclass
class Line:
    kind: Kind
    vendor: Vendor
    channel: Channel


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A channel, and what it ends at."""
    kind: Kind = request.param
    vendor = Vendor(kind.rules)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channels = create_channels(dict(kind.settings) | {"PUBLIC_URL": "https://cron.example.com"}, post)
    yield Line(kind, vendor, channels[kind.name])
    await post.close()
    await vendor.server.close()


async def test_a_failure_is_taken_and_says_what_happened(line: Line, make_notice: MakeNotice) -> None:
    sent = await line.channel.send([make_notice("failure", summary="Answered 503, expected 200")], NOON)

    assert (True, "") == (sent.ok, sent.detail)
    assert "Answered 503, expected 200" in json.dumps(line.vendor.taken[0])


@pytest.mark.slow
async def test_the_most_there_can_be_to_say_still_fits(line: Line, make_notice: MakeNotice) -> None:
    """Sixty notices, Chinese and emoji, each as long as it may be: cut, never refused."""
    many = [
        make_notice("failure", task_id=f"task-{n}", title="服务器🔥" * 40, summary="无法连接🔥" * 60)
        for n in range(60)
    ]

    sent = await line.channel.send(many, NOON)

    assert (True, "") == (sent.ok, sent.detail)


async def test_a_strangers_words_are_only_words(line: Line, make_notice: MakeNotice) -> None:
    hostile = (
        '<!channel> @everyone <b>x</b> [y](https://evil.example.com) <a href="https://evil.example.com">'
    )
    item = {"title": hostile, "url": "https://news.example.com/1", "text": hostile}

    sent = await line.channel.send(
        [make_notice("failure", title=hostile, summary=hostile, items=(item,))], NOON
    )

    assert (True, "") == (sent.ok, sent.detail)
    if line.kind.name == "telegram":
        text = line.vendor.taken[0]["text"]
        assert "@everyone" not in text
        assert "<b>x</b>" not in text
        assert 'href="https://evil' not in text


async def test_a_vendor_that_is_busy_is_left_alone_as_long_as_it_asks(
    line: Line, make_notice: MakeNotice
) -> None:
    line.vendor.instead.append(line.kind.throttles)

    sent = await line.channel.send([make_notice("failure")], NOON)

    assert (False, False, line.kind.waits) == (sent.ok, sent.permanent, sent.retry_after)


async def test_what_is_gone_for_good_is_said_with_a_remedy(line: Line, make_notice: MakeNotice) -> None:
    line.vendor.instead.append(line.kind.gone)

    sent = await line.channel.send([make_notice("failure")], NOON)

    assert (False, True) == (sent.ok, sent.permanent)
    assert any(name in sent.detail for name in line.kind.settings)


async def test_a_fault_of_the_vendors_is_tried_again(line: Line, make_notice: MakeNotice) -> None:
    line.vendor.instead += [(503, "<html>", {})] * 2

    sent = await line.channel.send([make_notice("failure")], NOON)

    assert (False, False) == (sent.ok, sent.permanent)


async def test_no_secret_shows(line: Line, make_notice: MakeNotice) -> None:
    shown = repr(line.channel)
    for answer in (line.kind.throttles, line.kind.gone, (500, line.kind.canary, {})):
        line.vendor.instead.append(answer)
        shown += (await line.channel.send([make_notice("failure")], NOON)).detail

    assert line.kind.canary not in shown


async def test_telegram_gets_plain_words_when_it_cannot_read_the_layout(make_notice: MakeNotice) -> None:
    kind = KINDS[0]
    vendor = Vendor(kind.rules)
    vendor.instead.append((400, '{"ok":false,"error_code":400,"description":"can\'t parse entities"}', {}))
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)

    sent = await create_channels(dict(kind.settings), post)["telegram"].send([make_notice("failure")], NOON)

    assert sent.ok
    assert "sent as plain text" in sent.detail
    assert "parse_mode" not in vendor.taken[0]
    await post.close()
    await vendor.server.close()


async def test_pagerduty_opens_one_incident_a_task_and_closes_it(make_notice: MakeNotice) -> None:
    """A reminder belongs to the same incident; news and successes are none."""
    kind = KINDS[3]
    vendor = Vendor(kind.rules)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channel = create_channels(dict(kind.settings), post)["pagerduty"]

    for one in ("failure", "reminder", "news", "success", "recovery"):
        assert (await channel.send([make_notice(one)], NOON)).ok

    said = [(event["event_action"], event["dedup_key"]) for event in vendor.taken]
    task = make_notice("failure").task_id
    assert [("trigger", task), ("trigger", task), ("resolve", task)] == said
    await post.close()
    await vendor.server.close()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["recovery", "news"], ["resolve"]),  # news and its end of trouble, of one run
        (["failure", "news"], ["trigger"]),
        (["failure", "recovery"], ["trigger", "resolve"]),
        (["failure", "reminder"], ["trigger"]),
        (["recovery", "failure"], ["resolve", "trigger"]),
        (["failure", "recovery", "failure"], ["resolve", "trigger"]),
        (["success", "test"], ["trigger", "resolve"]),  # or it stays open, and the next test is not seen
    ],
)
async def test_pagerduty_lets_only_a_newer_event_of_the_same_kind_replace_one(
    kinds: list[str], expected: list[str], make_notice: MakeNotice
) -> None:
    kind = KINDS[3]
    vendor = Vendor(kind.rules)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channel = create_channels(dict(kind.settings), post)["pagerduty"]
    notices = [make_notice(one, id=f"x#{number}") for number, one in enumerate(kinds)]

    assert (await channel.send(notices, NOON)).ok

    assert expected == [event["event_action"] for event in vendor.taken]
    await post.close()
    await vendor.server.close()


async def test_what_nothing_ends_is_an_incident_of_its_own(make_notice: MakeNotice) -> None:
    """Still open, or newer in the same message, it would swallow the failure of the task."""
    kind = KINDS[3]
    vendor = Vendor(kind.rules)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channel = create_channels(dict(kind.settings), post)["pagerduty"]

    about = ("failure", "late", "credits", "undelivered")
    assert (await channel.send([make_notice(one, id=f"x#{one}") for one in about], NOON)).ok
    assert (await channel.send([make_notice("recovery")], NOON)).ok

    said = sorted((event["event_action"], event["dedup_key"]) for event in vendor.taken)
    apart = [("trigger", f"shop-front/{one}") for one in ("credits", "late", "undelivered")]
    assert [("resolve", "shop-front"), ("trigger", "shop-front"), *apart] == said
    await post.close()
    await vendor.server.close()


@pytest.mark.slow
async def test_pagerduty_that_takes_only_so_many_gets_the_others_the_next_time(
    make_notice: MakeNotice,
) -> None:
    kind = KINDS[3]
    vendor = Vendor(kind.rules)
    busy: Reply = (429, '{"status":"throttle exceeded"}', {})
    vendor.instead = [(202, '{"status":"success"}', {})] * 30 + [busy] * 20
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channel = create_channels(dict(kind.settings), post)["pagerduty"]

    sent = await channel.send([make_notice(task_id=f"task-{n}") for n in range(60)], NOON)

    assert (False, False, 30) == (sent.ok, sent.rejected, len(sent.accepted))
    assert sent.accepted == {f"{event['dedup_key']}@2026-11-20T12:00:00Z#failure" for event in vendor.taken}
    await post.close()
    await vendor.server.close()


@pytest.mark.parametrize(
    ("chat", "place"),
    [
        ("-1001", ("-1001", None)),
        ("-1001:42", ("-1001", 42)),
        ("-1001:1", ("-1001", None)),  # the general topic: Telegram finds no thread of this number
    ],
)
async def test_telegram_writes_to_the_topic_that_is_named(
    make_notice: MakeNotice, chat: str, place: tuple[str, int | None]
) -> None:
    kind = KINDS[0]
    vendor = Vendor(kind.rules)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    settings = dict(kind.settings) | {"TELEGRAM_CHAT_ID": chat}

    assert (await create_channels(settings, post)["telegram"].send([make_notice()], NOON)).ok

    assert [place] == [(one["chat_id"], one.get("message_thread_id")) for one in vendor.taken]
    await post.close()
    await vendor.server.close()


async def test_telegram_follows_a_group_that_has_another_id_now(make_notice: MakeNotice) -> None:
    kind = KINDS[0]
    vendor = Vendor(kind.rules)
    vendor.instead = [telegram_says(400, migrate_to_chat_id=-1001)]
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    settings = dict(kind.settings) | {"TELEGRAM_CHAT_ID": "-7"}
    channel = create_channels(settings, post)["telegram"]

    first = await channel.send([make_notice()], NOON)
    second = await channel.send([make_notice()], NOON)

    assert (True, "the chat has another id now; set TELEGRAM_CHAT_ID=-1001") == (first.ok, first.detail)
    assert (True, "") == (second.ok, second.detail)
    assert ["-1001", "-1001"] == [body["chat_id"] for body in vendor.taken]
    await post.close()
    await vendor.server.close()


_LAYOUT = '{"code": 50035, "message": "Invalid Form Body"}'


@pytest.mark.parametrize(
    ("name", "replies", "expected"),
    [
        ("slack", [(400, "invalid_blocks", {}), (400, "invalid_payload", {})], "rejected"),
        ("slack", [(403, "action_prohibited", {})], "permanent"),
        ("slack", [(403, "", {})], "permanent"),
        ("slack", [(410, "channel_is_archived", {})], "permanent"),
        ("slack", [(500, "rollup_error", {})], "later"),
        ("discord", [(400, _LAYOUT, {}), (400, _LAYOUT, {})], "rejected"),
        ("discord", [(400, '{"code": 220001}', {})], "permanent"),
        ("discord", [(403, "<html>Cloudflare</html>", {})], "rejected"),
        ("discord", [(400, _LAYOUT, {}), (204, "", {})], "ok"),
        ("teams", [(400, '{"error":{"code":"InvalidRequestContent"}}', {})] * 2, "rejected"),
        ("teams", [(400, '{"error":{"code":"WorkflowTriggerIsNotEnabled"}}', {})], "permanent"),
        ("teams", [(413, "", {}), (202, "", {})], "ok"),
        ("teams", [(200, "Microsoft Teams endpoint returned HTTP error 429", {})], "later"),
        ("telegram", [telegram_says(400)] * 2, "permanent"),  # its text names a bot that is blocked
        (
            "telegram",
            [(400, '{"ok":false,"error_code":400,"description":"Bad Request"}', {})] * 2,
            "rejected",
        ),
        (
            "telegram",
            [(400, '{"ok":false,"error_code":400,"description":"Bad Request: not enough rights"}', {})],
            "permanent",
        ),
        ("telegram", [(502, "", {})], "later"),
        ("ntfy", [(400, '{"code":40024,"http":400}', {})], "rejected"),
        ("ntfy", [(400, '{"code":40009,"http":400}', {})], "permanent"),
        ("ntfy", [(413, '{"code":41301}', {})], "rejected"),
        ("ntfy", [(507, '{"code":50701}', {})], "later"),
        ("pagerduty", [(400, '{"status":"invalid event","errors":["Length of summary"]}', {})], "rejected"),
        ("pagerduty", [(403, "", {})], "permanent"),
        ("pagerduty", [(403, '{"status":"throttle exceeded"}', {})], "later"),
        ("telegram", [(403, "<html>blocked</html>", {})], "rejected"),
        ("slack", [(404, " <!DOCTYPE html>", {})], "rejected"),
        ("teams", [(401, "<html>", {})], "rejected"),
        ("pagerduty", [(403, "<html>blocked</html>", {})], "rejected"),
        ("ntfy", [(404, "<html>no such tunnel</html>", {})], "rejected"),
        ("telegram", [telegram_says(400, text="Bad Request: need administrator rights")], "permanent"),
        ("telegram", [telegram_says(400, text="Bad Request: TOPIC_DELETED")], "permanent"),
        ("discord", [(400, '{"code": 50083}', {})], "permanent"),
        ("discord", [(400, '{"code": 160005}', {})], "permanent"),
        ("discord", [(403, '{"code": 40333, "message": "internal network error"}', {})], "later"),
        ("dingtalk", [coded(310000, "keywords not in content")], "permanent"),
        ("dingtalk", [coded(310000, "错误描述:机器人发送签名过期;解决方案:签名生成时间")], "permanent"),
        ("dingtalk", [coded(310000, "ip 192.0.2.1 not in whitelist")], "permanent"),
        ("dingtalk", [coded(40035, "缺少参数 access_token")], "permanent"),
        ("dingtalk", [coded(40035, "缺少参数 json")] * 2, "rejected"),
        ("dingtalk", [coded(400102, "bot is stopped")], "permanent"),
        ("dingtalk", [coded(430102)] * 2, "rejected"),  # words that DingTalk does not like
        ("dingtalk", [coded(460101), coded(0, "ok")], "ok"),
        ("dingtalk", [coded(410100)], "later"),
        ("dingtalk", [coded(-1, "系统繁忙")], "later"),
        ("dingtalk", [(200, "", {})], "later"),
        ("dingtalk", [(200, "ok", {})], "later"),
        ("dingtalk", [(200, '{"errcode": "0", "errmsg": "ok"}', {})], "later"),
        ("dingtalk", [(200, '{"errcode": false}', {})], "later"),
        ("dingtalk", [(200, "<html>Sign in</html>", {})], "later"),
        ("dingtalk", [(404, "", {})], "permanent"),
        ("dingtalk", [(404, "<html>", {})], "rejected"),
        ("wecom", [coded(93004)], "permanent"),
        ("wecom", [coded(93008)], "permanent"),
        ("wecom", [coded(40058)] * 2, "rejected"),
        ("wecom", [coded(44004, "empty content")] * 2, "rejected"),
        ("wecom", [coded(40058), coded(0, "ok")], "ok"),
        ("wecom", [coded(45033)], "later"),
        ("wecom", [coded(-1, "system busy")], "later"),
        ("wecom", [(200, "{}", {})], "later"),
        ("wecom", [(200, '{"errcode": null}', {})], "later"),
        ("wecom", [(403, "", {})], "permanent"),
        ("ntfy", [(429, "", {"Retry-After": "Fri, 01 Jan 2027 00:00:00 +99999999999999"})], "later"),
    ],
)
async def test_what_is_refused_is_the_message_or_the_channel(
    name: str, replies: list[Reply], expected: str, make_notice: MakeNotice
) -> None:
    kind = next(one for one in KINDS if one.name == name)
    vendor = Vendor(kind.rules)
    vendor.instead = list(replies)
    await vendor.server.start_server()
    post = Rerouted(vendor, kind.home)
    channel = create_channels(dict(kind.settings), post)[name]

    sent = await channel.send([make_notice()], NOON)

    outcome = {"ok": sent.ok, "permanent": sent.permanent, "rejected": sent.rejected}
    assert [expected] == ([word for word, is_so in outcome.items() if is_so] or ["later"])
    await post.close()
    await vendor.server.close()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"TELEGRAM_BOT_TOKEN": "123:x"}, "TELEGRAM_CHAT_ID"),
        ({"TELEGRAM_BOT_TOKEN": "nonsense", "TELEGRAM_CHAT_ID": "1"}, "TELEGRAM_BOT_TOKEN"),
        ({"TELEGRAM_BOT_TOKEN": "123:x", "TELEGRAM_CHAT_ID": "-1001:general"}, "TELEGRAM_CHAT_ID"),
        ({"TELEGRAM_BOT_TOKEN": "123:x", "TELEGRAM_CHAT_ID": ":42"}, "TELEGRAM_CHAT_ID"),
        ({"NTFY_URL": "https://ntfy.sh/"}, "NTFY_URL"),
        ({"PAGERDUTY_ROUTING_KEY": "short"}, "PAGERDUTY_ROUTING_KEY"),
        ({"TEAMS_WEBHOOK_URL": "not an address"}, "TEAMS_WEBHOOK_URL"),
        ({"DINGTALK_WEBHOOK_URL": "oapi.dingtalk.com/robot/send"}, "DINGTALK_WEBHOOK_URL"),
        ({"WECOM_WEBHOOK_URL": "canary-key"}, "WECOM_WEBHOOK_URL"),
        ({"SMTP_URL": "smtp://user:password@mail.example.com"}, "SMTP_URL"),
        ({"SMTP_URL": "smtps://mail.example.com"}, "NOTIFY_EMAIL_TO"),
        ({"SMTP_URL": "smtps://mail.example.com", "NOTIFY_EMAIL_TO": "a@example.com"}, "NOTIFY_EMAIL_FROM"),
    ],
)
def test_a_channel_with_wrong_settings_says_which_and_stays_out(
    settings: dict[str, str], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def post(*_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is sent")

    assert {} == create_channels(settings, post)
    assert [field] == [str(record.error).partition(":")[0] for record in caplog.records]  # type: ignore[attr-defined]
