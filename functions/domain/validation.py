"""Invalid input in sentences: where it is wrong and what to do, in words that never show the value.

`{"retry": {"maxAttempts": "x"}}` makes the problem `retry.maxAttempts: must be a whole number`.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from functions.domain.events import After, OnEvent
from functions.domain.task import Misfire, NotifyRule, Retry, Task, TaskSpec
from functions.domain.types import OUT_OF_RANGE, words_of_pattern
from functions.errors import InputError

MAX_PROBLEMS = 10
MAX_DETAILS = 500  # each may look for a likely name, which takes 0.05 ms
_MAX_NAME_CHARS = 60
_MIN_PART_CHARS = 4  # of a name, that it may stand for the whole


FieldPath = tuple[str | int, ...]

# Errors that no text in place of a placeholder could repair.
_STRUCTURAL_ERRORS = frozenset(
    {"extra_forbidden", "missing", "dict_type", "list_type", "tuple_type", "model_type"}
)

_OTHER_SHAPE = frozenset(
    {
        "dict_type",
        "list_type",
        "tuple_type",
        "model_type",
        "model_attributes_type",
        "int_type",
        "int_parsing",
        "float_type",
        "float_parsing",
        "string_type",
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong within a task, or within a document.

    Attributes:
        path: The names and numbers (from 0) that lead to it; empty means the whole.
        reason: What is wrong and what to do; never the value itself where that may be a secret.
    """

    path: FieldPath
    reason: str

    @property
    def field(self) -> str:
        """The path as text, e.g. `notify[0].on`; empty for the whole."""
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
    "every": "schedule",
    "interval": "schedule",
    "cron_expression": "schedule",
    "when": "schedule",
    "crontab": "schedule",
    "depends_on": "after",
    "dependsOn": "after",
    "needs": "after",
    "event": "onEvent",
    "alert": "notify",
    "alerts": "notify",
    "notifications": "notify",
    "on_failure": "notify",
    "onFailure": "notify",
    "channels": "notify",
    "labels": "tags",
    "calendar": "except",
    "exclude": "except",
    "excludes": "except",
    "holidays": "except",
    "start": "startAt",
    "end": "endAt",
    "until": "endAt",
    "concurrency": "overlap",
    "concurrencyPolicy": "overlap",
    "catchup": "misfire",
    "catch_up": "misfire",
    "suspend": "enabled",
    "disabled": "enabled",
    "pause": "enabled",
    "paused": "enabled",
    "timeout": "timeoutSeconds",
    "retries": "retry.maxAttempts",
    "max_retries": "retry.maxAttempts",
    "maxRetries": "retry.maxAttempts",
    "backoff": "retry.minBackoffSeconds",
    "url": "params.url",
    "method": "params.method",
    "headers": "params.headers",
    "body": "params.body",
    "cmd": "params.command",
    "script": "params.command",
    "run": "params.command",
    "command": "params.command",
    "prompt": "params.prompt",
    "func": "params.callable",
}
STATE_FIELDS = frozenset(
    field.alias or name for name, field in Task.model_fields.items() if name not in TaskSpec.model_fields
) | {"etag", "nextRun", "recent", "scheduleText", "waiting", "warnings"}  # which responses add
WRITTEN_LIKE: Mapping[str, str] = {  # fields of a task whose shape is mistaken for a simpler one
    "tags": "[shop, nightly]",
    "params": "{url: https://example.com}",
    "after": "[{task: nightly-export}]",
    "after[]": "{task: nightly-export}",
    "onEvent": "[{type: order.paid}]",
    "onEvent[]": "{type: order.paid}",
    "retry": "{maxAttempts: 3}",
    "misfire": "{policy: run_once}",
    "notify": "[{on: [failure, recovery], channels: [slack]}]",
    "notify[]": "{on: [failure, recovery], channels: [slack]}",
    "notify[].on": "[failure, recovery]",
    "notify[].channels": "[slack]",
    "timeoutSeconds": "300",
    "expectSeconds": "3600",
    "jitterSeconds": "60",
}
INSTANT_MESSAGE = "must be a moment with its offset, such as 2026-12-01T09:00:00Z"
_PATTERN_MESSAGES = {  # where a field of a task says more than the form of its text
    "onEvent.type": "must be lower-case letters, digits, dots, hyphens and underscores, such as order.paid",
    "after.task": "must be the id of a task",
}
_MESSAGES = {
    "missing": "is required",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be UTF-8 text; write it anew",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be greater than {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "less_than": "must be less than {lt:.15g}",
    "less_than_equal": "must be at most {le:.15g}",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping of names to values",
}


