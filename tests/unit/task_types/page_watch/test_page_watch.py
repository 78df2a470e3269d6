"""`page_watch`: a change is reported once, and nothing that is none."""

import base64
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client.httpx import httpx
from functions.parsing.errors import ParsingStoppedError
from functions.task_types.page_watch.memory import MAX_STORED_CHARS
from functions.task_types.registry import Tools, check_params, run_job
from tests.unit.task_types.conftest import NOON, answer, calls_of, tools_with

URL = "https://example.com/shop"
Watch = Callable[..., Any]
HTML = {"content-type": "text/html; charset=utf-8"}


def page(
    *lines: str, title: str = "Shop", headers: Mapping[str, str] | None = None, **changes: Any
) -> httpx.Response:
    body = f"<title>{title}</title><main>" + "".join(f"<p>{line}</p>" for line in lines) + "</main>"
    return answer(200, body.encode(), headers=HTML | dict(headers or {}), **changes)


@pytest.fixture
def watch(make_job: Callable[..., Job]) -> Watch:
    """Perform one look at the page with this memory."""

    async def run(
        response: httpx.Response,
        memory: Mapping[str, Any] | None = None,
        *,
        at: timedelta = timedelta(),
        tools: Tools | None = None,
        **params: Any,
    ) -> Outcome:
        job = make_job(
            "page_watch", {"url": URL, "selector": "main"} | params, memory=memory or {}, started_at=NOON + at
        )
        return await run_job(job, tools or tools_with(response))

    return run


async def test_the_first_look_only_takes_note(watch: Watch) -> None:
    outcome = await watch(page("Price 9"))

    assert outcome.summary == "Recorded 7 characters of “Shop”; changes are reported from now on"
    assert (outcome.has_news, outcome.items) == (False, ())
    assert outcome.metrics == {"status": 200, "latencyMs": 84, "matches": 1, "characters": 7}


async def test_a_change_is_news_with_its_difference(watch: Watch) -> None:
    first = await watch(page("Plan", "Price 9", "End"))

    outcome = await watch(page("Plan", "Price 12", "End"), first.memory)

    assert outcome.has_news
    assert outcome.summary == "“Shop” has changed: 1 line added, 1 line removed; + Price 12"
    assert outcome.metrics["diff"] == "@@\n Plan\n-Price 9\n+Price 12\n End"
    assert outcome.items == ({"title": outcome.summary, "url": URL, "text": "-Price 9\n+Price 12"},)
    again = await watch(page("Plan", "Price 12", "End"), outcome.memory)
    assert (again.summary, again.has_news, again.memory) == ("Nothing new on “Shop”", False, None)


async def test_a_change_in_the_cdata_of_xml_is_news(watch: Watch) -> None:
    """A list of releases has its notes there; all of them were a comment, as in HTML."""
    old, new = (
        answer(200, f"<main><![CDATA[{text}]]></main>".encode(), headers={"content-type": "text/xml"})
        for text in ("1.0 <b>", "1.1 <b>")
    )
    first = await watch(old)

    assert (await watch(new, first.memory)).has_news


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "text/markdown", "application/json"])
async def test_a_text_without_markup_is_watched_by_its_lines(watch: Watch, kind: str) -> None:
    """robots.txt, a changelog or JSON: as a page it would be one line, without what looks like a tag."""
    headers = {"content-type": kind}
    first = await watch(
        answer(200, b"Vec<u8>\nmade at 12:03\nold\n", headers=headers), selector="body", ignore=["made at"]
    )

    outcome = await watch(
        answer(200, b"Vec<u8>\nmade at 12:04\nnew\n", headers=headers),
        first.memory,
        selector="body",
        ignore=["made at"],
    )

    assert "A page without a title has changed: 1 line added, 1 line removed; + new" == outcome.summary
    assert "@@\n Vec<u8>\n-old\n+new" == outcome.metrics["diff"]


async def test_a_page_that_is_called_plain_is_a_page(watch: Watch) -> None:
    outcome = await watch(answer(200, b"\n<main>Price 9</main>", headers={"content-type": "text/plain"}))

    assert 7 == outcome.metrics["characters"]


async def test_what_stands_elsewhere_is_no_change(watch: Watch) -> None:
    first = await watch(page("Price 9", title="Shop"))

    outcome = await watch(page("Price   9", title="Shop, at 10:00"), first.memory)

    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert not outcome.has_news


