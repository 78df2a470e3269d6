"""What is wrong with a task's params, in words that name the field and never its value."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from functions.domain.events import After, OnEvent
from functions.domain.task import Misfire, NotifyRule, Retry, TaskSpec
from functions.errors import InputError

MAX_PROBLEMS = 10
_MAX_NAME_CHARS = 60


FieldPath = tuple[str | int, ...]

# Faults that no text whatever could mend.
_STRUCTURAL_ERRORS = frozenset(
    {"extra_forbidden", "missing", "dict_type", "list_type", "tuple_type", "model_type"}
)


def validation_message(
    error: ValidationError,
    params: type[BaseModel],
    *,
    is_placeholder: Callable[[FieldPath], bool] = lambda place: False,
) -> str:
    """Every fault as `params.<field>: reason`, joined by semicolons; empty when all are *excused*.

    Args:
        excused: Whether the text at a place is not known yet, so that nothing can be wrong with it but
            being a text at all.
    """
    known = [field.alias or name for name, field in params.model_fields.items()]
    faults = [
        fault
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
        if fault["type"] in _STRUCTURAL_ERRORS or not is_placeholder(fault["loc"])
    ]
    told = [
        f"{_format_params_path(fault)}: {_params_reason(fault, known)}" for fault in faults[:MAX_PROBLEMS]
    ]
    if len(faults) > MAX_PROBLEMS:
        told.append(f"and {len(faults) - MAX_PROBLEMS} more faults")
    return "; ".join(told)


def _format_params_path(detail: ErrorDetails) -> str:
    return ".".join(("params", *(str(step)[:_MAX_NAME_CHARS] for step in detail["loc"])))


def _params_reason(detail: ErrorDetails, known: Iterable[str]) -> str:
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        near = difflib.get_close_matches(str(detail["loc"][0]), known, n=1)
        return f"unknown; did you mean {near[0]}?" if near else f"unknown; known are {', '.join(known)}"
    if detail["type"] == "missing":
        return "required"
    return detail["msg"].removeprefix("Value error, ")


# What is wrong in a task file, and where: for a person who wants to mend all of it in one go.


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong within a task, or within a document.

    Attributes:
        place: The names and numbers (from 0) that lead to it; empty means the whole.
        reason: What is wrong and what to do; never the value itself where that may be a secret.
    """

    path: FieldPath
    reason: str

    @property
    def field(self) -> str:
        """The place as people write it, e.g. `notify[0].on`; empty for the whole."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing wrong in a file.

    Attributes:
        line: From 1; None when it is not known.
        task: The task's id, its title, or `task 3`; empty when the fault is the file's own.
        field: E.g. `retry.maxAttempts`; empty when the fault is the whole task's.
    """

    file: str
    line: int | None
    task: str
    field: str
    reason: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.task, self.field, self.reason) if part)


class DocumentSyntaxError(InputError):
    """A text is not a document at all.

    Attributes:
        line: From 1; None when it is not known.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


# Wording: what pydantic found wrong with a task, said in sentences for the person who wrote it.

NESTED_MODELS: Mapping[str, type[BaseModel]] = {
    "retry": Retry,
    "misfire": Misfire,
    "notify": NotifyRule,
    "after": After,
    "onEvent": OnEvent,
}
FIELD_SUGGESTIONS = {
    "cron": "schedule",
    "name": "title",
    "tz": "timezone",
    "zone": "timezone",
    "kind": "type",
}
INSTANT_MESSAGE = "must be a moment with its offset, such as 2026-12-01T09:00:00Z"
_PATTERN_MESSAGES = {
    "id": "must be lower-case letters, digits, dots, hyphens and underscores, begin with a letter or digit, "
    "and have at most 100 characters",
    "onEvent.type": "must be lower-case letters, digits, dots, hyphens and underscores, such as order.paid",
    "after.task": "must be the id of a task",
    "type": "must be the name of a task type, such as health_check_url",
}
_MESSAGES = {
    "missing": "is required",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
}


def problems_of(error: ValidationError, given: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with *given*, one problem a place, in the order of *given*'s model."""
    found: dict[FieldPath, list[str]] = {}
    for fault in error.errors(include_url=False):
        place = _path_in(fault, given)
        reason = _reason(fault, place)
        reasons = found.setdefault(place, [])
        if reason not in reasons:
            reasons.append(reason)
    return [Problem(place, " or ".join(_join_alternatives(reasons))) for place, reasons in found.items()]


def suggest(name: str, known: Sequence[str]) -> str:
    """A question that offers the likeliest of *known*; empty when none is like *name*."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _path_in(detail: ErrorDetails, given: Any) -> FieldPath:
    """Where the fault is in what was given: pydantic adds the branch of a union, which nobody wrote."""
    place: list[str | int] = []
    for step in detail["loc"]:
        if isinstance(given, Mapping) and (step in given or not place or detail["type"] == "missing"):
            given = given.get(step)
        elif isinstance(given, list | tuple) and isinstance(step, int) and step < len(given):
            given = given[step]
        else:
            break
        place.append(step)
    return tuple(place)


def _reason(detail: ErrorDetails, path: FieldPath) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field_reason(path)
    if kind == "string_type":
        return "must be text" + ("; put the value in quotes" if _is_unquoted(detail["input"]) else "")
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        deep = _PATTERN_MESSAGES.get(f"{path[0]}.{path[-1]}")
        return deep or _PATTERN_MESSAGES.get(str(path[-1]), "is not of the right form")
    if kind in ("literal_error", "enum"):
        return _choice_reason(str(context["expected"]), detail["input"])
    if kind.startswith(("datetime_", "timezone_")):
        return INSTANT_MESSAGE
    if kind == "value_error":
        return str(context["error"])
    sentence = _MESSAGES.get(kind)
    return sentence.format(**context) if sentence else detail["msg"][:1].lower() + detail["msg"][1:]


def _unknown_field_reason(path: FieldPath) -> str:
    part = NESTED_MODELS.get(str(path[0])) if len(path) > 1 else TaskSpec
    known = [field.alias or name for name, field in part.model_fields.items()] if part else []
    name = str(path[-1])
    if len(path) == 1 and name in FIELD_SUGGESTIONS:
        return f"unknown field; did you mean {FIELD_SUGGESTIONS[name]}?"
    if question := suggest(name, known):
        return f"unknown field; {question}"
    if len(path) == 1:
        return f"unknown field; known are {', '.join(known)}; what the task type needs goes under params"
    return f"unknown field; known are {', '.join(known)}"


def _choice_reason(expected: str, given: object) -> str:
    question = (
        suggest(given, [word.strip(" '") for word in expected.replace(" or ", ",").split(",")])
        if (isinstance(given, str))
        else ""
    )
    expected = expected.replace("'", "")
    choice = f"must be one of {expected}" if "," in expected or " or " in expected else f"must be {expected}"
    return f"{choice}; {question}" if question else choice


def _is_unquoted(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _join_alternatives(reasons: Sequence[str]) -> list[str]:
    """Alternatives as one sentence: "must be a whole number", "must be auto" becomes "... or auto"."""
    first, *more = reasons
    return [first, *(reason.removeprefix("must be ") for reason in more)]
