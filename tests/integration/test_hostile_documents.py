"""What strangers write to be slow: the attempt ends in time with a plain reason; the loop serves others."""

import asyncio
import contextlib
import gc
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
import pytest_asyncio

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.parsing.pool import Parse, ParserPool, parse_here
from functions.task_types.agent.tools import AgentTools
from functions.task_types.registry import Tools, check_params, run_job
from functions.task_types.support.context import LanguageModel
from functions.testing import httpx, make_job, mock_http
from tests.unit.task_types.conftest import FakeRecords

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "https://example.com/x"
MAX_STALL_S = 0.25
ATTEMPT_S = 2.0  # of which parsing takes 0.8, and what is hostile takes all of it
ITEM = b"<rss version='2.0'><channel><item>%s</item></channel></rss>"

FEEDS = {
    "a long name of an author": ITEM % (b"<author>" + b"a" * 120_000 + b"</author>"),
    "authors that are all @": ITEM % (b"<author>" + b"@." * 60_000 + b"</author>"),
    "deep nesting": ITEM % (b"<a>" * 200_000),
    "deep markup": ITEM % (b"<description>" + b"&lt;div>" * 100_000 + b"</description>"),
    "many attributes": ITEM % (b"<title " + b"".join(b"a%d='' " % n for n in range(100_000)) + b"/>"),
    "many items": ITEM % (b"<title>x</title></item><item>" * 60_000),
    "an entity bomb": b"<!DOCTYPE rss [<!ENTITY a '"
    + b"x" * 50_000
    + b"'><!ENTITY b '"
    + b"&a;" * 50_000
    + b"'>]>"
    + ITEM % b"<title>&b;</title>",
    "unclosed comments": ITEM % (b"<title>" + b"<!--" * 100_000),
    "unclosed sections": ITEM % (b"<![CDATA[" * 100_000),
    "nothing but brackets": b"<rss" + b"<" * 500_000,
    "a long date": ITEM % (b"<pubDate>" + b"1 " * 200_000 + b"</pubDate>"),
}
PAGES = {
    "links": b"<a href=" * 3200,
    "links to a long address": b"<a href='x' >x" * 18_000,
    "open tags": b"<a " * 85_000,
    "open comments": b"<!--" * 65_000,
    "open scripts": b"<script></" * 26_000,
    "deep nesting": b"<div>" * 50_000,
    "wrong nesting": b"<b></p>" * 35_000,
    "many attributes": b"<a" + b" b" * 120_000 + b">",
}


def reply(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}], "usage": USAGE}).encode()


USAGE = {"prompt_tokens": 10, "completion_tokens": 10}
DEEP = "[" * 400_000
REPLIES = {
    "deep JSON": DEEP.encode(),
    "deep JSON in its text": reply(DEEP),
    "objects without end": reply('{"a":' * 150_000),
    "strings without end": reply('["' + "a[" * 400_000),
    "many small values": b"[" + b"[]," * 300_000 + b"1]",
    "many small values in its text": reply("[" + "[]," * 300_000 + "1]"),
    "many events": b'data: {"choices": []}\n\n' * 40_000,
    "thoughts without end": reply("<think>" * 100_000 + "</think>" * 10_000),
    "nearly JSON": reply("{'a': [" * 60_000 + "}"),
    "a sum": reply("{'summary': " + "1+" * 30_000 + "1}"),
}


