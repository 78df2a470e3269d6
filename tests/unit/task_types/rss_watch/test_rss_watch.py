"""`rss_watch`: each entry is told once, whatever the server does in between."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client.httpx import httpx
from functions.task_types.registry import check_params, run_job
from tests.unit.parsing.test_feeds import rss
from tests.unit.task_types.conftest import answer, calls_of, tools_with

URL = "https://example.com/feed.xml"


def feed(*names: str, **changes: Any) -> httpx.Response:
    items = (f"<title>{name}</title><link>https://example.com/{name}</link>" for name in names)
    return answer(200, rss(*items).encode(), **changes)


@pytest.fixture
def watch(make_job: Callable[..., Job]) -> Callable[..., Any]:
    """Perform one look at the feed with this memory."""

    async def run(
        response: httpx.Response, memory: Mapping[str, Any] | None = None, **params: Any
    ) -> Outcome:
        job = make_job("rss_watch", {"feedUrl": URL} | params, memory=memory or {})
        return await run_job(job, tools_with(response))

    return run


async def test_the_first_look_only_takes_note(watch: Callable[..., Any]) -> None:
    """Nobody wants twenty old articles on the day the watch is set up."""
    outcome = await watch(feed("b", "a"))

    assert "Recorded 2 entries of Example; new ones are reported from now on" == outcome.summary
    assert not outcome.has_news
    assert () == outcome.items
    assert 2 == len(outcome.memory["seen"])


async def test_new_entries_are_told_newest_first_and_counted(watch: Callable[..., Any]) -> None:
    first = await watch(feed("a"))

    outcome = await watch(feed("f", "e", "d", "c", "b", "a"), first.memory, maxItems=2)

    assert outcome.has_news
    assert "5 new in Example: f; e, and 3 more" == outcome.summary
    assert ["f", "e"] == [item["title"] for item in outcome.items]
    assert "https://example.com/f" == outcome.items[0]["url"]
    assert (5, 6) == (outcome.metrics["new"], outcome.metrics["entries"])


async def test_what_was_counted_is_not_told_later(watch: Callable[..., Any]) -> None:
    first = await watch(feed("a"))
    second = await watch(feed("d", "c", "b", "a"), first.memory, maxItems=1)

    third = await watch(feed("d", "c", "b", "a"), second.memory, maxItems=1)

    assert ("Nothing new in Example", False) == (third.summary, third.has_news)
    assert third.memory is None  # nothing changed, so nothing is written


async def test_an_entry_that_vanishes_and_returns_is_told_once(watch: Callable[..., Any]) -> None:
    first = await watch(feed("b", "a"))
    gone = await watch(feed("a"), first.memory)

    back = await watch(feed("b", "a"), gone.memory or first.memory)

    assert not back.has_news


async def test_only_entries_with_a_keyword_are_told(watch: Callable[..., Any]) -> None:
    first = await watch(feed("a"))

    outcome = await watch(feed("Garden-show", "rain", "a"), first.memory, keywords=["GARDEN"])
    later = await watch(feed("Garden-show", "rain", "a"), outcome.memory, keywords=["rain"])

    assert ["Garden-show"] == [item["title"] for item in outcome.items]
    assert 1 == outcome.metrics["new"]
    assert not later.has_news  # it was passed over then, and is not dug out now


async def test_an_unchanged_feed_is_not_sent_again(make_job: Callable[..., Job]) -> None:
    first = tools_with(feed("a", headers={"etag": '"v1"', "last-modified": "Fri, 20 Nov 2026 11:00:00 GMT"}))
    noted = await run_job(make_job("rss_watch", {"feedUrl": URL}), first)
    second = tools_with(answer(304))

    outcome = await run_job(make_job("rss_watch", {"feedUrl": URL}, memory=noted.memory), second)

    assert "If-None-Match" not in calls_of(first)[0].headers
    sent = calls_of(second)[0].headers
    assert ('"v1"', "Fri, 20 Nov 2026 11:00:00 GMT") == (sent["If-None-Match"], sent["If-Modified-Since"])
    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert outcome.memory is None
    assert not outcome.has_news


async def test_another_address_is_another_feed(
    make_job: Callable[..., Job], watch: Callable[..., Any]
) -> None:
    """Neither its entries nor its server's words about freshness carry over."""
    first = await watch(feed("a", headers={"etag": '"v1"'}))
    tools = tools_with(feed("x"))

    moved = make_job("rss_watch", {"feedUrl": f"{URL}?new"}, memory=first.memory)
    outcome = await run_job(moved, tools)

    assert "If-None-Match" not in calls_of(tools)[0].headers
    assert not outcome.has_news


@pytest.mark.parametrize(
    ("response", "reason", "permanent"),
    [
        (answer(404), "Answered 404, expected 200", True),
        (answer(500), "Answered 500, expected 200", False),
        (answer(304), "Answered 304, expected 200", False),
        (answer(200, b""), "The address answered with an empty body, not a readable feed", False),
        (answer(200, b"<html></html>"), "The address answered with a web page, not a readable feed", False),
        (
            answer(200, b"<rss version='2.0'><channel><item>", truncated=True),
            "The feed is larger than 2 MB, of which the beginning is read: it is "
            "a feed broken off before its first entry",
            True,
        ),
    ],
)
async def test_what_is_no_feed_is_a_failure_that_changes_no_note(
    response: httpx.Response, reason: str, permanent: bool, watch: Callable[..., Any]
) -> None:
    outcome = await watch(response)

    assert (OutcomeKind.FAILED, reason, permanent) == (outcome.kind, outcome.summary, outcome.permanent)
    assert outcome.memory is None


