"""A browser's part in a form: what it makes of the HTML, and what it sends when a button is pressed.

The rules are those of the HTML standard that change texts: line ends become LF in the page and CRLF in what
is sent, an input of one line has no line ends, a textarea loses the line end that it begins with, NUL becomes
U+FFFD, boxes that are not checked are not sent, and a select without a chosen option has its first.
"""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode


def form_fields(html: str, *, form_id: str) -> dict[str, str]:
    """Return what a browser sends for the form, beside the button that is pressed, as the server reads it."""
    page = LexborHTMLParser(html.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))
    controls = page.css(f"form#{form_id} :is(input, textarea, select)")
    return {name: _as_sent(value) for name, value in _values(controls) if name}


def _values(controls: list[LexborNode]) -> Iterator[tuple[str, str]]:
    for control in controls:
        given = {name: value or "" for name, value in control.attributes.items()}
        name, kind, value = given.get("name", ""), given.get("type", "text"), given.get("value", "")
        if control.tag == "textarea":
            yield name, control.text()  # without its first line end, which the parser has taken
        elif control.tag == "select":
            yield name, _chosen(control)
        elif kind in ("checkbox", "radio"):
            if "checked" in given:
                yield name, given.get("value", "on")
        elif kind == "hidden":
            yield name, value
        elif kind not in ("submit", "button"):
            yield name, value.replace("\n", "")


def _chosen(select: LexborNode) -> str:
    options = select.css("option")
    option = ([one for one in options if "selected" in one.attributes] or options[:1])[-1]
    value = option.attributes.get("value")
    return " ".join(option.text().split()) if "value" not in option.attributes else value or ""


def _as_sent(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
