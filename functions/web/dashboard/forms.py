"""The task form: the fields of a type's params, and the conversion between form and task."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from functions.domain.json_depth import parse_json
from functions.domain.task import Task
from functions.errors import InputError
from functions.task_types.registry import example_params, params_schema

PARAM_PREFIX = "param."
TEXT_FIELDS = ("title", "id", "description", "schedule", "timezone", "priority", "owner")
SHOWN_FIELDS = {
    *TEXT_FIELDS,
    "type",
    "params",
    "tags",
    "timeout_seconds",
    "after",
    "on_event",
}  # what the form shows
PRIORITIES = ("urgent", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class ParamField:
    """One parameter of a type, as a field of the form.

    Attributes:
        kind: json is for lists, mappings and unions.
        hint: The default; empty when there is none.
    """

    name: str
    kind: Literal["text", "number", "switch", "json"]
    required: bool
    value: str
    hint: str


def params_fields(type_name: str, values: Mapping[str, str]) -> list[ParamField]:
    """Return the fields of a type's params, required ones first, filled from *values* or its example.

    Raises:
        InputError: There is no such type.
    """
    schema = params_schema(type_name)
    example = example_params(type_name)
    required = set(schema.get("required", ()))
    fields = []
    for name, about in schema.get("properties", {}).items():
        kind = _field_kind(about)
        default = about.get("default")
        value = values.get(PARAM_PREFIX + name)
        if value is None:
            value = _to_text(example[name]) if name in example and name in required else ""
        hint = "" if default in (None, "", [], {}) else _to_text(default)
        fields.append(ParamField(name, kind, name in required, value, hint))
    return sorted(fields, key=lambda field: not field.required)


def parse_task_form(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the task in the form; an empty field is left out and gets its default.

    Raises:
        InputError: A field for JSON or a number holds neither; the text names it.
    """
    given: dict[str, Any] = {
        name: values[name].strip() for name in TEXT_FIELDS if values.get(name, "").strip()
    }
    given["type"] = values.get("type", "")
    tags = [tag.strip() for tag in values.get("tags", "").split(",") if tag.strip()]
    if tags:
        given["tags"] = tags
    if after := _parse_pairs(values.get("after", "")):
        given["after"] = [{"task": task} | ({"on": on} if on else {}) for task, on in after]
    if events := _parse_pairs(values.get("onEvent", "")):
        given["onEvent"] = [
            {"type": name} | ({"source": source} if source else {}) for name, source in events
        ]
    if values.get("timeoutSeconds", "").strip():
        given["timeoutSeconds"] = _parse_number("timeoutSeconds", values["timeoutSeconds"])
    fields = params_fields(given["type"], values)
    given["params"] = {
        field.name: _parse_value(field, values[PARAM_PREFIX + field.name])
        for field in fields
        if values.get(PARAM_PREFIX + field.name, "").strip()
    }
    return given


def to_form_values(task: Task) -> dict[str, str]:
    """Return *task* as values of the form."""
    typed = {name: str(getattr(task, name) or "") for name in TEXT_FIELDS}
    typed["after"] = ", ".join(f"{one.task} {one.on}" for one in task.after)
    typed["onEvent"] = ", ".join(f"{one.type} {one.source}".strip() for one in task.on_event)
    typed |= {"type": task.type, "tags": ", ".join(task.tags), "timeoutSeconds": f"{task.timeout_seconds:g}"}
    return typed | {PARAM_PREFIX + name: _to_text(value) for name, value in task.params.items()}


def _parse_pairs(text: str) -> list[tuple[str, str]]:
    """Return comma-separated pairs, the second word optional: `backup failure, fetch`."""
    words = [part.split(None, 1) for part in text.split(",") if part.strip()]
    return [(first, rest[0].strip() if rest else "") for first, *rest in words]


def _field_kind(schema: Mapping[str, Any]) -> Literal["text", "number", "switch", "json"]:
    kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "switch"}
    found: Any = kinds.get(str(schema.get("type")), "json")
    options = {str(option.get("type")) for option in schema.get("anyOf", ())} - {"null"}
    if len(options) == 1:
        found = kinds.get(options.pop(), "json")
    if found == "json" and ("enum" in schema or "const" in schema):
        found = "text"
    return found  # type: ignore[no-any-return]  # one of the four


def _parse_value(field: ParamField, text: str) -> Any:
    match field.kind:
        case "text":
            return text.strip()
        case "number":
            return _parse_number(f"params.{field.name}", text)
        case "switch":
            return text.strip().lower() in ("1", "true", "on", "yes")
        case "json":
            return _parse_json(field.name, text)


def _parse_json(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        if text.strip()[:1] in '[{"':
            raise InputError(f"params.{name}: is not JSON; look for a missing quote or bracket") from None
        return text.strip()


def _parse_number(name: str, text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise InputError(f"{name}: must be a number") from None
    return int(number) if number.is_integer() else number


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
