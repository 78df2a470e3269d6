"""JSON Schema of task files and of each type's params: for editors, generated clients and forms."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from functions.domain.schedule.days.entries import MAX_ENTRIES, MAX_ENTRY_CHARS
from functions.domain.schedule.several import MAX_SCHEDULES
from functions.domain.task import TaskSpec
from functions.task_types.registry import example_params, params_schema, type_names

SCHEMA_PATH = "/task-file.schema.json"
_REFERENCE_PATTERN = r"\{\{\s*secret:\s*[A-Za-z_][A-Za-z0-9_]{0,63}\s*\}\}"
_DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors know best
_SECRET = {"$ref": "#/$defs/secret"}
_STARTED_BY = ("schedule", "after", "onEvent", "frequency")
_EXAMPLES: Mapping[str, list[Any]] = {
    "schedule": [
        "*/5 * * * *",
        "every 15m",
        "@daily",
        "at 2026-12-01T09:00",
        ["0 9 * * 1-5", "0 12 * * 6"],
    ],
    "except": [["2026-12-24..2027-01-02", "12-25", "weekends", "holidays:LV"], "calendar:company"],
    "timezone": ["Europe/Riga", "America/New_York", "UTC"],
}

_DAY = {"type": "string", "minLength": 1, "maxLength": MAX_ENTRY_CHARS}
_DAYS = [
    {"type": "string"},
    {"type": "object"},
    {"type": "array", "items": {"anyOf": [_DAY, {"type": "object"}]}, "maxItems": MAX_ENTRIES},
]
_CALENDARS: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"},
    "additionalProperties": {"anyOf": _DAYS},
    "description": "Named lists of days, for tasks that exclude them: calendar:NAME",
}
_DAYS_TEXT = (
    "Days without a run: dates, ranges, yearly dates, weekdays, weekends, holidays:LV, calendar:NAME; a "
    "list, or one text with commas."
)


def params_schema_of(type_name: str) -> dict[str, Any]:
    """Return the JSON Schema of a type's params, each described by what the type says of it.

    Raises:
        InputError: The type is unknown.
    """
    return _described(params_schema(type_name))


def example_task(type_name: str) -> dict[str, Any]:
    """Return a whole task of a type, valid as it is.

    Raises:
        InputError: The type is unknown.
    """
    title = type_name.replace("_", " ").capitalize()
    return {"title": title, "type": type_name, "schedule": "@daily", "params": example_params(type_name)}


def task_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of a task file: a list of tasks, such a list under `tasks`, or one task."""
    definitions: dict[str, Any] = {
        "secret": {
            "type": "string",
            "pattern": f"^\\s*{_REFERENCE_PATTERN}\\s*$",
            "description": "A secret, in place of the whole value",
        }
    }
    task = _described(TaskSpec.model_json_schema(by_alias=True))
    definitions |= task.pop("$defs")
    branches = []
    for name in type_names():
        params = _with_prefix(_with_references(params_schema_of(name)), name)
        definitions |= {f"{name}.{key}": value for key, value in params.pop("$defs", {}).items()}
        definitions[name] = params
        required = {"required": ["params"]} if params.get("required") else {}
        branches.append(
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"properties": {"params": {"$ref": f"#/$defs/{name}"}}} | required,
            }
        )
    definitions["task"] = task | _task_rules(task["properties"], branches)
    tasks = {"type": "array", "items": {"$ref": "#/$defs/task"}}
    return {
        "$schema": _DIALECT,
        "title": "Tasks of Cronfire",
        "if": {"type": "array"},
        "then": tasks,
        "else": {
            "type": "object",
            "if": {"required": ["tasks"]},
            "then": {
                "properties": {
                    "tasks": tasks,
                    "groups": _groups_schema(definitions["Group"]),
                    "calendars": _CALENDARS,
                },
                "patternProperties": {"^x-": {}},
                "additionalProperties": False,
            },
            "else": {"$ref": "#/$defs/task"},
        },
        "$defs": definitions,
    }


