"""What a user's function handed back, or raised, as an outcome."""

from collections.abc import Mapping
from typing import Any

from functions.rules.outcome import Outcome, failed, succeeded

_FIELDS = ("summary", "items", "memory", "metrics")
_MESSAGE_CHARS = 300


def outcome_of(answer: object, name: str) -> Outcome:
    """The outcome that *answer* of the function *name* stands for.

    None and a text mean success, a dict success with some of `summary`, `items`, `memory` and
    `metrics`, an outcome itself. Anything else is a permanent failure, as it was not meant so.
    """
    if isinstance(answer, Outcome):
        return answer
    if answer is None or isinstance(answer, str):
        return succeeded(answer or f"{name} returned")
    if isinstance(answer, dict):
        return _from_dict(answer, name)
    return failed(
        f"{name} returned {type(answer).__name__}; return nothing, a text, a dict or an Outcome",
        permanent=True,
    )


def _from_dict(answer: Mapping[Any, Any], name: str) -> Outcome:
    unknown = ", ".join(sorted(str(key)[:40] for key in answer if key not in _FIELDS)[:5])
    if unknown:
        return failed(
            f"{name} returned a dict with {unknown}; known are {', '.join(_FIELDS)}", permanent=True
        )
    items = answer.get("items") or ()
    return succeeded(
        str(answer.get("summary") or f"{name} returned"),
        metrics=answer.get("metrics"),
        items=tuple(items) if isinstance(items, (list, tuple)) else (),
        memory=answer.get("memory"),
        news=bool(items),
    )


def raised(exc: BaseException) -> Outcome:
    """The failure that an exception stands for: its type and the first line of what it says."""
    said = str(exc).strip().partition("\n")[0][:_MESSAGE_CHARS]
    return failed(f"{type(exc).__name__}: {said}" if said else type(exc).__name__)
