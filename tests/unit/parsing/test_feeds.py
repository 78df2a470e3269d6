"""Reading feeds: what strangers serve becomes plain entries, and never opens, runs or links anything else."""

import contextlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from functions.parsing import feeds
from functions.parsing.errors import UnreadableError
from functions.parsing.feeds import Feed, parse_feed
from functions.parsing.markup import html_to_text, safe_http_url
from tests.unit.task_types.conftest import NOON

URL = "https://example.com/feed.xml"


def read(body: str | bytes, content_type: str = "application/xml") -> Feed:
    given = body.encode() if isinstance(body, str) else body
    return parse_feed(given, content_type=content_type, url=URL)


def rss(*items: str, title: str = "Example") -> str:
    inside = "".join(f"<item>{item}</item>" for item in items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>{title}</title>{inside}</channel></rss>'


def dated(name: str, at: datetime) -> str:
    return f"<title>{name}</title><guid>{name}</guid><pubDate>{at:%a, %d %b %Y %H:%M:%S} GMT</pubDate>"


def test_rss_is_read() -> None:
    feed = read(
        rss(
            "<title>One &amp; two</title><link>https://example.com/1</link><guid>g1</guid>"
            "<description>&lt;p&gt;Some &lt;b&gt;bold&lt;/b&gt; words&lt;/p&gt;</description>"
        )
    )

    (entry,) = feed.entries
    assert ("Example", "One & two", "https://example.com/1", "Some bold words") == (
        feed.title,
        entry.title,
        entry.url,
        entry.text,
    )
    assert entry.matches


def test_atom_is_read() -> None:
    feed = read(
        """<feed xmlns="http://www.w3.org/2005/Atom"><title>Atomic</title>
        <entry><id>urn:1</id><title type="html">&lt;i&gt;Hi&lt;/i&gt; there</title>
        <link rel="enclosure" href="https://example.com/a.mp3"/><link href="/posts/1"/>
        <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Long <em>read</em></p></div>
        </content></entry></feed>"""
    )

    (entry,) = feed.entries
    assert ("Atomic", "Hi there", "https://example.com/posts/1", "Long read") == (
        feed.title,
        entry.title,
        entry.url,
        entry.text,
    )


def test_an_empty_feed_is_a_feed() -> None:
    """Some servers call it a web page; it may well get its first entry tomorrow."""
    assert () == read(rss()).entries
    assert () == read(rss(), "text/html").entries


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "an empty body"),
        (" \n ", "an empty body"),
        ("<!DOCTYPE html><html><body><item>x</item></body></html>", "a web page"),
        ("<html><head><title>Sign in</title></head></html>", "a web page (“Sign in”)"),
        ('{"version": "https://jsonfeed.org/version/1.1"}', "JSON that is no JSON Feed"),
        ("just words", "something else"),
        (b"\x89PNG\r\n\x1a\n\x00", "an image"),
        (b"\x1f\x8bnothing", "broken gzip data"),
        ('<rss version="2.0"><channel><title>Cut of', "a feed broken off before its first entry"),
    ],
)
def test_what_is_no_feed_is_named(body: str | bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as fault:
        read(body)

    assert reason == str(fault.value)


def test_a_feed_with_a_fault_is_read_as_far_as_it_goes() -> None:
    broken = rss("<title>A</title><guid>a</guid>", "<title>B & C</title><guid>b</guid>").removesuffix(
        "</rss>"
    )

    assert ["A", "B & C"] == [entry.title for entry in read(broken).entries]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_body_that_names_a_file_opens_nothing(prefix: str, tmp_path: Path) -> None:
    """The feed library opens paths and addresses it is handed as text or bytes."""
    secret = tmp_path / "secret.xml"
    secret.write_text(rss("<title>stolen</title>"))

    with pytest.raises(UnreadableError):
        read(f"{prefix}{secret}")


def test_external_entities_are_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("stolen")
    body = (
        f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file://{secret}">]>'
        '<rss version="2.0"><channel><item><title>a &x; b</title></item></channel></rss>'
    )

    assert "stolen" not in repr(read(body))


@pytest.mark.slow
def test_an_entity_bomb_does_no_harm() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = (
        f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "boom">{levels}]>'
        '<rss version="2.0"><channel><item><title>&e9;</title></item></channel></rss>'
    )
    began = time.process_time()

    with contextlib.suppress(UnreadableError):  # whichever of the two the installed expat leads to
        assert len(repr(read(body))) < 10_000

    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        " java\nscript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "ftp://example.com/",
        "//example.com/",
        "data:text/html,x",
        "file:///etc/passwd",
        "http:///nowhere",
        "https://[broken/",
        "https://example.com/" + "x" * 2048,
        "https://example.com/\u202e",
        "mailto:a@b.c",
        "",
    ],
)
def test_only_web_links_are_kept(link: str) -> None:
    assert safe_http_url(link) == ""


