"""What a task remembers of a feed: it stays comparable across versions, addresses and names."""

from datetime import timedelta
from typing import Any

import pytest

from functions.parsing.feeds import Feed, FeedEntry
from functions.parsing.identity import name_key
from functions.task_types.rss_watch.memory import FeedMemory, entries_after
from tests.unit.task_types.conftest import NOON

URL = "https://example.com/feed.xml"


def entry(*names: str, **changes: Any) -> FeedEntry:
    given: dict[str, Any] = {
        "names": names,
        "likeness": f"like {names[-1]}",
        "at": None,
        "legacy_key": f"old {names[0]}",
        "title": names[-1],
        "url": "",
        "text": "",
    }
    return FeedEntry(**given | changes)


def feed_of(*entries: str | FeedEntry, **changes: Any) -> Feed:
    made = tuple(one if isinstance(one, FeedEntry) else entry(one) for one in entries)
    return Feed(title="", entries=made, **changes)


def after(memory: FeedMemory, feed: Feed, **headers: str) -> FeedMemory:
    return memory.with_entries(feed, headers, now=NOON)


def news(memory: FeedMemory, feed: Feed) -> list[str]:
    return [one.title for one in memory.new_entries(feed)]


def test_nothing_is_news_the_first_time() -> None:
    assert [] == news(FeedMemory(), feed_of("b", "a"))


def test_news_is_what_was_never_seen() -> None:
    assert ["d", "c"] == news(FeedMemory(entry_keys=("b", "a")), feed_of("d", "b", "c"))


def test_an_empty_feed_was_read_all_the_same() -> None:
    """Its first entry is news, though there was nothing before it."""
    seen = after(FeedMemory(), feed_of())

    again = FeedMemory.from_stored(seen.to_stored(url=URL), url=URL)

    assert ["a"] == news(again, feed_of("a"))


def test_the_newest_1000_are_remembered() -> None:
    seen = FeedMemory(entry_keys=tuple(str(number) for number in range(1000)))

    kept = after(seen, feed_of("new", "3"), etag='"2"', **{"last-modified": "Fri, 20 Nov 2026 12:00:00 GMT"})

    assert kept.entry_keys is not None
    assert ("new", "3", "0", "1", "2", "4") == kept.entry_keys[:6]
    assert 1000 == len(kept.entry_keys)
    assert {
        "If-None-Match": '"2"',
        "If-Modified-Since": "Fri, 20 Nov 2026 12:00:00 GMT",
    } == kept.version.conditional_headers(NOON)


@pytest.mark.parametrize("etag", ["x" * 1001, "a\r\nb: c", ""])
def test_a_validator_that_could_harm_is_not_kept(etag: str) -> None:
    assert {} == after(FeedMemory(), feed_of(), etag=etag).version.conditional_headers(NOON)


@pytest.mark.parametrize(
    ("date", "is_sent"),
    [
        ("Fri, 20 Nov 2026 12:00:00 GMT", True),
        ("Sat, 16 Nov 2041 18:11:00 GMT", False),
        ("yesterday", True),
    ],
)
def test_a_change_in_the_future_is_not_believed(date: str, is_sent: bool) -> None:
    """Until then every answer would be that nothing has changed."""
    kept = after(FeedMemory(), feed_of(), **{"last-modified": date})

    assert is_sent is bool(kept.version.conditional_headers(NOON))


def test_once_a_day_the_whole_feed_is_read() -> None:
    """Some servers name the same version for ever, and answer that nothing has changed for ever."""
    kept = after(FeedMemory(), feed_of("a"), etag='"1"')

    assert {"If-None-Match": '"1"'} == kept.version.conditional_headers(NOON + timedelta(hours=11))
    assert {} == kept.version.conditional_headers(NOON + timedelta(hours=13))


def test_what_is_stored_is_read_back() -> None:
    seen = after(
        FeedMemory(entry_keys=("a",)),
        feed_of("b", "a", entry("c", at=7)),
        etag='"1"',
        **{"last-modified": "x"},
    )

    assert seen == FeedMemory.from_stored(seen.to_stored(url=URL), url=URL)


