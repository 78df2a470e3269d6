"""Documents: what sites served as feeds, in which writing, and what is made of it."""

import gzip
from collections.abc import Callable

import pytest

from functions.domain.task import Job
from tests.unit.corpus.feeds import BLOG, Case, atom, check, dated, entry, item, json_feed, rss, served
from tests.unit.task_types.conftest import answer, make_job

__all__ = ["make_job"]  # the fixture


def first_title(source: str, feed: str | bytes, expected: str, content_type: str = "application/xml") -> Case:
    """A feed whose new entry must come out with this title."""
    return Case(source, [served(rss(), "text/xml"), served(feed, content_type)], [{expected}])


TITLES = [
    first_title(
        "Ranchero-Software/NetNewsWire#4742",
        rss(item("&#x3C;16s in UK to be banned")),
        "<16s in UK to be banned",
    ),
    first_title(
        "node-feedparser#243",
        rss(item("Unship: &lt;a&gt; as &lt;area&gt; in maps")),
        "Unship: <a> as <area> in maps",
    ),
    first_title(
        "miniflux/v2#416", rss(item("I'm just doing D&D, but online")), "I'm just doing D&D, but online"
    ),
    first_title("tinkerer#6", rss(item("Free Software & Linux Days")), "Free Software & Linux Days"),
    first_title("owncloud-archive/news#286", rss(item("Savings &amp;amp; Trust")), "Savings & Trust"),
    first_title("Limnoria#1437", rss(item("remain &amp;quot;persistent&amp;quot;")), 'remain "persistent"'),
    first_title(
        "FeedNotifier#87", rss(item("his &amp;apos;one big regret&amp;apos;")), "his 'one big regret'"
    ),
    first_title("a comparison", rss(item("a&lt;b holds")), "a<b holds"),
    first_title(
        "a type in a language", rss(item("List&lt;T&gt; and Map&lt;Object&gt;")), "List<T> and Map<Object>"
    ),
    first_title("CDATA", rss(item("<![CDATA[R&D: Vec<u8> <b>is</b> fast]]>")), "R&D: Vec<u8> is fast"),
    first_title("an entity of HTML that XML has not", rss(item("caf&eacute;&nbsp;A&B &copy;")), "café A&B ©"),
    first_title(
        "Ranchero-Software/NetNewsWire#722",
        atom(entry("&lt;hello-world&gt;", id="1", kind="text")),
        "<hello-world>",
    ),
    first_title(
        "madelynnblue/goread#226",
        atom(entry("no &lt;col&gt; in &lt;colgroup&gt;&lt;/colgroup&gt;", id="1")),
        "no <col> in <colgroup></colgroup>",
    ),
    first_title(
        "Atom, type html",
        atom(entry("&lt;b&gt;R&amp;amp;D&lt;/b&gt; a&amp;lt;b", id="1", kind="html")),
        "R&D a<b",
    ),
    first_title(
        "NetNewsWire#722, type xhtml",
        atom(
            entry(
                '<div xmlns="http://www.w3.org/1999/xhtml"><a href="/x">Best</a> &lt;T&gt;</div>',
                id="1",
                kind="xhtml",
            )
        ),
        "Best <T>",
    ),
    first_title(
        "Ranchero-Software/NetNewsWire#3753: the title is the beginning of the text",
        rss('<item><description>&lt;p&gt;&lt;span class="h-card"&gt;&lt;a hre</description></item>'),
        "<a hre",
    ),
    first_title(
        "Tiny-Tiny-RSS#430, miniflux/v2#714: the title of a picture",
        rss(
            '<item xmlns:media="http://search.yahoo.com/mrss/"><media:group><media:title>x</media:title></media:group>'
            "<title>Boyhood</title><media:title/></item>"
        ),
        "Boyhood",
    ),
    first_title("Persian, with a joiner", rss(item("می‌خواهم")), "می‌خواهم"),
    first_title("a family", rss(item("👨‍👩‍👧")), "👨‍👩‍👧"),
]

