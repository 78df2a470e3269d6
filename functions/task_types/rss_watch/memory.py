"""What a task remembers of a feed, and which entries are new to it.

What is announced twice is a nuisance, what is recorded as seen and never announced is lost. So an entry is
taken for a known one only when something says so: the name it is known by, or that its feed has new ids.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from functions.parsing.feeds import MAX_ENTRIES, Feed, FeedEntry
from functions.parsing.identity import name_key, stable_name
from functions.task_types.support.versions import UNKNOWN_VERSION, DocumentVersion

MAX_SEEN_ENTRIES = MAX_ENTRIES  # what was compared is what is remembered; 16 bytes each
MAX_SHARED_NAMES = 500
MAX_LIKENESSES = 200  # of the newest entries: older ones are recognised by their date
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class FeedMemory:
    """The memory of one feed.

    Attributes:
        version: That of the feed, as the last response named it.
        entry_keys: Keys of the entries seen before, newest first; None before the first run.
        shared: Keys of names that several entries of the feed had, so that they name none.
        likenesses: Those of the entries of the last response; None in what versions before 0.3 kept.
        newest_at: The newest date seen, in seconds of the epoch; 0 without any.
        moved_to: The hash of the address that the feed has moved to for good; empty when it has not.
    """

    version: DocumentVersion = UNKNOWN_VERSION
    entry_keys: tuple[str, ...] | None = None
    shared: tuple[str, ...] = ()
    likenesses: tuple[str, ...] | None = ()
    newest_at: int = 0
    moved_to: str = ""

    @classmethod
    def from_stored(cls, memory: Mapping[str, Any], *, url: str) -> Self:
        """Return what *memory* has of the feed at *url*; nothing when that is of another feed.

        An address in another spelling (http or https, with or without `www.`) is the same feed, and so is
        the one that the feed has moved to.
        """
        keys = memory.get("seen")
        known = {memory.get("feed", _hash(url)), memory.get("movedTo")}
        if not isinstance(keys, list) or known.isdisjoint({_hash(url), name_key(stable_name(url))}):
            return cls()
        likenesses = memory.get("alike")
        is_same_address = memory.get("url", _hash(url)) == _hash(url)
        return cls(
            version=DocumentVersion.from_stored(memory) if is_same_address else UNKNOWN_VERSION,
            entry_keys=_texts(keys),
            shared=_texts(memory.get("shared")),
            likenesses=_texts(likenesses) if isinstance(likenesses, list) else None,
            newest_at=_number(memory.get("newestAt")),
            moved_to=str(memory.get("movedTo", "")),
        )

    def to_stored(self, *, url: str) -> dict[str, Any]:
        """Return it as a task's memory; the feed's address, which may hold a secret, as a hash."""
        return {
            "feed": name_key(stable_name(url)),
            "url": _hash(url),
            **self.version.to_stored(),
            "seen": list(self.entry_keys or ()),
            "shared": list(self.shared),
            "alike": list(self.likenesses or ()),
            "newestAt": self.newest_at,
            "movedTo": self.moved_to,
        }

    def new_entries(self, feed: Feed) -> tuple[FeedEntry, ...]:
        """Return the entries of *feed* not seen before, newest first; none at the first run."""
        if self.entry_keys is None:
            return ()
        compared = _Comparison(self, feed)
        return _news_of(feed, [not compared.is_known(entry) for entry in feed.entries])

    def with_entries(
        self, feed: Feed, headers: Mapping[str, str], *, now: datetime, moved_to: str = ""
    ) -> Self:
        """Return the memory after *feed*, whose response had *headers*.

        Args:
            moved_to: The address that permanent redirects led to; empty when there were none.
        """
        shared = _shared_names(self, feed)
        keys = [_identity(entry, shared) for entry in feed.entries]
        latest_s = int(now.timestamp()) + _DAY_S  # a later date is a mistake
        dates = [entry.at for entry in feed.entries if entry.at is not None and entry.at <= latest_s]
        return type(self)(
            version=DocumentVersion.of(headers, now=now),
            entry_keys=tuple(dict.fromkeys((*keys, *(self.entry_keys or ()))))[:MAX_SEEN_ENTRIES],
            shared=(*sorted(shared - set(self.shared)), *self.shared)[:MAX_SHARED_NAMES],
            likenesses=_likenesses(feed) if feed.entries else self.likenesses or (),
            newest_at=max((self.newest_at, *dates)),
            moved_to=name_key(stable_name(moved_to)) if moved_to else "",
        )


def entries_after(feed: Feed, last_seen: str) -> tuple[FeedEntry, ...]:
    """Return the entries newer than the one whose id or link is *last_seen*; all when there is none."""
    name = stable_name(last_seen)
    for number, entry in enumerate(feed.entries):
        if name == stable_name(entry.url) or name_key(name) == entry.names[0]:
            return feed.entries[:number]
    return feed.entries


class _Comparison:
    """The entries of a feed beside what was seen of it."""

    def __init__(self, memory: FeedMemory, feed: Feed) -> None:
        self._seen = set(memory.entry_keys or ())
        self._likenesses = set(memory.likenesses or ())
        self._newest_at = memory.newest_at
        self._is_older = memory.likenesses is None
        self._shared_before = set(memory.shared)
        self._shared = _shared_names(memory, feed)
        self._known = {entry: self._is_known_by_name(entry) or self._is_same(entry) for entry in feed.entries}
        self._inherit_names(feed.entries)
        if feed.entries and not any(self._is_known_by_name(entry) for entry in feed.entries):
            self._compare_by_likeness(feed.entries)

    def is_known(self, entry: FeedEntry) -> bool:
        return self._known[entry]

    def _is_known_by_name(self, entry: FeedEntry) -> bool:
        key = _identity(entry, self._shared)
        is_legacy = entry.legacy_key in self._seen and (self._is_older or key == entry.names[0])
        return key in self._seen or is_legacy

    def _is_same(self, entry: FeedEntry) -> bool:
        """Whether an entry of the last response had another id, and the same title at the same second."""
        return entry.likeness in self._likenesses and _has_time(entry)

    def _inherit_names(self, entries: Sequence[FeedEntry]) -> None:
        """Find the entry that alone had a name which several have now; without a sign, it is the oldest."""
        groups: dict[str, list[FeedEntry]] = {}
        for entry in entries:
            for name in entry.names[:-1]:
                is_newly_shared = name in self._shared and name not in self._shared_before
                if is_newly_shared and self._was_seen(name, entry):
                    groups.setdefault(name, []).append(entry)
        for group in groups.values():
            if any(self._known[entry] for entry in group):
                continue
            alike = [entry for entry in group if entry.likeness in self._likenesses]
            for entry in alike or group[-1:]:
                self._known[entry] = True

    def _was_seen(self, name: str, entry: FeedEntry) -> bool:
        return name in self._seen or (name == entry.names[0] and entry.legacy_key in self._seen)

    def _compare_by_likeness(self, entries: Sequence[FeedEntry]) -> None:
        """Recognise the entries of a feed that has new ids: not one is known by its name, and some are alike.

        Entries older than the newest one seen before are no news then: the feed shows more of them now.
        """
        alike = {entry for entry in entries if entry.likeness in self._likenesses}
        if len(alike) < 2 and not any(_has_time(entry) for entry in alike):
            return
        for entry in entries:
            if entry in alike or (entry.at is not None and entry.at < self._newest_at):
                self._known[entry] = True


def _shared_names(memory: FeedMemory, feed: Feed) -> set[str]:
    """Return the names that more than one entry has or had, and those of the feed's own page."""
    owners: dict[str, FeedEntry] = {}
    shared = set(memory.shared)
    for entry in feed.entries:
        for name in entry.names[:-1]:
            if owners.setdefault(name, entry) != entry or name == feed.home_key:
                shared.add(name)
    return shared


