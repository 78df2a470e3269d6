"""What an HTTP answer says beside its content: whether to come back, when, and in which characters."""

import codecs
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from functions.actions.tools import Response

LONGEST_WAIT = timedelta(days=7)  # a wait beyond this is a mistake, or malice
_WORTH_RETRYING = frozenset({408, 425, 429})
_CODECS = ("iso-8859-", "windows-125", "cp125", "gb", "big5", "shift_jis", "euc-", "koi8-", "utf-16")


def worth_retrying(status: int) -> bool:
    """Whether the same request may be answered differently a little later."""
    return status >= 500 or status in _WORTH_RETRYING


def wait_asked_for(response: Response, *, now: datetime) -> timedelta | None:
    """The wait in `Retry-After`, seconds or a date; None when there is none, or none to be understood."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_WAIT)


def text_of(response: Response, *, limit_bytes: int | None = None) -> str:
    """The body as text: UTF-8 if it is, else in the charset it names, else as well as can be."""
    body = response.body[:limit_bytes]
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        whole = not response.truncated and limit_bytes is None
        if not whole and exc.start > len(body) - 4:  # only the last character was cut in two
            return body[: exc.start].decode()
    return body.decode(_charset(response.headers.get("content-type", "")), "replace")


def _charset(content_type: str) -> str:
    """The charset named, if it is one worth trusting: some codecs take quadratic time."""
    _, _, named = content_type.lower().partition("charset=")
    name = named.split(";")[0].strip(" \"'")
    if not name.startswith(_CODECS):
        return "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        return "utf-8"
    return name