@pytest.mark.parametrize("memory", [{}, {"seen": "a"}, {"etag": '"1"'}, {"feed": "another", "seen": ["a"]}])
def test_a_memory_of_another_feed_is_none(memory: dict[str, Any]) -> None:
    assert FeedMemory() == FeedMemory.from_stored(memory, url=URL)


def test_a_memory_never_holds_an_address() -> None:
    moved = FeedMemory().with_entries(feed_of(), {}, now=NOON, moved_to="https://example.com/new")

    assert "example" not in repr(moved.to_stored(url=URL))


@pytest.mark.parametrize("url", ["http://example.com/feed.xml", "https://www.example.com/feed.xml/"])
def test_an_address_in_another_spelling_is_the_same_feed(url: str) -> None:
    """What came meanwhile is news; what the server said of freshness was of the other address."""
    stored = after(FeedMemory(), feed_of("a"), etag='"1"').to_stored(url=URL)

    moved = FeedMemory.from_stored(stored, url=url)

    assert ["b"] == news(moved, feed_of("b", "a"))
    assert {} == moved.version.conditional_headers(NOON)
    assert {} != FeedMemory.from_stored(stored, url=URL).version.conditional_headers(NOON)


def test_the_address_that_a_feed_has_moved_to_is_the_same_feed() -> None:
    kept = FeedMemory().with_entries(feed_of("a"), {}, now=NOON, moved_to="https://new.example.org/rss")

    stored = kept.to_stored(url=URL)

    assert ["b"] == news(FeedMemory.from_stored(stored, url="https://new.example.org/rss"), feed_of("b", "a"))
    assert FeedMemory() == FeedMemory.from_stored(stored, url="https://other.example.org/rss")


OLDER = {"feed": "8d4bb9f25d9e", "etag": '"1"', "lastModified": "", "seen": ["old b", "old a"]}


def test_a_memory_of_an_older_version_stays_comparable() -> None:
    older = FeedMemory.from_stored(OLDER | {"feed": _older_hash(URL)}, url=URL)
    kept = after(older, feed_of("c", "b", "a"))

    assert ["c"] == news(older, feed_of("c", "b", "a"))
    assert [] == news(kept, feed_of("c", "b", "a"))
    assert {} == older.version.conditional_headers(NOON)  # it does not say when it was read


def test_in_a_memory_of_an_older_version_a_shared_id_stands_for_all_that_have_it() -> None:
    """It cannot be told which of them was seen; from then on each is known by itself."""
    older = FeedMemory.from_stored(OLDER | {"feed": _older_hash(URL)}, url=URL)
    three = [entry("b", name) for name in ("b3", "b2", "b1")]

    assert [] == news(older, feed_of(*three))
    assert ["b4"] == news(after(older, feed_of(*three)), feed_of(entry("b", "b4"), *three))


def _older_hash(url: str) -> str:
    return name_key(url)  # the address as it was written


def test_a_name_that_two_entries_had_is_none_from_then_on() -> None:
    first = after(FeedMemory(), feed_of(entry("id", "b"), entry("id", "a")))
    alone = after(first, feed_of(entry("id", "b")))

    assert [] == news(first, feed_of(entry("id", "b")))
    assert ["c"] == news(alone, feed_of(entry("id", "c")))
    assert ["d", "c"] == news(alone, feed_of(entry("id", "d"), entry("id", "c")))


def test_of_two_that_share_a_name_again_none_is_taken_for_the_one_that_had_it() -> None:
    seen = FeedMemory(entry_keys=("id", "a"), shared=("id",))

    assert ["c", "b"] == news(seen, feed_of(entry("id", "c"), entry("id", "b")))


