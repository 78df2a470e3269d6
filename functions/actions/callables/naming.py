"""From `package.module:function` to the function itself, for those that the machine's owner listed."""

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from functions.errors import InputError

NAME = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*$"  # a function with a leading _ is not for others


def check_allowed(name: str, allowed: Sequence[str]) -> None:
    """Return quietly when *name* is one of *allowed* or within one of them.

    `jobs` allows `jobs:f` and `jobs.daily:f` but not `jobsite:f`; `jobs.daily:f` allows itself alone.

    Raises:
        InputError: It is not; the text names the setting.
    """
    if not allowed:
        raise InputError("No function may be called here; list modules in PYTHON_TASKS")
    if name not in allowed and not _is_within(name.partition(":")[0], allowed):
        raise InputError(f"The function {name} may not be called; PYTHON_TASKS does not list it")


def load(name: str, allowed: Sequence[str]) -> Callable[..., Any]:
    """Import the module of *name* and return the function. May take long, so call it in a thread.

    Raises:
        InputError: There is no such module or function, or it was only imported there from a module that
            is not *allowed*: a list of modules would otherwise open whatever these happen to import.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as exc:
        raise InputError(f"The module {module_name} cannot be imported ({_fault(exc)})") from exc
    function = getattr(module, attribute, None)
    if not callable(function):
        raise InputError(f"The module {module_name} has no function {attribute}")
    home = getattr(function, "__module__", None)
    if name not in allowed and not _is_within(str(home), allowed):
        raise InputError(f"{name} is defined in {home}, which PYTHON_TASKS does not list")
    return function  # type: ignore[no-any-return]  # any callable will do


def check_arguments(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Return quietly when *function* takes these arguments.

    Raises:
        InputError: It does not; the text says which argument is missing or too much.
    """
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError as exc:
        raise InputError(f"params: the function does not take these arguments: {exc}") from None
    except ValueError:  # a function of C that has no signature; calling it will tell
        return


def wants_job(function: Callable[..., Any]) -> bool:
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


def _fault(exc: BaseException) -> str:
    missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
    return f"there is no module {missing}" if missing else type(exc).__name__