class Heartbeat:
    """Beats in the loop, and measures how much the process computed from one beat to the next.

    Processor time, of all threads, as one that holds the interpreter stops the loop as well; the load of a
    machine that others use does not count.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.beats = 0

    async def beat(self) -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0.01)
            now = time.process_time()
            self.longest_s = max(self.longest_s, now - last)
            self.beats += 1
            last = now


async def beside_a_heartbeat(work: Awaitable[Any]) -> tuple[Any, Heartbeat]:
    heart = Heartbeat()
    task = asyncio.create_task(heart.beat())
    # To search all that some thousand tests have left takes as long as a stall. It stays frozen: with it
    # would thaw what was collected, and the tests to come in this process would search that again and again.
    gc.freeze()
    await asyncio.sleep(0.05)
    result = await work
    await asyncio.sleep(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return result, heart


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parsers() -> AsyncIterator[ParserPool]:
    """One for all: a process ends by what is too hostile, and is kept for the next document otherwise."""
    pool = ParserPool()
    yield pool
    await pool.close()


def served(body: bytes, content_type: str) -> httpx.AsyncClient:
    return mock_http(lambda _: httpx.Response(200, content=body, headers={"content-type": content_type}))


def tools_of(http: httpx.AsyncClient, parse: Parse) -> Tools:
    model = LanguageModel(open_http=lambda: http, url="https://example.com/v1", default_model="m")
    return Tools(open_http=lambda: http, open_store=lambda owner: FakeRecords(), parse=parse, model=model)


def job_of(kind: str, params: dict[str, Any]) -> Job:
    return make_job(kind, params, timeout_s=ATTEMPT_S)


async def run_in_time(job: Job, tools: Tools) -> tuple[Outcome, Heartbeat]:
    async with asyncio.timeout(12):  # the attempt's own time, on a machine that others use
        outcome, heart = await beside_a_heartbeat(run_job(job, tools))
    return outcome, heart


@pytest.mark.parametrize("body", FEEDS.values(), ids=FEEDS)
async def test_a_hostile_feed_ends_its_own_attempt_alone(body: bytes, parsers: ParserPool) -> None:
    outcome, heart = await run_in_time(
        job_of("rss_watch", {"feedUrl": URL}), tools_of(served(body, "text/xml"), parsers)
    )

    assert outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED)
    assert "unexpectedly" not in outcome.summary, outcome.summary
    assert heart.longest_s <= MAX_STALL_S


@pytest.mark.parametrize(
    "body",
    [
        *PAGES.values(),
        b"<div>" * 200_000,
        b"<p>x</p>" * 400_000,
        b"<table><tr><td>" * 60_000,
        b"<select><option>" * 60_000,
        b"<title>" + b"x" * 3_000_000,
        b"\xff\xfe" * 500_000,
    ],
)
async def test_a_hostile_watched_page_ends_its_own_attempt_alone(body: bytes, parsers: ParserPool) -> None:
    """The selector takes long on the page, too."""
    outcome, heart = await run_in_time(
        job_of("page_watch", {"url": URL, "selector": "* * * *:has(p ~ p), div div div"}),
        tools_of(served(body, "text/html"), parsers),
    )

    assert outcome.kind in (OutcomeKind.SUCCEEDED, OutcomeKind.FAILED)
    assert heart.longest_s <= MAX_STALL_S


async def test_the_reason_is_plain(parsers: ParserPool) -> None:
    body = FEEDS["a long name of an author"]

    outcome, _ = await run_in_time(
        job_of("rss_watch", {"feedUrl": URL}), tools_of(served(body, "text/xml"), parsers)
    )

    assert (OutcomeKind.FAILED, "The feed could not be read in 0.8 s: its parsing was stopped") == (
        outcome.kind,
        outcome.summary,
    )
    assert not parsers.process_ids


async def test_a_harmless_feed_is_read_meanwhile(parsers: ParserPool) -> None:
    harmful = tools_of(served(FEEDS["a long name of an author"], "text/xml"), parsers)
    harmless = tools_of(served(ITEM % b"<title>News</title>", "text/xml"), parsers)
    job = make_job("rss_watch", {"feedUrl": URL}, timeout_s=4.0)  # time to start a second parser

    slow = asyncio.create_task(run_job(job, harmful))
    outcome = await run_job(job, harmless)

    assert not slow.done()
    assert OutcomeKind.SUCCEEDED == outcome.kind
    assert OutcomeKind.FAILED == (await slow).kind


@pytest.mark.parametrize("tool", ["http_get", "rss_read"])
@pytest.mark.parametrize("body", [*PAGES.values(), FEEDS["a long name of an author"]])
async def test_a_hostile_page_is_an_answer_to_the_model(body: bytes, tool: str, parsers: ParserPool) -> None:
    toolbox = AgentTools(served(body, "text/html"), parsers, (tool,), ("example.com",), lambda text: text)
    call = toolbox.run(tool, {"url": f"{URL}/{'y' * 1900}"}, timeout_s=ATTEMPT_S)

    result, heart = await beside_a_heartbeat(call)

    assert result.text
    assert len(result.text) < 10_000
    assert heart.longest_s <= MAX_STALL_S


async def test_a_text_that_is_almost_a_tag_is_quoted_at_once(parsers: ParserPool) -> None:
    body = b"<" + b" " * 250_000 + b"</ untrusted>"
    toolbox = AgentTools(
        served(body, "text/plain"), parsers, ("http_get",), ("example.com",), lambda text: text
    )

    result, heart = await beside_a_heartbeat(toolbox.run("http_get", {"url": URL}, timeout_s=ATTEMPT_S))

    assert 1 == len(re.findall(r"</\s*untrusted", result.text))
    assert heart.longest_s <= MAX_STALL_S


@pytest.mark.parametrize("body", REPLIES.values(), ids=REPLIES)
async def test_a_hostile_reply_of_a_model_is_a_failure(body: bytes, parsers: ParserPool) -> None:
    outcome, heart = await run_in_time(
        job_of("agent", {"goal": "What is new?"}), tools_of(served(body, "application/json"), parsers)
    )

    assert OutcomeKind.FAILED == outcome.kind
    assert re.match("The model|Stopped", outcome.summary), outcome.summary
    assert heart.longest_s <= MAX_STALL_S


@pytest.mark.parametrize("body", [DEEP.encode(), b"[" * 900 + b"]" * 900, b"[" + b"[]," * 87_000 + b"1]"])
async def test_a_hostile_body_of_an_api_is_no_json(body: bytes, parsers: ParserPool) -> None:
    params = {"url": URL, "jsonPointer": "/0/0/0", "equals": [[[1]]]}

    outcome, heart = await run_in_time(
        job_of("http", params), tools_of(served(body, "application/json"), parsers)
    )

    assert OutcomeKind.FAILED == outcome.kind
    assert heart.longest_s <= MAX_STALL_S


_DOUBLING = {
    f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)
}
EXPECTATIONS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a pattern": (b"a" * 40 + b"!", {"body": {"matches": "^(a+)+$"}}),
    "a pattern for a header": (b"", {"headers": [{"name": "X-Odd", "matches": "^(a+)+$"}]}),
    "a path": (
        b'{"a":' * 90 + b"1" + b"}" * 90,
        {"json": [{"path": "$..a..a..a..a..z", "exists": False}]},
    ),
    "a schema": (b"1", {"schema": {"$ref": "#/$defs/a0", "$defs": _DOUBLING | {"a40": {}}}}),
}


@pytest.mark.parametrize(("body", "expect"), EXPECTATIONS.values(), ids=EXPECTATIONS)
async def test_an_expectation_that_takes_for_ever_ends_its_own_attempt(
    body: bytes, expect: dict[str, Any], parsers: ParserPool
) -> None:
    params = {"url": URL, "expect": expect}
    check_params("http", params)
    headers = {"content-type": "application/json", "x-odd": "a" * 40 + "!"}
    http = mock_http(lambda _: httpx.Response(200, content=body, headers=headers))

    outcome, heart = await run_in_time(job_of("http", params), tools_of(http, parsers))

    assert (
        OutcomeKind.FAILED,
        "Answered 200, but texts and JSON: could not be checked in 0.8 s; "
        "a pattern, a path or the schema is too slow",
    ) == (outcome.kind, outcome.summary)
    assert heart.longest_s <= MAX_STALL_S
    assert not parsers.process_ids


async def test_the_heartbeat_would_notice() -> None:
    """What all of this is for: the same feed, parsed in this process, stops the loop."""
    body = ITEM % (b"<author>" + b"a" * 12_000 + b"</author>")

    _, heart = await beside_a_heartbeat(
        run_job(job_of("rss_watch", {"feedUrl": URL}), tools_of(served(body, "text/xml"), parse_here))
    )

    assert heart.longest_s > MAX_STALL_S
