"""What an entry is called: addresses in their spellings, and keys of one part more each."""

import pytest

from functions.parsing.identity import entry_names, name_key, stable_name, stable_path


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://www.example.com/a/?utm_source=rss&id=7&UTM_medium=x", "example.com/a?id=7"),
        ("https://EXAMPLE.com:443/a?id=7", "example.com/a?id=7"),
        ("https://example.com:8443/A", "example.com:8443/A"),
        ("https://example.com/a?fbclid=1&gclid=2&mc_eid=3&_hsenc=4", "example.com/a"),
        ("https://example.com/a;jsessionid=AB12?x=1", "example.com/a?x=1"),
        ("https://example.com/a;v=1", "example.com/a;v=1"),
        ("https://example.com/t?sid=0123456789abcdef0123456789abcdef&t=5", "example.com/t?t=5"),
        ("https://example.com/t?sid=7", "example.com/t?sid=7"),
        ("https://example.com/a#xtor=RSS-1", "example.com/a"),
        ("https://example.com/#2d538", "example.com#2d538"),
        ("https://example.com/a#:~:text=word", "example.com/a"),
        ("https://example.com/?p=1&amp;utm_source=x", "example.com?p=1"),
        ("https://example.com", "example.com"),
        ("tag:example.com,2026:7", "tag:example.com,2026:7"),
        (" urn:uuid:1 ", "urn:uuid:1"),
        ("ftp://example.com/a/", "ftp://example.com/a/"),
        ("https://[broken/", "https://[broken/"),
        ("https://example.com:port/", "https://example.com:port/"),
        ("", ""),
    ],
)
def test_an_address_is_compared_without_what_changes(address: str, expected: str) -> None:
    assert expected == stable_name(address)


def test_an_id_that_is_no_address_is_known_as_before() -> None:
    """Versions before kept the hash of the id as it is written."""
    assert "6b86b273ff34" == name_key(stable_name("1"))


def test_a_path_outlives_host_and_parameters() -> None:
    assert "/a/b" == stable_path("https://x.example.com/a/b/?c=1#d") == stable_path("http://example.org/a/b")
    assert "" == stable_path("https://[broken/") == stable_path("")


def test_each_name_has_one_part_more() -> None:
    short, long = entry_names(["1", "", "title"])

    assert (name_key("1"), name_key("1\ntitle")) == (short, long)
    assert 1 == len(entry_names(["", ""]))
