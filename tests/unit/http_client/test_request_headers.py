"""Which headers may be sent."""

import pytest
from multidict import CIMultiDict

from functions.http_client import BlockedRequestError
from functions.http_client.redirects import strip_body_headers, strip_credentials
from functions.http_client.requests import check_headers

FORBIDDEN = [
    "Host",
    "hOsT",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "HTTP2-Settings",
    "Accept-Encoding",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Metadata",
    "Metadata-Flavor",
    "X-Google-Metadata-Request",
    "X-aws-ec2-metadata-token",
]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_headers_that_frame_the_message_or_open_metadata_are_refused(name: str) -> None:
    with pytest.raises(BlockedRequestError) as caught:
        check_headers({"Accept": "*/*", name: "canary"})

    assert f"The header {name} is not allowed; remove it" == caught.value.reason
    assert caught.value.permanent


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nHost", "a\n", "ä", "a\x00", "\ud800", "a\tb"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(BlockedRequestError, match="A header's name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\n", "\r", "a\x00b", "\x1b", "\x7f", "\ud800"])
def test_a_value_that_could_end_its_line_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(BlockedRequestError) as caught:
        check_headers({"X-Note": f"canary{value}"})

    expected = "The value of the header X-Note holds a line break or control character"
    assert expected == caught.value.reason


def test_ordinary_headers_may_be_sent() -> None:
    check_headers(
        {
            "Authorization": "Bearer x",
            "Cookie": "a=b",
            "X-Api-Key": "k",
            "X-Note": "a\tb ü 中",
            "Content-Type": "a/b",
        }
    )


def test_nothing_that_could_be_a_secret_goes_to_another_origin() -> None:
    headers = CIMultiDict(
        {"AUTHORIZATION": "a", "Cookie": "b", "X-Api-Key": "c", "Accept": "d", "user-agent": "e"}
    )

    kept = strip_credentials(headers)

    assert {"Accept": "d", "user-agent": "e"} == dict(kept)


def test_headers_about_a_body_go_with_the_body() -> None:
    kept = strip_body_headers(CIMultiDict({"Content-Type": "a/b", "content-language": "de", "X-Note": "c"}))

    assert {"X-Note": "c"} == dict(kept)
