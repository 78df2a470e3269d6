"""Plain text out of what strangers wrote: no markup, no control characters, no link but a web link."""

import html
import re
from urllib.parse import urlsplit

URL_CHARS = 2048
_RAW_CHARS = 4000  # of the markup, looked at: a summary may be a whole book
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(?:[a-z!/?])[^>]*(?:>|$)", re.IGNORECASE)


def plain_text(markup: str, *, limit: int) -> str:
    """The words of *markup* on one line, at most *limit* characters.

    Tags go twice, before and after entities are read, so that no escaping makes a tag of text. A title
    such as `List<T>` loses its `<T>`: the price of never passing markup on.
    """
    words = _without_tags(html.unescape(_without_tags(markup[:_RAW_CHARS])))
    printable = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in words)
    text = " ".join(printable.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def web_link(link: str) -> str:
    """*link* when it is an absolute http or https address, else nothing."""
    link = link.strip()
    if len(link) > URL_CHARS or not link.isprintable() or " " in link:
        return ""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme in ("http", "https") and parts.netloc else ""


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    return _TAG.sub(" ", _UNSEEN.sub(" ", text))
