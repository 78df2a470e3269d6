"""Servers with another protocol than chat completions: Anthropic's, and providers that are not installed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.http_client.client import build_guarded_client, build_single_origin_client
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools, run_job
from functions.task_types.support.context import LanguageModel
from tests.unit.task_types.conftest import FakeRecords

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

KEY = "c4nary-key-of-another-vendor"
ANSWER = json.dumps({"summary": "Found it", "items": [{"title": "Ripe"}]})


class Anthropic:
    """Anthropic's messages on loopback.

    Attributes:
        asked: The bodies of all requests.
        replies: Given in order: a status, and a document.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.replies: list[tuple[int, Any]] = []
        app = web.Application()
        app.router.add_post("/v1/messages", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.keys.append(request.headers.get("Authorization", ""))
        self.asked.append(await request.json())
        status, document = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(document, str):  # of a proxy
            return web.Response(text=document, content_type="text/html", status=status)
        return web.json_response(document, status=status)


def fault(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def message(*content: dict[str, Any], reason: str = "end_turn") -> tuple[int, dict[str, Any]]:
    return 200, {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 200},
    }


@pytest.fixture
async def vendor() -> AsyncIterator[Anthropic]:
    server = Anthropic()
    await server.server.start_server()
    yield server
    await server.server.close()


async def run(
    vendor: Anthropic, make_job: Callable[..., Job], provider: str = "anthropic", **params: Any
) -> Outcome:
    url = str(vendor.server.make_url("/"))
    http, own = build_guarded_client(), build_single_origin_client(url)
    model = LanguageModel(lambda: own, url, KEY, "claude-haiku-4-5", provider)
    tools = Tools(
        open_http=lambda: http, open_store=lambda owner: FakeRecords(), parse=parse_here, model=model
    )
    try:
        async with asyncio.timeout(120):  # a machine that imports the SDK and does other things
            return await run_job(make_job("agent", {"goal": "What is new?"} | params, timeout_s=100.0), tools)
    finally:
        await http.close_connections()
        await own.close_connections()


@pytest.mark.slow
async def test_anthropics_protocol_is_spoken(vendor: Anthropic, make_job: Callable[..., Job]) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "http_get", "input": {"url": "http://localhost/"}}
    vendor.replies = [
        message({"type": "text", "text": "plan"}),
        message(call, reason="tool_use"),
        message({"type": "text", "text": ANSWER}),
    ]

    outcome = await run(vendor, make_job, tools=["http_get"], hosts=["example.com"])

    assert (OutcomeKind.SUCCEEDED, "Found it") == (outcome.kind, outcome.summary)
    assert (3000, 600, 1) == tuple(
        outcome.metrics[name] for name in ("promptTokens", "completionTokens", "refusedCalls")
    )
    assert 0 < outcome.metrics["costUsd"] < 0.1
    assert {f"Bearer {KEY}"} == set(vendor.keys)
    assert all(0 < asked["max_tokens"] <= 8192 for asked in vendor.asked)


@pytest.mark.parametrize(
    ("status", "kind", "permanent", "said", "tries"),
    [
        (401, "authentication_error", True, "check LLM_API_KEY", 1),
        (529, "overloaded_error", False, "has a fault (529): Overloaded", 3),
    ],
)
async def test_its_faults_are_told_as_others_are(
    vendor: Anthropic,
    make_job: Callable[..., Job],
    status: int,
    kind: str,
    permanent: bool,
    said: str,
    tries: int,
) -> None:
    """The SDK tries nothing again by itself: each try is counted, and within the attempt's time."""
    vendor.replies = [(status, fault(kind, "Overloaded"))]

    outcome = await run(vendor, make_job)

    assert (OutcomeKind.FAILED, permanent) == (outcome.kind, outcome.permanent)
    assert said in outcome.summary
    assert tries == len(vendor.asked)
    assert KEY not in repr(outcome)


@pytest.mark.parametrize(
    "reply",
    [
        {"id": "msg_1"},
        [],
        message({"type": "text", "text": ANSWER})[1] | {"usage": None},
        {"id": f"of {KEY}"},
    ],
)
async def test_a_reply_that_its_sdk_cannot_read_is_told_as_that(
    vendor: Anthropic, make_job: Callable[..., Job], reply: Any
) -> None:
    """With its beginning. The tokens of the replies before it are in the metrics: an owner pays for them."""
    vendor.replies = [message({"type": "text", "text": "plan"}), (200, reply)]

    outcome = await run(vendor, make_job, tools=["http_get"], hosts=["example.com"])

    assert OutcomeKind.FAILED is outcome.kind
    expected = "The model's server answered with something that its protocol does not have: "
    assert outcome.summary.startswith(expected + json.dumps(reply)[:20].replace(KEY[:9], "***"))
    assert len(expected) + 200 >= len(outcome.summary)
    assert KEY not in outcome.summary
    assert (1000, 200) == (outcome.metrics["promptTokens"], outcome.metrics["completionTokens"])


@pytest.mark.parametrize(
    ("status", "document", "permanent", "said"),
    [
        (
            200,
            fault("overloaded_error", "Overloaded"),
            False,
            "has a fault (503): Overloaded",
        ),  # of a gateway
        (200, fault("authentication_error", "x"), True, "refused the key (401)"),
        (
            502,
            "<html><title>502 Bad\n gateway</title><style>p {}</style>",
            False,
            "a fault (502): 502 Bad gateway",
        ),
    ],
)
async def test_a_fault_is_told_in_the_words_of_who_answered(
    vendor: Anthropic,
    make_job: Callable[..., Job],
    status: int,
    document: Any,
    permanent: bool,
    said: str,
) -> None:
    vendor.replies = [(status, document)]

    outcome = await run(vendor, make_job)

    assert (OutcomeKind.FAILED, permanent) == (outcome.kind, outcome.permanent)
    assert said in outcome.summary
    assert "<" not in outcome.summary


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"type": "newer_block", "data": 1}, "end_turn"),
        ({"type": "text", "text": None}, "end_turn"),
        ({"type": "text", "text": "So:"}, "pause_turn"),
    ],
)
async def test_an_answer_beside_what_is_odd_is_taken(
    vendor: Anthropic, make_job: Callable[..., Job], odd: dict[str, Any], reason: str
) -> None:
    """A turn that is paused was asked on until all tokens were used: hundreds of requests."""
    vendor.replies = [message(odd, {"type": "text", "text": ANSWER}, reason=reason)]

    outcome = await run(vendor, make_job)

    assert (OutcomeKind.SUCCEEDED, "Found it", 1) == (outcome.kind, outcome.summary, len(vendor.asked))


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("groq", "pip install 'pydantic-ai-slim[groq]'"),
        ("nobody", "no provider of this name"),
        ("deepseek", "it cannot be given an address"),
    ],
)
async def test_a_provider_that_is_not_there_is_told(
    vendor: Anthropic, make_job: Callable[..., Job], provider: str, said: str
) -> None:
    outcome = await run(vendor, make_job, provider)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert f"LLM_PROVIDER={provider}" in outcome.summary
    assert said in outcome.summary
    assert (
        "for a server with chat completions, which most vendors have, set LLM_PROVIDER=openai"
        in outcome.summary
    )
