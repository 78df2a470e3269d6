"""Task type `rss_watch`: reports each new entry of a feed once."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.http_client.httpx import httpx
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.feeds import MAX_ENTRIES, Feed, FeedEntry, parse_feed
from functions.parsing.pool import parsing_time
from functions.task_types.support.context import Seconds, Tools, WebUrl
from functions.task_types.support.responses import (
    elapsed_ms,
    is_retryable_status,
    is_truncated,
    retry_after,
)

# What the task remembers between runs, and which entries are new.

MAX_SEEN_ENTRIES = MAX_ENTRIES  # what was compared is what is remembered; 15 bytes each
MAX_VALIDATOR_CHARS = 1000


@dataclass(frozen=True, slots=True)
class FeedState:
    """The memory of one feed.

    Attributes:
        etag: The ETag of the last response; empty when it had none.
        last_modified: The Last-Modified of the last response; empty when it had none.
        entry_keys: Keys of the entries seen before, newest first; None before the first run.
    """

    etag: str = ""
    last_modified: str = ""
    entry_keys: tuple[str, ...] | None = None

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any], *, url: str) -> Self:
        """Return the state in *memory*; an empty one when that is of another feed than *url*."""
        keys = memory.get("seen")
        if not isinstance(keys, list) or memory.get("feed", _url_hash(url)) != _url_hash(url):
            return cls()
        return cls(
            etag=str(memory.get("etag", "")),
            last_modified=str(memory.get("lastModified", "")),
            entry_keys=tuple(str(key) for key in keys),
        )

    def to_memory(self, *, url: str) -> dict[str, Any]:
        """Return the state as a task's memory; the feed's address, which may hold a secret, as a hash."""
        return {
            "feed": _url_hash(url),
            "etag": self.etag,
            "lastModified": self.last_modified,
            "seen": list(self.entry_keys or ()),
        }

    def new_entries(self, feed: Feed) -> tuple[FeedEntry, ...]:
        """Return the entries of *feed* not seen before, newest first; none at the first run."""
        if self.entry_keys is None:
            return ()
        known = set(self.entry_keys)
        fresh: dict[str, FeedEntry] = {}
        for entry in feed.entries:
            if entry.key not in known:
                fresh.setdefault(entry.key, entry)
        return tuple(fresh.values())

    def with_entries(self, feed: Feed, headers: Mapping[str, str]) -> Self:
        """Return the state after *feed*, whose response had *headers*."""
        keys = dict.fromkeys((*(entry.key for entry in feed.entries), *(self.entry_keys or ())))
        return type(self)(
            etag=_bounded_validator(headers.get("etag", "")),
            last_modified=_bounded_validator(headers.get("last-modified", "")),
            entry_keys=tuple(keys)[:MAX_SEEN_ENTRIES],
        )

    @property
    def conditional_headers(self) -> dict[str, str]:
        """The headers by which the server responds 304 when nothing has changed."""
        validators = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in validators.items() if value}


def _url_hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def _bounded_validator(validator: str) -> str:
    return validator if len(validator) <= MAX_VALIDATOR_CHARS and validator.isprintable() else ""


EXAMPLE: dict[str, Any] = {
    "feedUrl": "https://example.com/feed.xml",
    "maxItems": 5,
    "keywords": ["release", "security"],
}
MAX_FEED_BYTES = 2_097_152  # takes a second or two to parse
_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
_MAX_TITLE_CHARS = 80  # of a title in the summary


class Params(Model):
    """The feed, and which of its entries are reported.

    Attributes:
        feed_url: RSS or Atom; http or https.
        max_items: New entries shown at most; the others are only counted.
        keywords: Only entries with one of these in a text, category or author are reported; empty means all.
    """

    feed_url: WebUrl
    max_items: Annotated[int, Field(ge=1, le=20)] = 3
    keywords: Annotated[
        tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)], ...],
        Field(max_length=50),
    ] = ()
    timeout_seconds: Seconds = 10.0


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Fetch the feed if it has changed, and report new entries. The first run only records them."""
    state = FeedState.from_memory(job.memory, url=params.feed_url)
    response = await tools.http.get(
        params.feed_url,
        headers={"Accept": _ACCEPT} | state.conditional_headers,
        timeout=params.timeout_seconds,
        extensions={"max_body_bytes": MAX_FEED_BYTES},
    )
    metrics = {"status": response.status_code, "latencyMs": elapsed_ms(response)}
    if response.status_code == 304 and state.conditional_headers:
        return succeeded("Nothing new: the feed has not changed", metrics=metrics | {"new": 0})
    if response.status_code != 200:
        return _failure_outcome(response, job)
    if is_truncated(response):
        size = f"{MAX_FEED_BYTES // 1_048_576} MB"
        return failed(f"The feed is larger than {size}, the most that is read", permanent=True)
    try:
        feed = await tools.parse(
            partial(
                parse_feed,
                content_type=response.headers.get("content-type", ""),
                url=str(response.url),
                keywords=params.keywords,
            ),
            response.content,
            timeout_s=parsing_time(job.timeout_s),
        )
    except UnreadableError as exc:
        return failed(f"The address answered with {exc}, not a readable feed", metrics=metrics)
    except ParsingStoppedError as exc:
        return failed(f"The feed could not be read {exc.why}", metrics=metrics)
    return _to_outcome(feed, state, params, response, tools.redact)


def _failure_outcome(response: httpx.Response, job: Job) -> Outcome:
    retryable = is_retryable_status(response.status_code)
    return failed(
        f"Answered {response.status_code}, expected 200",
        permanent=400 <= response.status_code < 500 and not retryable,
        retry_after=retry_after(response, now=job.started_at) if retryable else None,
        metrics={"status": response.status_code, "latencyMs": elapsed_ms(response)},
    )


def _to_outcome(
    feed: Feed, state: FeedState, params: Params, response: httpx.Response, redact: Callable[[str], str]
) -> Outcome:
    news = tuple(entry for entry in state.new_entries(feed) if entry.matches)
    shown = news[: params.max_items]
    new_state = state.with_entries(feed, response.headers)
    return succeeded(
        _build_summary(feed, news, shown, redact, is_first_run=state.entry_keys is None),
        metrics={
            "status": response.status_code,
            "latencyMs": elapsed_ms(response),
            "entries": len({entry.key for entry in feed.entries}),
            "new": len(news),
        },
        items=tuple({"title": entry.title, "url": entry.url, "text": entry.text} for entry in shown),
        memory=None if new_state == state else new_state.to_memory(url=params.feed_url),
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
        count = len({entry.key for entry in feed.entries})
        entries = "1 entry" if count == 1 else f"{count} entries"
        return f"Recorded {entries} of {name}; new ones are reported from now on"
    if not new_entries:
        return f"Nothing new in {name}"
    titles = "; ".join(redact(entry.title)[:_MAX_TITLE_CHARS] for entry in shown[:3])
    hidden = len(new_entries) - len(shown[:3])
    return f"{len(new_entries)} new in {name}: {titles}" + (f", and {hidden} more" if hidden else "")
