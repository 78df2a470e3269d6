"""JSON as people read and edit it: one field a line, and where in the text a mistake is."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NoReturn

WIDTH = 100  # a value that fits stays on the line of its name, so that one change is one line of a diff
STEP = 2
BOM = "\ufeff"  # some editors begin a file with it


class UnreadableError(Exception):
    """The text is no JSON; says where and why."""


def parse(content: bytes) -> Any:
    """Return what *content* says.

    Raises:
        UnreadableError: It is not JSON, or not text at all.
    """
    try:
        text = content.decode().removeprefix(BOM)
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise UnreadableError(f"line {line}: this is not UTF-8 text") from None
    if not text.strip():
        raise UnreadableError("line 1: the file is empty")
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise UnreadableError(f"{where}: {exc.msg[:1].lower()}{exc.msg[1:]}") from None
    except RecursionError:
        raise UnreadableError("values are nested too deep") from None
    except ValueError:
        raise UnreadableError("a number is too long or not finite") from None


def pretty(value: Any, indent: int = 0, *, spread: bool = False) -> str:
    """*value* as JSON text, its first line not indented; with *spread* on several lines, if it has parts."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return line
    if not spread and indent + len(line) <= WIDTH:
        return line
    inner = indent + STEP
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {pretty(one, inner)}" for name, one in value.items()
        ]
        return block("{", parts, "}", indent)
    return block("[", [pretty(one, inner) for one in value], "]", indent)


def block(opening: str, parts: list[str], closing: str, indent: int = 0) -> str:
    """*parts*, each indented already but for its first line, one below the other."""
    if not parts:
        return opening + closing
    pad = "\n" + " " * (indent + STEP)
    return f"{opening}{pad}{f',{pad}'.join(parts)}\n{' ' * indent}{closing}"


def encoded(text: str) -> bytes:
    """*text* as a file holds it. Half a surrogate pair, which JSON can only say by escape, stays one."""
    return (text + "\n").encode(errors="backslashreplace")


def digest(value: Any) -> str:
    """A short name of *value*: the same for the same value, however it is written down."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=6).hexdigest()


def mapping(value: Any) -> Mapping[str, Any]:
    """*value* when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
