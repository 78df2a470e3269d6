"""What an attempt is expected to find: one rule at a time, decided without I/O and said in a sentence.

`find_unmet` is the one evaluator of every task type. It is called where it can be stopped for whatever
strangers wrote: a pattern of a user's can take for ever on it (see `functions.parsing.contents`).
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Operator = Literal[
    "equals",
    "notEquals",
    "contains",
    "notContains",
    "matches",
    "greater",
    "less",
    "length",
    "exists",
    "within",
    "atMost",
    "sha256",
    "schema",
    "changed",
]
MEMORY_KEY = "$expect"  # in the memory of a task, beside what its type remembers
MAX_TEXT_BYTES = 262_144  # of a body or an output that expectations are about
TOO_LONG = f"more than the {MAX_TEXT_BYTES // 1024} KB that are read"
MAX_FOUND_CHARS = (
    8192 + 256
)  # of one value: more than is shown, so that a secret in it is whole and is masked
DIGEST_CHARS = 16  # of a hash: enough to notice a change
_LABELS = {"exitCode": "exit code", "stdout": "output", "stderr": "error output", "value": "returned value"}
_TEXTS = frozenset({"header", "body", "stdout", "stderr"})  # sources where a number is written as text
_ABOUT_ALL = frozenset({"equals", "notContains"})  # not decided by a part of a text
_MAX_NUMBER_CHARS = 40


@dataclass(frozen=True, slots=True)
class Expectation:
    """One rule about one thing that an attempt finds.

    Attributes:
        source: Where it is found: `status`, `latency`, `exitCode`, `header`, `body`, `stdout`, `stderr`,
            `value`.
        name: Of a header, or the path in the JSON that the source holds; empty for the source itself.
        value: What the operator compares with.
    """

    source: str
    name: str
    operator: Operator
    value: Any

    @property
    def is_json(self) -> bool:
        """Whether the source is read as JSON for it."""
        return self.operator == "schema" or self.name.startswith("$")

    @property
    def label(self) -> str:
        """What a message calls it, e.g. `$.status` or `header ETag`."""
        if self.operator == "schema":
            return "schema"
        if self.source == "header":
            return f"header {self.name}"
        return self.name or _LABELS.get(self.source, self.source)


@dataclass(frozen=True, slots=True)
class Findings:
    """What an attempt found, by source.

    Attributes:
        values: Numbers and headers: a header as `header` and its name in lower case, with all its values.
        texts: What was read of a body, of an output, or of a value as JSON.
        raw: Its bytes, where they are not the text's: a hash is of them.
        incomplete: Why there may be more of a text than was read, e.g. `the first 256 KB of it`.
        origin: What was looked at, e.g. an address: another one has no past.
    """

    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, bytes] = field(default_factory=dict)
    incomplete: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Unmet:
    """An expectation that is not met.

    Attributes:
        number: The place of the expectation among all of the task's: the order of messages.
        expected: A phrase that follows `expected`; empty when *found* says it all.
    """

    number: int
    label: str
    expected: str
    found: str


def find_unmet(
    number: int,
    expectation: Expectation,
    values: Sequence[Any],
    place_of: Callable[[int], str] | None = None,
    *,
    note: str = "",
) -> Unmet | None:
    """Return what is wrong with *values*; None when all of them are as expected.

    Every value must be: of a header that comes twice, both. None at all is unmet, unless none is expected.

    Args:
        values: What was found, as JSON.
        place_of: Returns where one of them stands, by its index, for a path that may select several.
        note: Why there may be more than was found, e.g. `a part of it: the answer ended too early`. In what
            is longer than is read, texts are looked for as far as it was read.
    """
    is_expected = expectation.operator != "exists" or expectation.value
    if not values:
        return _unmet(number, expectation, "nothing" + _in_brackets(note)) if is_expected else None
    if expectation.operator == "exists":
        return None if is_expected else _unmet(number, expectation, show_value(values[0]))
    satisfies = _OPERATORS[expectation.operator]
    wrong = [
        index
        for index, value in enumerate(values)
        if not satisfies(_comparable(expectation, value), expectation.value)
    ]
    if not wrong:
        is_open = note not in ("", TOO_LONG) and expectation.operator in _ABOUT_ALL
        return _unmet(number, expectation, note) if is_open else None
    found = _describe(expectation, values[wrong[0]])
    if len(values) > 1:
        place = "" if place_of is None else f" at {place_of(wrong[0])}"
        found += f"{place} ({len(wrong)} of {len(values)})"
    return _unmet(number, expectation, found + _in_brackets(note))


def expected_phrase(expectation: Expectation) -> str:
    """Return what *expectation* asks for, e.g. `more than 5`."""
    value = expectation.value
    match expectation.operator:
        case "equals" | "sha256":
            return show_value(value)
        case "notEquals":
            return f"anything but {show_value(value)}"
        case "contains":
            return f"to contain {show_value(value)}"
        case "notContains":
            return f"not to contain {show_value(value)}"
        case "matches":
            return f"to match {show_value(value)}"
        case "greater":
            return f"more than {_show_number(value)}"
        case "less":
            return f"less than {_show_number(value)}"
        case "length":
            return f"a length of {_length_phrase(value)}"
        case "exists":
            return "a value" if value else "nothing"
        case "within":
            return " or ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in value)
        case "atMost":
            return f"at most {value} ms"
        case _:
            return "a value"


def show_value(value: Any) -> str:
    """Return *value* as JSON, longer than it is shown but bounded."""
    if isinstance(value, str):
        value = value[:MAX_FOUND_CHARS]
    return json.dumps(value, ensure_ascii=False)[:MAX_FOUND_CHARS]


def digest_of(values: Sequence[Any]) -> str:
    """Return a short hash of *values*: equal for values that are equal as JSON, whatever their spelling."""
    text = json.dumps([_canonical(one) for one in values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def is_json_equal(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_json_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_json_equal, one, other))
    return bool(one == other)


def _show_number(value: float) -> str:
    return show_value(_canonical(value))


def _canonical(value: Any) -> Any:
    """Return *value* with whole numbers in one spelling."""
    if isinstance(value, dict):
        return {name: _canonical(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_canonical(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unmet(number: int, expectation: Expectation, found: str) -> Unmet:
    return Unmet(number, expectation.label, expected_phrase(expectation), found)


def _in_brackets(note: str) -> str:
    return f" ({note})" if note else ""


def _describe(expectation: Expectation, value: Any) -> str:
    """Return *value*, and what it is where that is why it is not as expected."""
    shown = show_value(value)
    match expectation.operator:
        case "greater" | "less" if _to_number(_comparable(expectation, value)) is None:
            return f"{shown}, which is no number"
        case "matches" | "notContains" if not isinstance(value, str | list | dict):
            return f"{shown}, which is no text"
        case "contains" if not isinstance(value, str | list | dict):
            return f"{shown}, which holds nothing"
        case "length":
            return (
                f"{len(value)}" if isinstance(value, str | list | dict) else f"{shown}, which has no length"
            )
        case "atMost":
            return f"{value} ms"
        case _:
            return shown


def _comparable(expectation: Expectation, value: Any) -> Any:
    """Return *value* as it is compared: in a text a number is written with digits."""
    is_text = expectation.source in _TEXTS and not expectation.is_json
    if not is_text or not isinstance(value, str):
        return value
    if expectation.operator not in ("greater", "less"):
        return value.strip() if expectation.operator in ("equals", "notEquals") else value
    try:
        number = float(value) if len(value) <= _MAX_NUMBER_CHARS and value.isascii() else math.inf
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def _to_number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_greater(value: Any, limit: float) -> bool:
    number = _to_number(value)
    return number is not None and number > limit


def _is_less(value: Any, limit: float) -> bool:
    number = _to_number(value)
    return number is not None and number < limit


def _contains(value: Any, part: Any) -> bool:
    """Whether *part* is in a text, an element of a list, or a name of an object; all of several texts."""
    if isinstance(part, list) and isinstance(value, str):
        return all(_contains(value, one) for one in part)
    if isinstance(value, str | dict):
        return isinstance(part, str) and part in value
    return isinstance(value, list) and any(is_json_equal(one, part) for one in value)


def _contains_none(value: Any, part: Any) -> bool:
    if not isinstance(value, str | list | dict):
        return False
    return not any(_contains(value, one) for one in (part if isinstance(part, list) else [part]))


def _matches(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and re.search(pattern, value) is not None


def _has_length(value: Any, expected: int | Mapping[str, int]) -> bool:
    if not isinstance(value, str | list | dict):
        return False
    length = len(value)
    if not isinstance(expected, Mapping):
        return length == expected
    return expected.get("greater", -1) < length < expected.get("less", length + 1)


def _length_phrase(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    words = {"greater": "more than", "less": "less than"}
    return " and ".join(f"{words[name]} {limit}" for name, limit in value.items())


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": is_json_equal,
    "notEquals": lambda value, other: not is_json_equal(value, other),
    "contains": _contains,
    "notContains": _contains_none,
    "matches": _matches,
    "greater": _is_greater,
    "less": _is_less,
    "length": _has_length,
    "within": lambda value, ranges: any(low <= value <= high for low, high in ranges),
    "atMost": lambda value, limit: bool(value <= limit),
    "sha256": is_json_equal,
}
