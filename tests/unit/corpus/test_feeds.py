"""Feeds: what sites served to other readers, run after run, and which entries are news then."""

from collections.abc import Callable

import pytest

from functions.domain.task import Job
from tests.unit.corpus.feeds import BLOG, HOME, Case, atom, check, dated, day, entry, item, json_feed, rss
from tests.unit.task_types.conftest import make_job

__all__ = ["make_job"]  # the fixture

SAME_GUID = [item(name, guid="news", link=f"{HOME}/{name}") for name in "abcd"]
SAME_LINK = [item(f"Poll {n}", link=f"{HOME}/polls", pubDate=day(n)) for n in range(1, 6)]

IDENTITY = [
    Case("miniflux/v2#4197: all items share one guid", [rss(*SAME_GUID[:3]), rss(*SAME_GUID)], [{"d"}]),
    Case(
        "FreshRSS/FreshRSS#1887: the second item has the guid of the first",
        [rss(SAME_GUID[0]), rss(SAME_GUID[1], SAME_GUID[0]), rss(*SAME_GUID[:2])],
        [{"b"}, set()],
    ),
    Case(
        "FreshRSS/FreshRSS#5909: guids bad, good and bad again",
        [rss(*SAME_GUID[:2]), rss(SAME_GUID[1]), rss(*SAME_GUID[:3]), rss(SAME_GUID[3])],
        [set(), {"c"}, {"d"}],
    ),
    Case(
        "FreshRSS/FreshRSS#5329: guids twice, one link for all",
        [
            rss(*(item(f"v{n}", guid=f"{HOME}/#{n // 2}", link=HOME, pubDate=day(n)) for n in (4, 3, 2))),
            rss(*(item(f"v{n}", guid=f"{HOME}/#{n // 2}", link=HOME, pubDate=day(n)) for n in (5, 4, 3, 2))),
        ],
        [{"v5"}],
    ),
    Case(
        "owncloud-archive/news#217: no guid, one link for all",
        [
            rss(*(item(n, link=f"{HOME}/hot") for n in "cba")),
            rss(*(item(n, link=f"{HOME}/hot") for n in "dcba")),
        ],
        [{"d"}],
    ),
    Case(
        "brief-rss/brief#435: no guid, dates, the same link in several",
        [rss(*SAME_LINK[:3]), rss(*SAME_LINK[:3]), rss(*SAME_LINK[:5])],
        [set(), {"Poll 4", "Poll 5"}],
    ),
    Case(
        "FreshRSS/FreshRSS#4487: only the time tells notes of a status page apart",
        [
            rss(
                item("Outage", link=f"{HOME}/status", pubDate=day(1)),
                item("Outage", link=f"{HOME}/status", pubDate=day(2)),
            ),
            rss(
                item("Outage", link=f"{HOME}/status", pubDate=day(3)),
                item("Outage", link=f"{HOME}/status", pubDate=day(2)),
            ),
        ],
        [{"Outage"}],
    ),
    Case(
        "notes by hand: no guid, no link, the same title twice a day",
        [
            rss(item("Update", description="North closed", pubDate="2026-11-01")),
            rss(
                item("Update", description="South closed", pubDate="2026-11-01"),
                item("Update", description="North closed", pubDate="2026-11-01"),
            ),
        ],
        [{"Update"}],
    ),
    Case(
        "a page of one note, which links to itself",
        [rss(item("Up", link=HOME, pubDate=day(1))), rss(item("Down", link=HOME, pubDate=day(2)))],
        [{"Down"}],
    ),
    Case(
        "composer/packagist#308: the guid is the package, the same for each version",
        [
            rss(item("a 1.0", guid=f"{HOME}/a"), item("a 1.1", guid=f"{HOME}/a")),
            rss(item("a 1.2", guid=f"{HOME}/a")),
        ],
        [{"a 1.2"}],
    ),
    Case(
        "picosh/pico#184: no guid at all",
        [rss(item("a", link="/a")), rss(item("b", link="/b"), item("a", link="/a"))],
        [{"b"}],
    ),
    Case(
        "zotero/zotero#2213: the link changes, the guid stays",
        [rss(item("a", guid="1", link=f"{HOME}/a")), rss(item("a", guid="1", link=f"{HOME}/b"))],
        [set()],
    ),
    Case(
        "miniflux/v2#3120: the title changes, the address stays",
        [rss(dated(9)), rss(item("another title", guid=f"{HOME}/9", link=f"{HOME}/9", pubDate=day(9)))],
        [set()],
    ),
    Case(
        "an item twice in one response",
        [rss(dated(9)), rss(dated(10), dated(10), dated(9)), rss(dated(10), dated(9))],
        [{"n10"}, set()],
    ),
    Case(
        "samuelclay/NewsBlur: neither guid nor link",
        [rss(item("a", pubDate=day(1))), rss(item("a", pubDate=day(2)), item("a", pubDate=day(1)))],
        [{"a"}],
    ),
    Case(
        "liferea#1195: a state that comes back has a guid of its own",
        [
            rss(*(item("db is down", guid=str(n), link=f"{HOME}/db", pubDate=day(n)) for n in (2, 1))),
            rss(*(item("db is down", guid=str(n), link=f"{HOME}/db", pubDate=day(n)) for n in (3, 2, 1))),
        ],
        [{"db is down"}],
    ),
]

