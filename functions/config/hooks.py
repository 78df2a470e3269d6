"""The settings that name functions to call before and after each attempt."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from functions.config.types import split_list

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*$")]
DESCRIPTION = "a function such as jobs.audit:note"


class HookSettings(BaseModel):
    """The variables of hooks.

    Attributes:
        before_task: Called with the job before each attempt; None for nothing.
        after_task: Called with the event of each run that has finished; None for nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    before_task: FunctionName | None = Field(None, description=DESCRIPTION)
    after_task: FunctionName | None = Field(None, description=DESCRIPTION)


def hook_problems(values: Mapping[str, str]) -> list[str]:
    """Return a sentence for each hook that PYTHON_TASKS does not allow."""
    allowed = split_list(values.get("python_tasks", ""))
    assert isinstance(allowed, tuple)  # a text was split
    return [
        f"{name.upper()} names a function that PYTHON_TASKS does not list; add its module there."
        for name in HookSettings.model_fields
        if (given := values.get(name)) and not _is_listed(given, allowed)
    ]


def _is_listed(name: str, allowed: tuple[str, ...]) -> bool:
    module = name.partition(":")[0]
    return name in allowed or any(module == one or module.startswith(f"{one}.") for one in allowed)
