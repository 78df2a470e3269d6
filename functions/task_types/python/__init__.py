"""Task type `python`: calls a function of the user's own, from the modules that PYTHON_TASKS lists."""

import asyncio
import importlib.util
import inspect
import json
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, JsonValue

from functions.domain.expectations import MAX_TEXT_BYTES, MEMORY_KEY, TOO_LONG, Findings
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, OutcomeKind, text_form
from functions.errors import InputError
from functions.task_types.python.coroutines import AsyncCalls
from functions.task_types.python.threads import TooManyThreadsError, WorkerThreads
from functions.task_types.support.context import ExpectedValue, Missing, Tools
from functions.task_types.support.loading import import_by_name

# The outcome of what a user's function returns or raises.

_RESULT_FIELDS = ("summary", "items", "memory", "metrics")
_MAX_MESSAGE_CHARS = 300
_MAX_SHOWN = 10**15  # a longer number is not a count, but may be a key


def outcome_of_return_value(value: object, name: str, redact: Callable[[str], str]) -> Outcome:
    """Return the outcome for *value*, which the function *name* returned.

    A text is the summary, a dict may say all of an outcome, and an Outcome is itself. Anything else is a
    success as well: the function did not raise. Its kind is named, not what is in it, which may be a secret.
    """
    if isinstance(value, Outcome):
        return value
    if isinstance(value, (Generator, AsyncGenerator)):  # a success would hide that nothing was done
        return failed(
            f"{name} has a yield: called, it ran none of its code; name a function that goes through it",
            permanent=True,
        )
    if isinstance(value, str):
        return succeeded(value or f"{name} returned")
    if isinstance(value, dict) and not value.keys().isdisjoint(_RESULT_FIELDS):
        return _outcome_of_dict(value, name, redact)
    return succeeded(f"{name} returned{_describe(value, redact)}")


def _outcome_of_dict(value: Mapping[Any, Any], name: str, redact: Callable[[str], str]) -> Outcome:
    if unknown := _names([key for key in value if key not in _RESULT_FIELDS], redact):
        return failed(
            f"{name} returned a dict with {unknown}; known are {', '.join(_RESULT_FIELDS)}", permanent=True
        )
    items, metrics = value.get("items") or (), value.get("metrics")
    if not isinstance(items, (list, tuple)):
        return failed(f"{name} returned items that are no list", permanent=True)
    if not isinstance(metrics, Mapping | None):
        return failed(f"{name} returned metrics that are no dict", permanent=True)
    return succeeded(
        str(value.get("summary") or f"{name} returned"),
        metrics=metrics,
        items=tuple(items),
        memory=value.get("memory"),
        has_news=bool(items),
    )


def _describe(value: object, redact: Callable[[str], str]) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < _MAX_SHOWN):
        return f" {value}"
    if isinstance(value, dict) and value:
        return f" a dict with {_names(list(value), redact)}"
    if isinstance(value, (dict, list, tuple, set)):
        return f" a {type(value).__name__} of {len(value)}"
    return f" {'an' if type(value).__name__[0] in 'AEIOUaeiou' else 'a'} {type(value).__name__}"


def _names(keys: Sequence[object], redact: Callable[[str], str]) -> str:
    return ", ".join(sorted(redact(str(key))[:40] for key in keys)[:5])


def outcome_of_exception(exc: BaseException, redact: Callable[[str], str]) -> Outcome:
    """Return the failure for an exception: its type and the first line of its message.

    Of a group, as an `asyncio.TaskGroup` raises it, the first one says more than the group.
    """
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    message = redact(str(exc)).strip().partition("\n")[0][:_MAX_MESSAGE_CHARS]
    return failed(f"{type(exc).__name__}: {message}" if message else type(exc).__name__)


# Loading `package.module:function`, if PYTHON_TASKS lists it.

CALLABLE_WORDS = "must be a function as package.module:function, such as jobs.daily:report"
CALLABLE_PATTERN = (
    r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*$"  # a function with a leading _ is not for others
)


