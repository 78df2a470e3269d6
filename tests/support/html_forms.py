"""A browser's part in a form: what it makes of the HTML, and what it sends when a button is pressed.

The rules are those of the HTML standard that change texts: line ends become LF in the page and CRLF in what
is sent, an input of one line has no line ends, a textarea loses the line end that it begins with, NUL becomes
U+FFFD, boxes that are not checked are not sent, and a select without a chosen option has its first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class _Control:
    name: str
    kind: str
    value: str = ""
    is_checked: bool = False
    options: list["_Option"] = field(default_factory=list)


@dataclass
class _Option:
    value: str | None
    is_selected: bool
    text: str = ""


class _Page(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__(convert_charrefs=True)
        self.controls: list[_Control] = []
        self._form_id = form_id
        self._is_inside = False
        self._textarea: _Control | None = None
        self._select: _Control | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("id") == self._form_id
        if not self._is_inside:
            return
        control = _Control(given.get("name", ""), given.get("type", "text"), given.get("value", ""))
        if tag == "input":
            control.is_checked = "checked" in given
            if control.kind in ("checkbox", "radio") and "value" not in given:
                control.value = "on"
            self.controls.append(control)
        elif tag == "textarea":
            control.kind, control.value, self._textarea = "textarea", "", control
            self.controls.append(control)
        elif tag == "select":
            control.kind, self._select = "select", control
            self.controls.append(control)
        elif tag == "option" and self._select:
            self._select.options.append(_Option(given.get("value"), "selected" in given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        if tag == "textarea":
            self._textarea = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._textarea.value += data
        elif self._select and self._select.options:
            self._select.options[-1].text += data


def form_fields(html: str, *, form_id: str) -> dict[str, str]:
    """Return what a browser sends for the form, beside the button that is pressed, as the server reads it."""
    page = _Page(form_id)
    page.feed(html.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"))
    return {name: _as_sent(value) for name, value in _values(page.controls) if name}


def _values(controls: list[_Control]) -> Iterator[tuple[str, str]]:
    for control in controls:
        if control.kind in ("checkbox", "radio"):
            if control.is_checked:
                yield control.name, control.value
        elif control.kind == "select":
            chosen = [one for one in control.options if one.is_selected] or control.options[:1]
            yield (
                control.name,
                " ".join(chosen[-1].text.split()) if chosen[-1].value is None else chosen[-1].value,
            )
        elif control.kind == "textarea":
            yield control.name, control.value.removeprefix("\n")
        elif control.kind == "hidden":
            yield control.name, control.value
        elif control.kind not in ("submit", "button"):
            yield control.name, control.value.replace("\r", "").replace("\n", "")


def _as_sent(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
