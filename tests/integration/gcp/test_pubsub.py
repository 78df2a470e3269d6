"""Events through Google's own Pub/Sub emulator."""

import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from functions.gcp.pubsub import BATCH_SIZE
from functions.http_client.trusted import TrustedHttpClient
from tests.support.pubsub_emulator import emulated
from tests.unit.gcp.test_pubsub import TOPIC, WITHIN, event, post, publisher

__all__ = ["post"]
SUBSCRIPTION = "projects/cronfire-test/subscriptions/reader"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulated(tmp_path_factory.mktemp("pubsub")) as host:
        yield host


async def asked(host: str, method: str, path: str, body: Any) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{host}/v1/{path}", json=body) as answer,
    ):
        assert answer.status in (200, 409), await answer.text()
        return await answer.json()


@pytest.fixture
async def subscribed(emulator: str) -> AsyncIterator[str]:
    """The emulator, with a topic that somebody listens to."""
    await asked(emulator, "PUT", TOPIC, {})
    await asked(emulator, "PUT", SUBSCRIPTION, {"topic": TOPIC})
    yield emulator
    await asked(emulator, "DELETE", SUBSCRIPTION, None)


@pytest.mark.pubsub
async def test_google_s_own_emulator_takes_events_and_hands_them_on_as_they_were(
    subscribed: str, post: TrustedHttpClient
) -> None:
    lost = await publisher(subscribed, post)([event(n) for n in range(BATCH_SIZE + 100)], within=WITHIN)

    received: dict[str, Any] = {}
    while len(received) < BATCH_SIZE + 100:
        pulled = await asked(subscribed, "POST", f"{SUBSCRIPTION}:pull", {"maxMessages": 1000})
        messages = pulled.get("receivedMessages", [])
        received |= {one["message"]["attributes"]["ce-id"]: one["message"] for one in messages}
        ids = [one["ackId"] for one in messages]
        if ids:
            await asked(subscribed, "POST", f"{SUBSCRIPTION}:acknowledge", {"ackIds": ids})
    assert 0 == lost
    assert {
        "content-type": "application/json",
        "cronfire-publisher": "0123abcd",
        "ce-specversion": "1.0",
        "ce-id": "e7",
        "ce-type": "cronfire.run.finished",
        "ce-source": "https://cronfire.example.com",
        "ce-subject": "ping",
        "ce-time": "2026-11-20T12:00:00Z",
    } == received["e7"]["attributes"]
    assert {"summary": "Größe 中 ?", "n": 7} == json.loads(b64decode(received["e7"]["data"]))


@pytest.mark.pubsub
async def test_a_topic_nobody_made_is_said_by_name(
    emulator: str, post: TrustedHttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await publisher(emulator, post, "projects/cronfire-test/topics/nowhere")([event()], within=WITHIN)

    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (1, "HTTP 404 NOT_FOUND") == (lost, vars(record)["reason"])
