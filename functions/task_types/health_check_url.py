"""Task type `health_check_url`: checks that an address answers as expected."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from functions.domain.expectations import MAX_TEXT_BYTES
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.http_client import lower_first
from functions.http_client.httpx import httpx
from functions.task_types.support.context import (
    ExpectedResponse,
    ExpectedStatus,
    ExpectedText,
    Headers,
    Seconds,
    StatusRanges,
    Tools,
    WebUrl,
)
from functions.task_types.support.responses import (
    Body,
    TimeForBody,
    elapsed_ms,
    may_be_wrong_port,
    missing_text_problem,
    read_body,
    response_findings,
    retry_after,
    status_hint,
    time_for_body,
)

EXAMPLE: dict[str, Any] = {
    "url": "https://example.com/",
    "expectedStatus": [200, "301-308"],
    "bodyContains": "Example Domain",
    "certificateDaysLeft": 14,
}
MAX_BODY_BYTES = 65_536
_RETRY_AFTER_STATUSES = frozenset({429, 503})
_DAY = timedelta(days=1)


class Params(Model):
    """What to check.

    Attributes:
        url: The address; http or https.
        timeout_seconds: Time for the whole exchange, redirects included.
        expected_status: A code, a range such as "200-299", or a list of these.
        method: With HEAD there is no body for body_contains.
        headers: Sent with the request.
        body_contains: Text that the first 64 KB of the body must contain, character for character. It is read
            until the text is found.
        certificate_days_left: The check fails when the certificate, or one along redirects, ends sooner than
            this many days.
        follow_redirects: Up to ten; otherwise the redirect itself is checked.
        max_latency_ms: The check fails when the headers of the answer come later, redirects included.
        expect: What the answer must be, in full: expected_status, max_latency_ms and body_contains are short
            for the commonest of it.
    """

    url: WebUrl
    timeout_seconds: Seconds = 10.0
    expected_status: ExpectedStatus = Field(StatusRanges(((200, 200),)), json_schema_extra={"default": 200})
    method: Literal["GET", "HEAD"] = "GET"
    headers: Headers = Field(default_factory=dict)
    body_contains: ExpectedText | None = None
    certificate_days_left: Annotated[int, Field(ge=1, le=365)] | None = None
    follow_redirects: bool = True
    max_latency_ms: Annotated[int, Field(ge=1, le=300_000)] | None = None
    expect: ExpectedResponse | None = None

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.body_contains is not None and self.method == "HEAD":
            raise ValueError("bodyContains needs the method GET, as HEAD brings no body")
        if self.certificate_days_left is not None and not self.url.lower().startswith("https:"):
            raise ValueError("certificateDaysLeft needs an https url")
        if self.expect is not None:
            self._check_expect(self.expect)
        return self

    def _check_expect(self, expect: ExpectedResponse) -> None:
        if expect.status is not None and "expected_status" in self.model_fields_set:
            raise ValueError("give expect.status or expectedStatus, which is short for it, not both")
        if expect.latency_ms is not None and self.max_latency_ms is not None:
            raise ValueError("give expect.latencyMs or maxLatencyMs, which is short for it, not both")
        if self.method == "HEAD" and expect.needs_body:
            raise ValueError("expect.body, json and schema need the method GET, as HEAD brings no body")


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Send one request. Every unexpected response may be retried, since the address may recover.

    The body is read only when a text must be in it: a status check is decided at the headers.
    """
    within = time_for_body(job, params.timeout_seconds)
    async with tools.http.stream(
        params.method,
        params.url,
        headers=params.headers,
        follow_redirects=params.follow_redirects,
        timeout=params.timeout_seconds,
        extensions={
            "max_body_bytes": MAX_BODY_BYTES if params.expect is None else MAX_TEXT_BYTES,
            "body_until": within.until,
        },
    ) as response:
        if params.expect is not None:
            return await _check_contract(job, params, params.expect, response, tools, within=within)
        problem = await _find_problem(response, params, within=within)
    latency_ms = elapsed_ms(response)
    days_left = _certificate_days_left(response, now=job.started_at)
    metrics = {"status": response.status_code, "latencyMs": latency_ms}
    if days_left is not None:
        metrics["certificateDaysLeft"] = days_left
    if problem is None:
        host = response.extensions.get("certificate_host")
        problem = _certificate_problem(days_left, params.certificate_days_left, host)
    if problem is None and params.max_latency_ms is not None and latency_ms > params.max_latency_ms:
        allowed = f"more than the {params.max_latency_ms} allowed"
        problem = f"Answered {response.status_code} in {latency_ms} ms, {allowed}"
    if problem is None:
        return succeeded(f"Answered {response.status_code} in {latency_ms} ms", metrics=metrics)
    return failed(problem, retry_after=_wait_asked_for(response, job), metrics=metrics)


