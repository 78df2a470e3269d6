"""Reading an HTTP response: retryable statuses, Retry-After, text, and values inside JSON."""

import codecs
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from functions.task_types.support.context import Response

MAX_RETRY_AFTER = timedelta(days=7)  # a longer wait is a mistake, or malice
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
_TRUSTED_CODECS = ("iso-8859-", "windows-125", "cp125", "gb", "big5", "shift_jis", "euc-", "koi8-", "utf-16")


def is_retryable_status(status: int) -> bool:
    """Whether a later attempt of the same request may succeed."""
    return status >= 500 or status in _RETRYABLE_STATUSES


def retry_after(response: Response, *, now: datetime) -> timedelta | None:
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


def response_text(response: Response, *, limit_bytes: int | None = None) -> str:
    """Return the body as text: UTF-8 if it is valid, else the declared charset, with replacements."""
    body = response.body[:limit_bytes]
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        whole = not response.truncated and limit_bytes is None
        if not whole and exc.start > len(body) - 4:  # only the last character was cut in two
            return body[: exc.start].decode()
    return body.decode(_charset(response.headers.get("content-type", "")), "replace")


def _charset(content_type: str) -> str:
    """Return the declared charset if it is on the list; others may take quadratic time to decode."""
    _, _, named = content_type.lower().partition("charset=")
    name = named.split(";")[0].strip(" \"'")
    if not name.startswith(_TRUSTED_CODECS):
        return "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        return "utf-8"
    return name


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