async def test_a_page_that_flaps_is_reported_once_a_day(watch: Watch) -> None:
    """A, B, A, B: the server shows old and new texts by turns."""
    a = await watch(page("A"))
    b = await watch(page("B"), a.memory)
    a2 = await watch(page("A"), b.memory, at=timedelta(hours=1))
    b2 = await watch(page("B"), a2.memory, at=timedelta(hours=2))
    later = await watch(page("A"), b2.memory, at=timedelta(hours=25, minutes=1))
    asked = await watch(page("A"), b.memory, at=timedelta(hours=1), reportReturns=True)

    assert [one.has_news for one in (a, b, a2, b2, later, asked)] == [False, True, False, False, False, True]
    assert a2.summary == "“Shop” has a text again that it had within the last day; that is not reported"


async def test_a_text_that_returns_after_a_day_is_reported(watch: Watch) -> None:
    """In stock, sold out for two days, in stock."""
    first = await watch(page("In stock"))
    gone = await watch(page("Sold out"), first.memory, at=timedelta(hours=1))

    back = await watch(page("In stock"), gone.memory, at=timedelta(days=2))

    assert back.has_news
    assert "+ In stock" in back.summary


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (page("x", title="Sign in"), "Nothing on the page matches .price: the page is “Sign in”"),
        (page("x", title=""), "Nothing on the page matches .price: the page has no title"),
        (
            answer(200, b"<title>App</title><div id=root></div><script src=x></script>", headers=HTML),
            "the page is “App”; what its scripts would write is not there, as they are not run",
        ),
        (answer(200, b"<p class=price> <b></b>", headers=HTML), "What matches .price has no text"),
        (answer(200, b"", headers=HTML), "Nothing on the page matches .price"),
    ],
)
async def test_nothing_that_matches_is_a_failure_in_words(
    watch: Watch, response: httpx.Response, words: str
) -> None:
    outcome = await watch(response, selector=".price")

    assert outcome.kind is OutcomeKind.FAILED
    assert words in outcome.summary
    assert not outcome.permanent


async def test_or_it_is_ignored_and_what_was_known_stays(watch: Watch) -> None:
    first = await watch(page("Price 9"))

    outcome = await watch(answer(200, b"<p>x", headers=HTML), first.memory, whenMissing="ignore")

    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert outcome.memory is None
    assert outcome.summary.endswith("That is ignored")


async def test_headers_of_the_task_are_sent_beside_the_version(watch: Watch) -> None:
    tools = tools_with(answer(304))
    first = await watch(page("A", headers={"etag": '"1"'}))

    await watch(page(), first.memory, tools=tools, headers={"Accept-Language": "de", "ACCEPT": "text/html"})

    sent = ("if-none-match", "accept-language", "accept")
    assert ['"1"', "de", "text/html"] == [calls_of(tools)[0].headers[name] for name in sent]


async def test_a_page_is_asked_for_by_its_version_and_once_a_day_as_a_whole(watch: Watch) -> None:
    named = {"etag": '"1"', "last-modified": "Fri, 20 Nov 2026 08:00:00 GMT"}
    first = await watch(page("A", headers=named))
    tools = tools_with(answer(304))

    outcome = await watch(page(), first.memory, tools=tools)

    assert outcome.summary == "Nothing new: the page has not changed"
    assert calls_of(tools)[0].headers["if-none-match"] == '"1"'
    assert calls_of(tools)[0].headers["if-modified-since"] == named["last-modified"]
    tomorrow = tools_with(page("A", headers=named))
    await watch(page(), first.memory, tools=tomorrow, at=timedelta(days=1))
    assert "if-none-match" not in calls_of(tomorrow)[0].headers


@pytest.mark.parametrize(
    ("status", "permanent", "summary"),
    [
        (404, True, "Answered 404, expected 200"),
        (410, True, "Answered 410: the page is gone for good. Remove the task, or set url to another page"),
        (503, False, "Answered 503, expected 200"),
        (304, False, "Answered 304, expected 200"),
        (204, False, "Answered 204, expected 200"),
    ],
)
async def test_other_answers_are_failures(watch: Watch, status: int, permanent: bool, summary: str) -> None:
    outcome = await watch(answer(status))

    assert (outcome.summary, outcome.permanent) == (summary, permanent)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (answer(200, b"%PDF", headers={"content-type": "application/pdf"}), "answered with application/pdf"),
        (page("x", truncated=True), "larger than 5 MB"),
    ],
)
async def test_what_is_no_page_is_refused(watch: Watch, response: httpx.Response, words: str) -> None:
    outcome = await watch(response)

    assert words in outcome.summary
    assert outcome.permanent


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<meta charset=gbk><main>价格".encode("gbk"), "text/html"),
        ("<main>价格".encode("gbk"), "text/html; charset=gb2312"),
        ("<main>价格".encode(), "text/html; charset=iso-8859-1"),
        ("\ufeff<main>价格".encode("utf-16-le"), "text/html"),
        ("<main>价格".encode("big5"), "text/html; charset=big5"),
    ],
)
async def test_charsets_are_read_as_browsers_do(watch: Watch, body: bytes, content_type: str) -> None:
    first = await watch(page("x"))

    outcome = await watch(answer(200, body, headers={"content-type": content_type}), first.memory)

    assert outcome.metrics["diff"] == "@@\n-x\n+价格"


