"""Cronfire: a serverless task scheduler. Start reading at `engine/tick.py`, the order of one tick.

What a program that uses it as a library needs is here by name, see `docs/how-to/library.md`; each name is
loaded when it is first used, for a tick needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functions.domain.costs.task_budget import CreditLimit
    from functions.domain.events import After, OnEvent
    from functions.domain.run import Outcome, Run, failed, succeeded
    from functions.domain.task import Group, Job, Misfire, NotifyRule, Retry
    from functions.domain.task import Task as StoredTask
    from functions.domain.task import TaskSpec as Task
    from functions.domain.types import Model as Params
    from functions.errors import (
        InputError,
        NotFoundError,
        SchedulerError,
        SettingsError,
        StoreError,
        StoreUnavailableError,
    )
    from functions.scheduler import Scheduler
    from functions.task_types.support.context import Tools

__version__ = "0.2.0"

_HOMES = {
    "After": "functions.domain.events",
    "CreditLimit": "functions.domain.costs.task_budget",
    "Group": "functions.domain.task",
    "InputError": "functions.errors",
    "Job": "functions.domain.task",
    "Misfire": "functions.domain.task",
    "NotFoundError": "functions.errors",
    "NotifyRule": "functions.domain.task",
    "OnEvent": "functions.domain.events",
    "Outcome": "functions.domain.run",
    "Params": "functions.domain.types:Model",
    "Retry": "functions.domain.task",
    "Run": "functions.domain.run",
    "Scheduler": "functions.scheduler",
    "SchedulerError": "functions.errors",
    "SettingsError": "functions.errors",
    "StoreError": "functions.errors",
    "StoreUnavailableError": "functions.errors",
    "StoredTask": "functions.domain.task:Task",
    "Task": "functions.domain.task:TaskSpec",
    "Tools": "functions.task_types.support.context",
    "failed": "functions.domain.run",
    "succeeded": "functions.domain.run",
}

__all__ = [
    "After",
    "CreditLimit",
    "Group",
    "InputError",
    "Job",
    "Misfire",
    "NotFoundError",
    "NotifyRule",
    "OnEvent",
    "Outcome",
    "Params",
    "Retry",
    "Run",
    "Scheduler",
    "SchedulerError",
    "SettingsError",
    "StoreError",
    "StoreUnavailableError",
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
