"""Task type `github_dispatch`: starts GitHub workflows that run on `repository_dispatch`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, text_form
from functions.http_client.httpx import httpx
from functions.task_types.support.context import Missing, Tools
from functions.task_types.support.responses import (
    MAX_RETRY_AFTER,
    answered_at,
    elapsed_ms,
    is_retryable_status,
    retry_after,
)

EXAMPLE: dict[str, Any] = {
    "repository": "octo-org/website",
    "eventType": "nightly-build",
    "clientPayload": {"environment": "staging"},
}
ONLY_REFERENCES = ("token",)
TOKEN_MISSING = "There is no token; set GITHUB_TOKEN, or give params.token as {{secret:NAME}}"  # noqa: S105  # a remedy
MAX_PAYLOAD_FIELDS = 10  # GitHub's limit
MAX_PAYLOAD_BYTES = 65_535
REDIRECTED = (
    "The call was redirected, and the event was not sent on: write the repository's present name, and in "
    "GITHUB_API_URL the address of the API itself, such as https://HOST/api/v3 of an Enterprise server"
)
_TIMEOUT_S = 20.0
_MAX_MESSAGE_CHARS = 200
_SECONDARY_LIMIT_WAIT = timedelta(minutes=1)  # GitHub's advice for a secondary limit without a wait


def _check_size(payload: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"must be at most {MAX_PAYLOAD_BYTES} bytes as JSON")
    return payload


class Params(Model):
    """The event, and the repository.

    Attributes:
        repository: `owner/name`.
        event_type: What the workflow lists under `types:`.
        client_payload: What the workflow finds in `github.event.client_payload`.
        token: A reference to a token with write access to the repository's contents; by default the
            one in GITHUB_TOKEN.
    """

    repository: Annotated[
        str,
        text_form(
            r"^[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$",
            "must be a repository as owner/name",
            max_length=140,
        ),
    ]
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    client_payload: Annotated[
        dict[str, JsonValue], Field(max_length=MAX_PAYLOAD_FIELDS), AfterValidator(_check_size)
    ] = Field(default_factory=dict)
    token: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] | None = (
        None
    )


def find_missing(params: Params, tools: Tools) -> Missing | None:
    """Return what is not set up here for a task with *params*."""
    if params.token or tools.github_token:
        return None
    return Missing("there is no token for GitHub", "set GITHUB_TOKEN, or params.token as {{secret:NAME}}")


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Send the event. GitHub's response does not name the workflows it starts."""
    token = params.token or tools.github_token
    if not token:
        return failed(TOKEN_MISSING, permanent=True)
    body = {"event_type": params.event_type, "client_payload": params.client_payload}
    response = await tools.http.post(
        f"{tools.github_api.rstrip('/')}/repos/{params.repository}/dispatches",
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        content=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        timeout=min(_TIMEOUT_S, job.timeout_s),
    )
    metrics = {"status": response.status_code, "latencyMs": elapsed_ms(response)}
    if response.request.method != "POST":  # a 301 or 302: GitHub's own, of a renamed repository, is a 307
        return failed(REDIRECTED, permanent=True, metrics=metrics)
    if response.status_code == 204:
        return succeeded(
            f"GitHub accepted the event {params.event_type} for {params.repository}", metrics=metrics
        )
    return _failure_outcome(response, params, metrics, job, tools.redact)


def _failure_outcome(
    response: httpx.Response,
    params: Params,
    metrics: dict[str, Any],
    job: Job,
    redact: Callable[[str], str],
) -> Outcome:
    status = response.status_code
    if status == 429 or (status == 403 and _is_rate_limited(response)):
        return failed(
            "GitHub's rate limit is used up",
            retry_after=_rate_limit_wait(response, now=job.started_at),
            metrics=metrics,
        )
    if is_retryable_status(status):
        wait = retry_after(response, now=job.started_at)
        return failed(f"GitHub answered {status}, a fault of its own", retry_after=wait, metrics=metrics)
    reason = {
        401: "GitHub does not accept the token; it may have expired",
        403: f"The token may not write to {params.repository}; give it write access to contents",
        404: f"There is no repository {params.repository}, or the token may not see it",
        422: "GitHub does not accept the event type or the payload",
    }.get(status, f"GitHub answered {status} instead of 204")
    return failed(f"{reason}{_github_message(response, redact)}", permanent=True, metrics=metrics)


def _is_rate_limited(response: httpx.Response) -> bool:
    headers = response.headers
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or b"rate limit" in response.content.lower()
    )


def _rate_limit_wait(response: httpx.Response, *, now: datetime) -> timedelta:
    """Return the wait: that of Retry-After, else until the limit is reset, else a minute."""
    requested = retry_after(response, now=now)
    if requested is not None:
        return requested
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.headers.get("x-ratelimit-remaining") == "0" and reset.isascii() and reset.isdigit():
        until = datetime.fromtimestamp(int(reset[:10]), UTC)
        return min(max(until - answered_at(response, now=now), timedelta(seconds=1)), MAX_RETRY_AFTER)
    return _SECONDARY_LIMIT_WAIT


def _github_message(response: httpx.Response, redact: Callable[[str], str]) -> str:
    """Return GitHub's own message, after a colon."""
    try:
        message = json.loads(response.content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f": {' '.join(redact(str(message)).split())[:_MAX_MESSAGE_CHARS]}" if message else ""