def validation_sentence(
    error: ValidationError,
    given: Any = None,
    *,
    model: type[BaseModel] | None = None,
    whole: str = "document",
) -> str:
    """The first problem and how many more there are: `title: is required (and 3 more)`; see `problems_of`.

    Args:
        whole: The name of what is wrong where no field is.
    """
    return join_problems(problems_of(error, given, model=model), limit=1, whole=whole)


def params_sentence(
    error: ValidationError,
    given: Mapping[str, Any],
    *,
    model: type[BaseModel],
    is_placeholder: Callable[[FieldPath], bool] = lambda path: False,
) -> str:
    """The problems of a task's params, each as `params.<field>: reason`; empty when all are excused.

    Args:
        is_placeholder: Whether the text at a path is not known yet, so that nothing can be wrong with it but
            that it is a text.
    """
    details = [
        detail
        for detail in error.errors(include_url=False)
        if detail["type"] in _STRUCTURAL_ERRORS or not is_placeholder(detail["loc"])
    ]
    problems = [
        Problem(("params", *map(_shorten, problem.path)), problem.reason)
        for problem in problems_from(details, given, model=model)
    ]
    return join_problems(problems, limit=MAX_PROBLEMS)


def join_problems(problems: Sequence[Problem], *, limit: int, whole: str = "document") -> str:
    """The first *limit* of *problems* in one line, and how many more there are."""
    text = "; ".join(f"{problem.field or whole}: {problem.reason}" for problem in problems[:limit])
    return f"{text} (and {len(problems) - limit} more)" if len(problems) > limit else text


def problems_of(
    error: ValidationError, given: Any = None, *, model: type[BaseModel] | None = None
) -> list[Problem]:
    """Return what is wrong with *given*, one problem a path, in the order of the model's fields.

    Args:
        given: The input; None when it is not available. It identifies the branches of a union, which are no
            fields.
        model: The model that was asked for, whose fields are suggested in place of unknown ones.
    """
    return problems_from(error.errors(include_url=False), given, model=model)


def problems_from(
    details: Iterable[Any], given: Any = None, *, model: type[BaseModel] | None = None
) -> list[Problem]:
    """Return the problems that *details* (`error.errors()`) stand for, as `problems_of` does.

    Of thousands, as of a body that is nothing but unknown fields, the first MAX_DETAILS are enough.
    """
    first = list(islice(details, MAX_DETAILS))
    around = {tuple(detail["loc"][:depth]) for detail in first for depth in range(len(detail["loc"]))}
    reasons: dict[FieldPath, list[str]] = {}
    kinds: dict[FieldPath, set[str]] = {}
    for detail in first:
        if detail["type"] == "too_short" and tuple(detail["loc"]) in around:
            continue  # pydantic counts the valid entries alone: a list of one wrong entry is not empty
        path = tuple(detail["loc"]) if given is None else _path_in(detail, given)
        reason = _reason(detail, path, model)
        if reason not in reasons.setdefault(path, []):
            reasons[path].append(reason)
        kinds.setdefault(path, set()).add(detail["type"])
    entered = {path[:depth] for path in reasons for depth in range(len(path))}
    return [
        Problem(path, _join_alternatives(some) + _example(path, kinds[path], model))
        for path, some in reasons.items()
        if path not in entered
        or not kinds[path] <= _OTHER_SHAPE  # of a text or a list: what was given is one
    ]


