"""The Feishu card: what it looks like, what it survives, and what the vendor's answers mean."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, TrustedHttpClient
from functions.notifications.channels.feishu import (
    add_signature,
    classify_response,
    create_channel,
    escape,
    render_card,
    render_text,
)
from functions.notifications.rendering.digest import Locale
from functions.notifications.rendering.phrases import EN, ZH
from tests.conftest import NOON
from tests.fakes.feishu_bot import FeishuBot
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice
from tests.unit.notifications.golden_file import golden

StartBot = Callable[..., Awaitable[FeishuBot]]


def one_failure(make: MakeNotice) -> list[Notification]:
    return [
        make(
            title="Shop front answers",
            failures=3,
            since=NOON - timedelta(minutes=10),
            attempt=2,
            duration_ms=1234,
            next_run_at=NOON + timedelta(minutes=5),
        )
    ]


def one_of_each(make: MakeNotice) -> list[Notification]:
    items = (
        {"title": "Release 2.0 [stable]", "url": "https://example.com/r(2)", "text": "Breaking *changes*"},
        {"title": "No address", "url": "javascript:alert(1)"},
    )
    return [
        *one_failure(make),
        make("paused", "old-report", summary="Failed 5 times in a row"),
        make("recovery", "backup", failures=4, since=NOON - timedelta(hours=3, minutes=2), summary="Done"),
        make("news", "release-watch", summary="2 new entries", items=items),
        make("success", "briefing", summary="Sunny, 21 °C"),
    ]


@pytest.mark.parametrize(
    ("name", "notices_of", "words"),
    [
        ("feishu_one_failure_en", one_failure, EN),
        ("feishu_one_failure_zh", one_failure, ZH),
        ("feishu_one_of_each_en", one_of_each, EN),
        ("feishu_one_of_each_zh", one_of_each, ZH),
    ],
)
def test_card_is_as_reviewed(name: str, notices_of: Any, words: Any, make_notice: MakeNotice) -> None:
    card = render_card(notices_of(make_notice), Locale(words))

    assert golden(name, card) == json.loads(card)


def test_text_that_stands_in_for_a_card_is_as_reviewed(make_notice: MakeNotice) -> None:
    message = render_text(one_of_each(make_notice), Locale(EN))

    assert golden("feishu_text", message) == json.loads(message)


def test_signature_is_the_vendors_own() -> None:
    """The key is time and secret, the text is empty: the usual order gives another value."""
    message = json.loads(
        add_signature(b'{"msg_type":"text"}', "test-secret", now=NOON.fromtimestamp(1700000000, NOON.tzinfo))
    )

    assert "1700000000" == message["timestamp"]
    assert "mbm4Y4oluIPQ00qlBIhX8vAZ0EKv3nw0LuTb91jPL84=" == message["sign"]


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "字", "*", "😀", '"', "\\"])
@pytest.mark.parametrize("count", [1, 10, 300])
def test_card_fits_whatever_it_must_say(letter: str, count: int, make_notice: MakeNotice) -> None:
    """The vendor counts bytes; a Chinese letter takes three, an escaped star five."""
    items = tuple(
        {"title": letter * 200, "url": "https://e.com/" + "a" * 900, "text": letter * 500} for _ in range(50)
    )
    notices = [
        make_notice("news", f"watch-{n}", title=letter * 200, summary=letter * 400, items=items)
        for n in range(count)
    ]

    for render in (render_card, render_text):
        body = add_signature(render(notices, Locale(ZH)), "secret", now=NOON)

        assert len(body) <= 18 * 1024
        assert json.loads(body)


@pytest.mark.slow
def test_card_is_cut_as_soon_as_it_is_too_large(make_notice: MakeNotice) -> None:
    """Room must be left for the signature, and for a vendor that counts otherwise than it says."""
    sizes = [
        len(render_card([make_notice(task_id=f"t-{n}", summary="*" * chars) for n in range(10)], Locale(ZH)))
        for chars in range(300, 400)
    ]

    assert max(sizes) <= 18_000 < 1.05 * max(sizes)


def test_chinese_is_sent_in_three_bytes_a_letter(make_notice: MakeNotice) -> None:
    assert "失败".encode() in add_signature(render_card([make_notice()], Locale(ZH)), "secret", now=NOON)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("--- a - b", "&#45;-- a - b"),
        ("+ a", "&#43; a"),
        ("# a", "&#35; a"),
        ("a_b*c~d`e|f", "a&#95;b&#42;c&#126;d&#96;e&#124;f"),
        ("<at id=all>", "&#60;at id=all&#62;"),
        ("![x](y)", "&#33;&#91;x&#93;&#40;y&#41;"),
        ("&#60;at&#62;", "&#38;&#35;60;at&#38;&#35;62;"),
        ("https://e.com at 12:30", "https&#58;//e.com at 12:30"),
    ],
)
def test_foreign_text_is_shown_letter_by_letter(foreign: str, shown: str) -> None:
    assert shown == escape(foreign)


def test_more_than_ten_notices_are_counted(make_notice: MakeNotice) -> None:
    notices = [make_notice(task_id=f"shop-{n}") for n in range(1000)]

    card = json.loads(render_card(notices, Locale(EN)))["card"]

    assert "1000 failed" == card["header"]["title"]["content"]
    assert "and 990 more" in str(card)
    assert 10 == str(card).count("🔴")


async def test_foreign_texts_can_neither_mention_nor_link(
    feishu_bot: StartBot, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    """A feed's title must not wake the whole group, nor lead it where its address does not."""
    bot = await feishu_bot()
    channel = create_channel({"FEISHU_WEBHOOK_URL": bot.url}, post)
    evil = (
        '<at id=all></at> [here](https://evil.example) < AT user_id="all">x</at> https://evil.example **b**'
    )
    items = (
        {"title": evil, "url": "https://good.example/a)[x](https://evil.example/", "text": evil},
        {"title": evil, "url": "https://good.example/&#41;b"},
        {"title": "t", "url": "https://u:p@evil.example/"},
        {"title": "t", "url": "ftp://evil.example/"},
        {"title": "t", "url": "https://evil.example/ <at id=all></at>"},
    )
    notices = [
        make_notice(title=evil[:200], summary=evil),
        make_notice("news", "watch", title=evil[:200], summary=evil, items=items),
    ]
    assert channel is not None

    both = [await channel.send(notices, NOON), await channel.send(notices[1:], NOON)]

    assert [True, True] == [sent.ok for sent in both]
    assert [] == bot.mentions
    assert {"https://good.example"} == {"/".join(url.split("/")[:3]) for _, url in bot.links}
    assert 4 == len(bot.links)
    assert not any("&#" in url for _, url in bot.links)


