"""Widgets: how a value is written into the inputs of a form, and read from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from json import dumps
from typing import Any, ClassVar, Final, Protocol

from functions.domain.json_depth import GIVEN_TWICE, RepeatedNames, parse_json
from functions.domain.types import check_instant, format_instant, timezone_or_utc, to_local

Texts = Mapping[str, str]  # by the name below that of the field; the field's own input is ""


MAX_PLAIN = 1e9  # a whole number up to this is shown without a fraction


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING  # a field that is not given, which is not the same as null


class FieldError(Exception):
    """Texts that are no value.

    Attributes:
        reasons: By the name of the input below the field's.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(reasons.values()))
        self.reasons = dict(reasons)


class Widget(Protocol):
    """The inputs of one field."""

    @property
    def kind(self) -> str:
        """The name of the macro that renders it."""
        ...

    def encode(self, value: Any) -> dict[str, str] | None:
        """Return the texts that show *value*; None when these inputs cannot show it faithfully."""
        ...

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """Return the value of *texts*; MISSING when they are empty.

        Args:
            before: The value that was shown.

        Raises:
            FieldError: They are no value.
        """
        ...


def normalize(texts: Texts) -> dict[str, str]:
    """Return what a browser sends unchanged: without empty inputs, with line ends of one kind."""
    return {name: plain_lines(text) for name, text in texts.items() if text}


def plain_lines(text: str) -> str:
    """Return *text* with its line ends as LF. A browser sends CRLF, whatever they were."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True, slots=True)
class Line:
    """A text of one line; spaces around it are not meant."""

    kind: ClassVar[str] = "line"
    options: tuple[str, ...] = ()  # suggested ones

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None, ""):
            return {}
        return {"": value} if isinstance(value, str) and not set("\r\n\0") & set(value) else None

    def decode(self, texts: Texts, *, before: Any) -> Any:  # as all widgets
        """See `Widget.decode`."""
        return texts.get("", "").strip() or MISSING


@dataclass(frozen=True, slots=True)
class Text:
    """A text of several lines, whose spaces count."""

    kind: ClassVar[str] = "text"
    rows: int = 4

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None, ""):
            return {}
        return {"": value} if isinstance(value, str) and "\0" not in value else None

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        return with_line_ends_of(before, texts.get("", "")) or MISSING


def with_line_ends_of(before: Any, text: str) -> str:
    """Return *text* with LF, or with CRLF when *before* has no other line ends."""
    plain = plain_lines(text)
    has_crlf = isinstance(before, str) and "\r\n" in before
    return plain.replace("\n", "\r\n") if has_crlf and "\n" not in before.replace("\r\n", "") else plain


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or one of some words."""

    kind: ClassVar[str] = "number"
    words: tuple[str, ...] = ()

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {}
        if isinstance(value, str):
            return {"": value} if value in self.words else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        is_whole = isinstance(value, float) and value.is_integer() and abs(value) < MAX_PLAIN
        return {"": f"{value:.0f}" if is_whole else dumps(value)}

    def decode(self, texts: Texts, *, before: Any) -> Any:  # as all widgets
        """See `Widget.decode`."""
        text = texts.get("", "").strip()
        if not text or text in self.words:
            return text or MISSING
        try:
            number = parse_json(text.removeprefix("+"))
        except ValueError:
            number = None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return number
        raise FieldError({"": " or ".join(["must be a number, such as 20 or 2.5", *self.words])})


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some texts.

    Attributes:
        options: Each with its label.
        empty: The label of no choice; None when one must be chosen.
    """

    kind: ClassVar[str] = "choice"
    options: tuple[tuple[str, str], ...]
    empty: str | None = None

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if self.empty is not None and value in (MISSING, None):
            return {}
        return {"": value} if isinstance(value, str) and value in dict(self.options) else None

    def decode(self, texts: Texts, *, before: Any) -> Any:  # as all widgets
        """See `Widget.decode`."""
        text = texts.get("", "")
        if text and text not in dict(self.options):
            raise FieldError({"": f"must be one of {', '.join(value for value, _ in self.options)}"})
        return text or MISSING


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes, no, or the default."""

    kind: ClassVar[str] = "choice"
    empty: str | None = "the default"
    options: ClassVar[tuple[tuple[str, str], ...]] = (("true", "yes"), ("false", "no"))

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if isinstance(value, bool):
            return {"": "true" if value else "false"}
        return {} if self.empty is not None and value in (MISSING, None) else None

    def decode(self, texts: Texts, *, before: Any) -> Any:  # as all widgets
        """See `Widget.decode`."""
        text = texts.get("", "").strip().lower()
        return text in ("1", "true", "on", "yes") if text else MISSING


@dataclass(frozen=True, slots=True)
class Json:
    """Any value of JSON. A text that could be nothing else needs no quotes."""

    kind: ClassVar[str] = "json"

    def encode(self, value: Any) -> dict[str, str]:
        """See `Widget.encode`."""
        if value is MISSING:
            return {}
        if isinstance(value, str) and _is_bare(value):
            return {"": value}
        return {"": dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None)}

    def decode(self, texts: Texts, *, before: Any) -> Any:  # as all widgets
        """See `Widget.decode`."""
        text = texts.get("", "").strip()
        if not text:
            return MISSING
        repeated = RepeatedNames()
        try:
            value = parse_json(text, hook=repeated)
        except ValueError as exc:
            if text[0] in '[{"':
                place = f" near line {exc.lineno}" if hasattr(exc, "lineno") else ""
                reason = f"is not JSON{place}; look for a missing quote, comma or bracket"
                raise FieldError({"": reason}) from None
            return text
        for path in repeated.paths_in(value):
            raise FieldError({"": f"{path[-1]} {GIVEN_TWICE}"})
        return value