NEW_IDS = [
    Case(
        "feedbin/support#431, fornever.me#3: http becomes https",
        [
            rss(*(dated(n, guid=f"http://blog.example.com/?p={n}") for n in (9, 8))),
            rss(*(dated(n, guid=f"https://blog.example.com/?p={n}") for n in (10, 9, 8))),
        ],
        [{"n10"}],
    ),
    Case(
        "FreshRSS/FreshRSS#5151: http and https take turns",
        [
            rss(*(item(f"n{n}", guid=f"{s}://blog.example.com/?p={n}") for n in (9, 8)))
            for s in ("http", "https", "http")
        ],
        [set(), set()],
    ),
    Case(
        "miniflux/v2#458: the host changes for some hours",
        [
            rss(
                *(
                    dated(n, guid=f"https://{h}.example.com/{n}", link=f"https://{h}.example.com/{n}")
                    for n in (9, 8, 7)
                )
            )
            for h in ("a", "b", "a")
        ],
        [set(), set()],
    ),
    Case(
        "with www and without",
        [rss(item("a", guid="https://www.example.com/a")), rss(item("a", guid="https://example.com/a"))],
        [set()],
    ),
    Case(
        "a slash at the end",
        [rss(item("a", link=f"{HOME}/a")), rss(item("a", link=f"{HOME}/a/"), item("b", link=f"{HOME}/b/"))],
        [{"b"}],
    ),
    Case(
        "aaronpk/IndieNews#35: campaigns in permalinks",
        [
            rss(*(item(n, link=f"{HOME}/{n}?utm_source=rss&amp;utm_campaign={run}") for n in names))
            for run, names in (("mon", "ab"), ("tue", "abc"))
        ],
        [{"c"}],
    ),
    Case(
        "fbclid and a session in the link, another at each fetch",
        [rss(item("a", link=f"{HOME}/t?id=1&amp;sid={run * 32}&amp;fbclid={run}")) for run in "123"],
        [set(), set()],
    ),
    Case(
        "an unknown parameter that changes at each fetch",
        [
            rss(*(dated(n, guid=f"{HOME}/{n}?r={run}", link=f"{HOME}/{n}?r={run}") for n in numbers))
            for run, numbers in (("x", (9, 8)), ("y", (10, 9, 8)), ("z", (10, 9, 8)))
        ],
        [{"n10"}, set()],
    ),
    Case(
        "parameters that tell entries apart stay",
        [
            rss(item("a", link=f"{HOME}/t?id=1")),
            rss(item("b", link=f"{HOME}/t?id=2"), item("a", link=f"{HOME}/t?id=1")),
        ],
        [{"b"}],
    ),
    Case(
        "newrelic/docs-website#1271: each build makes new guids",
        [
            rss(*(dated(n, guid=f"{run}-{n}") for n in numbers))
            for run, numbers in (("x", (9, 8)), ("y", (10, 9, 8)))
        ],
        [{"n10"}],
    ),
    Case(
        "elixir-lang#1843: RSS becomes Atom",
        [
            rss(dated(9), dated(8)),
            atom(
                *(
                    entry(
                        f"n{n}",
                        id=f"tag:blog.example.com,2026:{n}",
                        link=f"{HOME}/{n}",
                        published=f"2026-11-{n:02}T08:15:30Z",
                        updated="2026-11-20T00:00:00Z",
                    )
                    for n in (10, 9, 8)
                )
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "RSS becomes Atom, which has more entries",
        [
            rss(dated(9), dated(8)),
            atom(
                *(
                    entry(f"n{n}", id=f"tag:{n}", published=f"2026-11-{n:02}T10:15:30+02:00")
                    for n in (10, 9, 8, 7, 6, 5)
                )
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "RSS becomes JSON Feed",
        [
            rss(dated(9), dated(8)),
            json_feed(
                *(
                    {
                        "id": str(n),
                        "title": f"n{n}",
                        "url": f"{HOME}/{n}",
                        "date_published": f"2026-11-{n:02}T08:15:30Z",
                    }
                    for n in (10, 9, 8)
                )
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "the same without dates",
        [
            rss(*(item(n, guid=f"old-{n}", link=f"{HOME}/{n}") for n in "ba")),
            rss(*(item(n, guid=f"new-{n}", link=f"{HOME}/{n}") for n in "cba")),
        ],
        [{"c"}],
    ),
    Case(
        "fazalmajid/temboz#5: moved, and other addresses in it",
        [
            rss(
                *(
                    dated(n, guid=f"http://old.example.org/{n}", link=f"http://old.example.org/{n}")
                    for n in (9, 8)
                )
            ),
            rss(
                *(
                    dated(
                        n,
                        guid=f"https://new.example.com/posts/{n}",
                        link=f"https://new.example.com/posts/{n}",
                    )
                    for n in (10, 9, 8)
                )
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "LeaVerou/blog#18: addresses in place of WordPress's ids",
        [
            rss(*(dated(n, guid=f"{HOME}/?p={n}", link=f"{HOME}/2023/post-{n}/") for n in (9, 8))),
            rss(
                *(
                    dated(n, guid=f"{HOME}/2023/post-{n}/", link=f"{HOME}/2023/post-{n}/")
                    for n in (10, 9, 8, 7, 6)
                )
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "NetNewsWire#3939: links with the time of the build in them",
        [
            rss(item("acl", link=f"{HOME}/acl2.txt?t={run}"), item("bot", link=f"{HOME}/bot.html"))
            for run in (1683312440, 1683398840)
        ],
        [{"acl"}],
    ),
    Case(
        "a busy feed: every entry is another than at the last run",
        [rss(*(dated(n) for n in (5, 4, 3))), rss(*(dated(n) for n in (8, 7, 6)))],
        [{"n8", "n7", "n6"}],
    ),
    Case(
        "a list of the most read: old entries that were never in it",
        [rss(*(dated(n) for n in (9, 8))), rss(*(dated(n) for n in (4, 3)))],
        [{"n4", "n3"}],
    ),
    Case(
        "a morning and an evening edition, one at a time, dated by the day",
        [
            rss(item("News", guid="m", pubDate="20 Nov 2026 00:00:00 GMT")),
            rss(item("News", guid="e", pubDate="20 Nov 2026 00:00:00 GMT")),
        ],
        [{"News"}],
    ),
    Case(
        "a transfer that breaks off within an id, and nobody says so",
        [
            rss(*BLOG),
            rss(dated(10), dated(11), *BLOG).partition("n11")[0] + "n1",
            rss(dated(10), dated(11), *BLOG),
        ],
        [{"n10"}, {"n11"}],
    ),
    Case(
        "a transfer that breaks off within the text of an entry",
        [atom(entry("a", id="1")), f"{atom(entry('b', id='2'))[:-7]}<entry><id>3</id><title>c", atom()],
        [{"b"}, set()],
    ),
    Case(
        "a transfer that breaks off within the first entry",
        [rss(*BLOG), rss(dated(10)).partition("</title><guid>")[0], rss(dated(10), *BLOG)],
        ["broken off before its first entry", {"n10"}],
    ),
    Case(
        "a program that ends no entry",
        [rss(*BLOG), "<rss version='2.0'><channel><item><title>a</title><item><title>b</title>"],
        [{"a", "b"}],
    ),
    Case("empty for one run", [rss(*BLOG), rss(), rss(dated(10), *BLOG)], [set(), {"n10"}]),
    Case(
        "julienPalard, rsstail#24: one article that comes and goes",
        [rss(dated(9), dated(8)), rss(dated(8)), rss(dated(9), dated(8))],
        [set(), set()],
    ),
]

ORDER = [
    Case(
        "miniflux/v2#617: a date that is cut off",
        [rss(*BLOG), rss(item("new", guid="new", pubDate="Tue,"), *BLOG)],
        [{"new"}],
    ),
    Case(
        "kurtmckee/feedparser#135: one date without a zone, in German, among a hundred, oldest first",
        [
            rss(*(item(f"n{n}", guid=str(n), pubDate=day(1 + n % 28)) for n in range(100))),
            rss(
                *(item(f"n{n}", guid=str(n), pubDate=day(1 + n % 28)) for n in range(100)),
                item("new", guid="new", pubDate="Mo, 25 Nov 2026 11:41:36"),
            ),
        ],
        [{"new"}],
    ),
    Case(
        "woodwind#36, miniflux/v2#1674: one entry is of next year",
        [
            rss(item("far", guid="far", pubDate="01 Nov 2027 08:00:00 GMT"), *BLOG),
            rss(item("far", guid="far", pubDate="01 Nov 2027 08:00:00 GMT"), dated(10), *BLOG),
        ],
        [{"n10"}],
    ),
    Case(
        "the same, with new ids",
        [
            rss(
                *(dated(n, guid=f"x{n}") for n in (9, 8)),
                item("far", guid="xf", pubDate="01 Nov 2027 08:00:01 GMT"),
            ),
            rss(
                *(dated(n, guid=f"y{n}") for n in (10, 9, 8)),
                item("far", guid="yf", pubDate="01 Nov 2027 08:00:01 GMT"),
            ),
        ],
        [{"n10"}],
    ),
    Case(
        "Ranchero-Software/NetNewsWire#5217: a calendar, all in the future",
        [
            rss(*(item(f"e{n}", guid=str(n), pubDate=f"{n:02} Dec 2026 20:00:00 GMT") for n in (3, 2))),
            rss(*(item(f"e{n}", guid=str(n), pubDate=f"{n:02} Dec 2026 20:00:00 GMT") for n in (3, 2, 1))),
        ],
        [{"e1"}],
    ),
    Case(
        "elfeed#345: dates that no standard knows",
        [
            rss(item("a", guid="a", pubDate="2026/11/15 10:00:00")),
            rss(
                item("b", guid="b", pubDate="2026/11/16 10:00:00"),
                item("a", guid="a", pubDate="2026/11/15 10:00:00"),
            ),
        ],
        [{"b"}],
    ),
    Case(
        "a post that was dated back",
        [rss(*BLOG), rss(*BLOG, dated(2))],
        [{"n2"}],
    ),
    Case(
        "1,200 entries without dates, oldest first",
        [
            rss(*(item(f"n{n}", guid=str(n)) for n in range(1200))),
            rss(*(item(f"n{n}", guid=str(n)) for n in range(1201))),
            rss(*(item(f"n{n}", guid=str(n)) for n in range(1, 1201))),
        ],
        [{"n1200"}, set()],
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*IDENTITY, *NEW_IDS, *ORDER], ids=lambda case: case.source)
async def test_entries_that_are_news(case: Case, make_job: Callable[..., Job]) -> None:
    await check(case, make_job)
