"""DingTalk and WeCom: signature, limits, and what a stranger's words do in their markdown, over real HTTP."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.notifications import create_channels
from functions.notifications.channel import SendResult
from functions.notifications.channels import dingtalk, wecom
from functions.notifications.channels.dingtalk import sign_url
from functions.notifications.rendering.digest import Locale
from functions.notifications.rendering.phrases import EN
from tests.conftest import NOON
from tests.fakes import vendors
from tests.fakes.vendors import Limited, Reply, Rerouted, Vendor
from tests.support.clock import Clock

MakeNotice = Callable[..., Notification]
DINGTALK = {
    "DINGTALK_WEBHOOK_URL": "https://oapi.dingtalk.com/robot/send?access_token=canary-token",
    "DINGTALK_SECRET": "canary-secret",
}
WECOM = {"WECOM_WEBHOOK_URL": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=canary-key"}


async def send(
    name: str,
    *messages: list[Notification],
    rules: Any = None,
    instead: tuple[Reply, ...] = (),
    clock: Callable[[], Any] = lambda: NOON,
    **settings: str,
) -> tuple[list[SendResult], list[Any]]:
    """Send *messages* to a stand-in; return the results, and what it took."""
    own, home = {
        "dingtalk": (DINGTALK, "https://oapi.dingtalk.com"),
        "wecom": (WECOM, "https://qyapi.weixin.qq.com"),
    }[name]
    vendor = Vendor(rules or getattr(vendors, name))
    vendor.instead = list(instead)
    await vendor.server.start_server()
    post = Rerouted(vendor, home)
    try:
        channel = create_channels(own | settings, post)[name]
        return [await channel.send(notices, clock()) for notices in messages], vendor.taken
    finally:
        await post.close()
        await vendor.server.close()


def text_of(message: dict[str, Any]) -> str:
    content: dict[str, str] = message[message["msgtype"]]
    return content.get("text") or content["content"]


def test_signature_is_that_of_the_vendors_recipe() -> None:
    """The key is the secret, the text the time in milliseconds and the secret."""
    signed = sign_url("https://oapi.dingtalk.com/robot/send?access_token=t", "SECtest", now=NOON)

    assert (
        "https://oapi.dingtalk.com/robot/send?access_token=t&timestamp=1795176000000&sign=y6BM9AXd7LOzn6A0sb1qcMOpSfdcnLtogKbfSPulo5o%3D"
        == signed
    )


async def test_each_attempt_has_its_own_time_and_an_old_signature_in_the_setting_goes(
    make_notice: MakeNotice, clock: Clock
) -> None:
    seen: list[str] = []

    def rules(path: str, headers: Any, body: Any) -> Reply:
        seen.append(path)
        return vendors.dingtalk(path, headers, body)

    stale = f"{DINGTALK['DINGTALK_WEBHOOK_URL']}&timestamp=1&sign=old"
    first, _ = await send("dingtalk", [make_notice()], rules=rules, clock=clock, DINGTALK_WEBHOOK_URL=stale)
    clock.move(hours=2)
    second, _ = await send("dingtalk", [make_notice()], rules=rules, clock=clock)

    assert [True, True] == [first[0].ok, second[0].ok]
    times = [re.findall(r"timestamp=(\d+)", path) for path in seen]
    assert [1, 1] == [len(found) for found in times]
    assert 7_200_000 == int(times[1][0]) - int(times[0][0])


async def test_a_bot_without_a_signature_gets_none(make_notice: MakeNotice) -> None:
    paths = []

    def rules(path: str, _: Any, body: Any) -> Reply:
        paths.append(path)
        return 200, '{"errcode":0,"errmsg":"ok"}', {}

    [sent], _ = await send("dingtalk", [make_notice()], rules=rules, DINGTALK_SECRET="")

    assert (True, ["/robot/send?access_token=canary-token"]) == (sent.ok, paths)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("keywords not in content, more: [https://x]", "make it Cronfire"),
        ("错误描述:关键词不匹配;解决方案:请联系群管理员", "make it Cronfire"),
        ("ip 192.0.2.7 not in whitelist", "IP allow-list"),
        ("sign not match", "check DINGTALK_SECRET"),
        ("invalid timestamp", "clock"),
    ],
)
async def test_a_refusal_by_the_bots_security_settings_says_which(
    text: str, hint: str, make_notice: MakeNotice
) -> None:
    refusal: Reply = (200, f'{{"errcode":310000,"errmsg":"{text}"}}', {})

    [sent], _ = await send("dingtalk", [make_notice()], instead=(refusal,))

    assert (False, True) == (sent.ok, sent.permanent)
    assert hint in sent.detail
    assert "192.0.2.7" not in sent.detail


async def test_the_wait_of_dingtalks_gateway_is_kept(make_notice: MakeNotice) -> None:
    blocked: Reply = (200, '{"status":1111,"wait":5,"source":"x5","punish":"deny"}', {})

    [sent], _ = await send("dingtalk", [make_notice()], instead=(blocked,))

    assert (False, False, timedelta(seconds=5)) == (sent.ok, sent.permanent, sent.retry_after)


@pytest.mark.parametrize(
    ("name", "refusal", "blocked_for"),
    [
        ("dingtalk", (130101, "send too fast, exceed 20 times per minute"), timedelta(minutes=10)),
        ("wecom", (45009, "api freq out of limit"), timedelta(minutes=1)),
    ],
)
async def test_the_21st_message_of_a_minute_is_not_lost(
    name: str, refusal: tuple[int, str], blocked_for: timedelta, clock: Clock, make_notice: MakeNotice
) -> None:
    """It is refused with HTTP 200; after the vendor's wait it arrives."""
    rules = Limited(getattr(vendors, name), clock, most=20, blocked_for=blocked_for, refusal=refusal)

    sent, _ = await send(name, *[[make_notice()]] * 21, rules=rules, clock=clock)
    clock.now += sent[20].retry_after or blocked_for
    [later], _ = await send(name, [make_notice()], rules=rules, clock=clock)

    assert [True] * 20 + [False] == [one.ok for one in sent]
    assert (False, False) == (sent[20].permanent, sent[20].rejected)
    assert "too many messages" in sent[20].detail
    assert later.ok


