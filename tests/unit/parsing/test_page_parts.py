"""The text of a part of a page: what a reader sees, a line for each block."""

from typing import Any

import pytest

from functions.parsing.errors import UnreadableError
from functions.parsing.page_parts import (
    MAX_DIFF_CHARS,
    MAX_KEPT_CHARS,
    Difference,
    PagePart,
    compare_texts,
    read_part,
)

LINES = "one\ntwo\nthree four\nfive\nsix"


def part(body: str, selector: str = "body", **options: Any) -> PagePart:
    return read_part(body.encode("utf-8", "replace"), selector=selector, **options)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>one <b>bold</b> word</p><p>two</p>", "one bold word\ntwo"),
        ("<p>one<p>two", "one\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"),
        ("<div>a<div>b</div>c</div>", "a\nb\nc"),
        ("<p> spaces \n\t and&nbsp;more </p>", "spaces and more"),
        ("<p>e\u0301</p>", "é"),
        ("<p>a\u200bb\u0007c</p>", "abc"),
        ("<script>x()</script><style>p{}</style><p>seen</p><noscript>no</noscript>", "seen"),
        ("<template><p>no</p></template><svg><text>no</text></svg>yes", "yes"),
        ("<!-- no --><p>yes", "yes"),
        ("plain text\nalone", "plain text alone"),
        ("<pre>one\r\n  two\n</pre>three\nfour<PRE\nid=x>five\n<b\nid=y>six</b></pre>", LINES),
        ("<pre>one\ntwo <pre>three\nfour</pre>five\nsix", "one\ntwo\nthree\nfour\nfive six"),
        ("<pre>never ended\nhere <preface>\n", "never ended here"),
        ("<p>&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("<b><i>crossed</b> tags</i>", "crossed tags"),
        ("<p>unclosed <a href='x", "unclosed"),
        ("</body></html><p>after the end", "after the end"),
        ("", ""),
        ("\0\0<p>a\0b", "ab"),
        ("<p>lone \ud800", "lone ?"),
    ],
)
def test_text(body: str, text: str) -> None:
    assert part(body).text == text


def test_a_plain_text_has_its_lines_and_no_markup() -> None:
    found = part("a < b\r\nc <d> e &amp;\n\n<script>f", is_plain=True)

    assert (found.text, found.has_scripts) == ("a < b\nc <d> e &amp;\n<script>f", False)


@pytest.mark.parametrize(
    ("body", "is_xml", "expected"),
    [
        ("<p><![CDATA[1 < 2]]> or <![CDATA[& <b>3</b>]]></p>", True, "1 < 2 or & <b>3</b>"),
        ("<p>end <![CDATA[of the part", True, "end of the part"),
        ("<p>in HTML <![CDATA[a comment]]></p>", False, "in HTML"),
    ],
)
def test_cdata_is_text_in_xml(body: str, is_xml: bool, expected: str) -> None:
    assert expected == part(body, "p", is_xml=is_xml).text


def test_all_matches_are_read_in_the_order_of_the_page_and_none_twice() -> None:
    body = "<div class=x>a<div class=x>b</div></div><p>no</p><div class=x>c</div>"

    found = part(body, ".x")

    assert (found.text, found.matches) == ("a\nb\nc", 2)


def test_a_page_says_what_it_is() -> None:
    body = "<title>A\n shop</title><script src=x></script><form><input type=password></form>"

    found = part(body, ".price")

    assert (found.title, found.matches, found.chars, found.text) == ("A shop", 0, 0, "")
    assert found.has_scripts
    assert found.asks_password
    assert not part(body + "<p class=price>9", ".price").asks_password
    assert part(body, "form").asks_password


def test_lines_with_ignored_texts_do_not_count() -> None:
    one = part("<p>Price 9</p><p>Seen at 10:00 by 3</p>", ignore=["Seen at"])
    other = part("<p>Price 9</p><p>Seen  at 11:00 by 4</p>", ignore=["Seen at"])

    assert one == other
    assert one.text == "Price 9"


def test_digits_that_do_not_count_are_still_shown() -> None:
    one, other = (part(f"<p>{n} views</p><p>Price</p>", ignore_numbers=True) for n in (9, 1234))

    assert one.digest == other.digest
    assert (one.text, other.text) == ("9 views\nPrice", "1234 views\nPrice")
    assert one.digest != part("<p>9 likes</p><p>Price</p>", ignore_numbers=True).digest
    assert not compare_texts(other.text.encode(), before=one.text, ignore_numbers=True).lines


def test_a_long_text_is_kept_in_part_and_hashed_as_a_whole() -> None:
    long = "<p>" + "word " * 10_000
    one, other = part(long + "a"), part(long + "b")

    assert one.text == other.text
    assert len(one.text) == MAX_KEPT_CHARS
    assert one.chars > MAX_KEPT_CHARS
    assert one.digest != other.digest


def test_a_selector_that_the_library_does_not_know_is_said() -> None:
    with pytest.raises(UnreadableError):
        part("<p>", "p:hoover")


@pytest.mark.parametrize(
    ("before", "now", "difference"),
    [
        ("a\nb\nc", "a\nx\nc", Difference("@@\n a\n-b\n+x\n c", 1, 1, "x")),
        ("a", "a\nb", Difference("@@\n a\n+b", 1, 0, "b")),
        ("a\nb", "a", Difference("@@\n a\n-b", 0, 1, "b")),
        ("a", "a", Difference("", 0, 0, "")),
        ("", "a", Difference("@@\n+a", 1, 0, "a")),
    ],
)
def test_difference(before: str, now: str, difference: Difference) -> None:
    assert compare_texts(now.encode(), before=before) == difference


def test_a_long_line_is_shown_where_it_differs() -> None:
    difference = compare_texts(("x" * 500 + "NEW" + "y" * 500).encode(), before="x" * 500 + "OLD" + "y" * 500)

    assert f"+…{'x' * 40}NEWy" in difference.lines
    assert f"-…{'x' * 40}OLDy" in difference.lines
    assert len(difference.lines) < 600


def test_a_difference_is_bounded() -> None:
    old, new = ("\n".join(f"{name} {n}" for n in range(1500)) for name in "ab")

    difference = compare_texts(new.encode(), before=old)

    assert difference.added == difference.removed == 1500
    assert MAX_DIFF_CHARS - 100 < len(difference.lines) <= MAX_DIFF_CHARS + 2
    assert difference.lines.endswith("\n…")
