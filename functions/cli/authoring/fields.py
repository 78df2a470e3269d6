"""Fields of a task as options: `--param url=https://example.com`, `--set retry.maxAttempts=3`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.cli.options import UsageError
from functions.errors import InputError
from functions.task_types.registry import params_schema, type_names
from functions.taskfiles.parser import parse_text


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """The fields that are given; an empty one is not."""

    task_id: str = ""
    title: str = ""
    type: str = ""
    schedule: str = ""
    timezone: str = ""
    owner: str = ""
    priority: str = ""
    tags: Sequence[str] = ()
    params: Sequence[str] = ()
    others: Sequence[str] = ()

    def __bool__(self) -> bool:
        return self != FieldOptions(task_id=self.task_id)

    def apply_to(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return *fields*, named as in task files, with what is given in their place.

        Raises:
            InputError: An option is not `NAME=VALUE`.
        """
        given = {
            "id": self.task_id,
            "title": self.title,
            "type": self.type,
            "schedule": self.schedule,
            "timezone": self.timezone,
            "owner": self.owner,
            "priority": self.priority,
        }
        found = dict(fields) | {name: value for name, value in given.items() if value}
        if self.tags:
            found["tags"] = list(self.tags)
        if self.params:
            texts = _text_params(str(found.get("type", "")))
            params = dict(found.get("params", {}))
            for option in self.params:
                name, text = _split(option, "--param")
                params[name] = text if name in texts else _parse(text)
            found["params"] = params
        for option in self.others:
            path, text = _split(option, "--set")
            _put(found, path.split("."), _parse(text))
        return found


def _split(option: str, name: str) -> tuple[str, str]:
    field, found, text = option.partition("=")
    if not found or not field.strip():
        raise UsageError(f"{name}: write it like NAME=VALUE, and not {option[:60]!r}")
    return field.strip(), text


def _text_params(type_name: str) -> frozenset[str]:
    """Return the params of a type that are texts: `--param body=200` is three characters, not a number."""
    if type_name not in type_names():
        return frozenset()
    properties: Mapping[str, Any] = params_schema(type_name).get("properties", {})
    return frozenset(name for name, schema in properties.items() if _is_text(schema))


def _is_text(schema: Mapping[str, Any]) -> bool:
    kinds = {str(one.get("type")) for one in schema.get("anyOf", (schema,))} - {"null"}
    return kinds == {"string"}


def _parse(text: str) -> Any:
    """Return the value of *text* by the rules of task files, such as `3`, `true` or `[a, b]`; else itself."""
    if not text.strip():
        return text
    try:
        document = parse_text(text, as_json=False)
    except InputError:
        return text
    return text if document.problems else document.value


def _put(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set *value* at *path*, e.g. `retry`, `maxAttempts`; what is beside it stays."""
    first, *rest = path
    if not rest:
        fields[first] = value
        return
    inner = fields.get(first)
    copy = dict(inner) if isinstance(inner, Mapping) else {}
    _put(copy, rest, value)
    fields[first] = copy