XML = '<?xml version="1.0" encoding="{}"?>'
UMLAUT = '<rss version="2.0"><channel><title>B</title><item><title>Größe</title></item></channel></rss>'
ENCODINGS = [
    first_title("RSParser#36, feed-io#175, gofeed#26", b"\xef\xbb\xbf" + rss(item("a")).encode(), "a"),
    first_title("two marks of order", b"\xef\xbb\xbf\xef\xbb\xbf" + rss(item("R&D")).encode(), "R&D"),
    first_title("feedbin/support#129, rssguard#1403, feedparser#508", "\n\n " + rss(item("R&D")), "R&D"),
    first_title(
        "warnings of PHP before it", "<br />\n<b>Warning</b>: x in y<br />" + rss(item("R&D")), "R&D"
    ),
    first_title(
        "matrix-hookshot#1108",
        (XML.format("ISO-8859-1") + UMLAUT).encode("latin-1"),
        "Größe",
        "application/rss+xml; charset=ISO-8859-1",
    ),
    first_title(
        "declared as UTF-8, and windows-1252", (XML.format("utf-8") + UMLAUT).encode("cp1252"), "Größe"
    ),
    first_title(
        "UTF-8, and the server says windows-1251",
        XML.format("utf-8") + UMLAUT,
        "Größe",
        "text/html; charset=windows-1251",
    ),
    first_title("UTF-16", (XML.format("utf-16") + UMLAUT).encode("utf-16"), "Größe"),
    first_title(
        "changelog/ping#848",
        XML.format("utf-8") + UMLAUT,
        "Größe",
        "application/xml; charset=utf-8; charset=utf-8",
    ),
    first_title("thunderbird-website#668", XML.format("utf-8") + UMLAUT, "Größe", "text/xml"),
    first_title("rsspreview#52, SidebarVulcan#7", XML.format("utf-8") + UMLAUT, "Größe", "text/html"),
    first_title("silverstripe-comments#66", XML.format("utf-8") + UMLAUT, "Größe", "text/plain"),
    first_title("no content type", XML.format("utf-8") + UMLAUT, "Größe", ""),
    first_title("simplepie#21: control characters", rss(item("a\x0b\x08 R&D &#11;b")), "a R&D b"),
    first_title(
        "FreshRSS/FreshRSS#3543: a gzip file",
        gzip.compress(rss(item("a")).encode()),
        "a",
        "application/x-gzip",
    ),
    first_title(
        "newsboat#1086: RSS in the namespace of Atom",
        rss(item("a")).replace("<rss", '<rss xmlns="http://www.w3.org/2005/Atom"'),
        "a",
    ),
    first_title(
        "gofeed#347: an unknown namespace",
        rss(item("a")).replace("<rss", '<rss xmlns="https://cyber.harvard.edu/rss/rss.html"'),
        "a",
    ),
    first_title(
        "planetmoney-rss#6: a prefix that is not declared",
        rss("<item><title>a</title><media:thumbnail url='x'/></item>"),
        "a",
    ),
    first_title(
        "feedsmith#262: RSS 1.0 with prefixes",
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:rss="http://purl.org/rss/1.0/"><rss:channel>'
        "<rss:title>B</rss:title></rss:channel><rss:item><rss:title>a</rss:title></rss:item></rdf:RDF>",
        "a",
    ),
    *(
        first_title(f"{codec}, said by {said}", feed.encode(codec), text, content_type)
        for codec, declared, text in (
            ("gb18030", "GBK", "2 € 起，镕基"),
            ("cp932", "Shift_JIS", "①稼働中㈱"),
            ("cp932", "windows-31j", "～稼働中"),
            ("iso2022_jp", "ISO-2022-JP", "稼働中"),
            ("cp949", "euc-kr", "서비스 뷁"),
            ("cp949", "ks_c_5601-1987", "서비스"),
            ("big5hkscs", "Big5", "服務嘅"),
            ("cp1251", "win-1251", "Сервис"),
        )
        for said, feed, content_type in (
            ("the document", XML.format(declared) + UMLAUT.replace("Größe", text), "text/xml"),
            ("the server", UMLAUT.replace("Größe", text), f"application/rss+xml; charset={declared}"),
        )
    ),
    first_title("UTF-16, and R&D in it", rss(item("R&D größer")).encode("utf-16"), "R&D größer"),
    first_title(
        ".NET's StringWriter: utf-16 in the declaration of what is UTF-8",
        XML.format("utf-16") + UMLAUT,
        "Größe",
        "text/xml; charset=utf-16",
    ),
    first_title(
        "a summary cut by bytes",
        rss(item("日本語の記事", description="XX")).encode().replace(b"XX", "続き".encode()[:-1]),
        "日本語の記事",
    ),
    first_title(
        "an emoji as two references", rss(item("&#xD83D;&#xDE00; and &#55357;&#56832;")), "😀 and 😀"
    ),
    first_title("half an emoji", rss(item("a &#xD83D; b &#56832;c")), "a b c"),
    first_title(
        "half an emoji, and entities of its own",
        f"<!DOCTYPE rss [<!ENTITY a 'b'>]>{rss(item('a &#xD83D;b'))[38:]}",
        "a b",
    ),
    first_title(
        "an emoji as two references in CDATA", rss(item("<![CDATA[&#55000;&#55357;&#56832;]]>")), "훘😀"
    ),
    first_title("text after its end", rss(item("R&D")) + "<script>x()</script>", "R&D"),
]

