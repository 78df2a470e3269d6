"""Foreign text made harmless in the one way every channel needs: one line, of letters that print."""

import re
import unicodedata
from urllib.parse import urlsplit

_JOINER = "\u2060"
_LINKISH = re.compile(r"@(?=\w)|:(?=//)|(?<=\w)\.(?=[^\W\d_])|(?<!\w)[#/](?=\w)")
_STEERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def one_line(text: str, limit: int) -> str:
    """*text* on one line, at most *limit* characters; no control characters, none that turn text around."""
    kept = "".join(
        " " if character.isspace() else character
        for character in text[: limit * 4]  # a text of megabytes is not read to its end
        if character.isspace()
        or not (character in _STEERING or unicodedata.category(character) in ("Cc", "Cs"))
    )
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def web_address(url: str) -> str:
    """*url* when it is one to be followed by a person's click: http or https with a host; else empty."""
    url = url.strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    sound = parts.scheme in ("http", "https") and parts.netloc and not parts.username
    if not sound or any(character.isspace() or not character.isprintable() for character in url):
        return ""
    return url


def units(text: str) -> int:
    """The length of *text* as most vendors count it: in UTF-16, where an emoji is two."""
    return len(text) + sum(character > "\uffff" for character in text)


def clipped(text: str, limit: int) -> str:
    """*text* in at most *limit* UTF-16 units; no letter is cut in two, and what was cut shows as `…`."""
    if units(text) <= limit:
        return text
    used = 1
    for index, character in enumerate(text):
        used += units(character)
        if used > limit:
            return text[:index].rstrip("\u200d ") + "…"
    return text


def broken(text: str) -> str:
    """*text* with nothing a chat program makes a mention or a link of by itself; it looks the same.

    For vendors without a way to switch that off: an invisible letter stands after `@`, `://` and the dot of
    a host's name.
    """
    return _LINKISH.sub(lambda found: found[0] + _JOINER, text)
