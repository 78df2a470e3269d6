"""What an answer says beside its content: waits, characters, codes, and places in JSON."""

import math
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from functions.domain.expectations import is_json_equal
from functions.http_client.httpx import httpx
from functions.task_types.support.context import ExpectedStatus, Headers, StatusRanges
from functions.task_types.support.responses import (
    MISSING,
    Body,
    http_failure,
    is_retryable_status,
    refused,
    resolve_json_pointer,
    response_text,
    retry_after,
    status_hint,
)
from tests.unit.task_types.conftest import NOON, answer


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Fri, 20 Nov 2026 12:05:00 GMT", 300),
        ("Friday, 20-Nov-26 12:05:00 GMT", 300),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 20 Nov 2026 12:05:00", 300),
        ("99999999999999999999", 604_800),
        ("Fri, 20 Nov 2099 12:05:00 GMT", 604_800),
        ("-5", None),
        ("1.5", 1.5),
        ("1.5.5", None),
        ("²", None),
        ("soon", None),
        ("5, 120", 120),  # two headers are one with commas
        ("5,", 5),
        ("soon, 5", 5),
        ("5, Fri, 20 Nov 2026 12:05:00 GMT", 300),
        ("Fri, 20 Nov 2026 12:05:00 GMT, Fri, 20 Nov 2026 11:00:00 GMT", 300),
        ("Fri, 20 Nov 99999999999999999999 12:05:00 GMT", None),
        ("1e3", None),
        ("Fri, 99 Nov 2026 12:05:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert expected == retry_after(answer(429, headers={"retry-after": value}), now=NOON)


def test_a_date_to_wait_for_is_counted_from_the_answer() -> None:
    late = answer(503, headers={"retry-after": "Fri, 20 Nov 2026 12:05:00 GMT"})
    late.extensions["elapsed_ms"] = 20_400

    assert timedelta(seconds=280) == retry_after(late, now=NOON)


def test_no_retry_after_is_no_wait() -> None:
    assert retry_after(answer(429), now=NOON) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, True) for status in (408, 425, 429, 500, 503, 599)),
        *((status, False) for status in (200, 301, 400, 401, 404, 409, 499)),
    ],
)
def test_some_answers_are_worth_another_try(status: int, expected: bool) -> None:
    assert expected is is_retryable_status(status)


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("grün 💧".encode(), "", "grün 💧"),
        ("grün".encode("latin-1"), "text/html; charset=ISO-8859-1", "grün"),
        ("привет".encode("windows-1251"), 'text/html; charset="windows-1251"; x=y', "привет"),
        ("grün".encode("latin-1"), "text/html", "grün"),
        (b"\xff\xff", "text/html; charset=punycode", "ÿÿ"),
        (b"\x81", "text/html; charset=gb-no-such", "\ufffd"),
        (b"\xff\xfe", "text/html", ""),
    ],
)
def test_a_body_is_read_in_its_own_characters(body: bytes, content_type: str, expected: str) -> None:
    assert expected == response_text(answer(body=body, headers={"content-type": content_type}))


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_character_cut_in_two_does_not_spoil_the_rest(cut: int) -> None:
    """64 KB may end in the middle of a letter; the page is UTF-8 all the same."""
    body = "grün 💧".encode()[:-cut]

    assert "grün " == response_text(answer(body=body, truncated=True))


@pytest.mark.parametrize(
    ("given", "accepted", "refused", "text"),
    [
        (200, {200}, {199, 201}, "200"),
        ("200-299", {200, 250, 299}, {199, 300}, "200-299"),
        ([200, "300 - 302", "404"], {200, 300, 302, 404}, {303, 403}, "200 or 300-302 or 404"),
    ],
)
def test_expected_codes_are_a_code_a_range_or_a_list(
    given: Any, accepted: set[int], refused: set[int], text: str
) -> None:
    statuses: StatusRanges = TypeAdapter(ExpectedStatus).validate_python(given)

    assert accepted == {status for status in accepted | refused if status in statuses}
    assert text == str(statuses)


@pytest.mark.parametrize(
    "given", [True, 99, 1000, 200.0, None, "", "2yy", "299-200", "200-", [], [[200]], {}, "٢٠٠", [200] * 21]
)
def test_anything_else_is_no_code(given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ExpectedStatus).validate_python(given)


