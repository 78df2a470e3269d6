"""JSON of strangers: refused when it is nested so deeply that walking it could overflow the stack.

Also values of a JSON parser that no JSON (half of a surrogate pair, NaN, infinity) or no store holds, and
names that stand twice in one object.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

MAX_DEPTH = 100  # lists and objects within one another, in params, in data or in memory: the one limit
AROUND = 4  # levels around such a value, in a body or a file, so that the value itself is named
TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep; flatten it, or give its inner part as text"

Path = tuple[str | int, ...]
Pairs = list[tuple[str, Any]]  # the fields of an object, as they stand in the text


def parse_json(text: str | bytes, *, hook: Callable[[Pairs], Any] | None = None) -> Any:
    """Return the value of *text*.

    Args:
        hook: Makes an object of its fields; None for a dict that has the last of each name.

    Raises:
        ValueError: It is not JSON, or nested deeper than `check_depth` allows.
    """
    try:
        value = json.loads(text, object_pairs_hook=hook)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    check_depth(value, around=AROUND)
    return value


def check_depth(value: Any, *, around: int = 0) -> None:
    """Check a parsed value, without recursion.

    Args:
        around: How many levels there may be around the values that have at most `MAX_DEPTH`.

    Raises:
        ValueError: It is nested too deep.
    """
    level = _containers([value])
    for _ in range(MAX_DEPTH + around):
        if not level:
            return
        level = _containers(
            inner for one in level for inner in (one.values() if isinstance(one, dict) else one)
        )
    if not level:
        return
    raise ValueError(TOO_DEEP)


def _containers(values: Iterable[Any]) -> Collection[Any]:
    """The lists and objects among *values*, each once: a value may hold another twice, or itself."""
    return {id(one): one for one in values if isinstance(one, dict | list | tuple)}.values()


class RepeatedNames:
    """Finds names that stand twice in an object, in JSON that users write: a hook of `parse_json`.

    Parsers keep the last of them without a word, and which one was meant is a guess. What other programs
    send, such as feeds, is read as ever.
    """

    def __init__(self) -> None:
        # with the object, whose id is its own as long as it lives
        self._found: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def __call__(self, pairs: Pairs) -> dict[str, Any]:
        """Return the object with these fields."""
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            self._found[id(made)] = made, [name for name, count in counts.items() if count > 1]
        return made

    def paths_in(self, value: Any) -> Iterator[Path]:
        """Yield where a name stands twice in *value*, which was made with this hook."""
        waiting: list[tuple[Path, Any]] = [((), value)] if self._found else []
        for path, one in waiting:
            _, names = self._found.get(id(one), (None, ()))
            yield from ((*path, _printable(name)) for name in names)
            inner = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
            waiting += (((*path, _printable(step)), below) for step, below in inner)


def _printable(step: str | int) -> str | int:
    """Return a number, or as much of a name as a message can hold."""
    if isinstance(step, int) or (len(step) <= _MAX_NAME_CHARS and step.isprintable()):
        return step
    return repr(step[:_MAX_NAME_CHARS])[1:-1]


GIVEN_TWICE = "is given twice; give it once"
MAX_INT64 = 2**63 - 1  # Firestore and SQLite hold no larger number
_MAX_NAME_CHARS = 60


def check_values(value: Any, name: str = "", *, any_json: bool = False) -> None:
    """Check that every store, and every reader of JSON, can hold a parsed value.

    Args:
        name: Where it stands, such as `params`; empty for the whole.
        any_json: Whether everything that JSON can say is admitted: NUL, and whole numbers of any length.

    Raises:
        ValueError: It is nested more than `MAX_DEPTH` deep, a text or a name has a NUL character or half of a
            surrogate pair, or a number is not finite or larger than 64 bits hold. The message begins with
            where that is, such as `tags[0]: `.
    """
    try:
        check_depth(value)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}" if name else str(exc)) from None
    _check_values(value, name, any_json=any_json)


def _check_values(value: Any, name: str, *, any_json: bool) -> None:
    if reason := _value_problem(value, any_json=any_json):
        raise ValueError(f"{name}: {reason}" if name else reason)
    if isinstance(value, dict):
        for key in value:
            if reason := _text_problem(key, any_json=any_json):
                raise ValueError(f"{name}: in the name of a field, {reason}" if name else f"a name: {reason}")
        prefix = f"{name}." if name else ""
        inside = ((f"{prefix}{key[:_MAX_NAME_CHARS]}", one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        inside = ((f"{name}[{number}]", one) for number, one in enumerate(value))
    else:
        return
    for place, one in inside:
        _check_values(one, place, any_json=any_json)


def _value_problem(value: Any, *, any_json: bool) -> str:
    if isinstance(value, str):
        return _text_problem(value, any_json=any_json)
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and not any_json and not -MAX_INT64 <= value <= MAX_INT64:
        return "must be a number of 64 bits"
    return ""


def _text_problem(text: str, *, any_json: bool) -> str:
    if "\0" in text and not any_json:
        return "must not contain the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain half of a surrogate pair; send whole characters"
    return ""
