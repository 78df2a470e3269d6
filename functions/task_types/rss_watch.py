"""Task type `rss_watch`: what is new in a feed, told once."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.task_types.support.context import Response, Seconds, Tools, WebUrl
from functions.task_types.support.feeds import Entry, Feed, NotAFeedError, read_feed
from functions.task_types.support.responses import wait_asked_for, worth_retrying

# What a feed watch remembers between runs, and what is news against it.

SEEN = 500
VALIDATOR_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """The notes on one feed.

    Attributes:
        etag: What the feed's server called its last answer; empty when it said nothing.
        last_modified: Likewise.
        marks: Of entries met before, newest first; None when the feed was never read.
    """

    etag: str = ""
    last_modified: str = ""
    marks: tuple[str, ...] | None = None

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any], *, url: str) -> Self:
        """The notes kept in *memory*; none at all when they are about another feed than *url*."""
        marks = memory.get("seen")
        if not isinstance(marks, list) or memory.get("feed", _name(url)) != _name(url):
            return cls()
        return cls(
            etag=str(memory.get("etag", "")),
            last_modified=str(memory.get("lastModified", "")),
            marks=tuple(str(mark) for mark in marks),
        )

    def to_memory(self, *, url: str) -> dict[str, Any]:
        """The notes as a task's memory, naming the feed by a hash: its address may hold a secret."""
        return {
            "feed": _name(url),
            "etag": self.etag,
            "lastModified": self.last_modified,
            "seen": list(self.marks or ()),
        }

    def news(self, feed: Feed) -> tuple[Entry, ...]:
        """The entries of *feed* never met before, newest first; none when it is read for the first time."""
        if self.marks is None:
            return ()
        known = set(self.marks)
        fresh: dict[str, Entry] = {}
        for entry in feed.entries:
            if entry.mark not in known:
                fresh.setdefault(entry.mark, entry)
        return tuple(fresh.values())

    def after(self, feed: Feed, headers: Mapping[str, str]) -> Self:
        """The notes once *feed*, answered with *headers*, has been read."""
        marks = dict.fromkeys((*feed.marks, *(self.marks or ())))
        return type(self)(
            etag=_short(headers.get("etag", "")),
            last_modified=_short(headers.get("last-modified", "")),
            marks=tuple(marks)[:SEEN],
        )

    @property
    def conditional_headers(self) -> dict[str, str]:
        """What asks the server to answer 304 when nothing changed."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


def matching(entries: Sequence[Entry], keywords: Sequence[str]) -> tuple[Entry, ...]:
    """The entries with one of *keywords* in title or text, whatever the case; all when there are none."""
    wanted = [word.casefold() for word in keywords]
    if not wanted:
        return tuple(entries)
    return tuple(
        entry
        for entry in entries
        if any(word in f"{entry.title}\n{entry.text}".casefold() for word in wanted)
    )


def _name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _short(validator: str) -> str:
    return validator if len(validator) <= VALIDATOR_CHARS and validator.isprintable() else ""


EXAMPLE: dict[str, Any] = {
    "feedUrl": "https://example.com/feed.xml",
    "maxItems": 5,
    "keywords": ["release", "security"],
}
MAX_FEED_BYTES = 2_097_152  # a second or two to read
_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
_TITLE_CHARS = 80  # of a title in the summary


class Params(Model):
    """Which feed, and what of it matters.

    Attributes:
        feed_url: RSS or Atom; http or https.
        max_items: New entries shown at most; the others are counted, and not told again later.
        keywords: Only entries with one of these in title or text are told; empty means all.
    """

    feed_url: WebUrl
    max_items: Annotated[int, Field(ge=1, le=20)] = 3
    keywords: Annotated[
        tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)], ...],
        Field(max_length=50),
    ] = ()
    timeout_seconds: Seconds = 10.0


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Fetch the feed if it changed, and tell entries never met before. The first run only takes note."""
    seen = Seen.from_memory(job.memory, url=params.feed_url)
    response = await tools.http.request(
        "GET",
        params.feed_url,
        headers={"Accept": _ACCEPT} | seen.conditional_headers,
        max_body_bytes=MAX_FEED_BYTES,
        timeout_s=params.timeout_seconds,
    )
    metrics = {"status": response.status, "latencyMs": response.elapsed_ms}
    if response.status == 304 and seen.conditional_headers:
        return succeeded("Nothing new: the feed has not changed", metrics=metrics | {"new": 0})
    if response.status != 200:
        return _refusal(response, job)
    if response.truncated:
        size = f"{MAX_FEED_BYTES // 1_048_576} MB"
        return failed(f"The feed is larger than {size}, the most that is read", permanent=True)
    try:
        # In a thread, as reading takes a second of CPU a megabyte and the loop serves all other tasks.
        feed = await asyncio.to_thread(
            read_feed,
            response.body,
            content_type=response.headers.get("content-type", ""),
            url=response.url,
        )
    except NotAFeedError as exc:
        return failed(f"The address answered with {exc}, not a readable feed", metrics=metrics)
    return _outcome(feed, seen, params, response)


def _refusal(response: Response, job: Job) -> Outcome:
    retryable = worth_retrying(response.status)
    return failed(
        f"Answered {response.status}, expected 200",
        permanent=400 <= response.status < 500 and not retryable,
        retry_after=wait_asked_for(response, now=job.started_at) if retryable else None,
        metrics={"status": response.status, "latencyMs": response.elapsed_ms},
    )


def _outcome(feed: Feed, seen: Seen, params: Params, response: Response) -> Outcome:
    news = matching(seen.news(feed), params.keywords)
    shown = news[: params.max_items]
    after = seen.after(feed, response.headers)
    return succeeded(
        _summary(feed, news, shown, first_time=seen.marks is None),
        metrics={
            "status": response.status,
            "latencyMs": response.elapsed_ms,
            "entries": len(feed.marks),
            "new": len(news),
        },
        items=tuple({"title": entry.title, "url": entry.url, "text": entry.text} for entry in shown),
        memory=None if after == seen else after.to_memory(url=params.feed_url),
        news=bool(news),
    )


def _summary(feed: Feed, news: Sequence[Entry], shown: Sequence[Entry], *, first_time: bool) -> str:
    name = feed.title[:_TITLE_CHARS] or "the feed"
    if first_time:
        count = len(feed.marks)
        entries = "1 entry" if count == 1 else f"{count} entries"
        return f"Took note of {entries} in {name}; new ones will be told from now on"
    if not news:
        return f"Nothing new in {name}"
    titles = "; ".join(entry.title[:_TITLE_CHARS] for entry in shown[:3])
    hidden = len(news) - len(shown[:3])
    return f"{len(news)} new in {name}: {titles}" + (f", and {hidden} more" if hidden else "")
