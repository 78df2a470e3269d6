"""Text, addresses, instants and durations, formatted safely for every channel."""

import re
import unicodedata
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from functions.domain.types import timezone_or_utc, to_local
from functions.notifications.rendering.phrases import Phrases

WORD_JOINER = "\u2060"  # invisible, and no place to break a line
_LOOSE_AT_A_CUT = "\u200d "  # the joiner of an emoji whose rest is cut off
_LINK_PATTERN = re.compile(r"@(?=\w)|:(?=//)|(?<=\w)\.(?=[^\W\d_])|(?<!\w)[#/](?=\w)")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def single_line(text: str, limit: int) -> str:
    """Return *text* on one line of at most *limit* characters, without control or direction characters."""
    printable = "".join(
        " " if character.isspace() else character
        for character in text[: limit * 4]  # a text of megabytes is not read to its end
        if character.isspace()
        or not (character in _DIRECTION_MARKS or unicodedata.category(character) in ("Cc", "Cs"))
    )
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip(_LOOSE_AT_A_CUT) + "…"


def safe_http_url(url: str) -> str:
    """Return *url* when it is safe as a link: http or https, with a host, without a user name; else empty."""
    url = url.strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    is_web_url = parts.scheme in ("http", "https") and parts.netloc and not parts.username
    if not is_web_url or any(character.isspace() or not character.isprintable() for character in url):
        return ""
    return url


def utf16_length(text: str) -> int:
    """Return the length of *text* in UTF-16 units, as most vendors count: an emoji is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def truncate(text: str, limit: int) -> str:
    """Return *text* in at most *limit* UTF-16 units; no letter is cut in two, and `…` marks a cut."""
    if utf16_length(text) <= limit:
        return text
    used = 1
    for index, character in enumerate(text):
        used += utf16_length(character)
        if used > limit:
            return text[:index].rstrip(_LOOSE_AT_A_CUT) + "…"
    return text


def defuse_links(text: str) -> str:
    """Return *text* with nothing that a chat program turns into a mention or a link; it looks the same.

    For vendors without an option for that: an invisible letter is inserted after `@`, `://` and the dot of
    a host's name.
    """
    return _LINK_PATTERN.sub(lambda found: found[0] + WORD_JOINER, text)


# Instants and durations.

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def format_instant(at: datetime, timezone: str) -> str:
    """Return *at* in *timezone*, to the minute, e.g. `2026-11-20 20:00`."""
    return to_local(at, timezone_or_utc(timezone)).strftime("%Y-%m-%d %H:%M")


def zone_name(timezone: str) -> str:
    """Return the name to print beside an instant: *timezone*, or UTC when that zone is unknown."""
    return timezone_or_utc(timezone).key


def format_duration(duration: timedelta, phrases: Phrases) -> str:
    """Return *duration* in its two largest units, e.g. `3 h 2 min`; below a minute, `1.2 s`."""
    day, hour, minute, second = phrases.units
    total_s = max(duration.total_seconds(), 0)
    if total_s < MINUTE_S:
        return f"{total_s:.1f}{second}" if total_s < 10 else f"{total_s:.0f}{second}"
    whole_s = int(total_s)
    for size, unit, smaller, small_unit in (
        (DAY_S, day, HOUR_S, hour),
        (HOUR_S, hour, MINUTE_S, minute),
        (MINUTE_S, minute, 1, second),
    ):
        if whole_s >= size:
            rest = whole_s % size // smaller
            return f"{whole_s // size}{unit}" + (f" {rest}{small_unit}" if rest else "")
    raise AssertionError("a duration of a minute or more has a unit")


# Links: to this service's pages, and foreign ones that cannot end the link's markup.

_UNSAFE_IN_LINK = re.compile(r"[()<>\[\]\\*`'\"|{}^]|&(?=#)")


def task_page_url(public_url: str, task_id: str) -> str:
    """Return the address of the task's page on the dashboard; empty without a *public_url*."""
    root = safe_http_url(public_url).rstrip("/")
    return f"{root}/dashboard/tasks/{quote(task_id, safe='')}" if root else ""


def escape_url(url: str) -> str:
    """Return *url* with every character that has a meaning in markup percent-encoded."""
    return _UNSAFE_IN_LINK.sub(lambda letter: f"%{ord(letter[0]):02X}", url)
