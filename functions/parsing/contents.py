"""Whether texts and JSON of strangers are as expected, by patterns and paths of users.

Both can take for ever, so all of it runs in a process that can be stopped: `check_contents` is for a `Parse`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.domain.expectations import (
    MAX_FOUND_CHARS,
    Expectation,
    Unmet,
    digest_of,
    find_unmet,
    show_value,
)
from functions.domain.json_depth import AROUND, MAX_DEPTH, TOO_DEEP, check_depth
from functions.parsing.errors import UnreadableError
from functions.parsing.json_queries import schema_errors, select_values

_DOCUMENTS = {"body": "body", "stdout": "output", "value": "returned value"}  # what holds JSON
_SHOWN_START = 40
_TOO_DEEP = f"JSON that is nested more than {MAX_DEPTH} levels deep"


@dataclass(frozen=True, slots=True)
class Observed:
    """What is remembered of a value that is watched.

    Attributes:
        number: The place of the expectation among all of the task's.
        digest: A hash of all that was found.
        shown: The value as JSON, when there is one.
    """

    number: int
    label: str
    digest: str
    shown: str


@dataclass(frozen=True, slots=True)
class CheckedContents:
    """The expectations that are not met, and the values that are watched, each in their order."""

    unmet: tuple[Unmet, ...] = ()
    observed: tuple[Observed, ...] = ()


def check_contents(document: bytes, *, expectations: Sequence[Mapping[str, Any]]) -> CheckedContents:
    """Check *document* against *expectations*.

    Args:
        document: JSON: `texts` (the texts of each source), and `incomplete` (why a source is not whole).
        expectations: Each as `{"number": 3, "source": "body", "name": "$.status", "operator": "equals",
            "value": "ok"}`.
    """
    given = json.loads(document)
    contents = _Contents(given["texts"], given["incomplete"])
    unmet: list[Unmet] = []
    observed: list[Observed] = []
    for fields in expectations:
        number = fields["number"]
        expectation = Expectation(fields["source"], fields["name"], fields["operator"], fields["value"])
        for found in _check(number, expectation, contents):
            if isinstance(found, Observed):
                observed.append(found)
            else:
                unmet.append(found)
    return CheckedContents(tuple(unmet), tuple(observed))


def _check(number: int, expectation: Expectation, contents: "_Contents") -> Sequence[Unmet | Observed]:
    if not expectation.is_json:
        values, note = contents.texts[_key(expectation)], contents.incomplete.get(expectation.source, "")
        found = find_unmet(number, expectation, values, note=note)
        return () if found is None else (found,)
    parsed = contents.parsed(expectation.source)
    if parsed.problem:
        if parsed.is_reported:  # one sentence about it is enough
            return ()
        parsed.is_reported = True
        return (Unmet(number, _DOCUMENTS[expectation.source], "JSON", parsed.problem),)
    try:
        if expectation.operator == "schema":
            reasons = schema_errors(parsed.value, expectation.value)
            return (Unmet(number, expectation.label, "", _join(reasons)),) if reasons else ()
        values, place_of = select_values(parsed.value, expectation.name)
    except UnreadableError as exc:
        return (Unmet(number, expectation.label, "", f"found {exc}"),)
    if expectation.operator == "changed" and values:
        shown = show_value(values[0]) if len(values) == 1 else f"{len(values)} values"
        return (Observed(number, expectation.label, digest_of(values), shown),)
    found = find_unmet(number, expectation, values, place_of)
    return () if found is None else (found,)


def _key(expectation: Expectation) -> str:
    return f"header {expectation.name.lower()}" if expectation.source == "header" else expectation.source


def _join(reasons: Sequence[str]) -> str:
    return "; ".join(reason[: MAX_FOUND_CHARS // 4] for reason in reasons)


@dataclass(slots=True)
class _Parsed:
    """JSON of one source, or why it is none."""

    value: Any = None
    problem: str = ""
    is_reported: bool = False


class _Contents:
    """The texts, each parsed once and only when an expectation needs it."""

    def __init__(self, texts: Mapping[str, Sequence[str]], incomplete: Mapping[str, str]) -> None:
        self.texts = texts
        self.incomplete = incomplete
        self._parsed: dict[str, _Parsed] = {}

    def parsed(self, source: str) -> _Parsed:
        """Return the JSON of *source*."""
        if source not in self._parsed:
            self._parsed[source] = self._parse(source)
        return self._parsed[source]

    def _parse(self, source: str) -> _Parsed:
        if source in self.incomplete:
            return _Parsed(problem=self.incomplete[source])
        [text] = self.texts[source]
        try:
            return _Parsed(parse_strictly(text))
        except UnreadableError as exc:
            return _Parsed(problem=str(exc))


def parse_strictly(text: str) -> Any:
    """Return the JSON value of *text*. Of a name that comes twice in an object the last value counts.

    Raises:
        UnreadableError: It is not JSON (NaN and Infinity are not), or nested too deep.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UnreadableError("nothing")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        check_depth(value, around=AROUND)
    except json.JSONDecodeError as exc:
        shown = json.dumps(text[:_SHOWN_START], ensure_ascii=False)
        reason = exc.msg[:1].lower() + exc.msg[1:]
        raise UnreadableError(f"{shown}, which is not JSON ({reason}, at character {exc.pos + 1})") from None
    except RecursionError:
        raise UnreadableError(_TOO_DEEP) from None
    except ValueError as exc:
        is_deep = str(exc) == TOO_DEEP
        raise UnreadableError(
            _TOO_DEEP if is_deep else "JSON with a number of more than 4,300 digits"
        ) from None
    return value


def _refuse_constant(name: str) -> Any:
    raise UnreadableError(f"a text with {name}, which JSON does not have")
