"""JSON of strangers: refused when it is nested so deeply that walking it could overflow the stack.

Also values that a JSON parser returns and no JSON can hold: half of a surrogate pair, NaN, infinity.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 100  # lists and objects within one another


def parse_json(text: str | bytes) -> Any:
    """Return the value of *text*.

    Raises:
        ValueError: It is not JSON, or nested more than `MAX_DEPTH` deep.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Check a parsed value, without recursion.

    Raises:
        ValueError: It is nested more than `MAX_DEPTH` deep.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


def check_portable(value: Any) -> None:
    """Check that *value* can be written as JSON in UTF-8, and read again as what it is; without recursion.

    Raises:
        ValueError: It cannot, with the place, e.g. `json.items.0 is not a number that JSON has`.
    """
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        place, one = waiting.pop()
        if isinstance(one, str) and not _is_unicode(one):
            raise ValueError(f"{place or 'it'} holds half of a surrogate pair, which is no character")
        if isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"{place or 'it'} is not a number that JSON has; write a text or null")
        waiting += _children(place, one)


def _children(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _is_unicode(str(name)):
                yield f"a name in {place}".removesuffix(" in "), name
            yield f"{place}.{name}".lstrip("."), inner
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield f"{place}.{number}".lstrip("."), inner


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
