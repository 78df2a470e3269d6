"""JSON of strangers: refused when it is nested so deeply that walking it could overflow the stack.

Also values that a JSON parser returns and no JSON can hold: half of a surrogate pair, NaN, infinity.
And values that a store cannot hold.
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


MAX_INT64 = 2**63 - 1  # Firestore and SQLite hold no larger number
_MAX_NAME_CHARS = 60


def check_values(value: Any, name: str = "") -> None:
    """Check that every store, and every reader of JSON, can hold a parsed value.

    Args:
        value: Not nested deeper than `check_depth` allows.
        name: Where it stands, such as `params`; empty for the whole.

    Raises:
        ValueError: A text or a name has a NUL character or half of a surrogate pair, or a number is not
            finite or larger than 64 bits hold. The message begins with where that is, such as `tags[0]: `.
    """
    reason = _value_problem(value)
    if reason:
        raise ValueError(f"{name}: {reason}" if name else reason)
    if isinstance(value, dict):
        for key, inner in value.items():
            if reason := _text_problem(key):
                raise ValueError(f"{name}: in the name of a field, {reason}" if name else f"a name: {reason}")
            check_values(inner, f"{name}.{key[:_MAX_NAME_CHARS]}" if name else key[:_MAX_NAME_CHARS])
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_values(inner, f"{name}[{number}]")


def _value_problem(value: Any) -> str:
    if isinstance(value, str):
        return _text_problem(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not -MAX_INT64 <= value <= MAX_INT64:
        return "must be a number of 64 bits"
    return ""


def _text_problem(text: str) -> str:
    if "\0" in text:
        return "must not contain the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain half of a surrogate pair; send whole characters"
    return ""
