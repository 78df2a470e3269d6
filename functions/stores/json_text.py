"""JSON that users read and edit: one field a line, and errors with their position in the text."""

import json
import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, NoReturn

from functions.domain.json_depth import Pairs

MAX_LINE_WIDTH = (
    100  # a value that fits stays on the line of its name, so that one change is one line of a diff
)
INDENT_STEP = 2
BOM = "\ufeff"  # some editors begin a file with it


class InvalidJsonError(Exception):
    """The text is no JSON; says where and why."""


def parse_json(content: bytes, *, hook: Callable[[Pairs], Any] | None = None) -> Any:
    """Return what *content* says.

    Args:
        hook: Makes an object of its fields; None for a dict that has the last of each name.

    Raises:
        InvalidJsonError: It is not JSON, or not text at all.
    """
    try:
        text = content.decode().removeprefix(BOM)
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise InvalidJsonError(f"line {line}: this is not UTF-8 text") from None
    if not text.strip():
        raise InvalidJsonError("line 1: the file is empty")
    try:
        return json.loads(text, object_pairs_hook=hook, parse_constant=_reject_constant)
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise InvalidJsonError(f"{where}: {exc.msg[:1].lower()}{exc.msg[1:]}") from None
    except RecursionError:
        raise InvalidJsonError("values are nested too deep") from None
    except ValueError:
        raise InvalidJsonError("a number is too long or not finite") from None


def dump_json(value: Any, indent: int = 0, *, multiline: bool = False) -> str:
    """*value* as JSON text, its first line not indented; with *multiline* a line for each part."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return line
    if not multiline and indent + len(line) <= MAX_LINE_WIDTH:
        return line
    inner = indent + INDENT_STEP
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {dump_json(one, inner)}" for name, one in value.items()
        ]
        return format_block("{", parts, "}", indent)
    return format_block("[", [dump_json(one, inner) for one in value], "]", indent)


def format_block(opening: str, parts: list[str], closing: str, indent: int = 0) -> str:
    """*parts*, each indented already but for its first line, one below the other."""
    if not parts:
        return opening + closing
    pad = "\n" + " " * (indent + INDENT_STEP)
    return f"{opening}{pad}{f',{pad}'.join(parts)}\n{' ' * indent}{closing}"


def to_file_bytes(text: str) -> bytes:
    """*text* as a file holds it. Half a surrogate pair, which JSON can only say by escape, stays one."""
    return (text + "\n").encode(errors="backslashreplace")


def content_hash(value: Any) -> str:
    """A short name of *value*: the same for the same value, however it is written down."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=6).hexdigest()


_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def may_hold_half_pairs(text: bytes) -> bool:
    """Whether JSON *text* has an escape of a surrogate; without one it holds no half of a pair."""
    return _SURROGATE_ESCAPE.search(text) is not None


def replace_half_pairs(value: Any) -> Any:
    """*value* with a question mark for each half of a surrogate pair, which no page or answer can hold."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def has_half_pairs(value: Any) -> bool:
    """Whether *value* holds half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def as_mapping(value: Any) -> Mapping[str, Any]:
    """*value* when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)
