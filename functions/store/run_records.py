"""Run records as text, and several records of one attempt as the truest of them."""

import json
from collections.abc import Iterable
from datetime import datetime

from pydantic import ValidationError

from functions.rules.outcome import Run
from functions.rules.task import SUMMARY_CHARS
from functions.rules.words import OutcomeKind

CUT = {"note": "Metrics and items were too large to keep"}
KNOWN = {field.alias or name for name, field in Run.model_fields.items()}


def newest_first(runs: Iterable[Run]) -> list[Run]:
    """*runs* by the moment they finished, newest first, each record once."""
    once: dict[str, Run] = {}
    for run in runs:
        kept = once.get(run.key)
        once[run.key] = run if kept is None or _truth(run) > _truth(kept) else kept
    return sorted(once.values(), key=lambda run: (run.finished_at, run.key), reverse=True)


def _truth(run: Run) -> tuple[bool, bool, datetime]:
    """Of two records of one attempt the greater holds: a claim given up may have been alive after all."""
    return run.outcome is not OutcomeKind.ABANDONED, run.final, run.finished_at


def record_of(text: str) -> Run | None:
    """The record that *text* holds; None when it was spoilt by hand."""
    try:
        return Run.model_validate_json(text)
    except ValidationError:
        return _known_part(text)


def _known_part(text: str) -> Run | None:
    """The record without fields of a newer version, which must not hide from an older tick what happened."""
    try:
        given = json.loads(text)
        return Run.model_validate({name: given[name] for name in KNOWN & given.keys()})
    except (ValueError, AttributeError):
        return None


def text_of(run: Run) -> str:
    """The record as JSON, without what is at its default."""
    try:
        return run.model_dump_json(by_alias=True, exclude_defaults=True)
    except ValueError:  # metrics that are no JSON, or half a surrogate pair: keep what can be kept
        return cut(run).model_dump_json(by_alias=True, exclude_defaults=True)


def cut(run: Run) -> Run:
    """The record without what may be large."""
    summary = run.summary[:SUMMARY_CHARS].encode(errors="replace").decode()
    return run.model_copy(update={"summary": summary, "metrics": CUT, "items": ()})
