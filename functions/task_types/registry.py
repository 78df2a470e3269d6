"""The registry of task types: finds them by name, checks params, runs one attempt.

Every module in this folder but `registry` and `support` is a task type, registered by being there. It has

    Params             a `Model`: what the task's `params` may be
    perform            async (job, params, tools) -> Outcome
    EXAMPLE            valid params, for the documentation
    ONLY_REFERENCES    optional: params (dotted names) that must be `{{secret:NAME}}`: no secret is stored
    NO_REFERENCES      optional: params that others can read, so that no secret may be in them

`register` adds a type from a package of the user's own. A type is imported when it is first needed: a tick
loads only the libraries of the types it runs.
"""

import asyncio
import difflib
import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, PydanticInvalidForJsonSchema, ValidationError

from functions.domain.lifecycle.permissions import ALLOWED_BY, Capabilities, secret_names
from functions.domain.run import Outcome, failed
from functions.domain.task import Job
from functions.domain.types import TYPE_NAME_PATTERN
from functions.domain.validation import FieldPath, params_sentence
from functions.errors import InputError, PostponedError, SchedulerError
from functions.http_client import FetchError
from functions.task_types.support.context import SAVING, Missing, Tools
from functions.task_types.support.limits import Redact, clamp_outcome, compose, redact_nothing
from functions.task_types.support.secrets import (
    check_references,
    is_reference,
    redactor_for,
    resolve_secrets,
    with_example_values,
)

__all__ = [
    "Tools",
    "check_params",
    "example_params",
    "params_schema",
    "register",
    "run_job",
    "type_names",
]

log = logging.getLogger(__name__)
CORRECT_TYPE = "correct the task type"  # the remedy for an error in a type's own code
NON_TYPE_MODULES = {"registry", "support"}  # every other module here is a task type

_registered_modules: dict[str, str] = {}  # modules of the user's own, by type name


def type_names() -> tuple[str, ...]:
    """Return the names of all task types, without importing one."""
    return (*_built_in_types(), *sorted(_registered_modules)) if _registered_modules else _built_in_types()


def register(module_name: str) -> None:
    """Add the task type in a module of the user's own; the last part of its name is the type's.

    A second call changes nothing.

    Raises:
        InputError: The module cannot be imported or is not a task type, or the name is taken.
    """
    name = module_name.rpartition(".")[2]
    if _registered_modules.get(name) == module_name:
        return
    if name in type_names():
        where = f"in {_registered_modules[name]}" if name in _registered_modules else "built in"
        raise InputError(f"{module_name}: a task type {name} exists already, {where}; choose another name")
    if not re.fullmatch(TYPE_NAME_PATTERN, name):
        raise InputError(f"{module_name}: {name} cannot name a type; use lower-case letters, digits and _")
    from functions.task_types.support.loading import find_type_problem, import_by_name  # few have such types

    if problem := find_type_problem(import_by_name(module_name)):
        raise InputError(f"{module_name}: is not a task type; {problem}")
    _registered_modules[name] = module_name


@cache
def _built_in_types() -> tuple[str, ...]:
    folder = Path(__file__).parent
    modules = {path.stem for path in folder.glob("[a-z]*.py")}
    packages = {path.parent.name for path in folder.glob("[a-z]*/__init__.py")}
    return tuple(sorted((modules | packages) - NON_TYPE_MODULES))


def check_params(type_name: str, params: Mapping[str, Any]) -> None:
    """Check *params* against the type's model, as far as possible without the values of secrets.

    A param that is a secret as a whole is checked when an attempt starts and its value is known.

    Raises:
        InputError: The type is unknown, or a param is wrong; the text names each wrong one and why.
    """
    kind = _find_type(type_name)
    if not secret_names(params):
        check_references(params, reference_only=kind.only_references)
        _parse_params(kind, params, context=SAVING)
        return
    check_references(params, reference_only=kind.only_references, no_references=kind.no_references)
    _parse_params(
        kind,
        with_example_values(params),
        is_excused=lambda place: _is_secret_reference(place, params),
        context=SAVING,
    )


