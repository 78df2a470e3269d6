"""A task as a text to edit, and what a person changed in it.

The text is read as it was written and as it came back, and only what differs between the two is changed: a
value that the text cannot show exactly stays as it is when nobody touches it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from functions.domain.task import TaskSpec
from functions.errors import InputError
from functions.taskfiles.parser import parse_text

HEADER = (
    "# {id}: save and close to change it; without a change it stays as it is.",
    "# Fields that are not here have their defaults: docs/reference/task-files.md has all of them.",
)
INDENT = "  "


def render_document(spec: TaskSpec) -> str:
    """Return *spec* as YAML, with its fields and params a line each, and texts of several lines as such."""
    lines = [line.format(id=spec.id) for line in HEADER]
    for name, value in spec_fields(spec).items():
        if name == "params" and value:
            lines.append("params:")
            for param, inner in value.items():
                lines += [INDENT + line for line in _render(param, inner)]
        else:
            lines += _render(name, value)
    return "\n".join([*lines, ""])


def spec_fields(spec: TaskSpec) -> dict[str, Any]:
    """Return the fields of *spec* that differ from their defaults, named as in task files."""
    fields = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"id": spec.id, "title": spec.title, "type": spec.type, "timezone": spec.timezone} | fields


def changed_fields(spec: TaskSpec, before: str, after: str) -> dict[str, Any] | None:
    """Return the fields of *spec* with what differs between both texts; None when nothing does.

    Raises:
        InputError: *after* cannot be read; the text has line and reason.
    """
    if after == before or not after.strip():
        return None
    old, new = _parse(before), _parse(after)
    fields = spec_fields(spec)
    merged = _merge(fields, old, new)
    if isinstance(new.get("params"), dict) and isinstance(old.get("params"), dict):
        params = _merge(fields.get("params", {}), old["params"], new["params"])
        merged["params"] = params
    return None if _same(merged, fields) else merged


def _merge(stored: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return *stored* with each entry that *new* has changed, added or removed since *old*."""
    kept = {name: value for name, value in stored.items() if name in new}
    return kept | {
        name: value for name, value in new.items() if name not in old or not _same(value, old[name])
    }


def _same(one: Any, other: Any) -> bool:
    """Whether both are the same value; True is not 1, and 1 is not 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _parse(text: str) -> dict[str, Any]:
    document = parse_text(text, as_json=False)
    if document.problems:
        raise InputError("\n".join(f"{one.field}: {one.reason}" for one in document.problems))
    if not isinstance(document.value, dict):
        raise InputError("it must be names with values, such as title: My site answers")
    return document.value


def _render(name: str, value: Any) -> Iterator[str]:
    key = _render_value(name)
    if isinstance(value, str) and "\n" in value:
        yield from _render_block(key, value)
    else:
        yield f"{key}: {_render_value(value)}"


def _render_block(key: str, text: str) -> Iterator[str]:
    """Yield *text* as a literal block, or as one line in quotes where a block would not be the same text."""
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    mark = {0: "|-", 1: "|"}.get(ends, "|+")
    lines = [*body.split("\n"), *[""] * max(ends - 1, 0)]
    block = [f"{key}: {mark}", *(INDENT + line if line else "" for line in lines)]
    try:
        read = parse_text("\n".join([*block, ""]), as_json=False).value
    except InputError:
        read = None
    if isinstance(read, dict) and list(read.values()) == [text]:
        yield from block
    else:
        yield f"{key}: {_render_value(text)}"


def _render_value(value: Any) -> str:
    """Return *value* on one line: as it is where that reads back the same, as JSON otherwise."""
    if isinstance(value, str) and value and value.isprintable():
        try:
            document = parse_text(f"x: {value}\n", as_json=False)
        except InputError:
            return json.dumps(value, ensure_ascii=False)  # printable, as it is
        if not document.problems and document.value == {"x": value}:
            return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    """Return *char* as YAML writes it within quotes; JSON writes those beyond 16 bits as two."""
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
