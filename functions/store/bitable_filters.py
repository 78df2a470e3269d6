"""Conditions of a search, as Feishu takes them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

CONDITIONS = 45  # of one filter; it takes 50, and 2,000 characters of JSON
FILTER_CHARACTERS = 1_700

Condition = dict[str, Any]


def is_(column: str, value: str) -> Condition:
    """The condition that a cell holds *value*."""
    return {"field_name": column, "operator": "is", "value": [value]}


def any_of(column: str, values: Iterable[str]) -> Iterator[list[Condition]]:
    """The conditions that a cell holds one of *values*, as many at a time as one filter takes."""
    some: list[Condition] = []
    characters = 0
    for condition in (is_(column, value) for value in values):
        size = len(json.dumps(condition)) + 2
        if some and (len(some) >= CONDITIONS or characters + size > FILTER_CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(condition)
        characters += size
    if some:
        yield some


def is_empty(column: str) -> Condition:
    """The condition that a cell holds nothing."""
    return {"field_name": column, "operator": "isEmpty", "value": []}


def compared(column: str, operator: str, number: float) -> Condition:
    """A condition on a column of numbers: `isLess`, `isLessEqual`, `isGreater`, `isGreaterEqual`."""
    return {"field_name": column, "operator": operator, "value": [f"{number:.0f}"]}


def contains(column: str, text: str) -> Condition:
    """The condition that *text* is in the cell's text."""
    return {"field_name": column, "operator": "contains", "value": [text]}
