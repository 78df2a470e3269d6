"""What a URL may look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.http_client import BlockedRequestError
from functions.http_client.client import build_guarded_client
from functions.http_client.requests import WEB_PORTS, check_url, checked_request

GOOD = {
    "https://example.com": "https://example.com",
    "HTTPS://EXAMPLE.com/Path?q=1#part": "https://example.com/Path?q=1",
    "http://example.com./": "http://example.com/",
    "http://example.com.:8080/a": "http://example.com:8080/a",
    "http://münchen.example/ä": "http://xn--mnchen-3ya.example/%C3%A4",
    "http://[2606:4700:4700:0::1111]:443/": "http://[2606:4700:4700::1111]:443/",
    "http://under_score.example/": "http://under_score.example/",
    "http://ｅxample。ｃom:8080/ａ?ｂ": "http://example.com:8080/%EF%BD%81?%EF%BD%82",
    "https://\u2603.example/": "https://xn--n3h.example/",  # a snowman
    "https://cafe\u0301.example": "https://xn--caf-dma.example",  # as files of a Mac have it
    "https://\ufb01.example/": "https://fi.example/",
    "https://stra\u00dfe.example/": "https://xn--strae-oqa.example/",
}
BAD = {
    "ftp://example.com/": "start with http",
    "file:///etc/passwd": "start with http",
    "gopher://example.com/": "start with http",
    "//example.com/": "start with http",
    "example.com": "start with http",
    "": "start with http",
    "http:127.0.0.1/": "no host",
    "http:///x": "no host",
    "http://user:pw@example.com/": "user name",
    "http://user@example.com/": "user name",
    "http://:@example.com/": "user name",
    "http://example.com:0/": "from 1 to 65535",
    "http://example.com:65536/": "cannot be read",
    "http://example.com:x/": "cannot be read",
    "http://xn--/": "not a valid name",
    "http://exa\u200bmple.com/": "cannot be read",
    "http://[::1/": "cannot be read",
    "http://[6]@/": "cannot be read",
    "http://[fe80::1%eth0]/": "not a valid name",
    "http://[fe80::1%25eth0]/": "not a valid name",
    "http://a..b/": "not a valid name",
    "http://a.b../": "not a valid name",
    "http://./": "not a valid name",
    "http://-a.example/": "not a valid name",
    "http://a%2eb/": "not a valid name",
    "http://*.example/": "not a valid name",
    f"http://{'a' * 64}.example/": "not a valid name",
    f"http://{'a.' * 127}example/": "not a valid name",
    "http://metadata.google.internal/": "not allowed",
    "http://METADATA.google.internal./": "not allowed",
    f"http://example.com/{'a' * 2048}": "longer than 2048",
    " http://example.com/": "a space",
    "http://exam\tple.com/": "a space",
    "http://example.com/\r\nHost: x": "a space",
    "http://example.com/\x00": "a space",
    "http://example.com/\x85": "a space",
    "http://example.com/\ud800": "a space",
    "http://127.0.0.1:80\\@example.com/": "a space",
    "http://1.1.1.1 &@127.0.0.1# @3.3.3.3/": "a space",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_good_url_is_put_into_one_form(text: str) -> None:
    assert GOOD[text] == str(check_url(text))


@pytest.mark.parametrize("text", GOOD)
def test_the_url_that_is_checked_at_save_is_called_at_run(text: str) -> None:
    """httpx refuses hosts that browsers read, so that a task was saved which always failed."""
    request = build_guarded_client().build_request("GET", text)

    called = checked_request(request, b"", WEB_PORTS).url

    assert check_url(text).raw_host == check_url(str(called)).raw_host


@pytest.mark.parametrize("text", BAD)
def test_a_bad_url_is_refused_with_what_is_wrong(text: str) -> None:
    with pytest.raises(BlockedRequestError) as caught:
        check_url(text)

    assert BAD[text] in caught.value.reason
    assert caught.value.permanent


@pytest.mark.parametrize("port", [22, 25, 6379, 8000])
def test_only_the_ports_of_the_web_are_allowed_when_asked_so(port: int) -> None:
    with pytest.raises(BlockedRequestError) as caught:
        check_url(f"http://example.com:{port}/", WEB_PORTS)

    assert caught.value.reason.startswith(
        f"The URL's port {port} is not allowed here; allowed are 80, 443, 8080 and 8443; "
    )


@pytest.mark.parametrize("port", [80, 443, 8080, 8443])
def test_the_ports_of_the_web_are_allowed(port: int) -> None:
    assert port == check_url(f"http://example.com:{port}/", WEB_PORTS).port


FORMS = ["http://{}/", "https://{}:443/x", "{}", "http:{}", "http://a@{}", "http://{}"]
HOSTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789.:[]@#/\\%x-a", max_size=30),
    st.text(alphabet="xn-.。１①②⓪ªﬁß\u00ad", max_size=12),
)


@pytest.mark.slow
@given(HOSTS, st.sampled_from(FORMS))
def test_no_text_whatever_does_more_than_be_refused(text: str, form: str) -> None:
    """Parsers have crashed on less; a crash here would be a task that fails without a reason."""
    try:
        url = check_url(form.format(text))
    except BlockedRequestError:
        return

    assert url.scheme in ("http", "https")
    assert url.raw_host
    assert str(url) == str(check_url(str(url)))