async def _check_contract(
    job: Job,
    params: Params,
    expect: ExpectedResponse,
    response: httpx.Response,
    tools: Tools,
    *,
    within: TimeForBody,
) -> Outcome:
    """Return the outcome of a check for which all is said in `expect`; the short forms count as well."""
    from functions.task_types.support.contracts import check_expectations, outcome_of  # few tasks need it

    needs_body = expect.needs_body or params.body_contains is not None or may_be_wrong_port(response)
    body = await read_body(response, within=within, text=None) if needs_body else None
    rules = expect.list_with(
        status=params.expected_status, latency_ms=params.max_latency_ms, contains=params.body_contains
    )
    findings = response_findings(response, body, origin=params.url)
    verdict = await check_expectations(rules, findings, job, tools)
    metrics = {"status": response.status_code, "latencyMs": elapsed_ms(response)}
    days_left = _certificate_days_left(response, now=job.started_at)
    if days_left is not None:
        metrics["certificateDaysLeft"] = days_left
    host = response.extensions.get("certificate_host")
    if problem := _certificate_problem(days_left, params.certificate_days_left, host):
        verdict = replace(verdict, unmet=(*verdict.unmet, lower_first(problem)))
    hint = status_hint(response, body or Body())
    return outcome_of(
        verdict,
        succeeded(f"Answered {response.status_code} in {elapsed_ms(response)} ms", metrics=metrics),
        job,
        what_happened=f"Answered {response.status_code}{hint}",
        retry_after=_wait_asked_for(response, job),
    )


def _wait_asked_for(response: httpx.Response, job: Job) -> timedelta | None:
    is_temporary = response.status_code in _RETRY_AFTER_STATUSES
    return retry_after(response, now=job.started_at) if is_temporary else None


async def _find_problem(response: httpx.Response, params: Params, *, within: TimeForBody) -> str | None:
    """Return what is wrong with the response; None when it is as expected."""
    status = response.status_code
    if status not in params.expected_status:
        needs_body = may_be_wrong_port(response)
        body = await read_body(response, within=within, text=None) if needs_body else Body()
        return f"Answered {status}, expected {params.expected_status}{status_hint(response, body)}"
    if params.body_contains is None:
        return None
    body = await read_body(response, within=within, text=params.body_contains)
    if body.found:
        return None
    problem = missing_text_problem(response, body, max_bytes=MAX_BODY_BYTES)
    return f"Answered {status}, but {problem}"


def _certificate_days_left(response: httpx.Response, *, now: datetime) -> int | None:
    """Return the whole days until the TLS certificate ends; None on plain http."""
    ends_at = response.extensions.get("certificate_ends_at")
    return None if ends_at is None else (ends_at - now) // _DAY


def _certificate_problem(days_left: int | None, min_days_left: int | None, host: str | None) -> str | None:
    if min_days_left is None:
        return None
    if days_left is None:
        return "The certificate's last day could not be read, so it was not checked"
    if days_left < min_days_left:
        days = f"{days_left} day{'s' * (days_left != 1)}"
        whose = f" of {host}" if host else ""
        return f"The certificate{whose} ends in {days}, sooner than the {min_days_left} asked for"
    return None