def example_params(type_name: str) -> dict[str, Any]:
    """Return valid params of the type; empty when it has no example.

    Raises:
        InputError: The type is unknown.
    """
    return dict(_find_type(type_name).example)


def params_schema(type_name: str) -> dict[str, Any]:
    """Return the JSON Schema of a type's params, for forms and descriptions.

    Raises:
        InputError: The type is unknown.
    """
    return deepcopy(_find_type(type_name).params_schema)


def find_missing(task_type: str, params: Mapping[str, Any], tools: Tools) -> list[Missing]:
    """Return what a task with *params* needs and *tools* do not have: secrets, and what its type names.

    Raises:
        InputError: The type is unknown.
    """
    kind = _find_type(task_type)
    found = [
        Missing(f"there is no secret {name}", f"set TASK_SECRET_{name}")
        for name in secret_names(params)
        if name not in tools.secrets
    ]
    try:
        parsed = _parse_params(
            kind, with_example_values(params), is_excused=lambda place: _is_secret_reference(place, params)
        )
    except InputError as exc:
        return [*found, Missing(str(exc), "correct its params")]
    try:
        if parsed is not None and (own := kind.find_missing(parsed, tools)):
            found.append(own)
    except Exception as exc:  # noqa: BLE001  # one type must not stop the checks of the others
        found.append(Missing(f"find_missing of {task_type} failed ({_place_of(exc)})", CORRECT_TYPE))
    return found


async def run_job(job: Job, tools: Tools) -> Outcome:
    """Make one attempt and return its outcome; every exception but cancellation becomes an outcome.

    Secrets that the job's params refer to are inserted here and masked in the outcome; the type receives
    no others. The operator's, and what looks like one, are masked in all that is shown or stored of the
    outcome but the memory, whose ids are to be the same at the next run.

    Raises:
        PostponedError: The attempt cannot be made now, for no reason of its task's. It counts as not begun.
    """
    redact: Redact = tools.redact
    redact_memory: Redact = redact_nothing
    try:
        kind = _find_type(job.type)
        if job.type in _registered_modules:
            job = deepcopy(job)  # the task is written with what the job holds, whatever code does to that
        if job.owner and tools.capabilities is not None:
            tools = _within_capabilities(job, tools, await tools.capabilities(job.owner))
        names = secret_names(job.params)
        params = _insert_secrets(kind, job.params, names, tools.secrets)
        if names:
            redact_memory = redactor_for([tools.secrets[name] for name in names])
            redact = compose(redact_memory, tools.redact)
        if tools.secrets or names or job.owner:
            tools = replace(tools, secrets={}, redact=redact, owner=job.owner)
        outcome: object = await kind.perform(job, _parse_params(kind, params), tools)
    except FetchError as exc:
        outcome = failed(exc.reason, permanent=exc.permanent)
    except InputError as exc:
        outcome = failed(str(exc), permanent=True)
    except PostponedError:
        raise
    except SchedulerError as exc:
        outcome = failed(str(exc))
    except asyncio.CancelledError:
        raise
    except BaseException as exc:  # noqa: BLE001  # one task must not stop the others, nor the process
        outcome = _http_outcome(exc, job) or _crash_outcome(exc, job)
    try:
        return clamp_outcome(outcome, task_type=job.type, redact=redact, redact_memory=redact_memory)
    except Exception as exc:  # noqa: BLE001  # of what the type returned: text, iterator, mapping of its own
        return _crash_outcome(exc, job)