def test_of_entries_that_share_a_known_name_one_was_seen() -> None:
    """The one that looks like it; without a sign, the oldest."""
    seen = after(FeedMemory(), feed_of(entry("id", "a")))
    strange = [entry("id", name, likeness="") for name in "cba"]

    assert ["b"] == news(seen, feed_of(entry("id", "a"), entry("id", "b")))
    assert ["c", "b"] == news(seen, feed_of(*strange))


def test_the_page_of_the_feed_names_no_entry() -> None:
    seen = after(FeedMemory(), feed_of(entry("home", "up"), home_key="home"))

    assert ["down"] == news(seen, feed_of(entry("home", "down"), home_key="home"))


def test_new_ids_are_recognised_by_what_stays() -> None:
    seen = after(FeedMemory(), feed_of(*(entry(f"x{n}", likeness=f"l{n}", at=100 + n) for n in (2, 1))))

    fresh = feed_of(*(entry(f"y{n}", likeness=f"l{n}", at=100 + n) for n in (3, 2, 1, 0)))

    assert ["y3"] == news(seen, fresh)  # the feed shows an older one now, which is no news


def test_of_new_ids_what_is_as_old_as_the_newest_seen_is_news() -> None:
    """A feed may give days alone: the second entry of a day is no older than the first."""
    noon_s = int(NOON.timestamp())
    seen = after(FeedMemory(), feed_of(entry("x1", likeness="l1", at=noon_s)))

    assert ["y2"] == news(
        seen,
        feed_of(entry("y2", at=noon_s), entry("y1", likeness="l1", at=noon_s), entry("y0", at=noon_s - 1)),
    )


def test_one_entry_with_a_new_id_is_recognised_by_its_title_and_time() -> None:
    a_day = [entry(f"x{n}", likeness=f"l{n}", at=100 + n) for n in (2, 1)]
    seen = after(FeedMemory(), feed_of(*a_day))

    assert [] == news(seen, feed_of(entry("again", likeness="l2", at=102), a_day[1]))
    assert ["again"] == news(seen, feed_of(entry("again", likeness="l2"), a_day[1]))


def test_without_a_sign_of_new_ids_old_entries_are_news() -> None:
    seen = after(FeedMemory(), feed_of(*(entry(f"x{n}", at=100 + n) for n in (2, 1))))

    assert ["y2", "y1"] == news(seen, feed_of(*(entry(f"y{n}", at=50 + n) for n in (2, 1))))


def test_what_is_dated_to_come_later_does_not_make_the_rest_old() -> None:
    far_s = int((NOON + timedelta(days=365)).timestamp())

    assert 7 == after(FeedMemory(), feed_of(entry("a", at=7), entry("b", at=far_s))).newest_at


def test_after_the_known_part_of_a_cut_feed_is_no_news() -> None:
    """Older entries come in from beyond the cut when ones above are removed, or get shorter."""
    seen = after(FeedMemory(), feed_of("d", "c", "b", is_cut=True))

    assert ["e", "x"] == news(seen, feed_of("e", "d", "x", "b", "a", is_cut=True))
    assert ["f", "e"] == news(seen, feed_of("f", "e", is_cut=True))
    assert ["a"] == news(seen, feed_of("d", "c", "b", "a"))


def test_at_a_gap_only_the_ends_hold_news() -> None:
    """Entries beside the gap were never seen, and are no news: the feed lost some at its end."""
    seen = after(FeedMemory(), feed_of("a", "b", "y", "z"))

    assert ["new"] == news(seen, feed_of("a", "b", "x", "y", "z", "new", gap=3))
    assert [] == news(seen, feed_of("a", "b", "x", "y", gap=2))


def test_entries_after_the_last_one_that_another_scheduler_reported() -> None:
    feed = feed_of(
        entry(name_key("3")),
        entry(name_key("2")),
        entry(name_key("u"), url="https://example.com/1/"),
        entry("0"),
    )

    assert feed.entries[:1] == entries_after(feed, "2")
    assert feed.entries[:2] == entries_after(feed, "http://www.example.com/1?utm_source=x")
    assert () == entries_after(feed, "3")
    assert feed.entries == entries_after(feed, "gone")
