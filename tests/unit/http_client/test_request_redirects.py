"""Where redirects lead, and what goes along."""

import pytest

from functions.http_client import BlockedRequestError
from functions.http_client.httpx import httpx
from functions.http_client.redirects import next_request
from functions.http_client.requests import ANY_PORT, WEB_PORTS, OutgoingRequest, checked_request

SECRETS = {"Authorization": "Bearer canary", "Cookie": "sid=canary", "X-Api-Key": "canary"}


def call(
    method: str = "GET", url: str = "https://shop.example/a/b?c=1", body: bytes | None = None
) -> OutgoingRequest:
    headers = SECRETS | {"Accept": "text/html"}
    return checked_request(httpx.Request(method, url, headers=headers, content=body), body or b"", ANY_PORT)


def sent(request: OutgoingRequest) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name != "Accept-Encoding"}


def followed(start: OutgoingRequest, status: int, location: str) -> OutgoingRequest:
    following = next_request(start, status, location, ANY_PORT)
    assert following is not None
    return following


@pytest.mark.parametrize("status", [200, 201, 204, 300, 304, 305, 306, 399, 404, 503])
def test_only_the_five_redirects_are_redirects(status: int) -> None:
    assert next_request(call(), status, "/next", ANY_PORT) is None


@pytest.mark.parametrize("location", [None, ""])
def test_a_redirect_to_nowhere_is_an_answer(location: str | None) -> None:
    assert next_request(call(), 302, location, ANY_PORT) is None


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_the_method_follows_the_standard(status: int, method: str, expected: str) -> None:
    following = followed(call(method, body=b"x"), status, "/next")

    assert expected == following.method
    assert (None if expected == "GET" and method != "GET" else b"x") == following.body


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/next", "https://shop.example/next"),
        ("next", "https://shop.example/a/next"),
        ("?d=2", "https://shop.example/a/b?d=2"),
        ("//other.example/x", "https://other.example/x"),
        ("https://other.example./x#y", "https://other.example/x"),
        (" /with space ", "https://shop.example/with%20space"),
        ("/ü", "https://shop.example/%C3%BC"),
        ("/no-utf-8\udce9", "https://shop.example/no-utf-8%E9"),
        ("\\\\other.example/", "https://shop.example/a/%5C%5Cother.example/"),
    ],
)
def test_the_target_is_read_from_where_we_are(location: str, expected: str) -> None:
    assert expected == str(followed(call(), 302, location).url)


@pytest.mark.parametrize(
    "url",
    ["https://other.example/", "https://shop.example:8443/", "https://a.shop.example/", "https://example/"],
)
def test_secrets_stay_with_their_origin(url: str) -> None:
    following = followed(call(), 307, url)

    assert {"Accept": "text/html"} == sent(following)


@pytest.mark.parametrize(
    ("start", "target"),
    [
        ("https://shop.example/", "https://shop.example/next"),
        ("https://shop.example/", "https://shop.example:443/next"),
        ("https://shop.example/", "https://SHOP.example./next"),
        ("http://shop.example/", "https://shop.example/next"),
    ],
)
def test_secrets_go_on_within_a_site(start: str, target: str) -> None:
    following = followed(call(url=start), 302, target)

    assert SECRETS | {"Accept": "text/html"} == sent(following)


@pytest.mark.parametrize("target", ["https://shop.example:8443/", "https://other.example/"])
def test_an_upgrade_to_https_elsewhere_is_another_origin(target: str) -> None:
    following = followed(call(url="http://shop.example/"), 302, target)

    assert {"Accept": "text/html"} == sent(following)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://shop.example/", "it leaves https for http"),
        ("ftp://shop.example/", "the URL must start with http:// or https://"),
        ("file:///etc/passwd", "the URL must start with http:// or https://"),
        ("javascript:alert(1)", "the URL must start with http:// or https://"),
        ("https://user:canary@shop.example/", "the URL holds a user name or password"),
        ("https://shop.example:22/", "the URL's port 22 is not allowed here"),
        ("https://metadata.google.internal/", "the URL's host is not allowed"),
        ("https://[::1", "its target is not a URL"),
        ("https://[6]@/", "the URL has no host"),
        ("/a\x01b", "its target is not a URL"),
        ("/a\x7fb", "its target is not a URL"),
        ("/a\tb", "its target is not a URL"),
        ("https://shop.example:99999/", "the URL cannot be read"),
        ("https://exa\udce9mple.com/", "the URL's host is not a valid name or address"),
    ],
)
def test_a_bad_target_is_refused_with_what_is_wrong(location: str, reason: str) -> None:
    with pytest.raises(BlockedRequestError) as caught:
        next_request(call(), 302, location, WEB_PORTS)

    assert caught.value.reason.startswith(f"The redirect was not followed: {reason}")
    assert "canary" not in caught.value.reason
