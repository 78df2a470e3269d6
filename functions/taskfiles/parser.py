"""Parses the text of a task file into plain values with their lines, limited in size and depth."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import Reader

from functions.domain.json_depth import AROUND, GIVEN_TWICE, MAX_DEPTH, TOO_DEEP, RepeatedNames
from functions.domain.validation import DocumentSyntaxError, FieldPath, Problem

# YAML: the plain values of YAML 1.2 with their lines; no tags, no objects, bounded aliases.

DEPTH_LIMIT = MAX_DEPTH + AROUND
MAX_EXPANDED_VALUES = 100_000  # once aliases are expanded; some ten thousand tasks

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast, if PyYAML is built with it
_KEYWORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?", re.IGNORECASE | re.ASCII)
# Spaces that a page or a chat put in: to YAML they are letters, and nobody sees them.
_ODD_SPACES = "\u00a0\u2007\u200b\u202f\u3000\ufeff"
_ODD_SPACE = re.compile(f"[{_ODD_SPACES}]")
_ODD_NAME = re.compile(f"(?:^|:)[{_ODD_SPACES}]|[{_ODD_SPACES}]$")  # what indents, and what follows a colon
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_SYNTAX_REMEDIES = {  # by what both parsers of PyYAML say
    "while scanning an alias": "a text that starts with *, @, % or ` goes in quotes, and tabs do not indent",
    "found a tab character": "tabs do not indent; write spaces",
    "cannot start any token": "a text that starts with *, @, % or ` goes in quotes, and tabs do not indent",
    "mapping values are not allowed": "a text with a colon and a space goes in quotes, and fields line up",
    "found unknown escape character": "in double quotes a backslash is written twice; use single quotes",
    "decimal number": "in double quotes a backslash is written twice; use single quotes",
    "entries are not allowed": "the first hyphen of a list begins a line of its own",
    "while scanning a quoted scalar": "a quote is not closed",
    "while parsing a flow": "a bracket is not closed, or a comma is missing before this",
    "while parsing a block": (
        "this does not line up with the fields or hyphens above it, or stands behind a closing quote"
    ),
    "could not find expected ':'": "a field lacks its colon, or a text of several lines has no | before it",
}


class YamlReader:
    """Reads the value of a YAML text from its events; see `ParsedFile`."""

    def __init__(self, events: Iterator[Event]) -> None:
        self.lines: dict[FieldPath, int] = {}
        self.problems: list[Problem] = []
        self._events = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._value_count = 0
        self.value = self._read_document()

    def _read_document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), StreamEndEvent):
            raise DocumentSyntaxError("the file is empty but for comments")
        value = self._read_value(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise DocumentSyntaxError(
                "a second document begins here; put all tasks in one list", _line(after)
            )
        return value

    def _read_value(self, event: Event, place: FieldPath) -> Any:
        self.lines.setdefault(place, _line(event))
        if len(place) > DEPTH_LIMIT:
            raise DocumentSyntaxError(f"a value {TOO_DEEP}", _line(event))
        if isinstance(event, AliasEvent):
            return self._resolve_alias(event)
        before = self._value_count
        self._count_values(1, event)
        value = self._read_node(event, place)
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = (value, self._value_count - before)
        return value

    def _read_node(self, event: Event, place: FieldPath) -> Any:
        if isinstance(event, ScalarEvent):
            return _parse_scalar(event)
        if isinstance(event, SequenceStartEvent):
            _check_no_tag(event)
            return self._read_sequence(place)
        assert isinstance(event, MappingStartEvent)
        _check_no_tag(event)
        return self._read_mapping(place)

    def _resolve_alias(self, event: AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise DocumentSyntaxError(
                f"*{event.anchor} stands for nothing that is defined before it; "
                "a text that starts with * goes in quotes",
                _line(event),
            )
        value, size = self._anchors[event.anchor]
        self._count_values(size, event)
        return value

    def _read_sequence(self, place: FieldPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._read_value(event, (*place, len(items))))
        return items

    def _read_mapping(self, place: FieldPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            name = _field_name(event)
            inside = (*place, name)
            if name in own:
                problem = f"is given twice; the first is on line {self.lines[inside]}"
                self.problems.append(Problem(inside, problem))
            self.lines[inside] = _line(event)
            value = self._read_value(next(self._events), inside)
            if name == "<<" and isinstance(event, ScalarEvent) and _is_plain(event):
                merged = _merge_key_values(value, event) | merged
            else:
                own.setdefault(name, value)
        return merged | own

    def _count_values(self, values: int, event: Event) -> None:
        self._value_count += values
        if self._value_count > MAX_EXPANDED_VALUES:
            raise DocumentSyntaxError(
                f"the file holds more than {MAX_EXPANDED_VALUES:,} values once its aliases are expanded",
                _line(event),
            )


def read_yaml(text: str) -> YamlReader:
    """Return the value of *text* with its lines and problems.

    Raises:
        DocumentSyntaxError: *text* is not one YAML document, or is too large or too deep.
    """
    try:
        return YamlReader(yaml.parse(text, Loader=_PARSER))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        if mark is not None and (odd := _odd_space_error(text, (exc.context_mark or mark).line, mark.line)):
            raise odd from exc
        raise DocumentSyntaxError(_syntax_problem(exc), None if mark is None else mark.line + 1) from exc
    except yaml.YAMLError as exc:
        raise _character_error(text) from exc


def _character_error(text: str) -> DocumentSyntaxError:
    """Return the error for the first character of *text* that YAML does not take, such as NUL."""
    found = Reader.NON_PRINTABLE.search(text)
    if found is None:
        return DocumentSyntaxError("this is not YAML: it holds a character that no text has")
    line = text.count("\n", 0, found.start()) + 1
    return DocumentSyntaxError(f"U+{ord(found[0]):04X} is no character of a text; remove it", line)


def _odd_space_error(text: str, first: int, last: int) -> DocumentSyntaxError | None:
    """Return the error for an odd space in the lines *first* to *last* of *text*, which count from 0."""
    for number, line in enumerate(text.split("\n")[first : last + 1], first + 1):
        if found := _ODD_SPACE.search(line):
            return DocumentSyntaxError(_odd_space_problem(found[0]), number)
    return None


def _odd_space_problem(space: str) -> str:
    return f"U+{ord(space):04X} is no space of YAML, though it may look like one; type a plain space"


def _syntax_problem(exc: yaml.MarkedYAMLError) -> str:
    message = " ".join(part for part in (exc.context, exc.problem) if part)
    remedies = (remedy for sign, remedy in _SYNTAX_REMEDIES.items() if sign in message)
    return f"this is not YAML: {next(remedies, message)}"


def _field_name(event: Event) -> str:
    if not isinstance(event, ScalarEvent) or event.tag not in _TEXT_TAGS:
        # {{secret:NAME}} without quotes is a mapping, with a mapping in the place of a name
        remedy = "; a text that starts with { goes in quotes" if isinstance(event, MappingStartEvent) else ""
        raise DocumentSyntaxError(f"a name of a field must be plain text{remedy}", _line(event))
    name = str(event.value)
    if _is_plain(event) and (found := _ODD_NAME.search(name)):
        raise DocumentSyntaxError(_odd_space_problem(found[0].lstrip(":")), _line(event))
    return name


def _merge_key_values(value: Any, event: Event) -> dict[str, Any]:
    """Return the fields that `<<` merges; of several mappings the first wins."""
    parts = value if isinstance(value, list) else [value]
    found: dict[str, Any] = {}
    for part in reversed(parts):
        if not isinstance(part, dict):
            raise DocumentSyntaxError("<< takes a mapping, or a list of mappings", _line(event))
        found |= part
    return found


def _parse_scalar(event: ScalarEvent) -> Any:
    if event.tag not in _TEXT_TAGS:
        raise _tag_error(event)
    text: str = event.value
    if event.tag is not None or not _is_plain(event):
        return text
    if text.lower() in _KEYWORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _KEYWORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return _parse_integer(text, event)
    if _DECIMAL.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _parse_integer(text: str, event: ScalarEvent) -> int:
    try:
        return int(text)
    except ValueError:  # of thousands of digits
        raise DocumentSyntaxError("a number is too long; put it in quotes", _line(event)) from None


def _is_plain(event: ScalarEvent) -> bool:
    return bool(event.implicit[0])


def _check_no_tag(event: SequenceStartEvent | MappingStartEvent) -> None:
    if event.tag not in (None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
        raise _tag_error(event)


def _tag_error(event: ScalarEvent | SequenceStartEvent | MappingStartEvent) -> DocumentSyntaxError:
    tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")[:60]
    return DocumentSyntaxError(f"the tag {tag} is not accepted; write the value without it", _line(event))


def _line(event: Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The content of a file.

    Attributes:
        value: Mappings, lists, texts, numbers, true, false and None; nothing else.
        lines: The first line of each path, from 1. Values of an alias have no lines of their own.
        problems: Problems of a text that can be read, e.g. a name given twice.
    """

    value: Any
    lines: Mapping[FieldPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line_of(self, place: FieldPath) -> int | None:
        """Return the line of *place*, or of the nearest value around it; None when none is known."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def parse_text(text: str, *, as_json: bool) -> ParsedFile:
    """Return the value of *text* with its lines and problems.

    Raises:
        DocumentSyntaxError: *text* is empty, not YAML (or JSON), or too large or too deep.
    """
    if not text.strip():
        raise DocumentSyntaxError("the file is empty")
    document = _parse_json(text) if as_json else _parse_yaml(text)
    if _depth(document.value) > DEPTH_LIMIT:
        raise DocumentSyntaxError(f"a value {TOO_DEEP}")
    return document


def _parse_yaml(text: str) -> ParsedFile:
    found = read_yaml(text)
    return ParsedFile(found.value, found.lines, tuple(found.problems))


def _parse_json(text: str) -> ParsedFile:
    repeated = RepeatedNames()
    try:
        value = json.loads(
            text, object_pairs_hook=repeated, parse_constant=_reject_constant, parse_float=_parse_finite
        )
    except json.JSONDecodeError as exc:
        remedy = _json_remedy(text, exc.pos)
        raise DocumentSyntaxError(f"this is not JSON: {remedy or exc.msg.lower()}", exc.lineno) from exc
    except RecursionError:
        raise DocumentSyntaxError(f"a value {TOO_DEEP}") from None
    except ValueError as exc:  # a number of thousands of digits
        raise DocumentSyntaxError("a number is too long or not finite") from exc
    problems = tuple(Problem(path, GIVEN_TWICE) for path in repeated.paths_in(value))
    return ParsedFile(value, _json_lines(text), problems)


def _json_remedy(text: str, at: int) -> str:
    """Return what is wrong at the place *at* where it is a thing that people write in JSON; else nothing."""
    if text.startswith(("//", "/*", "#"), at):
        return "it has no comments; remove them, or write the file as YAML, with #"
    # Python 3.13 names the place of the comma, older ones that of the bracket.
    comma = at if text.startswith(",", at) else len(text[:at].rstrip()) - 1
    if text[comma : comma + 1] == "," and text[comma + 1 :].lstrip().startswith(("]", "}")):
        return "a comma stands before the bracket that closes; remove it"
    if text.startswith("'", at):
        return "texts and names stand in double quotes"
    return "" if text[at:].strip() else "it ends too early: a bracket is not closed"


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _parse_finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        _reject_constant(text)
    return number


def _json_lines(text: str) -> Mapping[FieldPath, int]:
    """Return the lines by the YAML reader, as nearly all JSON is YAML; none for the rest."""
    try:
        return read_yaml(text).lines
    except DocumentSyntaxError:
        return {}


def _depth(value: Any) -> int:
    """Return the depth of *value*, measured level by level, because aliases nest deeper than the text."""
    level, depth = [value], 0
    while level and depth <= DEPTH_LIMIT + 1:
        level = [item for one in level for item in _children(one)]
        if len(level) > MAX_EXPANDED_VALUES:
            raise DocumentSyntaxError(f"the file holds more than {MAX_EXPANDED_VALUES:,} values")
        depth += 1
    return depth - 1


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
