"""`health_check_url`: what counts as healthy, and what is said when it is not."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client import FetchError
from functions.http_client.httpx import httpx
from functions.task_types.registry import check_params, run_job
from tests.unit.task_types.conftest import NOON, answer, calls_of, given_headers, tools_with

URL = "https://example.com/"
CANARY = "s3cret-canary"


@pytest.fixture
def check(make_job: Callable[..., Job]) -> Callable[..., Any]:
    """Perform one check of what answers so."""

    async def run(response: httpx.Response, **params: Any) -> Outcome:
        return await run_job(make_job("health_check_url", {"url": URL} | params), tools_with(response))

    return run


async def test_the_expected_answer_is_a_success(check: Callable[..., Any]) -> None:
    outcome = await check(answer(200, certificate_ends_at=NOON + timedelta(days=60)))

    assert (OutcomeKind.SUCCEEDED, "Answered 200 in 84 ms") == (outcome.kind, outcome.summary)
    assert {"status": 200, "latencyMs": 84, "certificateDaysLeft": 60} == outcome.metrics
    assert outcome.memory is None
    assert not outcome.has_news


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
async def test_another_code_is_a_failure_worth_retrying(status: int, check: Callable[..., Any]) -> None:
    """A check waits for a change, so that even a 404 is asked again."""
    outcome = await check(answer(status))

    assert (OutcomeKind.FAILED, f"Answered {status}, expected 200") == (outcome.kind, outcome.summary)
    assert not outcome.permanent
    assert {"status": status, "latencyMs": 84} == outcome.metrics


async def test_what_is_healthy_can_be_said(check: Callable[..., Any]) -> None:
    outcome = await check(answer(302), expectedStatus=[200, "301-308"])

    assert OutcomeKind.SUCCEEDED is outcome.kind


@pytest.mark.parametrize(("status", "seconds"), [(429, 30), (503, 30), (500, None)])
async def test_a_wait_asked_for_is_passed_on(
    status: int, seconds: int | None, check: Callable[..., Any]
) -> None:
    outcome = await check(answer(status, headers={"retry-after": "30"}))

    assert (seconds and timedelta(seconds=seconds)) == outcome.retry_after


async def test_the_body_must_contain_what_it_should(check: Callable[..., Any]) -> None:
    healthy = await check(answer(200, b"all is well"), bodyContains="is well")
    ill = await check(answer(200, f"{CANARY} broken".encode()), bodyContains="is well")
    cut = await check(answer(200, b"x", truncated=True), bodyContains="is well")

    assert OutcomeKind.SUCCEEDED is healthy.kind
    assert "Answered 200, but the expected text is not in its body" == ill.summary
    assert "Answered 200, but the expected text is not in the first 64 KB of its body" == cut.summary
    assert CANARY not in repr(ill)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (15, "Answered 200 in 84 ms"),
        (14, "Answered 200 in 84 ms"),
        (13, "The certificate ends in 13 days, sooner than the 14 asked for"),
        (1, "The certificate ends in 1 day, sooner than the 14 asked for"),
        (None, "The certificate's last day could not be read, so it was not checked"),
    ],
)
async def test_a_certificate_about_to_end_is_a_failure(
    left: int | None, expected: str, check: Callable[..., Any]
) -> None:
    """And one that could not be looked at is never said to be fine."""
    ends_at = None if left is None else NOON + timedelta(days=left, hours=23)

    outcome = await check(answer(200, certificate_ends_at=ends_at), certificateDaysLeft=14)

    assert expected == outcome.summary


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(84, "Answered 200 in 84 ms"), (83, "Answered 200 in 84 ms, more than the 83 allowed")],
)
async def test_a_slow_answer_is_a_failure(allowed: int, expected: str, check: Callable[..., Any]) -> None:
    outcome = await check(answer(200), maxLatencyMs=allowed)

    assert expected == outcome.summary
    assert (allowed == 84) == (outcome.kind == "succeeded")
    assert not outcome.permanent


async def test_the_request_is_made_as_asked(make_job: Callable[..., Job]) -> None:
    tools = tools_with(answer(200), answer(200))
    params = {
        "url": URL,
        "method": "HEAD",
        "headers": {"X-Key": "k"},
        "timeoutSeconds": 3,
        "followRedirects": False,
    }

    await run_job(make_job("health_check_url", params), tools)
    await run_job(make_job("health_check_url", {"url": URL}), tools)

    asked, usual = calls_of(tools)
    assert ("HEAD", URL, {"x-key": "k"}, 0, 3.0) == (
        asked.method,
        str(asked.url),
        given_headers(asked),
        asked.extensions["max_redirects"],
        asked.extensions["timeout"]["read"],
    )
    assert ("GET", {}, 10, 10.0) == (
        usual.method,
        given_headers(usual),
        usual.extensions["max_redirects"],
        usual.extensions["timeout"]["read"],
    )


async def test_a_body_that_does_not_matter_is_not_read(make_job: Callable[..., Job]) -> None:
    """What is up is known at the headers; the body of a page may be large, or break off."""

    async def broken() -> AsyncIterator[bytes]:
        raise FetchError("The answer ended too early")
        yield b""

    for params in ({}, {"bodyContains": "x"}):
        response = httpx.Response(200, content=broken())
        outcome = await run_job(make_job("health_check_url", {"url": URL} | params), tools_with(response))

        assert (OutcomeKind.FAILED if params else OutcomeKind.SUCCEEDED) is outcome.kind


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"method": "POST"}, "params.method"),
        ({"timeoutSeconds": 301}, "params.timeoutSeconds"),
        ({"method": "HEAD", "bodyContains": "x"}, "params: bodyContains needs the method GET"),
        (
            {"url": "http://example.com", "certificateDaysLeft": 5},
            "params: certificateDaysLeft needs an https",
        ),
        ({"certificateDaysLeft": 0}, "params.certificateDaysLeft"),
        ({"bodyContains": ""}, "params.bodyContains"),
    ],
)
def test_what_cannot_be_checked_is_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_params("health_check_url", {"url": URL} | params)