async def test_another_selector_begins_anew(watch: Watch) -> None:
    first = await watch(page("A"))

    outcome = await watch(page("B"), first.memory, selector="p")

    assert outcome.summary.startswith("Recorded")


@pytest.mark.slow
async def test_documents_stay_small(watch: Watch) -> None:
    noise = random.Random(7)
    lines = ["".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(60)) for _ in range(2000)]
    first = await watch(page(*lines))

    assert len(json.dumps(first.memory)) < MAX_STORED_CHARS + 500
    outcome = await watch(page("new", *lines), first.memory)
    assert "+ new" in outcome.summary
    beyond = await watch(page(*lines, "new"), first.memory)
    assert beyond.has_news
    assert "has changed beyond its first" in beyond.summary


async def test_a_text_that_is_kept_in_part_is_compared_in_part(watch: Watch) -> None:
    """It is shorter than what is compared, but does not pack well."""
    noise = random.Random(8)
    lines = ["".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(60)) for _ in range(150)]
    first = await watch(page("old", *lines))

    outcome = await watch(page("new", *lines), first.memory)

    assert outcome.summary == "“Shop” has changed: 1 line added, 1 line removed; + new"


@pytest.mark.parametrize(
    "spoil",
    [
        {"text": "!!!"},
        {"text": "eJw="},
        {"text": 7},
        {"recent": [[1, 2], ["x"], "y", ["z", "w"]]},
        {"recent": {}},
        {"digest": None},
        {"isWhole": "yes"},
        {"readOn": "yesterday"},
        {"etag": None},
    ],
)
async def test_a_memory_that_is_broken_breaks_no_run(watch: Watch, spoil: dict[str, Any]) -> None:
    first = await watch(page("A"))

    outcome = await watch(page("B"), {**first.memory, **spoil})

    assert outcome.kind is OutcomeKind.SUCCEEDED


async def test_secrets_are_neither_stored_nor_shown(watch: Watch, make_job: Callable[..., Job]) -> None:
    params = {"url": "https://example.com/?key={{secret:KEY}}", "selector": "main"}
    secrets = {"KEY": "very-secret-value"}

    async def look(line: str, memory: Mapping[str, Any]) -> Outcome:
        tools = replace(tools_with(page(line, "your key: very-secret-value")), secrets=secrets)
        return await run_job(make_job("page_watch", params, memory=memory), tools)

    first = await look("A", {})
    outcome = await look("B", first.memory or {})

    assert outcome.metrics["diff"] == "@@\n-A\n+B\n your key: ***"
    assert "very-secret-value" not in repr(outcome)
    kept = zlib.decompress(base64.b64decode(outcome.memory["text"])).decode() if outcome.memory else ""
    assert kept == "B\nyour key: ***"


async def test_a_difference_that_takes_too_long_leaves_the_news(watch: Watch) -> None:
    first = await watch(page("A"))
    tools = tools_with(page("B"))
    parse = tools.parse

    async def parse_page_only(function: Any, document: bytes, **times: Any) -> Any:
        if function.func.__name__ == "compare_texts":
            raise ParsingStoppedError("in 4 s")
        return await parse(function, document, **times)

    outcome = await watch(page(), first.memory, tools=replace(tools, parse=parse_page_only))

    assert outcome.has_news
    assert outcome.summary == "“Shop” has changed; what is different could not be found out in time"


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"url": "ftp://example.com"}, "params.url"),
        ({"url": URL, "selector": " "}, "params.selector"),
        ({"url": URL, "ignore": [""]}, "params.ignore"),
        ({"url": URL, "ignore": [True]}, "params.ignore"),
        ({"url": URL, "ignore": ["x"] * 31}, "params.ignore"),
        ({"url": URL, "whenMissing": "shrug"}, "params.whenMissing"),
        ({"url": URL, "timeoutSeconds": 0}, "params.timeoutSeconds"),
        ({"url": URL, "xpath": "//p"}, "params.xpath"),
    ],
)
def test_params_that_are_wrong_are_refused_when_saved(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field.replace(".", r"\.")):
        check_params("page_watch", params)


def test_numbers_may_be_ignored_as_texts() -> None:
    check_params("page_watch", {"url": URL, "ignore": [2026, "Seen at", 1.5]})
