"""An outcome fit to be stored and shown: every text in it has been redacted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from functions.rules.outcome import Outcome


def redacted(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """*outcome* with *redact* applied to all that people or a store will see."""
    return replace(
        outcome,
        summary=redact(outcome.summary),
        metrics=_texts(outcome.metrics, redact) if outcome.metrics else outcome.metrics,
        items=tuple(_texts(item, redact) for item in outcome.items),
    )


def _texts(values: Mapping[str, Any], redact: Callable[[str], str]) -> dict[str, Any]:
    return {name: redact(value) if isinstance(value, str) else value for name, value in values.items()}
