"""An outcome fit to be stored and shown: every text in it has been redacted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from functions.rules.outcome import Outcome


def redacted(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """*outcome* with *redact* applied to all that people or a store will see.

    Nearly all outcomes hold nothing to redact, and are returned as they are.
    """
    summary = redact(outcome.summary)
    metrics = _texts(outcome.metrics, redact)
    items = tuple(_texts(item, redact) for item in outcome.items)
    if (summary, metrics, items) == (outcome.summary, outcome.metrics, outcome.items):
        return outcome
    return replace(outcome, summary=summary, metrics=metrics, items=items)


def _texts(values: Mapping[str, Any], redact: Callable[[str], str]) -> Mapping[str, Any]:
    masked = {}
    for name, value in values.items():
        if isinstance(value, str) and (text := redact(value)) != value:
            masked[name] = text
    return {**values, **masked} if masked else values