@pytest.mark.slow
@pytest.mark.parametrize("letters", ["监", "🔥", "]*[<"])
def test_no_message_is_longer_than_the_vendor_takes(letters: str, make_notice: MakeNotice) -> None:
    """Their limits are bytes of UTF-8, and what an escape adds counts."""
    long = letters * (200 // len(letters))
    item = {"title": long, "url": "https://e.example/" + "a" * 1500, "text": long}
    many = [
        make_notice("failure", f"task-{n}", title=long, summary=long, items=(item,) * 9) for n in range(12)
    ]
    locale = Locale(EN, "https://cron.example.com")

    for notices in (many[:1], many):
        assert 400 < len(dingtalk.render(notices, locale)) <= 20_000
        assert 400 < len(dingtalk.render_plain(notices, locale)) <= 20_000
        assert 100 < len(wecom_content(wecom.render(notices, locale))) <= 4096
        assert 100 < len(wecom_content(wecom.render_plain(notices, locale))) <= 2048


def wecom_content(body: bytes) -> bytes:
    return text_of(json.loads(body)).encode()


@pytest.mark.parametrize("name", ["dingtalk", "wecom"])
@pytest.mark.parametrize("plain", [False, True])
async def test_a_strangers_words_mention_nobody_and_lead_nowhere(
    name: str, plain: bool, make_notice: MakeNotice
) -> None:
    evil = (
        "# @all <@all> @13800000000 <@zhang> [pay](https://evil.example) ![x](http://evil.example/p.png) "
        '**loud** `code` <font color="warning">red</font> <a href="//evil.example">x</a> ] (https://evil.example)'
    )
    item = {"title": evil, "url": "https://good.example/a)[x](https://evil.example/", "text": evil}
    notices = [
        make_notice("news", "watch", title=evil[:200], summary=evil, items=(item, item)),
        make_notice(title=evil[40:200], summary=f"> {evil}"),
    ]
    refused: tuple[Reply, ...] = ((200, '{"errcode":40008,"errmsg":"invalid"}', {}),) if plain else ()

    [both], taken = await send(name, notices, instead=refused)
    [alone], others = await send(name, notices[1:], instead=refused)

    assert (True, True) == (both.ok, alone.ok)
    for message in (taken[-1], others[-1]):
        text = text_of(message)
        assert ("text" if plain else "markdown") == message["msgtype"]
        assert not re.search(r"@\w", text)
        if plain:
            assert not re.search(r"https?://", text)
            continue
        assert not re.search(r"<[@a-z/]|(?<!\\)`|^[#>]", text, re.MULTILINE)
        links = re.findall(r"(?<!\\)\]\(([^)]*)\)", text)
        assert ["https://good.example"] * len(links) == ["/".join(link.split("/")[:3]) for link in links]
        rest = re.sub(r"\]\([^)]*\)", "", text)
        assert not re.search(r"https?://", rest)
    assert plain or 2 == len(re.findall(r"(?<!\\)\]\(", text_of(taken[-1])))


@pytest.mark.parametrize("refused", [(), ((200, '{"errcode":400105,"errmsg":"x"}', {}),)])
async def test_every_message_to_dingtalk_has_the_keyword(
    refused: tuple[Reply, ...], make_notice: MakeNotice
) -> None:
    [sent], taken = await send("dingtalk", [make_notice()], instead=refused)

    assert sent.ok
    assert "Cronfire" in text_of(taken[-1])


async def test_a_message_says_what_happened_in_lines(make_notice: MakeNotice) -> None:
    notice = make_notice(summary="Answered 503, expected 200")

    [_], [to_dingtalk] = await send("dingtalk", [notice], PUBLIC_URL="https://cron.example.com")
    [_], [to_wecom] = await send("wecom", [notice], PUBLIC_URL="https://cron.example.com")

    assert "“Shop front” failed" == to_dingtalk["markdown"]["title"]
    lines = [
        "🔴 **“Shop front” failed**",
        "Answered 503, expected 200",
        "schedule: Every 5 minutes (Asia/Shanghai)",
        "[Open the task](https://cron.example.com/dashboard/tasks/shop-front)",
    ]
    assert "\n".join(lines) == text_of(to_wecom)
    assert "  \n".join(lines) + "\n\n— Cronfire" == text_of(to_dingtalk)