@pytest.mark.parametrize(
    "headers", [{"a b": "x"}, {"a": "x\r\nb: c"}, {"Metadata-Flavor": "Google"}, {"a": 1}]
)
def test_headers_that_could_harm_are_refused(headers: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Headers).validate_python(headers)


DOCUMENT = {"a": {"b": [10, {"c": None}]}, "": 1, "x/y": 2, "m~n": 3}


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", DOCUMENT),
        ("/a/b/0", 10),
        ("/a/b/1/c", None),
        ("/", 1),
        ("/x~1y", 2),
        ("/m~0n", 3),
        ("/a/b/2", MISSING),
        ("/a/b/-1", MISSING),
        ("/a/b/01", MISSING),
        ("/a/b/-", MISSING),
        ("/a/b/٠", MISSING),
        ("/a/none", MISSING),
        ("/a/b/0/deeper", MISSING),
    ],
)
def test_a_pointer_finds_a_place_in_json(pointer: str, expected: Any) -> None:
    assert expected == resolve_json_pointer(DOCUMENT, pointer)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        ("1", 1, False),
        (None, None, True),
        ([1, {"a": True}], [1, {"a": True}], True),
        ([1, {"a": True}], [1, {"a": 1}], False),
        ([1], [1, 2], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (math.nan, math.nan, False),
    ],
)
def test_values_are_compared_as_json(one: Any, other: Any, expected: bool) -> None:
    assert expected is is_json_equal(one, other)
    assert expected is is_json_equal(other, one)


@pytest.mark.parametrize(
    ("status", "headers", "permanent"),
    [
        (404, {}, True),
        (404, {"retry-after": "soon"}, True),
        (413, {"retry-after": "9"}, False),
        (503, {}, False),
        (429, {"retry-after": "9"}, False),
        (302, {}, False),
    ],
)
def test_a_refusal_is_permanent_unless_it_may_end(
    status: int, headers: dict[str, str], permanent: bool
) -> None:
    """A 4xx with a wait is none: a rate limit comes as 403, a full disk as 413."""
    outcome = refused(answer(status, headers=headers), "no", now=NOON)

    assert permanent is outcome.permanent
    assert (timedelta(seconds=9) if headers.get("retry-after") == "9" else None) == outcome.retry_after


@pytest.mark.parametrize(
    ("status", "location", "hint"),
    [
        (301, "https://example.com/hook/?state=abc#top", ": it redirects to https://example.com/hook/"),
        (308, "//www.example.com/hook", ": it redirects to http://www.example.com/hook"),
        (302, "login", ": it redirects to http://example.com/login"),
        (303, "https://user:secret@example.com/", ": it redirects to https://example.com/"),
        (307, "", ""),
        (302, "javascript:alert(1)", ""),
        (302, "http://[broken", ""),
        (201, "/made/7", ""),
    ],
)
def test_a_redirect_that_is_not_followed_says_where_it_leads(status: int, location: str, hint: str) -> None:
    """A webhook at `http://` is answered so, and its body would be lost on the way."""
    redirect = answer(status, headers={"location": location})
    redirect.request = httpx.Request("POST", "http://example.com/hook?key=1")

    assert hint == status_hint(redirect, Body())


@pytest.mark.parametrize(
    ("status", "method", "hint"),
    [
        (405, "HEAD", ": it may not know HEAD, set method to GET"),
        (501, "HEAD", ": it may not know HEAD, set method to GET"),
        (404, "HEAD", ""),
        (405, "POST", ""),
    ],
)
def test_a_server_that_does_not_know_head_is_to_be_asked_with_get(
    status: int, method: str, hint: str
) -> None:
    refusal = answer(status)
    refusal.request = httpx.Request(method, "https://example.com/")

    assert hint == status_hint(refusal, Body())


def test_a_status_that_a_type_raises_is_a_failure_without_the_url() -> None:
    response = answer(503, headers={"retry-after": "9"})
    response.request = httpx.Request("GET", "https://example.com/?key=canary")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()

    outcome = http_failure(caught.value, now=NOON)

    assert outcome is not None
    assert ("Answered 503", timedelta(seconds=9)) == (outcome.summary, outcome.retry_after)


def test_an_error_of_another_kind_is_none_of_httpx() -> None:
    assert http_failure(ValueError("x"), now=NOON) is None