def _likenesses(feed: Feed) -> tuple[str, ...]:
    return tuple(entry.likeness for entry in feed.entries[:MAX_LIKENESSES] if entry.likeness)


def _has_time(entry: FeedEntry) -> bool:
    return entry.at is not None and entry.at % _DAY_S != 0


def _identity(entry: FeedEntry, shared: set[str]) -> str:
    return next((name for name in entry.names if name not in shared), entry.names[-1])


def _news_of(feed: Feed, are_new: Sequence[bool]) -> tuple[FeedEntry, ...]:
    """Return the new entries, without those that an earlier response had as well, where it was cut.

    That is beside a gap, or after the last known entry: when entries above go, older ones come in.
    """
    if all(are_new):
        return feed.entries
    first, end = are_new.index(False), len(are_new) - are_new[::-1].index(False)
    before, after = feed.entries[:first], feed.entries[end:]
    if feed.gap is not None:
        return (*before, *after)
    known_part = zip(feed.entries[first:end], are_new[first:end], strict=True)
    between = tuple(entry for entry, is_new in known_part if is_new)
    return (*before, *between, *(() if feed.is_cut else after))


def _texts(given: object) -> tuple[str, ...]:
    return tuple(str(one) for one in given) if isinstance(given, list) else ()


def _number(given: object) -> int:
    return given if isinstance(given, int) else 0


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:12]
