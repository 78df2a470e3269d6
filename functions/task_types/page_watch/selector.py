r"""Which CSS selectors a task may have: checked by hand when it is saved, as the library runs elsewhere.

    #price, .md\:flex > td:nth-child(2), a[href^="/news"], main:has(h1) p:not(.ad)

What passes here is understood by selectolax, which a test holds; what means nothing on a page that is only
read (`:hover`, `::before`), and what only jQuery has (`:contains`), is refused by name.
"""

MAX_SELECTOR_CHARS = 300
MAX_DEPTH = 3  # of selectors within selectors
_PLAIN = frozenset(
    {"checked", "disabled", "empty", "root"}
    | {f"{which}-{of}" for which in ("first", "last", "only") for of in ("child", "of-type")}
)
_WITH_SELECTORS = frozenset({"has", "is", "not", "where"})
_WITH_PLACES = frozenset({"nth-child", "nth-last-child", "nth-last-of-type", "nth-of-type"})
_KNOWN = ", ".join(sorted(_PLAIN | _WITH_SELECTORS | _WITH_PLACES))
_SPACES = " \t\n"
_COMBINATORS = ">+~"
_HEX = frozenset("0123456789abcdefABCDEF")


class SelectorError(ValueError):
    """The text is no selector; the message follows `selector: `."""


def check_selector(text: str) -> str:
    """Return *text*; raises `SelectorError` when it is no selector that a page can be searched by."""
    if len(text) > MAX_SELECTOR_CHARS:
        raise SelectorError(f"must have at most {MAX_SELECTOR_CHARS} characters")
    reader = _Reader(text)
    reader.selectors(depth=0)
    if not reader.is_at_end:
        raise reader.unexpected()
    return text


class _Reader:
    """Reads a selector from left to right, each character once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._text)

    def unexpected(self) -> SelectorError:
        """Return the error of what stands here."""
        if self.is_at_end:
            return SelectorError("ends where an element is expected, such as main, #id or .class")
        return SelectorError(f"has {self._next!r} at character {self._at + 1}, where no selector can have it")

    def selectors(self, *, depth: int, is_relative: bool = False) -> None:
        """Read selectors with commas between them."""
        if depth > MAX_DEPTH:
            raise SelectorError(f"has more than {MAX_DEPTH} selectors within each other")
        while True:
            self._complex(depth, is_relative=is_relative)
            if self._next != ",":
                return
            self._at += 1

    @property
    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_spaces(self) -> bool:
        start = self._at
        while self._next and self._next in _SPACES:
            self._at += 1
        return self._at > start

    def _complex(self, depth: int, *, is_relative: bool) -> None:
        self._skip_spaces()
        if is_relative and self._next and self._next in _COMBINATORS:
            self._at += 1
            self._skip_spaces()
        while True:
            self._compound(depth)
            spaced = self._skip_spaces()
            if self._next and self._next in _COMBINATORS:
                self._at += 1
                self._skip_spaces()
            elif not spaced or self.is_at_end or self._next in ",)":
                return

    def _compound(self, depth: int) -> None:
        start = self._at
        if self._next == "*":
            self._at += 1
        elif self._starts_name():
            self._name()
        while self._next and self._next in "#.[:":
            sign = self._next
            self._at += 1
            if sign == "[":
                self._attribute()
            elif sign == ":":
                self._pseudo_class(depth)
            else:
                self._name()
        if self._at == start:
            raise self.unexpected()

    def _starts_name(self) -> bool:
        return self._next.isalpha() or self._next in ("_", "\\", "-") or self._next > "\x7f"

    def _name(self) -> str:
        start = self._at
        if not self._starts_name():
            raise self.unexpected()
        while self._next and (self._next.isalnum() or self._next in "-_\\" or self._next > "\x7f"):
            if self._next == "\\":
                self._escape()
            else:
                self._at += 1
        name = self._text[start : self._at]
        if name.lstrip("-")[:1].isdigit() or not name.strip("-"):
            raise SelectorError(
                f"has {name!r}, which is no name; write a digit at its start as \\3{name[:1]} "
            )
        return name

    def _escape(self) -> None:
        self._at += 1
        if self.is_at_end or self._next in "\n\r\f":
            raise SelectorError("ends with a backslash that escapes nothing")
        if self._next not in _HEX:
            self._at += 1
            return
        start = self._at
        while self._next and self._next in _HEX and self._at < start + 6:
            self._at += 1
        if self._next == " ":
            self._at += 1

    def _attribute(self) -> None:
        self._skip_spaces()
        self._name()
        self._skip_spaces()
        if self._next and self._next in "~|^$*":
            self._at += 1
            if self._next != "=":
                raise self.unexpected()
        if self._next == "=":
            self._at += 1
            self._skip_spaces()
            self._value()
            if self._skip_spaces() and self._next and self._next in "iIsS":
                self._at += 1
                self._skip_spaces()
        if self._next != "]":
            raise SelectorError("has a [ without its ]") if self.is_at_end else self.unexpected()
        self._at += 1

    def _value(self) -> None:
        quote = self._next
        if not quote or quote not in "\"'":
            self._name()
            return
        end = self._text.find(quote, self._at + 1)
        if end < 0:
            raise SelectorError(f"has a {quote} without its end")
        if "\\" in self._text[self._at : end] or "\n" in self._text[self._at : end]:
            raise SelectorError("has a backslash or a line break within quotation marks")
        self._at = end + 1

    def _pseudo_class(self, depth: int) -> None:
        if self._next == ":":
            raise SelectorError("has a pseudo-element (::), which no page has as text")
        name = self._name().lower()
        if name in _PLAIN:
            return
        if name not in _WITH_SELECTORS | _WITH_PLACES:
            raise SelectorError(f"has :{name}, which is not supported; known are {_KNOWN}")
        if self._next != "(":
            raise SelectorError(f"has :{name} without its (")
        self._at += 1
        if name in _WITH_PLACES:
            self._place()
        else:
            self.selectors(depth=depth + 1, is_relative=name == "has")
            self._skip_spaces()
        if self._next != ")":
            raise SelectorError("has a ( without its )") if self.is_at_end else self.unexpected()
        self._at += 1

    def _place(self) -> None:
        """Read which of several: `odd`, `3` or `2n + 1`."""
        end = self._text.find(")", self._at)
        written = self._text[self._at : end if end >= 0 else None].strip().lower()
        before, has_step, after = written.partition("n")
        is_step = has_step and _is_number(before or "1", lone_sign=True)
        offset = after.strip()
        if not (
            written in ("odd", "even")
            or (not has_step and _is_number(written))
            or (is_step and (not offset or (offset[0] in "+-" and _is_digits(offset[1:].strip()))))
        ):
            raise SelectorError(f"has ({written[:20]}), where a number, odd, even or 2n+1 is expected")
        self._at = end if end >= 0 else len(self._text)


def _is_number(text: str, *, lone_sign: bool = False) -> bool:
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    return _is_digits(digits) or (lone_sign and not digits)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