@pytest.mark.parametrize("link", ["https://example.com/a?b=c#d", "HTTP://EXAMPLE.COM", " https://a.b/ "])
def test_web_links_are_kept(link: str) -> None:
    assert link.strip() == safe_http_url(link)


def test_a_hostile_link_in_a_feed_is_dropped_with_its_entry_kept() -> None:
    (entry,) = read(rss("<title>Click</title><link>javascript:alert(1)</link>")).entries

    assert ("Click", "") == (entry.title, entry.url)


LINKS = {
    "of a page": ("<link>/posts/a</link>", "https://example.com/posts/a"),
    "with spaces": ("<link> https://example.com/a b </link>", "https://example.com/a%20b"),
    "that is also the id": ("<guid>https://example.com/a</guid>", "https://example.com/a"),
    "that is a path and also the id": ("<guid>/a</guid>", "https://example.com/a"),
    "none, as an id is not the name of a page": ("<guid>a-1</guid>", ""),
    "of a recording": (
        '<guid isPermaLink="false">1</guid><enclosure url="https://example.com/1.mp3" type="audio/mpeg"/>',
        "https://example.com/1.mp3",
    ),
    "that is empty beside an id": (
        "<link></link><guid>https://example.com/a</guid>",
        "https://example.com/a",
    ),
    "that is only an id, and said to be no page": (
        '<guid isPermaLink="false">https://example.com/?p=7</guid>',
        "https://example.com/?p=7",
    ),
    "of a recording rather than an id": (
        '<guid isPermaLink="false">https://example.com/7</guid><enclosure url="https://example.com/1.mp3"/>',
        "https://example.com/1.mp3",
    ),
    "of a page with a recording": (
        '<link>/1</link><enclosure url="https://example.com/1.mp3" type="audio/mpeg"/>',
        "https://example.com/1",
    ),
}


@pytest.mark.parametrize(("parts", "expected"), LINKS.values(), ids=LINKS)
def test_the_link_of_an_entry(parts: str, expected: str) -> None:
    (entry,) = read(rss(f"<title>a</title>{parts}")).entries

    assert expected == entry.url


ATOM_ENTRY = '<entry><id>7</id><title>a</title><link href="/posts/7"/></entry>'
BASES = {
    "RSS names its site": (
        "<rss version='2.0'><channel><link>https://garden.example/blog/</link>"
        "<item><title>a</title><link>posts/7</link></item></channel></rss>",
        "https://garden.example/blog/posts/7",
    ),
    "RSS with a base of its own": (
        "<rss version='2.0' xml:base='https://beds.example/'><channel><link>https://garden.example/</link>"
        "<item><title>a</title><link>posts/7</link></item></channel></rss>",
        "https://beds.example/posts/7",
    ),
    "RSS whose site is no page": (
        "<rss version='2.0'><channel><link>urn:garden</link>"
        "<item><title>a</title><link>/posts/7</link></item></channel></rss>",
        "https://feeds.example.com/posts/7",
    ),
    "Atom, whose links begin at the feed": (
        '<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://garden.example/"/>'
        f"{ATOM_ENTRY}</feed>",
        "https://feeds.example.com/posts/7",
    ),
}


@pytest.mark.parametrize(("document", "expected"), BASES.values(), ids=BASES)
def test_where_a_link_without_a_host_begins(document: str, expected: str) -> None:
    """A feed is often fetched from a service that hosts feeds, which has none of the pages."""
    feed = parse_feed(document.encode(), content_type="text/xml", url="https://feeds.example.com/garden")

    assert [expected] == [entry.url for entry in feed.entries]


