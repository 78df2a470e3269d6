"""Finding and comparing a value inside a JSON document (RFC 6901)."""

import re
from typing import Any, Final

NOTHING: Final = object()  # what is found where there is nothing; null is something
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def at_pointer(document: Any, pointer: str) -> Any:
    """What *pointer* (e.g. `/data/0/state`; empty means all of it) leads to in *document*, or `NOTHING`."""
    value = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name, NOTHING)
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return NOTHING
    return value


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
