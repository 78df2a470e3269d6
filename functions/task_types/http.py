"""Task type `http`: one request, a webhook call for instance, and whether it was answered as expected."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import Field, JsonValue, StringConstraints, model_validator

from functions.domain.expectations import is_json_equal
from functions.domain.json_depth import parse_json
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, format_instant, text_form
from functions.http_client import lower_first
from functions.http_client.httpx import httpx
from functions.task_types.support.context import (
    ONLY_REFERENCES,
    Auth,
    ExpectedResponse,
    ExpectedStatus,
    ExpectedText,
    Headers,
    Seconds,
    StatusRanges,
    Tools,
    WebUrl,
    with_own_headers,
)
from functions.task_types.support.limits import REDACTION_MARGIN
from functions.task_types.support.responses import (
    MISSING,
    Body,
    TimeForBody,
    body_text,
    elapsed_ms,
    is_endless,
    is_truncated,
    missing_text_problem,
    read_body,
    refused,
    resolve_json_pointer,
    response_findings,
    status_hint,
    time_for_body,
)

__all__ = ["EXAMPLE", "ONLY_REFERENCES", "Params", "perform"]

EXAMPLE: dict[str, Any] = {
    "method": "POST",
    "url": "https://example.com/hooks/nightly",
    "json": {"action": "rotate-logs"},
    "auth": {"bearer": "{{secret:HOOKS_TOKEN}}"},
    "jsonPointer": "/status",
    "equals": "accepted",
}
MAX_SNIPPET_CHARS = 300
MAX_FAILED_SNIPPET_CHARS = 8192  # enough to find the fault
MAX_BODY_BYTES = 262_144  # enough for an API; parsing it does not block the loop for long
_HEADER_SAFE_CHARS = " !#$&'()*+,/:;<=>?@[]^_`{|}~-."  # characters that CloudEvents does not percent-encode
_BODY_FIELDS = frozenset({"json_body", "body", "form"})
_Pointer = Annotated[
    str, text_form(r"^(/[^/]*)*$", "must be a JSON Pointer, such as /data/0/status", max_length=500)
]
_Scalar = str | int | float | bool
_Text = Annotated[str, StringConstraints(max_length=65_536)]


class Params(Model):
    """The request, and the response that means success.

    Attributes:
        auth: A bearer token or a password, given as references to secrets.
        query: Added to the url's own; a list gives its name several times, true and false in lower case.
        json_body: Called `json`: sent as JSON; null is sent too. At most one of json, body, form.
        body: Sent unchanged, as UTF-8.
        form: Sent as a web form.
        expected_status: A code, a range such as "200-299", or a list of these.
        body_contains: Text that the body must contain, character for character.
        json_pointer: Where in the JSON body (RFC 6901, e.g. `/data/0/state`) a value must be.
        equals: The value that must be there; any value when not given.
        expect: What the answer must be, in full: expected_status, body_contains, and json_pointer with equals
            are short for the commonest of it.
        follow_redirects: Up to ten; by default only for GET and HEAD.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: WebUrl
    headers: Headers = Field(default_factory=dict)
    auth: Auth | None = None
    query: Annotated[dict[str, _Scalar | list[_Scalar]], Field(max_length=50)] = Field(default_factory=dict)
    json_body: JsonValue = Field(default=None, alias="json")
    body: _Text | None = None
    form: Annotated[dict[str, _Scalar | list[_Scalar]], Field(max_length=200)] | None = None
    expected_status: ExpectedStatus = Field(
        StatusRanges(((200, 299),)), json_schema_extra={"default": "200-299"}
    )
    body_contains: ExpectedText | None = None
    json_pointer: _Pointer | None = None
    equals: JsonValue = None
    expect: ExpectedResponse | None = None
    timeout_seconds: Seconds = 20.0
    follow_redirects: bool | None = None

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if len(_BODY_FIELDS & self.model_fields_set) > 1:
            raise ValueError("give at most one of json, body and form")
        if "equals" in self.model_fields_set and self.json_pointer is None:
            raise ValueError("equals needs jsonPointer, which says what to compare")
        if self.method == "HEAD" and not (self.body_contains is None and self.json_pointer is None):
            raise ValueError("bodyContains and jsonPointer need another method, as HEAD brings no body")
        if self.expect is not None:
            self._check_expect(self.expect)
        if self.auth is not None and "authorization" in {name.lower() for name in self.headers}:
            raise ValueError("give either auth or a header Authorization")
        return self

    def _check_expect(self, expect: ExpectedResponse) -> None:
        if expect.status is not None and "expected_status" in self.model_fields_set:
            raise ValueError("give expect.status or expectedStatus, which is short for it, not both")
        if self.json_pointer is not None:
            raise ValueError("beside expect, give what jsonPointer says as a rule of expect.json")
        if self.method == "HEAD" and expect.needs_body:
            raise ValueError("expect.body, json and schema need another method, as HEAD brings no body")


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Send one request, with the idempotency key by which the receiver recognises repetitions."""
    content_type, body = _request_body(job, params)
    follow = params.follow_redirects
    if follow is None:
        follow = params.method in ("GET", "HEAD")
    within = time_for_body(job, params.timeout_seconds)
    async with tools.http.stream(
        params.method,
        _with_query(params.url, params.query),
        headers=_request_headers(job, content_type, params),
        content=body,
        follow_redirects=follow,
        timeout=params.timeout_seconds,
        extensions={"max_body_bytes": MAX_BODY_BYTES, "body_until": within.until},
    ) as response:
        answer = await _read_answer(response, params, within=within)
    if params.expect is not None:
        return await _check_contract(job, params, params.expect, response, answer, tools)
    return _to_outcome(job, params, response, answer, tools.redact)


async def _check_contract(
    job: Job,
    params: Params,
    expect: ExpectedResponse,
    response: httpx.Response,
    body: Body,
    tools: Tools,
) -> Outcome:
    """Return the outcome of an answer for which all is said in `expect`; the short forms count as well."""
    from functions.task_types.support.contracts import check_expectations, outcome_of  # few tasks need it

    status = response.status_code
    rules = expect.list_with(status=params.expected_status, contains=params.body_contains)
    findings = response_findings(response, body, origin=params.url)
    verdict = await check_expectations(rules, findings, job, tools)
    limit = MAX_FAILED_SNIPPET_CHARS if verdict.unmet else MAX_SNIPPET_CHARS
    metrics: dict[str, Any] = {"status": status, "latencyMs": elapsed_ms(response)}
    if snippet := _snippet(response, body, tools.redact, limit):
        metrics["snippet"] = snippet
    rest = "" if expect.needs_body else _missing_rest(body)
    is_expected = status in (expect.status or params.expected_status)
    refusal = None if is_expected else refused(response, "", now=job.started_at)
    return outcome_of(
        verdict,
        succeeded(f"Answered {status} in {elapsed_ms(response)} ms{rest}", metrics=metrics),
        job,
        what_happened=f"Answered {status}{status_hint(response, body)}",
        permanent=refusal is not None and refusal.permanent,
        retry_after=None if refusal is None else refusal.retry_after,
    )


async def _read_answer(response: httpx.Response, params: Params, *, within: TimeForBody) -> Body:
    """Read the body to its end, as some servers work until then; not that of a stream that has none."""
    if params.expect is not None:
        if is_endless(response) and not params.expect.needs_body and params.body_contains is None:
            return Body()
        return await read_body(response, within=within, text=None)
    if params.json_pointer is None and is_endless(response):
        if params.body_contains is None or response.status_code not in params.expected_status:
            return Body()
        return await read_body(response, within=within, text=params.body_contains)
    return await read_body(response, within=within, text=params.body_contains, whole=True)


def _request_body(job: Job, params: Params) -> tuple[str | None, bytes | None]:
    """Return the content type and the body; None and None for a request without one.

    Without a body in the params, the event that started the task is sent: CloudEvents in binary mode.
    """
    if "json_body" in params.model_fields_set:
        return "application/json", json.dumps(params.json_body, ensure_ascii=False).encode()
    if params.form is not None:
        return "application/x-www-form-urlencoded", _urlencoded(params.form).encode()
    if params.body is not None:
        return "text/plain; charset=utf-8", params.body.encode()
    if job.event is not None and params.method in ("POST", "PUT", "PATCH"):
        return "application/json", json.dumps(job.event.data, ensure_ascii=False).encode("utf-8", "replace")
    return None, None


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    if not query:
        return url
    address, _, _ = url.partition("#")  # a fragment is never sent
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{joint}{_urlencoded(query)}"


def _urlencoded(pairs: Mapping[str, Any]) -> str:
    plain = {
        name: [_form_value(one) for one in value] if isinstance(value, list) else _form_value(value)
        for name, value in pairs.items()
    }
    return urlencode(plain, doseq=True)


def _form_value(value: _Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _request_headers(job: Job, content_type: str | None, params: Params) -> dict[str, str]:
    headers = {
        "Idempotency-Key": job.idempotency_key,
        "X-Scheduled-Time": format_instant(job.scheduled_at),
        "X-Attempt": str(job.attempt),
    }
    if job.event is not None:
        encoded = job.event.to_cloud_event().to_headers()
        headers |= {name: quote(value, safe=_HEADER_SAFE_CHARS) for name, value in encoded.items()}
    if content_type is not None:
        headers["Content-Type"] = content_type
    if params.auth is not None:
        headers["Authorization"] = params.auth.header()
    return with_own_headers(headers, params.headers)


def _to_outcome(
    job: Job, params: Params, response: httpx.Response, body: Body, redact: Callable[[str], str]
) -> Outcome:
    status = response.status_code
    is_expected = status in params.expected_status
    problem = _content_problem(params, response, body) if is_expected else None
    metrics: dict[str, Any] = {"status": status, "latencyMs": elapsed_ms(response)}
    limit = MAX_SNIPPET_CHARS if is_expected and problem is None else MAX_FAILED_SNIPPET_CHARS
    if snippet := _snippet(response, body, redact, limit):
        metrics["snippet"] = snippet
    if not is_expected:
        reason = f"Answered {status}, expected {params.expected_status}{status_hint(response, body)}"
        return refused(response, reason, now=job.started_at, metrics=metrics)
    if problem is not None:
        return failed(f"Answered {status}, but {problem}", metrics=metrics)
    rest = _missing_rest(body)
    return succeeded(f"Answered {status} in {elapsed_ms(response)} ms{rest}", metrics=metrics)


def _missing_rest(body: Body) -> str:
    """Return what to add to a success whose body, of which nothing was asked, did not come as a whole."""
    if body.late_after_s is not None:
        return f", and its body had not ended after {body.late_after_s:g} s"
    if body.problem is not None and not body.problem.permanent:
        return f", and {lower_first(body.problem.reason)}"
    return ""


def _snippet(response: httpx.Response, body: Body, redact: Callable[[str], str], limit: int) -> str:
    """Return the start of the body, printable and on one line; masked before it is cut."""
    if body.problem is not None and body.problem.permanent:
        return ""  # it is packed
    whole = body_text(response, body.content, limit_bytes=4 * limit + REDACTION_MARGIN)
    text = " ".join(redact(whole).split())[:limit]
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())


def _content_problem(params: Params, response: httpx.Response, body: Body) -> str | None:
    """Return what is wrong with the body, without quoting it; None when nothing is."""
    if params.body_contains is not None and not body.found:
        return missing_text_problem(response, body, max_bytes=MAX_BODY_BYTES)
    if params.json_pointer is None:
        return None
    if body.problem is not None:
        return lower_first(body.problem.reason)
    if body.late_after_s is not None:
        return f"its body had not ended after {body.late_after_s:g} s"
    if is_truncated(response):
        return f"its body is longer than the {MAX_BODY_BYTES // 1024} KB that are read as JSON"
    try:
        document = _parse_json(response, body.content)
    except ValueError:
        return "its body is not JSON"
    value = resolve_json_pointer(document, params.json_pointer)
    if value is MISSING:
        return f"its body has nothing at {params.json_pointer}"
    if "equals" in params.model_fields_set and not is_json_equal(value, params.equals):
        return f"the value at {params.json_pointer} is not the expected one"
    return None


def _parse_json(response: httpx.Response, content: bytes) -> Any:
    """Return JSON in Unicode, which JSON's own rule recognises, or in a charset that is declared."""
    try:
        return parse_json(content)
    except UnicodeDecodeError:
        return parse_json(body_text(response, content))
