"""The apprise channel over real HTTP, with the real library: what is let through, and said once."""

import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from functions.domain.alerts.model import Notification
from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse
from functions.notifications.channels.apprise import MISSING, AppriseChannel, create_channel, render
from functions.notifications.rendering.digest import Locale
from functions.notifications.rendering.phrases import EN
from tests.conftest import NOON

CANARY = "c4nary-token"


async def no_post(url: str, **how: Any) -> HttpResponse:
    raise AssertionError("the library posts by itself")


def notice(summary: str = "Answered 503", *, task_id: str = "shop") -> Notification:
    return Notification(
        id=f"{task_id}@2026-11-20T12:00:00Z#failure",
        kind="failure",
        task_id=task_id,
        title="Shop @everyone",
        type="http",
        schedule="@daily",
        timezone="UTC",
        occurrence=NOON,
        at=NOON,
        summary=summary,
    )


@dataclass
class Service:
    """A Gotify server on loopback: it takes messages as the real one does, or refuses them."""

    port: int = 0
    status: int = 200
    taken: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    one = Service()

    async def message(request: web.Request) -> web.Response:
        assert request.headers["X-Gotify-Key"] == CANARY
        if one.status == 200:
            one.taken.append(await request.json())
        headers = {"Location": "/sign-in"} if one.status == 302 else {}
        return web.json_response({"id": 1}, status=one.status, headers=headers)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/sign-in", page)
    app.router.add_post("/message", message)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


def channel(*urls: str) -> AppriseChannel:
    found = create_channel({"APPRISE_URLS": "\n".join(urls)}, no_post)
    assert found is not None
    return found


@pytest.mark.slow
async def test_a_redirect_is_no_delivery(service: Service) -> None:
    """A proxy that wants a sign-in, or moves http to https: what follows it asks for a page, and gets one."""
    service.status = 302

    sent = await channel(f"gotify://127.0.0.1:{service.port}/{CANARY}").send([notice()], NOON)

    assert (False, []) == (sent.ok, service.taken)


@pytest.mark.slow
async def test_a_service_is_told_in_its_own_way(service: Service) -> None:
    sent = await channel(f"gotify://127.0.0.1:{service.port}/{CANARY}").send([notice()], NOON)

    [message] = service.taken
    assert sent.ok
    assert "Answered 503" in message["message"]
    assert "@everyone" not in message["title"] + message["message"]


@pytest.mark.slow
async def test_who_has_taken_a_message_is_not_told_again_because_another_has_not(service: Service) -> None:
    dead = f"gotify://127.0.0.1:1/{CANARY}"
    one = channel(f"gotify://127.0.0.1:{service.port}/{CANARY}", dead)

    first = await one.send([notice()], NOON)
    left = notice().model_copy(update={"lacking": {"apprise": first.lacking}})
    second = await one.send([left], NOON)

    assert (False, False, 1) == (first.ok, second.ok, len(service.taken))
    assert "not accepted by number 2 of APPRISE_URLS" == first.detail
    assert not first.permanent
    assert (1, first.lacking) == (len(first.lacking), second.lacking)


async def test_a_refusal_is_tried_again_later(service: Service) -> None:
    service.status = 500
    one = channel(f"gotify://127.0.0.1:{service.port}/{CANARY}")

    refused = await one.send([notice()], NOON)
    service.status = 200
    taken = await one.send([notice()], NOON)

    assert (False, True, 1) == (refused.ok, taken.ok, len(service.taken))


@pytest.mark.parametrize(
    ("title_chars", "body_chars", "has_title"),
    [(250, 1024, True), (0, 160, False), (60, 10_000, True), (0, 2048, False)],  # Pushover, SMS, Zulip, WeCom
)
def test_a_message_is_never_longer_than_a_service_takes(
    title_chars: int, body_chars: int, has_title: bool
) -> None:
    """The library sends it all the same, and the service refuses it."""
    many = [notice("Answered 503 " * 30).model_copy(update={"title": f"Shop {n} " * 15}) for n in range(20)]

    for notices in (many[:1], many):
        title, text = render(notices, Locale(EN), title_chars=title_chars, body_chars=body_chars)

        assert has_title is bool(title)
        assert len(title) <= title_chars
        assert 100 < len(text) <= body_chars


@pytest.mark.parametrize(
    "url",
    ["json://example.com", "file:///tmp/x", "dbus://x", "syslog://x", "windows://x", "xmls://x", "exec://rm"],
)
def test_what_is_no_messaging_service_is_not_let_through(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        create_channel({"APPRISE_URLS": f"gotify://ok/{CANARY} {url}"}, no_post)

    assert "APPRISE_URLS: number 2" in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "remedy"),
    [
        ("dingtalk", "DINGTALK_WEBHOOK_URL"),
        ("wecombot", "WECOM_WEBHOOK_URL"),
        ("Lark", "FEISHU_WEBHOOK_URL"),
        ("feishu", "FEISHU_WEBHOOK_URL"),
        ("schan", "WEBHOOK_URL"),
        ("spugpush", "WEBHOOK_URL"),
        ("vonage", "WEBHOOK_URL"),
        ("nexmo", "WEBHOOK_URL"),
    ],
)
def test_a_service_whose_refusals_the_library_takes_for_deliveries_is_refused(
    scheme: str, remedy: str
) -> None:
    """They answer 200 with a code: a deleted bot would swallow every alert."""
    with pytest.raises(SettingsError) as refused:
        create_channel({"APPRISE_URLS": f"gotify://ok/{CANARY} {scheme}://{CANARY}"}, no_post)

    assert f"APPRISE_URLS: number 2 is {scheme.lower()}, which refuses" in str(refused.value)
    assert f"set {remedy} " in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.slow
def test_every_scheme_that_is_let_through_is_one_the_library_knows() -> None:
    import apprise

    known = {
        scheme
        for plugin in apprise.Apprise().details(show_disabled=True)["schemas"]
        for scheme in [*(plugin["protocols"] or ()), *(plugin["secure_protocols"] or ())]
    }

    from functions.notifications.channels.apprise import SCHEMES

    assert [] == sorted(SCHEMES - known)


async def test_addresses_that_the_library_cannot_use_switch_the_channel_off() -> None:
    sent = await channel("pover://x").send([notice()], NOON)

    assert (False, True) == (sent.ok, sent.permanent)
    assert "not complete" in sent.detail
    assert sent.detail.endswith("number 1 of APPRISE_URLS")


@pytest.mark.slow
async def test_one_address_that_the_library_cannot_use_takes_no_alert_from_the_others(
    service: Service,
) -> None:
    sent = await channel("pover://x", f"gotify://127.0.0.1:{service.port}/{CANARY}").send([notice()], NOON)

    assert 1 == len(service.taken)
    assert sent.ok
    assert sent.detail.endswith("number 1 of APPRISE_URLS")


async def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    sent = await channel(f"gotify://127.0.0.1:1/{CANARY}").send([notice()], NOON)

    assert (False, True, MISSING) == (sent.ok, sent.permanent, sent.detail)


async def test_no_address_is_in_a_log_or_a_representation(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 401
    one = channel(f"gotify://127.0.0.1:{service.port}/{CANARY}")

    with caplog.at_level(logging.DEBUG):
        sent = await one.send([notice()], NOON)

    assert CANARY not in repr(one) + str(sent) + caplog.text
