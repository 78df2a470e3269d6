"""A web page as plain text with its links written out: what a model reads of it."""

import html
import re
from urllib.parse import urljoin

from functions.actions.feeds.plain import web_link

# Every pattern is bounded or runs to the end of the text at most once: pages are written by strangers.
_UNSEEN = re.compile(
    r"<(script|style|noscript|template|svg)\b.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.IGNORECASE | re.DOTALL
)
_LINK = re.compile(r"<a\b[^<>]{0,500}?\bhref\s*=\s*[\"']?([^\"'\s<>]{1,2048})[^<>]{0,500}>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:/p|/div|/li|/h[1-6]|/tr|br)\b[^<>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"<[a-z!/?][^>]*(?:>|$)", re.IGNORECASE)


def page_text(markup: str, *, url: str) -> str:
    """The words of *markup*, a line a block; each link's address in brackets before its words.

    Takes tenths of a second for a big page: call it in a thread.
    """
    text = _LINK.sub(lambda found: f" [{_absolute(url, found[1])}] ", _UNSEEN.sub(" ", markup))
    text = html.unescape(_TAG.sub(" ", _BREAK.sub("\n", text)))
    lines = (" ".join(line.split()) for line in text.replace("[]", "").splitlines())
    return "\n".join(line for line in lines if line)


def _absolute(base: str, link: str) -> str:
    try:
        return web_link(urljoin(base, html.unescape(link)))
    except ValueError:
        return ""
