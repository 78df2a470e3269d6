"""The fields of a type's params, made from its JSON Schema."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from json import dumps
from typing import Any

from functions.errors import InputError
from functions.task_types.registry import example_params, params_schema, type_names
from functions.web.dashboard.forms.conditions import CONDITIONS
from functions.web.dashboard.forms.fields import Field
from functions.web.dashboard.forms.tables import Pairs
from functions.web.dashboard.forms.widgets import (
    Checks,
    Choice,
    Items,
    Json,
    Line,
    Number,
    Switch,
    Text,
    TextOrList,
    Widget,
)
from functions.web.dashboard.forms.words import CHOICES, MAIN_PARAMS, ONE_LINE, TASK_WORDS, Words, param_words

PARAMS = "params"
LONG_CHARS, MEDIUM_CHARS = 500, 2000  # a text that may be longer than the first has several lines
Schema = Mapping[str, Any]
MAX_NESTING = 3


def param_fields(type_name: str) -> Sequence[Field]:
    """Return a field for each param of the type, required ones first; one for them all when it is unknown."""
    if type_name not in type_names():
        return [Field((PARAMS,), Json(), *TASK_WORDS[PARAMS], is_main=True)]
    return _known_fields(type_name)


@cache
def _known_fields(type_name: str) -> Sequence[Field]:
    schema = params_schema(type_name)
    found = list(_fields(type_name, schema, schema.get("$defs", {}), ()))
    return sorted(found, key=lambda field: (not field.required, not field.is_main))


def accepts_more(type_name: str) -> bool:
    """Whether the type has params that its schema does not name."""
    return type_name in type_names() and params_schema(type_name).get("additionalProperties") is not False


def required_examples(type_name: str) -> dict[str, Any]:
    """Return the example's values of the params that the type requires."""
    try:
        required, example = params_schema(type_name).get("required", ()), example_params(type_name)
    except InputError:
        return {}
    return {name: example[name] for name in required if name in example}


def _fields(type_name: str, schema: Schema, shared: Schema, above: tuple[str, ...]) -> Iterator[Field]:
    required, helps = set(schema.get("required", ())), _attribute_help(str(schema.get("description", "")))
    for name, about in schema.get("properties", {}).items():
        path = (*above, name)
        dotted = ".".join(path)
        options = _branches(about, shared)
        if len(options) == 1 and "properties" in options[0] and len(path) < MAX_NESTING:
            yield from _fields(type_name, options[0], shared, path)
            continue
        words = param_words(type_name, dotted) or _schema_words(name, about, helps)
        yield Field(
            (PARAMS, *path),
            _widget(type_name, dotted, about, options),
            *words,
            default="" if "enum" in options[0] else _default_text(about.get("default")),
            required=name in required and not above,
            is_main=(name in required and not above) or f"{type_name}.{dotted}" in MAIN_PARAMS,
        )


def _branches(about: Schema, shared: Schema) -> list[Schema]:
    """Return what the value may be, without null."""
    options = [_resolve(one, shared) for one in about.get("anyOf", (about,))]
    return [one for one in options if one.get("type") != "null"]


def _resolve(schema: Schema, shared: Schema) -> Schema:
    reference = str(schema.get("$ref", ""))
    found: Schema = shared.get(reference.rpartition("/")[2], schema) if reference else schema
    return found


def _widget(type_name: str, dotted: str, about: Schema, options: list[Schema]) -> Widget:
    labels = dict(CHOICES.get(f"{type_name}.{dotted}", ()))
    kinds = {str(one.get("type", "")) for one in options}
    if f"{type_name}.{dotted}" in ONE_LINE:
        return Line()
    if dotted in CONDITIONS:
        return CONDITIONS[dotted]
    if len(options) == 1:
        return _single_widget(options[0], labels, default=about.get("default"))
    if kinds in ({"integer", "string", "array"}, {"integer", "array"}):
        return Items(numbers=True, one_may_stand_alone=True)
    if kinds == {"string", "array"}:
        return TextOrList()
    return Line() if kinds == {"string"} else Json()


def _single_widget(schema: Schema, labels: Mapping[str, str], *, default: Any) -> Widget:
    if choices := schema.get("enum"):
        empty = f"the default: {labels.get(default, default)}" if isinstance(default, str) else "–"
        return Choice(tuple((one, labels.get(one, one)) for one in choices), empty=empty)
    match schema.get("type"):
        case "string":
            longest = schema.get("maxLength", 0)
            return Line() if longest <= LONG_CHARS else Text(rows=2 if longest <= MEDIUM_CHARS else 4)
        case "integer" | "number":
            return Number()
        case "boolean":
            return Switch(
                f"the default: {'yes' if default else 'no'}" if isinstance(default, bool) else "the default"
            )
        case "array":
            return _list_widget(schema.get("items", {}), labels)
        case "object":
            return _object_widget(schema)
        case _:
            return Json()


def _list_widget(item: Schema, labels: Mapping[str, str]) -> Widget:
    if choices := item.get("enum"):
        return Checks(tuple((one, labels.get(one, one)) for one in choices))
    match item.get("type"):
        case "string":
            return Items(separator="\n")
        case "integer":
            return Items(numbers=True)
        case _:
            return Json()


def _object_widget(schema: Schema) -> Widget:
    """Return rows for an object of scalars, JSON for any other."""
    values = schema.get("additionalProperties") or next(
        iter(schema.get("patternProperties", {}).values()), None
    )
    if not isinstance(values, Mapping) or not values:
        return Json()
    kinds = {str(one.get("type", "")) for one in values.get("anyOf", (values,))}
    if kinds == {"string"}:
        return Pairs()
    return Pairs(scalars=True) if "string" in kinds and "" not in kinds else Json()


def _schema_words(name: str, about: Schema, helps: Mapping[str, str]) -> Words:
    """Return the words for a param of a type of the user's own."""
    spaced = (
        "".join(f" {char.lower()}" if char.isupper() else char for char in name).replace("_", " ").strip()
    )
    snake = spaced.replace(" ", "_")
    examples = about.get("examples") or ("",)
    example = examples[0] if isinstance(examples[0], str) else dumps(examples[0], ensure_ascii=False)
    return Words(
        spaced[:1].upper() + spaced[1:], str(about.get("description", "")) or helps.get(snake, ""), example
    )


def _attribute_help(docstring: str) -> dict[str, str]:
    """Return what *docstring* says of each attribute under `Attributes:`."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Attributes:\n")[2].splitlines():
        head, colon, text = line.strip().partition(": ")
        if colon and head.isidentifier():
            name, found[head] = head, text
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _default_text(default: Any) -> str:
    if default in (None, "", [], {}) or isinstance(default, bool | dict):
        return ""
    if isinstance(default, float):
        return f"{default:g}"
    return default if isinstance(default, str) else dumps(default, ensure_ascii=False)