def _is_bare(text: str) -> bool:
    """Whether *text* without quotes is read as itself."""
    if not text or text != text.strip() or text[0] in '[{"' or set("\r\n\0") & set(text):
        return False
    try:
        parse_json(text)
    except ValueError:
        return True
    return False


@dataclass(frozen=True, slots=True)
class TextOrList:
    """A text, or a list of texts that is written as JSON: a command."""

    kind: ClassVar[str] = "text"
    rows: int = 3

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None, ""):
            return {}
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return {"": dumps(value, ensure_ascii=False)}
        if not isinstance(value, str) or "\0" in value or _parse_list(value) is not None:
            return None
        return {"": value}

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        text = texts.get("", "")
        words = _parse_list(text)
        return (with_line_ends_of(before, text) or MISSING) if words is None else words


def _parse_list(text: str) -> list[Any] | None:
    """Return the JSON list that *text* is; None for anything else, such as `[ -f x ] && y`."""
    if not text.lstrip().startswith("["):
        return None
    try:
        found = parse_json(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


@dataclass(frozen=True, slots=True)
class Items:
    """A list of texts, or of whole numbers: separated by commas, or one in each line.

    Attributes:
        one_may_stand_alone: Whether a value may be given without its list, such as a status code.
    """

    separator: str = ","
    numbers: bool = False
    one_may_stand_alone: bool = False

    @property
    def kind(self) -> str:
        """See `Widget.kind`."""
        return "text" if self.separator == "\n" else "line"

    @property
    def rows(self) -> int:
        """Lines that are shown."""
        return 3

    @property
    def options(self) -> tuple[str, ...]:
        """Suggested texts: none."""
        return ()

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None) or value == []:
            return {}
        if not isinstance(value, list):
            if not self.one_may_stand_alone:
                return None
            value = [value]
        words = [str(one) if self._is_number(one) else one for one in value]
        if any(not isinstance(one, str) or self._parse(one) != given for one, given in zip(words, value)):  # noqa: B905  # as long as each other
            return None
        joint = ", " if self.separator == "," else self.separator
        return {"": joint.join(words)}

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        words = [one.strip() for one in plain_lines(texts.get("", "")).split(self.separator) if one.strip()]
        found = [self._parse(one) for one in words]
        if self.one_may_stand_alone and len(found) == 1 and not isinstance(before, list):
            return found[0]
        return found or MISSING

    def _is_number(self, value: Any) -> bool:
        return self.numbers and isinstance(value, int) and not isinstance(value, bool)

    def _parse(self, word: str) -> Any:
        """Return the item that *word* is read as; None when it would be read as several, or differently."""
        if self.numbers and word.isascii() and word.removeprefix("-").isdecimal() and str(int(word)) == word:
            return int(word)
        is_one = word == word.strip() != "" and self.separator not in word and not set("\r\n\0") & set(word)
        return word if is_one else None


@dataclass(frozen=True, slots=True)
class Checks:
    """Some of a few texts, as boxes. A browser sends only those that are checked."""

    kind: ClassVar[str] = "checks"
    options: tuple[tuple[str, str], ...]

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {}
        names = dict(self.options)
        if not isinstance(value, list) or not all(isinstance(one, str) and one in names for one in value):
            return None
        return dict.fromkeys(value, "on") if len(set(value)) == len(value) else None

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        names: Sequence[str] = before if isinstance(before, list) else ()
        known = [*names, *(name for name, _ in self.options if name not in names)]
        return [name for name in known if texts.get(name)]


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, on the clock of the task's zone.

    Attributes:
        zone: In which it is shown.
        typed_zone: In which another one is read: the zone may be changed together with it.
    """

    kind: ClassVar[str] = "moment"
    zone: str = "UTC"
    typed_zone: str = "UTC"

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {}
        try:
            at = check_instant(datetime.fromisoformat(value))
        except (TypeError, ValueError):
            return None
        zone = timezone_or_utc(self.zone)
        local = to_local(at, zone).replace(tzinfo=None)
        if local.microsecond or local.replace(tzinfo=zone) != at:  # the second pass of a repeated hour
            return {"": to_local(at, zone).isoformat()}
        return {"": local.isoformat(timespec="seconds" if local.second else "minutes")}

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        text = texts.get("", "").strip()
        if not text:
            return MISSING
        if isinstance(before, str) and self._read(text, self.zone) == datetime.fromisoformat(before):
            return before
        at = self._read(text, self.typed_zone)
        if at is None:
            raise FieldError({"": "write it like 2026-12-01T09:00, with a year from 1970 to 9000"})
        return format_instant(at)

    @staticmethod
    def _read(text: str, zone: str) -> datetime | None:
        try:
            at = datetime.fromisoformat(text)
            return check_instant(at if at.tzinfo else at.replace(tzinfo=timezone_or_utc(zone)))
        except ValueError:
            return None

    @staticmethod
    def is_local(text: str) -> bool:
        """Whether a browser's own input for local times can hold *text*."""
        try:
            at = datetime.fromisoformat(text) if text else None
        except ValueError:
            return False
        return at is None or (at.tzinfo is None and not at.microsecond and "T" in text)