def test_an_id_of_atom_is_no_link_unless_it_is_an_address() -> None:
    ids = ("7", "urn:uuid:7", "https://example.com/7")
    entries = "".join(f'<entry><id>{one}</id><link rel="self" href="/{one}.atom"/></entry>' for one in ids)

    feed = read(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>')

    assert ["", "", "https://example.com/7"] == [entry.url for entry in feed.entries]


def test_an_id_of_rss_1_0_is_a_link() -> None:
    feed = read(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
        '<item rdf:about="https://example.com/a"><title>a</title></item></rdf:RDF>'
    )

    assert ["https://example.com/a"] == [entry.url for entry in feed.entries]


def test_an_id_stays_where_a_feed_is_served_from_another_place_each_time() -> None:
    body = rss("<guid>7</guid><title>a</title>").encode()

    one, other = (
        parse_feed(body, content_type="", url=f"https://cdn{number}.example.com/{number}/feed").entries[0]
        for number in (1, 2)
    )

    assert one.names == other.names


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Hello <script>alert(1)</script>there", "Hello there"),
        ("<style>p{}</style><p>Text</p><p>more</p>", "Text more"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;x", "x"),
        ("<scr<script></script>ipt>alert(1)</script>", "<scr ipt>alert(1)"),
        ("<img src=x onerror=alert(1)", ""),
        ("a<b holds, and x<3", "a<b holds, and x<3"),
        ("if a<b and c>d <b>then</b>", "if a<b and c>d then"),
        ("Vec<Option<String>>, Map<Object>, <16s", "Vec<Option<String>>, Map<Object>, <16s"),
        ('<g-emoji class="e">E</g-emoji> <o:p>x</o:p>', "E x"),
        ('<a title="x < y" href="/z">link</a>', "link"),
        ("<div\nclass='a'>x</div><br/>y", "x y"),
        ("<p>Use &lt;b&gt; for <b>bold</b>", "Use <b> for bold"),
        ("a <!-- b", "a <!-- b"),
        ("<![CDATA[twice packed]]>", "twice packed"),
        ("<script>never closed", ""),
        ("a < b &amp; c > d", "a < b & c > d"),
        ("two\n\t lines\u00a0here", "two lines here"),
        ("zero\u200bwidth \u202ereversed \x00\x07", "zerowidth reversed"),
        ("<!-- note -->seen<![CDATA[", "seen"),
    ],
)
def test_markup_becomes_words(markup: str, expected: str) -> None:
    assert expected == html_to_text(markup, limit=200)


def test_words_are_cut() -> None:
    assert "aaaa…" == html_to_text("a" * 9, limit=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        "<script" * 20_000,
        "<" * 100_000,
        "<a" * 50_000,
        "&lt;" * 50_000,
        "<b>" * 50_000,
        "</" * 80_000,
        "<a href=" * 30_000,
        "<" + "a" * 200_000,
    ],
)
def test_hostile_markup_takes_no_time(hostile: str) -> None:
    began = time.process_time()

    html_to_text(hostile, limit=200, read_chars=262_144)

    assert time.process_time() - began < 3


def test_markup_in_a_title_is_gone() -> None:
    body = rss("<title>&lt;script&gt;alert(1)&lt;/script&gt;News &lt;b&gt;today&lt;/b&gt;</title>")

    assert "News today" == read(body).entries[0].title


def test_entries_without_a_title_borrow_one() -> None:
    titles = [
        entry.title for entry in read(rss("<description>Only text</description>", "<guid>x</guid>")).entries
    ]

    assert ["Only text", "(no title)"] == titles


def test_the_newest_come_first() -> None:
    """A feed may list the oldest first."""
    items = [dated(f"n{number}", NOON + timedelta(hours=number)) for number in range(60)]

    feed = read(rss(*items))

    assert [f"n{number}" for number in range(59, -1, -1)] == [entry.title for entry in feed.entries]


def test_an_entry_without_a_date_keeps_its_place_after_the_one_before_it() -> None:
    hours = [timedelta(hours=number) for number in range(4)]
    items = [
        dated("n0", NOON),
        dated("n2", NOON + hours[2]),
        "<title>undated</title>",
        dated("n1", NOON + hours[1]),
    ]

    assert ["n2", "undated", "n1", "n0"] == [entry.title for entry in read(rss(*items)).entries]


def test_where_most_dates_are_missing_the_feed_s_own_order_counts() -> None:
    items = [
        dated("old", NOON),
        "<title>a</title>",
        "<title>b</title>",
        dated("new", NOON + timedelta(hours=1)),
    ]
    items.append("<title>c</title>")

    assert ["old", "a", "b", "new", "c"] == [entry.title for entry in read(rss(*items)).entries]


def test_a_feed_with_dates_is_cut_after_its_newest_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ENTRIES", 2)
    items = [dated(f"n{number}", NOON - timedelta(hours=number)) for number in range(3)]

    assert [False, True] == [read(rss(*items[:count])).is_cut for count in (2, 3)]


@pytest.mark.slow
def test_of_a_long_feed_without_dates_both_ends_are_kept() -> None:
    feed = read(rss(*(f"<title>n{number}</title>" for number in range(1200))))

    assert (1000, 500) == (len(feed.entries), feed.gap)
    assert ("n499", "n700") == (feed.entries[499].title, feed.entries[500].title)