def long_feed(*days: int) -> httpx.Response:
    """The beginning of a feed, which ends within an entry."""
    items = (f"<guid>{n}</guid><title>n{n}</title><pubDate>{n} Nov 2026 08:00:00 GMT</pubDate>" for n in days)
    whole = rss(*items, "<guid>cut</guid><title>cut</title>")
    return answer(200, whole.partition("cut")[0].encode(), truncated=True)


async def test_of_a_large_feed_the_beginning_is_read(watch: Callable[..., Any]) -> None:
    """A podcast of ten years has 5 MB; what is new stands first."""
    first = await watch(long_feed(5, 4, 3))

    outcome = await watch(long_feed(6, 5, 4), first.memory)

    assert (
        "Recorded 3 entries of Example; new ones are reported from now on. Of a feed this large, "
        "the first 2 MB are read" == first.summary
    )
    assert (["n6"], True) == ([item["title"] for item in outcome.items], outcome.metrics["partial"])


async def test_what_was_beyond_the_beginning_of_a_large_feed_is_no_news(watch: Callable[..., Any]) -> None:
    first = await watch(long_feed(6, 5, 4))

    outcome = await watch(long_feed(7, 6, 4, 3, 2), first.memory)

    assert ["n7"] == [item["title"] for item in outcome.items]


@pytest.mark.parametrize(
    ("response", "what"),
    [
        (long_feed(3, 4, 5), "a feed whose dates do not say that the newest entries come first"),
        (answer(200, rss("<title>a</title>" * 9).encode(), truncated=True), "a feed whose dates do not say"),
        (
            answer(200, b'{"version": "https://jsonfeed.org/1", "items": [', truncated=True),
            "JSON that is broken",
        ),
        (answer(200, b"<html><title>Archive</title>", truncated=True), "a web page (\u201cArchive\u201d)"),
    ],
)
async def test_a_large_feed_whose_beginning_may_hold_no_news_is_a_failure(
    response: httpx.Response, what: str, watch: Callable[..., Any]
) -> None:
    outcome = await watch(response)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert f"The feed is larger than 2 MB, of which the beginning is read: it is {what}" in outcome.summary


async def test_a_wait_asked_for_is_passed_on(watch: Callable[..., Any]) -> None:
    outcome = await watch(answer(429, headers={"retry-after": "60"}))

    assert timedelta(seconds=60) == outcome.retry_after


async def test_a_feed_that_asks_who_reads_it_is_told(make_job: Callable[..., Job]) -> None:
    """Feeds of one's own, and those that refuse programs by their name."""
    tools = tools_with(feed("a"))
    headers = {"Authorization": "Bearer let-me-in", "accept": "text/xml", "User-Agent": "reader"}

    await run_job(make_job("rss_watch", {"feedUrl": URL, "headers": headers}), tools)

    (call,) = calls_of(tools)
    sent = ("authorization", "accept", "user-agent")
    assert ["Bearer let-me-in", "text/xml", "reader"] == [call.headers[name] for name in sent]


async def test_the_request_is_bounded(make_job: Callable[..., Job]) -> None:
    tools = tools_with(feed("a"))

    await run_job(make_job("rss_watch", {"feedUrl": URL, "timeoutSeconds": 4}), tools)

    (call,) = calls_of(tools)
    assert ("GET", URL, 2_097_152, 4.0) == (
        call.method,
        str(call.url),
        call.extensions["max_body_bytes"],
        call.extensions["timeout"]["read"],
    )


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"maxItems": 0}, "params.maxItems"),
        ({"maxItems": 21}, "params.maxItems"),
        ({"keywords": [" "]}, "params.keywords"),
    ],
)
def test_what_cannot_be_watched_is_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_params("rss_watch", {"feedUrl": URL} | params)


@pytest.mark.slow
async def test_notes_on_a_big_feed_stay_small(watch: Callable[..., Any]) -> None:
    """They are read and written with every run."""
    outcome = await watch(feed(*(f"{'long' * 50}{number}" for number in range(1200))))

    assert 1000 == len(outcome.memory["seen"])
    assert len(repr(outcome.memory)) < 20_000


def undated(count: int) -> httpx.Response:
    """A feed without dates, the oldest first, as some are."""
    return feed(*(f"n{number}" for number in range(count)))


@pytest.mark.slow
@pytest.mark.parametrize("before", [49, 50, 60, 600])
async def test_an_entry_at_the_end_of_a_feed_without_dates_is_news(
    watch: Callable[..., Any], before: int
) -> None:
    first = await watch(undated(before))

    outcome = await watch(undated(before + 1), first.memory)
    again = await watch(undated(before + 1), outcome.memory)

    assert [f"n{before}"] == [item["title"] for item in outcome.items]
    assert not again.has_news


async def test_every_new_entry_is_counted_however_many_there_are(watch: Callable[..., Any]) -> None:
    """What is recorded as seen and neither shown nor counted would be lost."""
    first = await watch(feed("a"))

    outcome = await watch(feed("a", *(f"n{number}" for number in range(300))), first.memory)

    assert (300, True) == (outcome.metrics["new"], outcome.has_news)