def suggest(name: str, known: Sequence[str]) -> str:
    """The question whether the likeliest of *known* is meant; empty when none is like *name*."""
    names, wanted = {one.casefold(): one for one in known}, name.casefold()
    close = difflib.get_close_matches(wanted, names, n=1)
    if not close and len(wanted) >= _MIN_PART_CHARS:
        close = [one for one in names if wanted in one]
    return f"did you mean {names[close[0]]}?" if len(close) == 1 else ""


def _example(path: FieldPath, kinds: Set[str], model: type[BaseModel] | None) -> str:
    """How the field of a task is written; empty for what needs no example."""
    if kinds.isdisjoint(_OTHER_SHAPE):
        return ""
    place = "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    example = WRITTEN_LIKE.get(place) if model is TaskSpec else None
    return f"; write it like {example}" if example else ""


def _path_in(detail: ErrorDetails, given: Any) -> FieldPath:
    """Where the error is in *given*: pydantic adds the branch of a union, which is no field of it."""
    path: list[str | int] = []
    for step in detail["loc"]:
        if isinstance(given, Mapping) and (step in given or not path or detail["type"] == "missing"):
            given = given.get(step)
        elif isinstance(given, list | tuple) and isinstance(step, int) and step < len(given):
            given = given[step]
        else:
            continue
        path.append(step)
    return tuple(path)


def _shorten(step: str | int) -> str | int:
    return step if isinstance(step, int) else step[:_MAX_NAME_CHARS]


def _reason(detail: ErrorDetails, path: FieldPath, model: type[BaseModel] | None) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field_reason(path, model)
    if kind == "string_type":
        return "must be text" + ("; put the value in quotes" if _is_unquoted(detail["input"]) else "")
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        return _pattern_reason(path, model, str(context["pattern"]))
    if kind in ("literal_error", "enum"):
        return _choice_reason(str(context["expected"]), detail["input"])
    if kind.startswith(("datetime_", "timezone_")):
        return INSTANT_MESSAGE
    if kind == "value_error":
        return str(context["error"])
    if isinstance(context.get("ge", context.get("le")), str):  # the first or the last instant
        return OUT_OF_RANGE
    sentence = _MESSAGES.get(kind)
    return sentence.format(**context) if sentence else detail["msg"][:1].lower() + detail["msg"][1:]


def _pattern_reason(path: FieldPath, model: type[BaseModel] | None, pattern: str) -> str:
    special = _PATTERN_MESSAGES.get(f"{path[0]}.{path[-1]}") if model is TaskSpec else None
    return special or words_of_pattern(pattern) or "is not of the right form"


def _unknown_field_reason(path: FieldPath, model: type[BaseModel] | None) -> str:
    is_task = model is TaskSpec
    if len(path) > 1:
        model = NESTED_MODELS.get(str(path[0])) if is_task else None
    known = [field.alias or name for name, field in model.model_fields.items()] if model else []
    name = str(path[-1])
    if is_task and len(path) == 1 and name in FIELD_SUGGESTIONS:
        return f"unknown field; did you mean {FIELD_SUGGESTIONS[name]}?"
    if is_task and len(path) == 1 and name in STATE_FIELDS:
        return "is kept by the scheduler, and cannot be set; leave it out"
    if question := suggest(name, known):
        return f"unknown field; {question}"
    if not known:
        return "unknown field; check its spelling"
    elsewhere = "; what the task type needs goes under params" if is_task and len(path) == 1 else ""
    return f"unknown field; known are {', '.join(known)}{elsewhere}"


def _choice_reason(expected: str, given: object) -> str:
    choices = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    question = suggest(given, choices) if isinstance(given, str) else ""
    expected = expected.replace("'", "")
    choice = f"must be one of {expected}" if "," in expected or " or " in expected else f"must be {expected}"
    return f"{choice}; {question}" if question else choice


def _is_unquoted(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _join_alternatives(reasons: Sequence[str]) -> str:
    """Alternatives as one sentence: "must be a whole number", "must be auto" becomes "... or auto"."""
    parts = [reason.partition("; ") for reason in reasons]
    first, *more = (what for what, _, _ in parts)
    advice = dict.fromkeys(one for _, _, one in parts if one)
    return "; ".join((" or ".join([first, *(what.removeprefix("must be ") for what in more)]), *advice))
