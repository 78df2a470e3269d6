"""Checking: what a person wrote about one task becomes a spec, or all that is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from functions.domain.schedule.parse import read_schedule
from functions.domain.task import TaskSpec, slug
from functions.domain.validation import INSTANT, Place, Problem, problems_of
from functions.errors import InputError
from functions.task_types.registry import check_params

ANCHOR = datetime(
    2000, 1, 1, tzinfo=UTC
)  # of an interval without startAt; only whether it can be read matters
NO_ID = "the title makes no id, having no letter of a to z and no digit; write an id as well"
_FIELD = re.compile(r"([A-Za-z][\w.]*(?:, \w+)*): (.+)", re.DOTALL)


def check_task(given: object, *, default_timezone: str = "UTC") -> TaskSpec | list[Problem]:
    """Return the task that *given* describes, or everything that is wrong with it.

    Args:
        given: Plain values with the camelCase names of task files.
        default_timezone: For a task that names none.
    """
    if not isinstance(given, Mapping):
        return [Problem((), "a task must be a mapping of names to values, such as title: Water the plants")]
    whole = given if given.get("timezone") is not None else {**given, "timezone": default_timezone}
    try:
        spec: TaskSpec | None = TaskSpec.model_validate(whole, by_alias=True, by_name=False)
        found = []
    except ValidationError as exc:
        spec, found = None, problems_of(exc, whole)
    found = [Problem(("id",), NO_ID) if _made_no_id(one, given) else one for one in found]
    found = [*_schedule(whole), *_params(whole), *found, *_slips(whole)]
    unique: dict[Place, Problem] = {}
    for one in found:
        unique.setdefault(one.place, one)  # the first about a place knows most
    return spec if spec is not None and not found else list(unique.values())


def _made_no_id(problem: Problem, given: Mapping[str, Any]) -> bool:
    title = given.get("title")
    return problem.place == ("id",) and "id" not in given and isinstance(title, str) and not slug(title)


def _slips(given: object, place: Place = ()) -> Iterator[Problem]:
    """What pydantic would take for a number or a moment, and nobody meant: true as 1, 2026 as 1970."""
    if place in (("enabled",), ("params",)):
        return
    if isinstance(given, bool):
        yield Problem(place, "must not be true or false; if it is meant as text, put it in quotes")
    elif place in (("startAt",), ("endAt",)) and isinstance(given, int | float):
        yield Problem(place, INSTANT)
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from _slips(value, (*place, name))
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from _slips(value, (*place, number))


def _schedule(given: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the schedule and, apart from it, with the zone."""
    expression, timezone = given.get("schedule"), given.get("timezone")
    if isinstance(expression, str) and expression:
        yield from _read(expression, "UTC")
    if isinstance(timezone, str) and timezone:
        yield from _read("daily", timezone)


def _read(expression: str, timezone: str) -> Iterator[Problem]:
    try:
        read_schedule(expression, timezone=timezone, task_id="any", anchor=ANCHOR)
    except InputError as exc:
        yield _problem(exc, "schedule")


def _params(given: Mapping[str, Any]) -> Iterator[Problem]:
    type_name, params = given.get("type"), given.get("params", {})
    if not isinstance(type_name, str) or not isinstance(params, Mapping):
        return
    try:
        check_params(type_name, params)
    except InputError as exc:
        for text in re.split(r"; (?=params\b|and \d+ more)", str(exc)):
            yield _problem(text, "params")


def _problem(said: object, field: str) -> Problem:
    """The problem that an error's text `field: reason` tells of; *field* when it names none."""
    match = _FIELD.fullmatch(str(said))
    if match is None:
        return Problem((field,), str(said))
    steps = (int(step) if step.isdecimal() else step for step in match[1].split("."))
    return Problem(tuple(steps), match[2])
