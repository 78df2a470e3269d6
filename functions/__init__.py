"""Cronfire: a serverless task scheduler. Start reading at `tick.py`, which holds the order of one tick.

What a program that uses it as a library needs is here by name, see `docs/library.md`; each name is loaded
when it is first used, for a tick needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functions.actions.tools import Tools
    from functions.errors import (
        InputError,
        NotFoundError,
        SchedulerError,
        SettingsError,
        StoreError,
        StoreUnavailable,
    )
    from functions.library import Scheduler
    from functions.rules.job import Job
    from functions.rules.outcome import Outcome, Run, failed, succeeded
    from functions.rules.task import Task as StoredTask
    from functions.rules.task import TaskSpec as Task
    from functions.rules.words import Model as Params

__version__ = "0.1.0"

_HOMES = {
    "InputError": "functions.errors",
    "Job": "functions.rules.job",
    "NotFoundError": "functions.errors",
    "Outcome": "functions.rules.outcome",
    "Params": "functions.rules.words:Model",
    "Run": "functions.rules.outcome",
    "Scheduler": "functions.library",
    "SchedulerError": "functions.errors",
    "SettingsError": "functions.errors",
    "StoreError": "functions.errors",
    "StoreUnavailable": "functions.errors",
    "StoredTask": "functions.rules.task:Task",
    "Task": "functions.rules.task:TaskSpec",
    "Tools": "functions.actions.tools",
    "failed": "functions.rules.outcome",
    "succeeded": "functions.rules.outcome",
}

__all__ = [
    "InputError",
    "Job",
    "NotFoundError",
    "Outcome",
    "Params",
    "Run",
    "Scheduler",
    "SchedulerError",
    "SettingsError",
    "StoreError",
    "StoreUnavailable",
    "StoredTask",
    "Task",
    "Tools",
    "__version__",
    "failed",
    "succeeded",
]


def __getattr__(name: str) -> Any:
    home, _, other = _HOMES.get(name, "").partition(":")
    if not home:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(home), other or name)
    globals()[name] = found
    return found
