"""Reading an HTTP response: retryable statuses, Retry-After, text, errors, and values inside JSON."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from functions.domain.charsets import TextSearch, decode
from functions.domain.expectations import TOO_LONG, Findings
from functions.domain.run import Outcome, failed
from functions.domain.task import Job
from functions.http_client import FetchError, lower_first
from functions.http_client.httpx import httpx
from functions.http_client.responses import parse_retry_after
from functions.parsing.markup import safe_http_url

MAX_RETRY_AFTER = timedelta(days=7)  # a longer wait is a mistake, or malice
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
_METHOD_REFUSED = frozenset({405, 501})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def is_retryable_status(status: int) -> bool:
    """Whether a later attempt of the same request may succeed."""
    return status >= 500 or status in _RETRYABLE_STATUSES


def retry_after(response: httpx.Response, *, now: datetime) -> timedelta | None:
    """Return the wait of `Retry-After` (seconds or a date), from the answer on; None without a valid one.

    Args:
        now: When the call began.
    """
    wait = parse_retry_after(response.headers.get("retry-after", ""), now=answered_at(response, now=now))
    return None if wait is None else min(wait, MAX_RETRY_AFTER)


def answered_at(response: httpx.Response, *, now: datetime) -> datetime:
    """Return when the answer to a call that began at *now* came, as exact as a date in a header is."""
    return now + timedelta(seconds=elapsed_ms(response) // 1000)


def refused(
    response: httpx.Response, reason: str, *, now: datetime, metrics: Mapping[str, Any] | None = None
) -> Outcome:
    """Return the failure of an answer with an unexpected status.

    It is permanent for a 4xx that the same request would get again, unless the answer says when to repeat it.
    """
    status, wait = response.status_code, retry_after(response, now=now)
    permanent = 400 <= status < 500 and not is_retryable_status(status) and wait is None
    return failed(reason, permanent=permanent, retry_after=wait, metrics=metrics)


def response_text(response: httpx.Response) -> str:
    """Return the body as text; see `charsets.decode`."""
    return body_text(response, response.content)


def body_text(response: httpx.Response, content: bytes, *, limit_bytes: int | None = None) -> str:
    """Return *content*, which came of the body, as text."""
    is_whole = limit_bytes is None and not is_truncated(response)
    return decode(content[:limit_bytes], response.headers.get("content-type", ""), is_whole=is_whole)


@dataclass(frozen=True, slots=True)
class Body:
    """What came of a body.

    Attributes:
        found: Whether the text that was asked for is in it.
        problem: Why the rest did not come; None when nothing is missing or only more than is read.
        late_after_s: The time after which the rest had not come; None when that is not why it is missing.
    """

    content: bytes = b""
    found: bool = False
    problem: FetchError | None = None
    late_after_s: float | None = None


_SHARE_FOR_BODY = 0.9  # the rest is for what comes after it, so that the attempt itself is not cut


@dataclass(frozen=True, slots=True)
class TimeForBody:
    """How long the body of a call may take, from the start of the call.

    Attributes:
        until: When that is over, by the loop's clock.
    """

    seconds: float
    until: float


def time_for_body(job: Job, timeout_s: float) -> TimeForBody:
    """Return what the body of a call that starts now may take.

    Args:
        timeout_s: What the call may take by its params.
    """
    seconds = min(timeout_s, _SHARE_FOR_BODY * job.timeout_s)
    return TimeForBody(seconds, asyncio.get_running_loop().time() + seconds)


async def read_body(
    response: httpx.Response, *, within: TimeForBody, text: str | None, whole: bool = False
) -> Body:
    """Read a body for as long as it matters; a body that breaks off is no error here.

    Args:
        within: When that ends; the request has it as `body_until`.
        text: Reading ends when it was found; None for none.
        whole: Whether the rest matters even then.
    """
    content = bytearray()
    search = None if text is None else TextSearch(text, response.headers.get("content-type", ""))
    found, problem, late_after_s = False, None, None
    try:
        async for part in response.aiter_bytes():
            content += part
            found = search is not None and search.feed(part)
            if found and not whole:
                break
    except (TimeoutError, httpx.TimeoutException):
        late_after_s = within.seconds
    except FetchError as exc:
        problem = exc
    return Body(bytes(content), found, problem, late_after_s)


def missing_text_problem(response: httpx.Response, body: Body, *, max_bytes: int) -> str:
    """Return how far a text was looked for in vain."""
    if body.problem is not None:
        return lower_first(body.problem.reason)
    if body.late_after_s is not None:
        return f"the expected text is not in the part of its body that came within {body.late_after_s:g} s"
    size = f"the first {max_bytes // 1024} KB of " if is_truncated(response) else ""
    return f"the expected text is not in {size}its body"


def response_findings(response: httpx.Response, body: Body | None, *, origin: str) -> Findings:
    """Return what an answer has for expectations to be about.

    Args:
        body: What came of its body; None when none is asked about.
        origin: The address that was called.
    """
    values: dict[str, list[Any]] = {
        "status": [response.status_code],
        "latency": [elapsed_ms(response)],
    }
    for name in response.headers:
        values[f"header {name}"] = response.headers.get_list(name)
    if body is None:
        return Findings(values, origin=origin)
    why = _incomplete(response, body)
    return Findings(
        values,
        texts={"body": body_text(response, body.content)},
        raw={"body": body.content},
        incomplete={"body": why} if why else {},
        origin=origin,
    )


def _incomplete(response: httpx.Response, body: Body) -> str:
    """Return why there is more of a body than came; empty when there is not."""
    if body.problem is not None:
        return f"a part of it: {lower_first(body.problem.reason)}"
    if body.late_after_s is not None:
        return f"a part of it, which had not ended after {body.late_after_s:g} s"
    return TOO_LONG if is_truncated(response) else ""


_TLS_PORT_PHRASES = (  # of nginx, Go, Apache and Tomcat, in this order
    "plain http request was sent to https port",
    "client sent an http request to an https server",
    "speaking plain http to an ssl-enabled server port",
    "combination of host and port requires tls",
)


def may_be_wrong_port(response: httpx.Response) -> bool:
    """Whether the body may say that plain HTTP was sent to a port that speaks TLS."""
    return response.status_code == 400 and response.request.url.scheme == "http"


def status_hint(response: httpx.Response, body: Body) -> str:
    """Return what to add to a status that is not expected: where it redirects to, or what to set."""
    if target := _redirect_target(response):
        return f": it redirects to {target}"
    if response.status_code in _METHOD_REFUSED and response.request.method == "HEAD":
        return ": it may not know HEAD, set method to GET"
    if not may_be_wrong_port(response):
        return ""
    text = body_text(response, body.content).lower()
    return (
        ": the port speaks TLS, write https://" if any(phrase in text for phrase in _TLS_PORT_PHRASES) else ""
    )


def _redirect_target(response: httpx.Response) -> str:
    """Return where a redirect that was not followed leads to, without what may be a password or a session."""
    location = response.headers.get("location", "")
    if response.status_code not in _REDIRECTS or not location:
        return ""
    try:
        target = urlsplit(urljoin(str(response.request.url), location))
    except ValueError:
        return ""
    host = target.netloc.rpartition("@")[2]
    return safe_http_url(urlunsplit((target.scheme, host, target.path, "", "")))


_STREAM_TYPES = ("text/event-stream", "multipart/x-mixed-replace", "audio/", "video/")


def is_endless(response: httpx.Response) -> bool:
    """Whether the body is a stream that is not meant to end: events, radio, a camera."""
    kind = response.headers.get("content-type", "").strip().lower()
    return kind.startswith(_STREAM_TYPES) and "content-length" not in response.headers


def is_truncated(response: httpx.Response) -> bool:
    """Whether the body was longer than what is kept of it."""
    return bool(response.extensions.get("truncated"))


def moved_address(response: httpx.Response) -> str:
    """Return the address that permanent redirects (301, 308) led to; empty when there were none."""
    return str(response.extensions.get("moved_to", ""))


def elapsed_ms(response: httpx.Response) -> int:
    """Return the time from the start of the call, redirects included, to the headers."""
    return int(response.extensions.get("elapsed_ms", 0))


_CHALLENGES = {  # headers of what stands before a site and lets browsers alone in, and a word in their values
    "cf-mitigated": "challenge",
    "x-amzn-waf-action": "",
    "x-datadome": "",
    "x-vercel-mitigated": "",
}


def _is_challenge(response: httpx.Response) -> bool:
    headers = response.headers
    return any(name in headers and word in headers[name] for name, word in _CHALLENGES.items())


def unexpected_status(response: httpx.Response, job: Job, *, gone: str) -> Outcome:
    """Return the failure of a document that did not come with status 200.

    Args:
        gone: What 410 means for the task, and what to do.
    """
    status = response.status_code
    if status == 410:
        reason = f"Answered 410: {gone}"
    elif _is_challenge(response):
        reason = f"Answered {status}, with a test that only browsers pass: ask the site to let programs in"
    else:
        reason = f"Answered {status}, expected 200"
    metrics = {"status": status, "latencyMs": elapsed_ms(response)}
    return refused(response, reason, now=job.started_at, metrics=metrics)


def http_failure(exc: BaseException, *, now: datetime) -> Outcome | None:
    """Return the outcome of an error of httpx's that a type let pass; None for any other error.

    httpx's own texts hold the URL, which may hold a secret, so none of them is used.
    """
    match exc:
        case httpx.HTTPStatusError():  # of `raise_for_status`
            return refused(exc.response, f"Answered {exc.response.status_code}", now=now)
        case httpx.TimeoutException():
            return failed("No answer in time")
        case httpx.HTTPError():
            return failed("No usable answer came")
        case _:
            return None


# Values inside a JSON document (RFC 6901).

MISSING: Final = object()  # the result for a pointer to nothing; null is a value
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def resolve_json_pointer(document: Any, pointer: str) -> Any:
    """Return the value at *pointer*, e.g. `/data/0/state`, or `MISSING`; empty means the whole document."""
    value = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name, MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return MISSING
    return value