JSON_TYPE = "application/feed+json"
JSON_FEEDS = [
    first_title("JSON Feed 1.1", json_feed({"id": "1", "title": "a<b & <T>"}), "a<b & <T>", JSON_TYPE),
    first_title(
        "JSON Feed 1, as text",
        json_feed({"id": "1", "title": "a"}, version="https://jsonfeed.org/version/1"),
        "a",
        "text/plain",
    ),
    first_title(
        "feedsmith#189: with spaces and a mark before it",
        "\ufeff\n" + json_feed({"id": "1", "title": "a"}),
        "a",
        "application/json",
    ),
    first_title(
        "FeedKit#159, gofeed#270: numbers as ids",
        json_feed({"id": 1, "title": "a", "expired": "no"}),
        "a",
        JSON_TYPE,
    ),
    first_title(
        "miniflux/v2#4035: a title that is an object",
        json_feed({"id": "1", "title": {"x": 1}, "content_text": "text"}),
        "text",
        JSON_TYPE,
    ),
    first_title(
        "miniflux/v2#3988: authors that are an object",
        json_feed({"id": "1", "title": "a", "authors": {"name": "x"}}),
        "a",
        JSON_TYPE,
    ),
    first_title(
        "a post without a title",
        json_feed({"id": "1", "content_html": "<p>short &amp; good</p>"}),
        "short & good",
        JSON_TYPE,
    ),
    Case(
        'ids 1 and "1" are one',
        [json_feed({"id": 1, "title": "a"}), json_feed({"id": "2", "title": "b"}, {"id": "1", "title": "a"})],
        [{"b"}],
    ),
    first_title("no version", '{"title": "B", "items": [{"id": 1, "title": "a"}]}', "a", JSON_TYPE),
    Case(
        "keywords in tags and authors",
        [
            json_feed(),
            json_feed(
                {"id": "1", "title": "a", "tags": ["Security"]},
                {"id": "2", "title": "b"},
                {"id": "3", "title": "c", "authors": [{"name": "security team"}]},
            ),
        ],
        [{"a", "c"}],
        params={"keywords": ["security"]},
    ),
]

PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title>"
    '<link rel="alternate" type="application/rss+xml" href="/index.xml"></head><body></body></html>'
)
NO_FEEDS = [
    Case(
        "zen-browser/www#396: a page in between",
        [rss(*BLOG), PAGE, rss(dated(10), *BLOG)],
        ["a web page (“Just a moment...”; its feed is https://blog.example.com/index.xml)", {"n10"}],
    ),
    Case("FreshRSS/FreshRSS#6233: a challenge", [rss(*BLOG), answer(403, PAGE.encode())], ["Answered 403"]),
    Case(
        "the page advertises the address itself",
        [rss(*BLOG), PAGE.replace("/index.xml", "/feed.xml")],
        ["a web page (“Just a moment...”), not"],
    ),
    Case(
        "a page to sign in, in GBK",
        [rss(*BLOG), served("<html><meta charset=gbk><title>登录</title>".encode("gbk"), "text/html")],
        ["a web page (“登录”)"],
    ),
    Case(
        "a page that begins with a licence, and has a drawing with a title",
        [
            rss(*BLOG),
            f"<!-- {'MIT ' * 400} --><html><title>Sign in</title><body><p/><svg><title>x</title></svg>",
        ],
        ["a web page (“Sign in”)"],
    ),
    Case("a part of a page", [rss(*BLOG), served("<div>Error</div>", "text/html")], ["with a web page, not"]),
    *(
        Case(
            f"a test for browsers: {name}",
            [rss(*BLOG), answer(status, PAGE.encode(), headers={name: value})],
            [f"Answered {status}, with a test that only browsers pass: ask the site to let programs in"],
        )
        for status, name, value in (
            (403, "cf-mitigated", "challenge"),
            (202, "x-amzn-waf-action", "challenge"),
            (429, "x-vercel-mitigated", "challenge"),
        )
    ),
    Case(
        "a letter that Unicode has not, which the library does not expect",
        [
            rss(*BLOG),
            f"<!DOCTYPE rss [<!ENTITY a 'b'>]>{rss(item('a &#x11FFFF;'))[38:]}",
            rss(dated(10), *BLOG),
        ],
        ["a feed that is too broken to be read", {"n10"}],
    ),
    Case("yarr#247: not found", [rss(*BLOG), answer(404)], ["Answered 404"]),
    Case(
        "FreshRSS/FreshRSS#3561, rss2email#230: gone",
        [rss(*BLOG), answer(410)],
        ["the feed is gone for good"],
    ),
    Case("JSON of another kind", [rss(*BLOG), '{"error": "rate limited"}'], ["JSON that is no JSON Feed"]),
    Case(
        "JSON that is cut off",
        [rss(*BLOG), '{"version": "https://jsonfeed.org/version/1", "items": ['],
        ["JSON that is broken"],
    ),
    Case("a podcast itself", [rss(*BLOG), served(b"\x89PNG\r\n", "image/png")], ["an image"]),
    Case(
        "a sitemap",
        [rss(*BLOG), '<?xml version="1.0"?><urlset><url><loc>x</loc></url></urlset>'],
        ["XML that is neither RSS nor Atom"],
    ),
    Case(
        "a bomb in a gzip file",
        [rss(*BLOG), gzip.compress(bytes(4_000_000))],
        ["gzip data of more than 2 MB"],
    ),
    Case(
        "miniflux/v2#51: last changed in 2041, nothing new until then",
        [
            served(rss(*BLOG), "text/xml", **{"last-modified": "Sat, 16 Nov 2041 18:11:00 GMT"}),
            rss(dated(10), *BLOG),
        ],
        [{"n10"}],
    ),
]


@pytest.mark.parametrize("case", [*TITLES, *ENCODINGS, *JSON_FEEDS, *NO_FEEDS], ids=lambda case: case.source)
async def test_document_in_the_wild(case: Case, make_job: Callable[..., Job]) -> None:
    await check(case, make_job)
