"""Checking what an attempt found against its `expect`: the outcome, its messages, and what is remembered.

Codes, headers and hashes are compared here. Texts and JSON go to the process that parses (`contents`), one
document for each attempt, and to no process when no expectation is about them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from functions.domain.expectations import (
    MEMORY_KEY,
    Expectation,
    Findings,
    Unmet,
    digest_of,
    find_unmet,
    show_value,
)
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.parsing.contents import CheckedContents, Observed, check_contents
from functions.parsing.errors import ParsingStoppedError
from functions.parsing.pool import parsing_time
from functions.task_types.support.context import Tools
from functions.task_types.support.limits import truncate

MAX_CHECKING_S = 4.0  # for all of an attempt's; a sensible pattern takes milliseconds
MAX_METRIC_LINES = 20
_SHOWN_CHARS = 100  # of what is expected, and of what was found
_SHOWN_LINES = 5  # in a summary; all are in the metric `unmet`
_TEXT_SOURCES = frozenset({"body", "stdout", "stderr", "value"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all expectations are met.

    Attributes:
        unmet: A sentence for each that is not, masked and cut.
        changes: What differs from the last success: each with its name, and a sentence about the values.
        memory: What to remember of a success.
    """

    unmet: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)


async def check_expectations(
    rules: Sequence[Expectation], findings: Findings, job: Job, tools: Tools
) -> Verdict:
    """Return which of *rules* are not met by *findings*, and what has changed."""
    unmet: list[Unmet] = []
    observed: list[Observed] = []
    to_parse: list[tuple[int, Expectation]] = []
    for number, expectation in enumerate(rules):
        if _needs_process(expectation):
            to_parse.append((number, expectation))
        else:
            _check_here(number, expectation, findings, unmet, observed)
    if to_parse:
        try:
            checked = await _check_in_process(to_parse, findings, job, tools)
        except ParsingStoppedError as exc:
            number, _ = to_parse[0]
            within = exc.why.partition(":")[0]
            why = f"could not be checked {within}; a pattern, a path or the schema is too slow"
            unmet.append(Unmet(number, "texts and JSON", "", why))
        else:
            unmet += checked.unmet
            observed += checked.observed
    return _to_verdict(rules, unmet, observed, findings, job, tools)


def outcome_of(
    verdict: Verdict,
    outcome: Outcome,
    job: Job,
    *,
    what_happened: str,
    permanent: bool = False,
    retry_after: timedelta | None = None,
) -> Outcome:
    """Return *outcome*, which is a success, as *verdict* leaves it.

    Args:
        what_happened: The beginning of a failure's sentence, e.g. `Answered 200`.
        permanent: Whether a failure is permanent.
        retry_after: When a failed attempt may be repeated; None for as soon as its task says.
    """
    metrics = dict(outcome.metrics)
    if verdict.unmet:
        shown = "; ".join(verdict.unmet[:_SHOWN_LINES])
        more = len(verdict.unmet) - _SHOWN_LINES
        metrics["unmet"] = "\n".join(verdict.unmet[:MAX_METRIC_LINES])
        summary = f"{what_happened}, but {shown}{f'; and {more} more' if more > 0 else ''}"
        return failed(summary, permanent=permanent, retry_after=retry_after, metrics=metrics)
    memory = _new_memory(verdict, outcome, job)
    if not verdict.changes:
        return outcome if memory is None else replace(outcome, memory=memory)
    said = "; ".join(f"{name} changed {how}".strip() for name, how in verdict.changes[:_SHOWN_LINES])
    items = tuple({"title": f"{name} changed", "text": how} for name, how in verdict.changes)
    return succeeded(
        f"{outcome.summary}; {said}",
        metrics=metrics,
        items=(*outcome.items, *items),
        memory=memory,
        has_news=True,
        events=outcome.events,
    )


def _new_memory(verdict: Verdict, outcome: Outcome, job: Job) -> dict[str, Any] | None:
    """Return the memory with what is watched beside what the type remembers; None when nothing changes."""
    known = job.memory if outcome.memory is None else outcome.memory
    memory = {name: value for name, value in known.items() if name != MEMORY_KEY}
    if verdict.memory:
        memory[MEMORY_KEY] = dict(verdict.memory)
    return None if outcome.memory is None and memory == job.memory else memory