def check_allowed(name: str, allowed: Sequence[str]) -> None:
    """Check that *name* is one of *allowed* or within one of them.

    `jobs` allows `jobs:f` and `jobs.daily:f` but not `jobsite:f`; `jobs.daily:f` allows itself alone.

    Raises:
        InputError: *name* is not; the text names the setting.
    """
    if not allowed:
        raise InputError("No function may be called here; list modules in PYTHON_TASKS")
    if name not in allowed and not _is_within(name.partition(":")[0], allowed):
        raise InputError(f"The function {name} may not be called; PYTHON_TASKS does not list it")


def load_function(name: str, allowed: Sequence[str]) -> Callable[..., Any]:
    """Import the module of *name* and return the function. An import may block: call it in a thread.

    Raises:
        InputError: There is no such module or function, or the module only imports the function from one
            that is not *allowed*: otherwise a listed module would open everything it imports.
    """
    module_name, _, attribute = name.partition(":")
    function = getattr(import_by_name(module_name), attribute, None)
    if not callable(function):
        raise InputError(f"The module {module_name} has no function {attribute}")
    home = getattr(function, "__module__", None)
    if name not in allowed and not _is_within(str(home), allowed):
        raise InputError(f"{name} is defined in {home}, which PYTHON_TASKS does not list")
    return function  # type: ignore[no-any-return]  # any callable is accepted


def check_arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Check that *function* takes these arguments.

    Raises:
        InputError: It does not; the text names the argument that is missing or too many.
    """
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as exc:
        raise InputError(f"params: the function does not take these arguments: {exc}") from None
    except ValueError:  # a C function without a signature; the call itself checks
        return


def has_job_parameter(function: Callable[..., Any]) -> bool:
    """Whether *function* has a parameter `job` that can be given by name."""
    try:
        parameter = inspect.signature(function).parameters.get("job")
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.kind in (
        parameter.KEYWORD_ONLY,
        parameter.POSITIONAL_OR_KEYWORD,
    )


def _is_within(module: str, allowed: Sequence[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


EXAMPLE: dict[str, Any] = {
    "callable": "jobs.invoices:send_reminders",
    "args": ["overdue"],
    "kwargs": {"limit": 50},
}
NO_REFERENCES = ("callable",)
TIMEOUT_MARGIN_S = 0.25  # before the attempt's end, to report that the thread goes on
log = logging.getLogger(__name__)
_worker_threads = WorkerThreads()
_async_calls = AsyncCalls()


class Params(Model):
    """The function and its arguments.

    Attributes:
        callable: `package.module:function`.
        kwargs: Arguments by name. A function with a parameter `job` receives the job as well.
        expect: What the function must return, as JSON.
    """

    callable: Annotated[str, text_form(CALLABLE_PATTERN, CALLABLE_WORDS, max_length=200)]
    args: Annotated[list[JsonValue], Field(max_length=50)] = Field(default_factory=list)
    kwargs: Annotated[dict[str, JsonValue], Field(max_length=50)] = Field(default_factory=dict)
    expect: ExpectedValue | None = None


def find_missing(params: Params, tools: Tools) -> Missing | None:
    """Return what is not set up here for a task with *params*. Nothing of the user's is imported."""
    module = params.callable.partition(":")[0]
    try:
        check_allowed(params.callable, tools.python_tasks)
    except InputError:
        listed = "does not list" if tools.python_tasks else "is not set, and so does not list"
        return Missing(f"PYTHON_TASKS {listed} {module}", f"add {module} to PYTHON_TASKS")
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        return Missing(f"there is no module {package}", "install it beside the function, or correct callable")
    return None


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Call the function once: an async one in the loop, any other in a thread of its own."""
    check_allowed(params.callable, tools.python_tasks)
    if _goes_on(job):
        return failed("An earlier run's function has not ended yet; nothing was started beside it")
    try:
        async with asyncio.timeout(max(job.timeout_s - TIMEOUT_MARGIN_S, job.timeout_s / 2)) as time:
            value = await _call_function(job, params, tools)
    except TimeoutError as exc:
        return _timed_out_outcome(job, params) if time.expired() else outcome_of_exception(exc, tools.redact)
    except asyncio.CancelledError as exc:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            _log_if_still_running(job, params)
            raise
        return outcome_of_exception(exc, tools.redact)  # the function itself raised it
    except InputError:
        raise
    except TooManyThreadsError:
        return failed("Too many functions are running in this process; another attempt follows")
    except SystemExit as exc:
        if exc.code:
            return outcome_of_exception(exc, tools.redact)
        value = None  # as the `main` of a program ends that has done its work
    except BaseException as exc:  # noqa: BLE001  # whatever the function raises is an outcome
        return outcome_of_exception(exc, tools.redact)
    if params.expect is not None and not (isinstance(value, Outcome) and _has_failed(value)):
        return await _check_contract(job, params, params.expect, value, tools)
    return outcome_of_return_value(value, params.callable, tools.redact)


async def _check_contract(
    job: Job, params: Params, expect: ExpectedValue, value: object, tools: Tools
) -> Outcome:
    """Return the outcome of a call for which `expect` says what must be returned.

    A dict that is no result of the usual form is a value like any other; an Outcome is read as a dict.
    """
    from functions.task_types.support.contracts import check_expectations, outcome_of  # few tasks need it

    name = params.callable
    if isinstance(value, dict) and not _is_result(value):
        success = succeeded(f"{name} returned{_describe(value, tools.redact)}")
    else:
        success = outcome_of_return_value(value, name, tools.redact)
    if isinstance(value, Outcome):
        value = {field: getattr(value, field) for field in _RESULT_FIELDS}
    text, problem = await asyncio.to_thread(_to_json, value)  # a large value takes a while
    findings = Findings(
        texts={"value": text}, incomplete={"value": problem} if problem else {}, origin=params.callable
    )
    verdict = await check_expectations(expect.list_all(), findings, job, tools)
    return outcome_of(verdict, success, job, what_happened=f"{name} returned")


def _has_failed(outcome: Outcome) -> bool:
    return outcome.kind is not OutcomeKind.SUCCEEDED


def _is_result(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(key in _RESULT_FIELDS for key in value)


def _to_json(value: object) -> tuple[str, str]:
    """Return *value* as JSON, or why there is none."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "", f"a {type(value).__name__} that JSON cannot hold"
    if len(text) > MAX_TEXT_BYTES:
        return "", TOO_LONG
    return text, ""


