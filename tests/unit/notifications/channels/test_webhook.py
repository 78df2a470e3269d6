"""The generic webhook: its body, its signature, and what the receiver's answers mean."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from functions.errors import SettingsError
from functions.http_client.trusted import HttpResponse, TrustedHttpClient
from functions.notifications.channels.webhook import (
    classify_response,
    create_channel,
    message_id,
    render,
    signature_headers,
)
from tests.conftest import NOON
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.clock import Clock
from tests.unit.notifications.conftest import MakeNotice
from tests.unit.notifications.golden_file import golden

StartReceiver = Callable[..., Awaitable[WebhookReceiver]]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_body_is_as_reviewed(make_notice: MakeNotice) -> None:
    notices = [
        make_notice(
            failures=3, since=NOON - timedelta(minutes=10), attempt=2, duration_ms=1234, channels=("webhook",)
        ),
        make_notice(
            "news", "watch", summary="1 new entry", items=({"title": "字", "url": "https://e.com/"},)
        ),
    ]

    body = render(notices)

    assert golden("webhook", body) == json.loads(body)


def test_signature_is_that_of_the_specification() -> None:
    import base64

    headers = signature_headers(
        b'{"test": 2432232314}',
        [base64.b64decode(SECRET.removeprefix("whsec_"))],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        now=datetime.fromtimestamp(1614265330, NOON.tzinfo),
    )

    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == headers


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (SECRET, SECRET),
        (SECRET, f"{OTHER_SECRET}\n{SECRET}"),
        (SECRET, f"{SECRET} {OTHER_SECRET}"),
        ("raw secret of theirs".replace(" ", "-"), "raw-secret-of-theirs"),
    ],
)
async def test_receiver_verifies_with_any_of_the_keys(
    theirs: str, ours: str, receiver: StartReceiver, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    """While a key is being changed, both old and new receivers are content."""
    fake = await receiver(secret=theirs)
    channel = create_channel({"WEBHOOK_URL": fake.url, "WEBHOOK_SECRET": ours}, post)
    assert channel is not None

    sent = await channel.send([make_notice(summary="Größe 字 😀")], NOON)

    assert sent.ok, fake.refusals
    assert "Größe 字 😀" == fake.messages[0]["data"]["notices"][0]["summary"]


async def test_second_attempt_has_the_same_id_and_body_and_a_fresh_timestamp(
    receiver: StartReceiver, post: TrustedHttpClient, make_notice: MakeNotice, clock: Clock
) -> None:
    """The receiver can tell a repetition; the signature of yesterday would be too old."""
    fake = await receiver(secret=SECRET)
    channel = create_channel({"WEBHOOK_URL": fake.url, "WEBHOOK_SECRET": SECRET}, post)
    assert channel is not None

    await channel.send([make_notice()], clock())
    clock.move(hours=5)
    sent = await channel.send([make_notice()], clock())

    assert sent.ok
    assert fake.ids[0] == fake.ids[1]
    assert fake.messages[0] == fake.messages[1]


async def test_wrong_key_is_not_taken(
    receiver: StartReceiver, post: TrustedHttpClient, make_notice: MakeNotice
) -> None:
    fake = await receiver(secret=SECRET)
    channel = create_channel({"WEBHOOK_URL": fake.url, "WEBHOOK_SECRET": OTHER_SECRET}, post)
    assert channel is not None

    sent = await channel.send([make_notice()], NOON)

    assert (False, True, "HTTP 401") == (sent.ok, sent.permanent, sent.detail[:8])


def test_id_has_no_dot_and_depends_on_the_notices(make_notice: MakeNotice) -> None:
    first, second = make_notice(), make_notice(task_id="a.b.c")

    assert "." not in message_id([second])
    assert message_id([first]) != message_id([second])
    assert message_id([first, second]) == message_id([first, second])


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "字", "\x01", "\ud800"])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_body_is_below_the_limit_and_counts_what_is_left_out(
    letter: str, count: int, make_notice: MakeNotice
) -> None:
    items = tuple({"title": letter * 200, "url": "https://e.com/" + "a" * 900} for _ in range(50))
    notices = [
        make_notice("news", f"watch-{n}", summary=letter * 400, items=items).model_copy(
            update={"title": letter * 200}
        )
        for n in range(count)
    ]

    body = render(notices)
    data = json.loads(body)["data"]

    assert len(body) < 20_000
    assert count == len(data["notices"]) + data.get("more", 0)
    assert all(item in items for shown in data["notices"] for item in shown["items"] if letter == "x")
    assert all(50 == len(shown["items"]) + shown.get("moreItems", 0) for shown in data["notices"])


@pytest.mark.parametrize(
    ("status", "headers", "ok", "permanent", "wait_s"),
    [
        (200, {}, True, False, None),
        (204, {}, True, False, None),
        (301, {"location": "/"}, False, False, None),
        (400, {}, False, False, None),
        (401, {}, False, True, None),
        (404, {}, False, False, None),
        (410, {}, False, True, None),
        (429, {"retry-after": "30"}, False, False, 30),
        (503, {"retry-after": "5"}, False, False, 5),
        (500, {}, False, False, None),
    ],
)
def test_what_an_answer_means(
    status: int, headers: dict[str, str], ok: bool, permanent: bool, wait_s: int | None
) -> None:
    sent = classify_response(HttpResponse(status, headers, b""), now=NOON)

    assert (ok, permanent) == (sent.ok, sent.permanent)
    assert wait_s == (None if sent.retry_after is None else sent.retry_after.total_seconds())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"WEBHOOK_URL": "canary"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://user:canary@example.com/"}, "WEBHOOK_URL"),
        ({"WEBHOOK_URL": "https://example.com/", "WEBHOOK_SECRET": "whsec_canary!"}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_URL": "https://example.com/", "WEBHOOK_SECRET": "whsec_"}, "WEBHOOK_SECRET"),
    ],
)
def test_wrong_setting_is_named_and_not_shown(
    settings: dict[str, str], name: str, post: TrustedHttpClient
) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        create_channel(settings, post)

    assert "canary" not in str(caught.value)


def test_without_an_address_there_is_no_channel(post: TrustedHttpClient) -> None:
    assert create_channel({"WEBHOOK_SECRET": SECRET}, post) is None
