"""JSON of strangers: refused when it is nested so deeply that walking it could overflow the stack."""

import json
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
