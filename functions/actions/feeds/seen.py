"""What a feed watch remembers between runs, and what is news against it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from functions.actions.feeds.reading import Entry, Feed

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
