"""Documents: the text of a task file as plain values with their lines, within bounds of size and depth."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

from functions.taskfiles.faults import Place, Problem, UnreadableError
from functions.taskfiles.yaml_events import MAX_DEPTH, MAX_VALUES, read_yaml


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        value: Mappings, lists, texts, numbers, true, false and None; nothing else.
        lines: Where each place begins, from 1. What an alias stands for has no lines of its own.
        problems: What is wrong though the text can be read, e.g. a name given twice.
    """

    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, place: Place) -> int | None:
        """The line of *place*, or of what it is in; None when not even that is known."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def parse(text: str, *, as_json: bool) -> Document:
    """Return what *text* says.

    Raises:
        UnreadableError: It is empty, not YAML (or JSON), or larger or deeper than any task file should be.
    """
    if not text.strip():
        raise UnreadableError("the file is empty; write a list under tasks:, or one task")
    document = _json(text) if as_json else _yaml(text)
    if _depth(document.value) > MAX_DEPTH:
        raise UnreadableError(f"values are nested more than {MAX_DEPTH} levels deep")
    return document


def _yaml(text: str) -> Document:
    found = read_yaml(text)
    return Document(found.value, found.lines, tuple(found.problems))


def _json(text: str) -> Document:
    twice: list[str] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = sorted(name for name, _ in pairs)
        twice.extend(name for name, after in pairwise(names) if name == after)
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=mapping, parse_constant=_no_number)
    except json.JSONDecodeError as exc:
        raise UnreadableError(f"this is not JSON: {exc.msg.lower()}", exc.lineno) from exc
    except RecursionError:
        raise UnreadableError(f"values are nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as exc:  # a number of thousands of digits
        raise UnreadableError("a number is too long or not finite") from exc
    problems = tuple(Problem((), f"the name {name[:60]!r} is given twice") for name in dict.fromkeys(twice))
    return Document(value, _json_lines(text), problems)


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _json_lines(text: str) -> Mapping[Place, int]:
    """Nearly all JSON is YAML, whose reader knows lines; where it is not, there are none."""
    try:
        return read_yaml(text).lines
    except UnreadableError:
        return {}


def _depth(value: Any) -> int:
    """How deep *value* goes, measured level by level: aliases make depth that no text shows."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH + 1:
        level = [item for one in level for item in _items(one)]
        if len(level) > MAX_VALUES:
            raise UnreadableError(f"the file holds more than {MAX_VALUES:,} values")
        depth += 1
    return depth - 1


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