def _needs_process(expectation: Expectation) -> bool:
    """Whether it is about the content of a text, or compares one with a pattern."""
    if expectation.is_json or expectation.operator == "matches":
        return True
    return expectation.source in _TEXT_SOURCES and expectation.operator not in ("sha256", "changed")


def _check_here(
    number: int,
    expectation: Expectation,
    findings: Findings,
    unmet: list[Unmet],
    observed: list[Observed],
) -> None:
    source, note = expectation.source, ""
    values: Sequence[Any]
    if source in _TEXT_SOURCES:
        if why := findings.incomplete.get(source):
            unmet.append(Unmet(number, expectation.label, "all of it", why))
            return
        values = [hashlib.sha256(_bytes_of(source, findings)).hexdigest()]
    else:
        values = findings.values.get(_value_key(expectation), ())
    if expectation.operator == "changed" and values:
        shown = "" if source in _TEXT_SOURCES else show_value(values[0] if len(values) == 1 else list(values))
        observed.append(Observed(number, expectation.label, digest_of(values), shown))
    elif (found := find_unmet(number, expectation, values, note=note)) is not None:
        unmet.append(found)


def _value_key(expectation: Expectation) -> str:
    return f"header {expectation.name.lower()}" if expectation.source == "header" else expectation.source


def _bytes_of(source: str, findings: Findings) -> bytes:
    raw = findings.raw.get(source)
    return findings.texts[source].encode("utf-8", "replace") if raw is None else raw


async def _check_in_process(
    to_parse: Sequence[tuple[int, Expectation]], findings: Findings, job: Job, tools: Tools
) -> CheckedContents:
    keys = {_value_key(expectation) for _, expectation in to_parse}
    texts = {
        key: [findings.texts.get(key, "")] if key in _TEXT_SOURCES else list(findings.values.get(key, ()))
        for key in keys
    }
    incomplete = {key: why for key, why in findings.incomplete.items() if key in keys}
    document = json.dumps({"texts": texts, "incomplete": incomplete}).encode()
    expectations = [
        {
            "number": number,
            "source": one.source,
            "name": one.name,
            "operator": one.operator,
            "value": one.value,
        }
        for number, one in to_parse
    ]
    time_s = min(MAX_CHECKING_S, parsing_time(job.timeout_s))
    return await tools.parse(partial(check_contents, expectations=expectations), document, timeout_s=time_s)


def _to_verdict(
    rules: Sequence[Expectation],
    unmet: list[Unmet],
    observed: Sequence[Observed],
    findings: Findings,
    job: Job,
    tools: Tools,
) -> Verdict:
    known = job.memory.get(MEMORY_KEY)
    known = known if isinstance(known, Mapping) else {}
    memory: dict[str, Any] = {}
    changes = []
    for one in sorted(observed, key=lambda watched: watched.number):
        rule = rules[one.number]
        key = digest_of([findings.origin, rule.source, rule.name])
        shown = _shown(one.shown, tools)
        memory[key] = {"digest": one.digest, "shown": shown}
        found = known.get(key)
        before: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        has_changed = bool(before) and before.get("digest") != one.digest
        if rule.value == "required" and before and not has_changed:
            unmet.append(Unmet(one.number, one.label, "a change since the last success", shown or "the same"))
        elif rule.value == "news" and has_changed:
            how = f"from {before['shown']} to {shown}" if shown and before.get("shown") else ""
            changes.append((_shown(one.label, tools), how))
    lines = tuple(_sentence(one, tools) for one in sorted(unmet, key=lambda one: one.number))
    return Verdict(lines, tuple(changes), memory)


def _sentence(unmet: Unmet, tools: Tools) -> str:
    label, found = _shown(unmet.label, tools), _shown(unmet.found, tools, limit=3 * _SHOWN_CHARS)
    if not unmet.expected:
        return f"{label}: {found}"
    found = _shown(unmet.found, tools)
    return f"{label}: expected {_shown(unmet.expected, tools)}, found {found}"


def _shown(text: str, tools: Tools, *, limit: int = _SHOWN_CHARS) -> str:
    """Return *text* masked, on one line and cut."""
    return truncate(" ".join(tools.redact(text).split()), limit)
