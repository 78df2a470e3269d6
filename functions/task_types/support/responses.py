"""Reading an HTTP response: retryable statuses, Retry-After, text, errors, and values inside JSON."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from functions.domain.run import Outcome, failed
from functions.http_client.httpx import httpx
from functions.http_client.responses import trusted_charset

MAX_RETRY_AFTER = timedelta(days=7)  # a longer wait is a mistake, or malice
_RETRYABLE_STATUSES = frozenset({408, 425, 429})


def is_retryable_status(status: int) -> bool:
    """Whether a later attempt of the same request may succeed."""
    return status >= 500 or status in _RETRYABLE_STATUSES


def retry_after(response: httpx.Response, *, now: datetime) -> timedelta | None:
    """Return the wait of `Retry-After` (seconds or a date); None without a valid one."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), MAX_RETRY_AFTER)


def response_text(response: httpx.Response, *, limit_bytes: int | None = None) -> str:
    """Return the body as text: UTF-8 if it is valid, else the declared charset, with replacements."""
    body = response.content[:limit_bytes]
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        whole = not is_truncated(response) and limit_bytes is None
        if not whole and exc.start > len(body) - 4:  # only the last character was cut in two
            return body[: exc.start].decode()
    return body.decode(trusted_charset(response.headers.get("content-type", "")), "replace")


def is_truncated(response: httpx.Response) -> bool:
    """Whether the body was longer than what is kept of it."""
    return bool(response.extensions.get("truncated"))


def moved_address(response: httpx.Response) -> str:
    """Return the address that permanent redirects (301, 308) led to; empty when there were none."""
    return str(response.extensions.get("moved_to", ""))


def elapsed_ms(response: httpx.Response) -> int:
    """Return the time from the start of the call, redirects included, to the headers."""
    return int(response.extensions.get("elapsed_ms", 0))


def http_failure(exc: BaseException, *, now: datetime) -> Outcome | None:
    """Return the outcome of an error of httpx's that a type let pass; None for any other error.

    httpx's own texts hold the URL, which may hold a secret, so none of them is used.
    """
    match exc:
        case httpx.HTTPStatusError():  # of `raise_for_status`
            status = exc.response.status_code
            retryable = is_retryable_status(status)
            return failed(
                f"Answered {status}",
                permanent=400 <= status < 500 and not retryable,
                retry_after=retry_after(exc.response, now=now) if retryable else None,
            )
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


def is_json_equal(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_json_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_json_equal, one, other))
    return bool(one == other)
