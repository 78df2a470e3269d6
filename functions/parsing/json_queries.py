"""JSON paths (RFC 9535) and JSON Schema: their syntax, and what they find in a document.

The one module that knows the libraries for them. Both are imported when the first path or schema is read:
they cost 70 to 150 ms each, and most tasks have neither. A path or a schema can take for ever on the right
document: whatever reads a document here is called by a `Parse`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from functions.parsing.errors import UnreadableError

if TYPE_CHECKING:
    from jsonpath import JSONPath, JSONPathEnvironment

MAX_SELECTED = 10_000  # values that one path may select
MAX_SCHEMA_ERRORS = 100  # counted; the first are shown
MAX_SHOWN_ERRORS = 3
MAX_SCHEMA_CHARS = 8192  # as JSON; to check one of this size against the schema of schemas takes 55 ms
_TOO_DEEP = "is nested too deep"
_DIALECTS = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")


# Paths.


def path_problem(path: str) -> str | None:
    """Return what is wrong with the syntax of *path*, and where; None when nothing is."""
    from jsonpath.exceptions import JSONPathError

    if not path.startswith("$"):
        return "must begin with $, which is the whole document: $.status, $.items[0].id"
    try:
        _compile(path)
    except JSONPathError as exc:
        place = exc.token.index if exc.token is not None and exc.token.index >= 0 else len(path)
        reason = str(exc.message)
        reason = "something else is expected" if "TOKEN_" in reason else reason
        return f"is not a JSON path: {reason}, at character {place + 1}"
    except (RecursionError, ArithmeticError, ValueError):
        return "is not a JSON path: it is nested too deep, or has a number that is too big"
    return None


def select_values(document: Any, path: str) -> tuple[Sequence[Any], Callable[[int], str]]:
    """Return the values that *path* selects, and a function that says where one stands, by its index.

    Raises:
        UnreadableError: It selects too many, cannot be applied to this document, or is no path.
    """
    from jsonpath.exceptions import JSONPathError

    try:
        found = list(islice(_compile(path).finditer(document), MAX_SELECTED + 1))
    except (JSONPathError, RecursionError, ArithmeticError, ValueError, TypeError) as exc:
        reason = exc.message if isinstance(exc, JSONPathError) else type(exc).__name__
        raise UnreadableError(f"a document that the path cannot be applied to ({reason})") from None
    if len(found) > MAX_SELECTED:
        raise UnreadableError(f"more than {MAX_SELECTED:,} values")
    return [one.obj for one in found], lambda index: _in_dots(found[index].path)


@lru_cache(256)
def _compile(path: str) -> "JSONPath":
    return _environment().compile(path)  # type: ignore[return-value]  # strictly, there are no compound paths


@lru_cache(1)
def _environment() -> "JSONPathEnvironment":
    from jsonpath import JSONPathEnvironment

    return JSONPathEnvironment(strict=True)  # RFC 9535 and nothing else


_PLAIN_NAME = re.compile(r"\['([A-Za-z_][A-Za-z0-9_]*)'\]")


def _in_dots(path: str) -> str:
    """Return a normalized path as people write it: `$['items'][0]['id']` as `$.items[0].id`."""
    return _PLAIN_NAME.sub(r".\1", path)


# Schemas.


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with *schema* itself; None when nothing is. Nothing is fetched for it."""
    try:
        text = json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        return _TOO_DEEP
    if len(text) > MAX_SCHEMA_CHARS:
        return f"must have at most {MAX_SCHEMA_CHARS:,} characters as JSON"
    dialect = str(schema.get("$schema", "2020-12"))
    if not any(name in dialect for name in _DIALECTS):
        return f"$schema must be a dialect that is known: {', '.join(_DIALECTS)}"
    ids = {one["$id"].rstrip("#") for one in _objects(schema) if isinstance(one.get("$id"), str)}
    for one in _objects(schema):
        reference = one.get("$ref", one.get("$dynamicRef", "#"))
        if isinstance(reference, str) and not _is_within(reference, ids):
            return (
                f"{json.dumps(reference[:100])} is another document, and none is fetched;"
                " put what it defines under $defs and write #/$defs/NAME"
            )
        if not ids and isinstance(reference, str) and not _resolves(schema, reference):
            return f"{json.dumps(reference[:100])} is not in it"
    return _check_schema(schema)


def schema_errors(document: Any, schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the first reasons why *document* does not fit *schema*, and how many more there are.

    Raises:
        UnreadableError: The schema refers to itself without end, or to what is not in it.
    """
    from jsonschema import validators  # type: ignore[import-untyped]  # it has no stubs
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = validators.validator_for(schema, default=validators.validator_for({}))
    try:
        # A registry without a way to retrieve: the library's own would open addresses.
        errors = list(islice(kind(schema, registry=Registry()).iter_errors(document), MAX_SCHEMA_ERRORS + 1))
    except RecursionError:
        raise UnreadableError("a schema that refers to itself without end") from None
    except Unresolvable:
        raise UnreadableError("a schema that refers to what is not in it") from None
    except re.error as exc:
        raise UnreadableError(f"a schema with a pattern that is wrong ({exc.msg})") from None
    shown = [f"{error.json_path}: {error.message}" for error in errors[:MAX_SHOWN_ERRORS]]
    if len(errors) > MAX_SCHEMA_ERRORS:
        shown.append(f"more than {MAX_SCHEMA_ERRORS} problems in all")
    elif len(errors) > MAX_SHOWN_ERRORS:
        shown.append(f"{len(errors)} problems in all")
    return shown


def _check_schema(schema: Mapping[str, Any]) -> str | None:
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # it has no stubs

    try:
        validators.validator_for(schema, default=validators.validator_for({})).check_schema(schema)
    except SchemaError as exc:
        return f"{exc.json_path}: {exc.message[:200]}"
    except RecursionError:
        return _TOO_DEEP
    return None


def pattern_problem(pattern: str) -> str | None:
    """Return what is wrong with a regular expression, and where; None when nothing is."""
    try:
        re.compile(pattern)
    except re.error as exc:
        place = "" if exc.pos is None else f", at character {exc.pos + 1}"
        return f"is not a regular expression: {exc.msg}{place}"
    except (RecursionError, OverflowError):
        return "is not a regular expression: it is nested too deep, or has a number that is too big"
    return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in *value*, outer ones first."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _is_within(reference: str, ids: set[str]) -> bool:
    address, _, _ = reference.partition("#")
    return not address or address in ids


def _resolves(schema: Mapping[str, Any], reference: str) -> bool:
    """Whether a pointer leads to something in *schema*; an anchor is looked up when the schema is applied."""
    value: Any = schema
    for step in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return True