async def test_text_fallback_cannot_mention_either(
    feishu_bot: StartBot, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    bot = await feishu_bot(refuse_cards=200621)
    channel = create_channel({"FEISHU_WEBHOOK_URL": bot.url}, post)
    assert channel is not None

    sent = await channel.send([make_notice(title='<at user_id="all">x</at>', summary="< at id=all>")], NOON)

    assert sent.ok
    assert [] == bot.mentions


@pytest.mark.parametrize("code", [9499, 11246, 11310, 200621, 230099, 77777])
async def test_card_nobody_can_read_is_said_in_plain_text(
    code: int, feishu_bot: StartBot, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    """No alert is lost to a fault in its layout."""
    bot = await feishu_bot(refuse_cards=code, secret="test-secret")
    settings = {"FEISHU_WEBHOOK_URL": bot.url, "FEISHU_WEBHOOK_SECRET": "test-secret"}
    channel = create_channel(settings, post)
    assert channel is not None

    sent = await channel.send([make_notice()], NOON)

    assert sent.ok
    assert str(code) in sent.detail
    assert [
        "🔴 “Shop front” failed: Answered 503, expected 200\n"
        "schedule: Every 5 minutes (Asia/Shanghai)\n"
        "— Cronfire"
    ] == bot.texts
    assert 2 == bot.requests


@pytest.mark.parametrize(
    ("options", "settings", "hint"),
    [
        (
            {"secret": "theirs"},
            {"FEISHU_WEBHOOK_SECRET": "ours-is-wrong"},
            "19021: the signature does not match",
        ),
        ({"secret": "theirs"}, {}, "19021"),
        ({"keyword": "Sesame"}, {}, "19024: the bot requires a keyword"),
    ],
)
async def test_refusal_by_a_setting_is_permanent_and_says_which(
    options: dict[str, str],
    settings: dict[str, str],
    hint: str,
    feishu_bot: StartBot,
    post: TrustedHttpClient,
    make_notice: MakeNotice,
) -> None:
    bot = await feishu_bot(**options)
    channel = create_channel({"FEISHU_WEBHOOK_URL": bot.url} | settings, post)
    assert channel is not None

    sent = await channel.send([make_notice()], NOON)

    assert (False, True) == (sent.ok, sent.permanent)
    assert hint in sent.detail
    assert 1 == bot.requests


async def test_every_message_holds_the_keyword(
    feishu_bot: StartBot, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    bot = await feishu_bot(keyword="Cronfire")
    channel = create_channel({"FEISHU_WEBHOOK_URL": bot.url}, post)
    assert channel is not None

    card = await channel.send([make_notice()], NOON)
    bot.refuse_cards = 11246
    text = await channel.send([make_notice()], NOON)

    assert (True, True) == (card.ok, text.ok)


async def test_sixth_message_in_a_second_is_temporary_and_not_said_again_as_text(
    feishu_bot: StartBot, post: TrustedHttpClient, make_notice: MakeNotice, clock: Clock
) -> None:
    bot = await feishu_bot()
    channel = create_channel({"FEISHU_WEBHOOK_URL": bot.url}, post)
    assert channel is not None

    sent = [await channel.send([make_notice()], clock()) for _ in range(6)]
    clock.move(seconds=1)
    later = await channel.send([make_notice()], clock())

    assert [True] * 5 + [False] == [one.ok for one in sent]
    assert not sent[5].permanent
    assert later.ok
    assert 7 == bot.requests


@pytest.mark.parametrize(
    ("status", "headers", "body", "ok", "permanent", "wait_s"),
    [
        (200, {}, b'{"code":0,"msg":"success"}', True, False, None),
        (200, {}, b'{"StatusCode":0,"StatusMessage":"success"}', True, False, None),
        (200, {}, b'{"code":19001,"StatusCode":0}', False, True, None),
        (400, {}, b'{"code":19022,"msg":"Ip Not Allowed"}', False, True, None),
        (200, {}, b"<html>ok</html>", False, False, None),
        (200, {}, b"", False, False, None),
        (200, {}, b"[]", False, False, None),
        (200, {}, b'{"code":"0"}', False, False, None),
        (200, {}, b'{"code":false}', False, False, None),
        (200, {}, b"{}", False, False, None),
        (302, {"location": "https://elsewhere.example"}, b"", False, False, None),
        (404, {}, b"not found", False, True, None),
        (502, {}, b"bad gateway", False, False, None),
        (429, {"retry-after": "30"}, b"", False, False, 30),
        (429, {"retry-after": "Fri, 20 Nov 2026 12:02:00 GMT"}, b"", False, False, 120),
        (429, {"retry-after": "soon"}, b"", False, False, None),
        (429, {"retry-after": "1e999"}, b"", False, False, None),
        (429, {"retry-after": "nan"}, b"", False, False, None),
        (429, {"retry-after": "Fri, 20 Nov 2026 11:59:00 GMT"}, b"", False, False, None),
        (429, {"retry-after": "Fri, 20 Nov 2026 19:00:00 GMT"}, b"", False, False, 3600),
        (429, {"retry-after": "999999"}, b"", False, False, 3600),
        (400, {"x-ogw-ratelimit-reset": "7"}, b'{"code":99991400}', False, False, 7),
        (200, {}, b'{"code":11232}', False, False, None),
        (403, {}, b"<html>blocked</html>", False, False, None),
    ],
)
def test_vendors_word_counts_not_its_status(
    status: int, headers: dict[str, str], body: bytes, ok: bool, permanent: bool, wait_s: int | None
) -> None:
    """Feishu refuses with HTTP 200; others ran for days believing that this meant success."""
    sent, _ = classify_response(HttpResponse(status, headers, body), now=NOON)

    assert (ok, permanent) == (sent.ok, sent.permanent)
    assert wait_s == (None if sent.retry_after is None else sent.retry_after.total_seconds())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"code":9499,"msg":"too many request","data":{}}'),  # the gateway's
        (200, b'{"code":11233,"msg":"frequency limited"}'),
        (400, b'{"code":230020,"msg":"ext=chat rate limit"}'),
        (429, b""),
    ],
)
async def test_a_bot_that_is_sent_too_much_gets_no_second_message_and_refuses_no_content(
    status: int, body: bytes, make_notice: MakeNotice
) -> None:
    requests = []

    async def post(url: str, **how: Any) -> HttpResponse:
        requests.append(url)
        return HttpResponse(status, {}, body)

    channel = create_channel({"FEISHU_WEBHOOK_URL": "https://open.feishu.cn/hook/x"}, post)
    assert channel is not None
    sent = await channel.send([make_notice()], NOON)

    assert (False, False, False, 1) == (sent.ok, sent.permanent, sent.rejected, len(requests))
    assert "too many messages" in sent.detail


@pytest.mark.parametrize(
    "url", ["canary", "ftp://open.feishu.cn/x", "https:///a", "https://open.feishu.cn/a b"]
)
def test_address_that_is_none_is_refused_without_being_shown(url: str, post: TrustedHttpClient) -> None:
    with pytest.raises(SettingsError, match="FEISHU_WEBHOOK_URL") as caught:
        create_channel({"FEISHU_WEBHOOK_URL": url}, post)

    assert url not in str(caught.value)