def _groups_schema(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of `groups`: the limits of each, by its name."""
    limits = {name: one for name, one in group["properties"].items() if name != "name"}
    return {
        "type": "object",
        "propertyNames": {"pattern": group["properties"]["name"]["pattern"]},
        "additionalProperties": {"type": "object", "properties": limits, "additionalProperties": False},
        "description": "The limits of groups, for tasks of this file that name one: group: NAME",
    }


def render_schema(schema: Mapping[str, Any]) -> str:
    """Return *schema* as a JSON document."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _task_rules(properties: dict[str, Any], branches: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a file asks of a task beside the shape of its fields."""
    known = {
        name: one | {"examples": _EXAMPLES[name]} if name in _EXAMPLES else one
        for name, one in properties.items()
    }
    del known["timezone"]["default"]  # it is a setting, DEFAULT_TIMEZONE
    known["group"] = known["group"] | {"anyOf": [*known["group"]["anyOf"], {"type": "string"}]}
    known["type"] = {"enum": list(type_names()), "description": "What the task does; see params."}
    several = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_SCHEDULES}
    known["schedule"] = {
        key: value for key, value in known["schedule"].items() if key not in ("type", "maxLength")
    } | {"anyOf": [{"type": "string", "maxLength": 2000}, several]}
    known["except"] = {
        "default": [],
        "anyOf": _DAYS,
        "description": _DAYS_TEXT,
        "examples": known["except"]["examples"],
    }
    known["frequency"] = {"type": "string", "deprecated": True, "description": "Another name of schedule."}
    return {
        "properties": known,
        "required": ["type"],
        "anyOf": [{"required": ["title"]}, {"required": ["id"]}],
        "allOf": [{"anyOf": [{"required": [name]} for name in _STARTED_BY]}, *branches],
    }


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return *schema* with the text about each attribute of a model at its property.

    Names in words made from field names, such as `Feedurl`, are left out.
    """
    found = {key: value for key, value in schema.items() if key not in ("title", "description")}
    if "$defs" in schema:
        found["$defs"] = {name: _described(one) for name, one in schema["$defs"].items()}
    text, _, attributes = str(schema.get("description", "")).partition("\n\nAttributes:\n")
    if text:
        found["description"] = " ".join(text.split())
    if "properties" in schema:
        for word in {word.strip("`*.,;:()") for word in attributes.split() if "_" in word}:
            if to_camel(word) in schema["properties"]:
                attributes = attributes.replace(word, to_camel(word))
        texts = dict(_attribute_texts(attributes.splitlines()))
        found["properties"] = {
            name: {key: value for key, value in one.items() if key != "title"}
            | ({"description": texts[name]} if name in texts else {})
            for name, one in schema["properties"].items()
        }
    return found


def _attribute_texts(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the attributes of a docstring by the names that files use, e.g. `maxItems`."""
    name, words = "", ""
    for line in lines:
        if line.startswith(" " * 4) and not line.startswith(" " * 5) and ": " in line:
            if name:
                yield name, words
            name, _, words = line.strip().partition(": ")
            name = to_camel(name)
        else:
            words = f"{words} {line.strip()}"
    if name:
        yield name, words


def _with_references(schema: Any) -> Any:
    """Return *schema* where a value that is no free text may be a reference to a secret as well."""
    if isinstance(schema, list):
        return [_with_references(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: value if key in ("default", "examples", "enum", "const", "required") else _with_references(value)
        for key, value in schema.items()
    }
    is_scalar = schema.get("type") in ("integer", "number", "boolean", "string")
    is_text = schema.get("type") == "string" and not {"enum", "const", "pattern"} & schema.keys()
    if not is_scalar or is_text:
        return found
    notes = {key: found.pop(key) for key in ("default", "description", "examples") if key in found}
    return {"anyOf": [found, _SECRET]} | notes


def _with_prefix(schema: Any, prefix: str) -> Any:
    """Return *schema* with its own definitions under names that begin with *prefix*."""
    if isinstance(schema, list):
        return [_with_prefix(one, prefix) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_prefix(value, prefix) for key, value in schema.items()}
    reference = found.get("$ref")
    if isinstance(reference, str) and reference != _SECRET["$ref"]:
        found["$ref"] = reference.replace("#/$defs/", f"#/$defs/{prefix}.")
    return found
