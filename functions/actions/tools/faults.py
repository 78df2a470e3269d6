"""What is wrong with a task's params, in words that name the field and never its value."""

import difflib
from collections.abc import Callable, Iterable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

FAULTS_TOLD = 10
_NAME_CHARS = 60


Place = tuple[str | int, ...]

# Faults that no text whatever could mend.
_BEYOND_EXCUSE = frozenset(
    {"extra_forbidden", "missing", "dict_type", "list_type", "tuple_type", "model_type"}
)


def faults_text(
    error: ValidationError,
    params: type[BaseModel],
    *,
    excused: Callable[[Place], bool] = lambda place: False,
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
        if fault["type"] in _BEYOND_EXCUSE or not excused(fault["loc"])
    ]
    told = [f"{_place(fault)}: {_reason(fault, known)}" for fault in faults[:FAULTS_TOLD]]
    if len(faults) > FAULTS_TOLD:
        told.append(f"and {len(faults) - FAULTS_TOLD} more faults")
    return "; ".join(told)


def _place(fault: ErrorDetails) -> str:
    return ".".join(("params", *(str(step)[:_NAME_CHARS] for step in fault["loc"])))


def _reason(fault: ErrorDetails, known: Iterable[str]) -> str:
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        near = difflib.get_close_matches(str(fault["loc"][0]), known, n=1)
        return f"unknown; did you mean {near[0]}?" if near else f"unknown; known are {', '.join(known)}"
    if fault["type"] == "missing":
        return "required"
    return fault["msg"].removeprefix("Value error, ")