def test_the_names_of_an_entry_begin_with_its_id_then_its_link_then_its_title_and_date() -> None:
    def names(item: str) -> tuple[str, ...]:
        return read(rss(item)).entries[0].names

    link = "<link>https://example.com/1</link>"
    whole = names(f"<guid>1</guid>{link}<title>a</title><pubDate>x</pubDate>")

    assert 4 == len(whole)
    assert whole[0] == names("<guid>1</guid><title>changed</title>")[0]
    assert whole[1] == names(f"<guid>1</guid>{link}<title>changed</title>")[1]
    assert whole[2] == names(f"<guid>1</guid>{link}<title>a</title>")[2]
    assert names(f"{link}<title>a</title>")[0] == names(f"{link}<title>changed</title>")[0]
    assert names("<title>a</title>")[0] != names("<title>b</title>")[0]
    assert (
        names("<title>a</title><pubDate>x</pubDate>")[0] != names("<title>a</title><pubDate>y</pubDate>")[0]
    )


@pytest.mark.parametrize(
    ("item", "keyword", "matches"),
    [
        ("<title>New Release</title>", "RELEASE", True),
        ("<description>in der STRASSE</description>", "straße", True),
        (f"<description>{'word ' * 2000}security</description>", "security", True),
        ("<title>a</title><category>Security</category>", "security", True),
        ("<title>a</title><author>ann@example.com (Ann Lee)</author>", "ann lee", True),
        ("<title>Cafe\u0301</title>", "caf\u00e9", True),
        ("<title>\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645</title>", "\u0645\u06cc\u200c\u062e", True),
        ("<title>a</title><link>https://example.com/security</link>", "security", False),
        ("<title>a</title>", "absent", False),
    ],
)
def test_keywords_are_looked_for_in_the_whole_of_each_text(item: str, keyword: str, matches: bool) -> None:
    body = rss(item).encode()

    [entry] = parse_feed(body, content_type="application/xml", url=URL, keywords=[keyword]).entries

    assert matches is entry.matches
    assert read(body).entries[0].matches


def test_a_keyword_in_the_content_beside_a_summary_is_found() -> None:
    body = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><entry><id>1</id><title>a</title>
        <summary>short</summary><content type="html">&lt;p&gt;about security&lt;/p&gt;</content>
        </entry></feed>"""

    [entry] = parse_feed(body, content_type="", url=URL, keywords=["security"]).entries

    assert entry.matches


@pytest.mark.parametrize(
    ("title", "keyword"),
    [
        ("What’s new", "what's new"),
        ("“Great” news", '"great" news'),
        ("Covid–19", "covid-19"),
        ("ＡＩ ﾆｭｰｽ", "ai ニュース"),
        ("don't", "don’t"),
        ("Strasse", "STRAßE"),
    ],
)
def test_a_keyword_is_found_whatever_signs_a_typographer_uses(title: str, keyword: str) -> None:
    feed = parse_feed(rss(f"<title>{title}</title>").encode(), content_type="", url=URL, keywords=(keyword,))

    assert feed.entries[0].matches


def test_joiners_without_a_width_stay() -> None:
    assert "\u0645\u06cc\u200c\u062e" == html_to_text("\u0645\u06cc\u200c\u062e", limit=100)
    assert "\U0001f468\u200d\U0001f469" == html_to_text("\U0001f468\u200d\U0001f469", limit=100)


def test_dates_are_compared_as_instants() -> None:
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    east = "<title>east</title><pubDate>Fri, 20 Nov 2026 13:00:00 +0300</pubDate>"

    assert ["noon", "east"] == [one.title for one in read(rss(east, dated("noon", at))).entries]


def test_words_of_a_text_stay_around_a_lone_bracket() -> None:
    [entry] = read(rss("<description>if a&lt;b then &lt;p&gt;x&lt;/p&gt;</description>")).entries

    assert "if a<b then x" == entry.text


def test_entries_that_look_the_same_have_no_likeness() -> None:
    ids = [f'<guid isPermaLink="false">{number}</guid>' for number in range(2)]
    others = read(rss(f"{ids[0]}<title>a</title>", f"{ids[1]}<title>b</title>")).entries
    twins = read(rss(f"{ids[0]}<title>a</title>", f"{ids[1]}<title>a</title>")).entries

    assert "" not in [entry.likeness for entry in others]
    assert ["", ""] == [entry.likeness for entry in twins]
