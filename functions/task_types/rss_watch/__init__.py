"""Task type `rss_watch`: reports each new entry of a feed once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.http_client.httpx import httpx
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.feed_documents import MAX_DOCUMENT_BYTES
from functions.parsing.feeds import Feed, FeedEntry, parse_feed
from functions.parsing.pool import parsing_time
from functions.task_types.rss_watch.memory import FeedMemory, entries_after
from functions.task_types.support.context import Headers, Seconds, Tools, WebUrl, with_own_headers
from functions.task_types.support.responses import (
    elapsed_ms,
    is_truncated,
    moved_address,
    unexpected_status,
)

EXAMPLE: dict[str, Any] = {
    "feedUrl": "https://example.com/feed.xml",
    "maxItems": 5,
    "keywords": ["release", "security"],
}
MAX_FEED_BYTES = MAX_DOCUMENT_BYTES
_MAX_SIZE = f"{MAX_FEED_BYTES // 1_048_576} MB"
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json,"
    " application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
_GONE = "the feed is gone for good. Remove the task, or set feedUrl to another feed"
_MAX_TITLE_CHARS = 80  # of a title in the summary
_MAX_ADDRESS_CHARS = 160  # of an address in the summary


class Params(Model):
    """The feed, and which of its entries are reported.

    Attributes:
        feed_url: RSS, Atom or JSON Feed; http or https.
        max_items: New entries shown at most; the others are only counted.
        keywords: Only entries with one of these in a text, category or author are reported; empty means all.
        last_seen_guid: The id or link of the newest entry that another scheduler has reported: the first run
            reports what is newer, all of it when the feed no longer has it. Later runs do not read it.
        headers: Sent with the request, for a feed that asks who reads it.
    """

    feed_url: WebUrl
    max_items: Annotated[int, Field(ge=1, le=20)] = 3
    keywords: Annotated[
        tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)], ...],
        Field(max_length=50),
    ] = ()
    last_seen_guid: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2048)] = ""
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: Seconds = 10.0


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Fetch the feed if it has changed, and report new entries. The first run only records them."""
    memory = FeedMemory.from_stored(job.memory, url=params.feed_url)
    conditions = memory.version.conditional_headers(job.started_at)
    response = await tools.http.get(
        params.feed_url,
        headers=with_own_headers({"Accept": _ACCEPT} | conditions, params.headers),
        timeout=params.timeout_seconds,
        extensions={"max_body_bytes": MAX_FEED_BYTES},
    )
    metrics = {"status": response.status_code, "latencyMs": elapsed_ms(response)}
    if response.status_code == 304 and conditions:
        return succeeded("Nothing new: the feed has not changed", metrics=metrics | {"new": 0})
    if response.status_code != 200:
        return unexpected_status(response, job, gone=_GONE)
    is_whole = not is_truncated(response)
    try:
        feed = await tools.parse(
            partial(
                parse_feed,
                content_type=response.headers.get("content-type", ""),
                url=str(response.url),
                keywords=params.keywords,
                is_whole=is_whole,
            ),
            response.content,
            timeout_s=parsing_time(job.timeout_s),
            wait_s=parsing_time(job.timeout_s),
        )
    except UnreadableError as exc:
        if not is_whole:
            reason = f"The feed is larger than {_MAX_SIZE}, of which the beginning is read: it is {exc}"
            return failed(reason, permanent=True, metrics=metrics)
        return failed(f"The address answered with {exc}, not a readable feed", metrics=metrics)
    except ParsingStoppedError as exc:
        return failed(f"The feed could not be read {exc.why}", metrics=metrics)
    return _to_outcome(feed, memory, params, response, tools.redact, job)


def _to_outcome(
    feed: Feed,
    memory: FeedMemory,
    params: Params,
    response: httpx.Response,
    redact: Callable[[str], str],
    job: Job,
) -> Outcome:
    is_first_run = memory.entry_keys is None
    unseen = memory.new_entries(feed)
    if is_first_run and params.last_seen_guid and not job.memory:
        is_first_run = False
        unseen = entries_after(feed, params.last_seen_guid)
    news = tuple(entry for entry in unseen if entry.matches)
    shown = news[: params.max_items]
    moved_to = moved_address(response)
    new_memory = memory.with_entries(feed, response.headers, now=job.started_at, moved_to=moved_to)
    metrics: dict[str, Any] = {
        "status": response.status_code,
        "latencyMs": elapsed_ms(response),
        "entries": len(feed.entries),
        "new": len(news),
    }
    if moved_to:
        metrics["movedTo"] = moved_to
    summary = _build_summary(feed, news, shown, redact, is_first_run=is_first_run)
    if is_truncated(response):
        metrics["partial"] = True
        if is_first_run:
            summary += f". Of a feed this large, the first {_MAX_SIZE} are read"
    if moved_to and not news:  # what is news is not the place for it
        summary += f". It has moved for good: set feedUrl to {redact(moved_to)[:_MAX_ADDRESS_CHARS]}"
    return succeeded(
        summary,
        metrics=metrics,
        items=tuple({"title": entry.title, "url": entry.url, "text": entry.text} for entry in shown),
        memory=None if new_memory == memory else new_memory.to_stored(url=params.feed_url),
        has_news=bool(news),
    )


def _build_summary(
    feed: Feed,
    new_entries: Sequence[FeedEntry],
    shown: Sequence[FeedEntry],
    redact: Callable[[str], str],
    *,
    is_first_run: bool,
) -> str:
    name = redact(feed.title)[:_MAX_TITLE_CHARS] or "the feed"
    if is_first_run:
        count = len(feed.entries)
        entries = "1 entry" if count == 1 else f"{count} entries"
        return f"Recorded {entries} of {name}; new ones are reported from now on"
    if not new_entries:
        return f"Nothing new in {name}"
    titles = "; ".join(redact(entry.title)[:_MAX_TITLE_CHARS] for entry in shown[:3])
    hidden = len(new_entries) - len(shown[:3])
    return f"{len(new_entries)} new in {name}: {titles}" + (f", and {hidden} more" if hidden else "")