def _insert_secrets(
    kind: "_TaskType", params: Mapping[str, Any], names: Sequence[str], secrets: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return *params* with the values of the secrets *names*; raises InputError where there may be none."""
    if names or not kind.secret_fields.isdisjoint(params):
        check_references(params, reference_only=kind.only_references, no_references=kind.no_references)
    return resolve_secrets(params, secrets) if names else params


def _within_capabilities(job: Job, tools: Tools, allowed: Capabilities) -> Tools:
    """Return *tools* as the owner of *job* may use them; raises InputError when the job may not run."""
    if refusal := allowed.problem(job):
        raise InputError(f"{refusal} to tasks of {job.owner}; {ALLOWED_BY}")
    return tools if allowed.operator_token else replace(tools, github_token="")


@dataclass(frozen=True)
class _TaskType:
    params: type[BaseModel]
    perform: Callable[[Job, Any, Tools], Awaitable[object]]
    example: Mapping[str, Any]
    only_references: tuple[str, ...]
    no_references: tuple[str, ...]
    find_missing: Callable[[Any, Tools], Missing | None]

    @cached_property
    def secret_fields(self) -> frozenset[str]:
        """The top-level params that contain a value that must be a reference."""
        return frozenset(name.partition(".")[0] for name in self.only_references)

    @cached_property
    def params_schema(self) -> dict[str, Any]:
        """The JSON Schema of the params: to make it takes 20 ms, and a form's page asks many times.

        That of any object, where a param is of a class that JSON Schema has no words for.
        """
        try:
            return self.params.model_json_schema(by_alias=True)
        except PydanticInvalidForJsonSchema:
            return {"type": "object"}


def _find_type(type_name: str) -> _TaskType:
    if type_name not in type_names():  # so no name reaches a module that is not a type
        near = difflib.get_close_matches(type_name, type_names())
        known = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(type_names())}"
        raise InputError(f"type: no task type has this name, here or in TASK_TYPES; {known}")
    return _import_type(type_name)


def _needs_nothing(params: BaseModel, tools: Tools) -> None:
    return None


@cache
def _import_type(type_name: str) -> _TaskType:
    try:
        module = import_module(_registered_modules.get(type_name, f"{__package__}.{type_name}"))
        return _TaskType(
            module.Params,
            module.perform,
            getattr(module, "EXAMPLE", {}),
            getattr(module, "ONLY_REFERENCES", ()),
            getattr(module, "NO_REFERENCES", ()),
            getattr(module, "find_missing", _needs_nothing),
        )
    except Exception as exc:
        raise InputError(f"type: {type_name} cannot be loaded ({_place_of(exc)}); {CORRECT_TYPE}") from exc


def _place_of(exc: BaseException) -> str:
    """Return the kind of an error in a type's own code and where it was raised, without its message."""
    from functions.task_types.support.loading import describe_error  # few types are wrong

    return describe_error(exc)


def _parse_params(
    task_type: _TaskType,
    params: Mapping[str, Any],
    *,
    is_excused: Callable[[FieldPath], bool] = lambda place: False,
    context: Mapping[str, bool] | None = None,
) -> BaseModel | None:
    """Return the params as the type's model; None when only values that *is_excused* names are wrong."""
    try:
        return task_type.params.model_validate(params, context=context)
    except ValidationError as exc:
        message = params_sentence(exc, params, model=task_type.params, is_placeholder=is_excused)
        if message:
            raise InputError(message) from None  # the cause would show the values
        return None
    except SchedulerError:
        raise
    except Exception as exc:  # noqa: BLE001  # of a validator of the type's own, which is no refusal
        home = task_type.params.__module__
        raise InputError(f"params: {home} cannot check them ({_place_of(exc)}); {CORRECT_TYPE}") from None


def _is_secret_reference(place: FieldPath, params: Any) -> bool:
    """Whether the value at *place* in *params* is a secret as a whole."""
    value = params
    for step in place:
        if isinstance(value, Mapping):
            value = value.get(step, value)  # a step may also be the name of a branch of a union
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
    return is_reference(value)


def _http_outcome(exc: BaseException, job: Job) -> Outcome | None:
    """Return the outcome of an error of the HTTP library's; None for any other."""
    from functions.task_types.support.responses import http_failure  # with httpx, which most ticks do without

    return http_failure(exc, now=job.started_at)


def _crash_outcome(exc: BaseException, job: Job) -> Outcome:
    """Return the outcome of an error in the type itself; the log gets its traceback, not its message."""
    name = type(exc).__name__
    log.error(
        "task_type_crashed",
        extra={
            "task_id": job.task_id,
            "task_type": job.type,
            "error": name,
            "trace": "".join(traceback.format_tb(exc.__traceback__, limit=-10)),
        },
    )
    return failed(f"The task type {job.type} failed unexpectedly ({name})")