async def _call_function(job: Job, params: Params, tools: Tools) -> Any:
    def blocking() -> Any:
        function = load_function(params.callable, tools.python_tasks)
        kwargs: dict[str, Any] = dict(params.kwargs)
        if has_job_parameter(function):
            # The task is written with the same memory, also after a failure, and also while a thread goes on.
            kwargs.setdefault("job", deepcopy(_without_contract(job)))
        check_arguments(function, params.args, kwargs)
        return function(*params.args, **kwargs)

    value = await _worker_threads.run(job.task_id, blocking)
    if inspect.isawaitable(value):  # an async function returns a coroutine
        return await _async_calls.run(job.task_id, value)
    return value


def _without_contract(job: Job) -> Job:
    """Return *job* with the function's own memory, without what expectations remember."""
    if MEMORY_KEY not in job.memory:
        return job
    return replace(job, memory={name: one for name, one in job.memory.items() if name != MEMORY_KEY})


def _timed_out_outcome(job: Job, params: Params) -> Outcome:
    reason = f"{params.callable} did not return within {job.timeout_s:g} s"
    if _log_if_still_running(job, params):
        reason += "; it cannot be ended and goes on"
    return Outcome(OutcomeKind.TIMED_OUT, reason)


def _goes_on(job: Job) -> bool:
    """Whether the function of an attempt whose time was up has not ended yet."""
    return _worker_threads.is_running(job.task_id) or _async_calls.is_running(job.task_id)


def _log_if_still_running(job: Job, params: Params) -> bool:
    """Return whether the function goes on; if so, log it."""
    if not _goes_on(job):
        return False
    log.warning("python_task_goes_on", extra={"task_id": job.task_id, "callable": params.callable})
    return True
