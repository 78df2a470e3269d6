"""Modules of the user's own: importing them, and what keeps one from being a task type."""

import inspect
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import PurePath
from types import ModuleType
from typing import Any

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError

from functions.errors import InputError


def import_by_name(name: str) -> ModuleType:
    """Return the module *name*. An import may block, and run anything.

    Raises:
        InputError: It cannot be imported; the text has the error's type and place, and not its message,
            which may hold a secret. The error is the cause.
    """
    try:
        return import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        raise InputError(f"The module {name} cannot be imported ({_import_problem(exc, name)})") from exc


def _import_problem(exc: BaseException, name: str) -> str:
    if isinstance(exc, ModuleNotFoundError) and exc.name and exc.name == name.partition(".")[0]:
        return f"there is no module {exc.name}, neither installed nor on PYTHONPATH"
    return describe_error(exc)


def describe_error(exc: BaseException) -> str:
    """Return the kind and the place of *exc*, an error of the user's code; its message may hold a secret."""
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return f"there is no module {exc.name}"
    if isinstance(exc, SyntaxError):
        file, line = exc.filename or "", exc.lineno
    else:
        frame = traceback.extract_tb(exc.__traceback__, limit=-1)[0]
        file, line = frame.filename, frame.lineno
    return f"{type(exc).__name__} in {PurePath(file).name}, line {line}"


def find_type_problem(module: ModuleType) -> str:
    """Return what *module* needs to be a task type, as a clause; empty when it is one."""
    params: Any = getattr(module, "Params", None)
    perform: Any = getattr(module, "perform", None)
    if not (isinstance(params, type) and issubclass(params, BaseModel)):
        return "it needs a class Params that is derived from functions.Params"
    if not inspect.iscoroutinefunction(perform):
        return "it needs a function: async def perform(job, params, tools)"
    if not _can_be_called(perform, 3):
        return "perform must take three arguments by position: job, params, tools"
    try:
        params.model_rebuild()  # where it was left for the first use
    except (PydanticUserError, PydanticUndefinedAnnotation) as exc:
        return f"its Params cannot be built: {str(exc).partition(chr(10))[0]}"
    return _find_problem_of_optional_names(module)


def _find_problem_of_optional_names(module: ModuleType) -> str:
    """Return what is wrong with what a type need not have: lists of all types, and of all needs, read it."""
    example: Any = getattr(module, "EXAMPLE", {})
    if not (isinstance(example, Mapping) and all(isinstance(name, str) for name in example)):
        return 'EXAMPLE must be a dict of params, such as {"toWhom": "the roses"}'
    for name in ("ONLY_REFERENCES", "NO_REFERENCES"):
        places: Any = getattr(module, name, ())
        if not (isinstance(places, tuple | list) and all(isinstance(one, str) for one in places)):
            return f'{name} must be a tuple of the names of params, such as ("token",)'
    find_missing: Any = getattr(module, "find_missing", lambda params, tools: None)
    if inspect.iscoroutinefunction(find_missing) or not _can_be_called(find_missing, 2):
        return "find_missing must be a function of two arguments, (params, tools), without async"
    return ""


def _can_be_called(function: Any, arguments: int) -> bool:
    """Whether *function* takes so many arguments by position."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    return True
