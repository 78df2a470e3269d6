"""A message as markdown, for vendors whose own dialect has bold words, links and lines."""

from collections.abc import Callable, Iterator

from functions.notifications.rendering.digest import Item, Message, Row
from functions.notifications.rendering.formatting import escape_url

Escape = Callable[[str], str]


def to_markdown(message: Message, escape: Escape, *, line_end: str = "\n") -> str:
    """Return *message* as markdown, an empty line between its notifications.

    Args:
        escape: Makes a foreign text one without markup, mention or link, in the vendor's dialect.
        line_end: What begins a new line there.
    """
    blocks = [] if len(message.rows) == 1 else [_bold(message.headline, escape)]
    blocks += [line_end.join(_lines(row, message.link_label, escape)) for row in message.rows]
    blocks += [message.omitted] if message.omitted else []
    return "\n\n".join(blocks)


def _lines(row: Row, link_label: str, escape: Escape) -> Iterator[str]:
    yield f"{row.icon} {_bold(row.sentence, escape)}"
    if row.summary:
        yield escape(row.summary)
    if row.details:
        yield escape(row.details)
    for item in row.items:
        yield _item_line(item, escape)
    if row.omitted:
        yield row.omitted
    if row.page_url:
        yield _link(link_label, row.page_url)


def _item_line(item: Item, escape: Escape) -> str:
    title = escape(item.title)
    shown = _link(title, item.url) if item.url else title
    return f"{item.marker} {shown}" + (f" — {escape(item.text)}" if item.text else "")


def _bold(text: str, escape: Escape) -> str:
    return f"**{escape(text)}**"


def _link(label: str, url: str) -> str:
    return f"[{label}]({escape_url(url)})"
