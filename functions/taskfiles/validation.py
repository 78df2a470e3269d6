"""Checks the fields of one task: returns its spec, or all problems."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from pydantic import ValidationError

from functions.domain.older_names import with_current_names
from functions.domain.schedule.days import public_holidays
from functions.domain.schedule.days.closed import DayRule, OnExcluded
from functions.domain.schedule.days.entries import MAX_ENTRIES, MAX_ENTRY_CHARS, split_entries
from functions.domain.schedule.occurrences import shortest_gap
from functions.domain.schedule.parse import EVERY_DAY, parse_schedule
from functions.domain.task import NEVER_STARTED, Task, TaskSpec, slugify
from functions.domain.types import NOT_A_NAME, SHOWS_NOTHING, is_owner_name, shows_something
from functions.domain.validation import INSTANT_MESSAGE, FieldPath, Problem, problems_of
from functions.errors import InputError
from functions.task_types.registry import check_params, type_names

SAMPLE_ANCHOR = datetime(
    2000, 1, 1, tzinfo=UTC
)  # of an interval without startAt; only whether it can be read matters
STARTING_FIELDS = ("schedule", "after", "onEvent")
NO_ID_REASON = "the title makes no id, having no letter of a to z and no digit; write an id as well"
_FIELD = re.compile(r"([A-Za-z](?:[\w.]|\[\d+\])*(?:, \w+)*): (.+)", re.DOTALL)


def check_task(
    fields: object, *, default_timezone: str = "UTC", runs_when_asked: bool = False
) -> TaskSpec | list[Problem]:
    """Return the task that *fields* describes, or all its problems.

    Args:
        fields: Plain values with the camelCase names of task files.
        default_timezone: For a task without one.
        runs_when_asked: Whether it may do without anything that starts it: a run of it is asked for.
    """
    if not isinstance(fields, Mapping):
        return [Problem((), "a task must be a mapping of names to values, such as title: Water the plants")]
    if "frequency" in fields and "schedule" in fields:
        return [Problem(("frequency",), "is another name of schedule; write one of the two")]
    fields = with_current_names(fields, types=type_names())
    whole = fields if fields.get("timezone") is not None else {**fields, "timezone": default_timezone}
    try:
        spec: TaskSpec | None = TaskSpec.model_validate(whole, by_alias=True, by_name=False)
        found = []
    except ValidationError as exc:
        spec, found = None, problems_of(exc, whole, model=TaskSpec)
    found = [Problem(("id",), NO_ID_REASON) if _lacks_derivable_id(one, fields) else one for one in found]
    found = [*_check_schedule(whole), *_check_type_params(whole), *found, *_find_mistyped_values(whole)]
    found += _check_names(whole)
    if not runs_when_asked and not any(fields.get(name) for name in STARTING_FIELDS):
        found.append(Problem(("schedule",), NEVER_STARTED))
    if spec is not None and not found:
        found = list(_check_jitter(spec))
    unique: dict[FieldPath, Problem] = {}
    for one in found:
        unique.setdefault(one.path, one)  # the first about a path is the most specific
    return spec if spec is not None and not found else list(unique.values())


def merge_fields(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of *task* with those *given*, each as a whole; null means the default (RFC 7396)."""
    present = TaskSpec.model_validate(
        {name: getattr(task, name) for name in TaskSpec.model_fields}
    ).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    whole = {"id": task.id, "timezone": task.timezone, **present, **given}  # UTC is a zone, too
    return {name: value for name, value in whole.items() if value is not None}


def _lacks_derivable_id(problem: Problem, given: Mapping[str, Any]) -> bool:
    title = given.get("title")
    return problem.path == ("id",) and "id" not in given and isinstance(title, str) and not slugify(title)


def _check_names(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield names that nobody could see, click on or distinguish."""
    tags = given.get("tags")
    texts: list[tuple[FieldPath, Any]] = [(("title",), given.get("title"))]
    texts += [(("tags", number), tag) for number, tag in enumerate(tags if isinstance(tags, list) else ())]
    for path, text in texts:
        if isinstance(text, str) and text and not shows_something(text):
            yield Problem(path, SHOWS_NOTHING)
    owner = given.get("owner")
    if isinstance(owner, str) and not is_owner_name(owner):
        yield Problem(("owner",), NOT_A_NAME)


def _find_mistyped_values(given: object, place: FieldPath = ()) -> Iterator[Problem]:
    """Yield values that pydantic would accept against their meaning: true as 1, 2026 as a time in 1970."""
    if place in (("enabled",), ("params",)):
        return
    if isinstance(given, bool):
        yield Problem(place, "must not be true or false; if it is meant as text, put it in quotes")
    elif place in (("startAt",), ("endAt",)) and isinstance(given, int | float):
        yield Problem(place, INSTANT_MESSAGE)
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from _find_mistyped_values(value, (*place, name))
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from _find_mistyped_values(value, (*place, number))


def _check_schedule(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the schedule and, apart from it, of the zone."""
    expression, timezone = given.get("schedule"), given.get("timezone")
    days: DayRule | None = None
    try:
        days = _day_rule_of(given)
    except InputError as exc:
        yield _to_problem(exc, "except")
    if isinstance(expression, str) and expression:
        yield from _check_expression(expression, "UTC", days or EVERY_DAY)
    if isinstance(timezone, str) and timezone:
        yield from _check_expression("daily", timezone)


def _day_rule_of(given: Mapping[str, Any]) -> DayRule | None:
    """Return the days of *given*, without what the model refuses by itself; None where they are no list.

    Raises:
        ScheduleError: Days are not understood, or countries not known.
    """
    written, policy = split_entries(given.get("except", ())), given.get("onExcluded", "skip")
    if not isinstance(written, (list, tuple)) or policy not in get_args(OnExcluded):
        return None
    texts = [one for one in written if isinstance(one, str) and len(one) <= MAX_ENTRY_CHARS][:MAX_ENTRIES]
    return DayRule(public_holidays.check_entries(texts), policy)


def _check_expression(expression: str, timezone: str, days: DayRule = EVERY_DAY) -> Iterator[Problem]:
    try:
        parse_schedule(expression, timezone=timezone, task_id="any", anchor=SAMPLE_ANCHOR, days=days)
    except InputError as exc:
        yield _to_problem(exc, "schedule")


def _check_jitter(spec: TaskSpec) -> Iterator[Problem]:
    if not spec.jitter_seconds or not spec.schedule:
        return
    schedule = parse_schedule(
        spec.schedule, timezone=spec.timezone, task_id=spec.id, anchor=spec.start_at or SAMPLE_ANCHOR
    )
    gap = shortest_gap(schedule, after=SAMPLE_ANCHOR)
    if gap is not None and timedelta(seconds=spec.jitter_seconds) >= gap:
        gap_s = gap // timedelta(seconds=1)
        reason = f"must be shorter than the {gap_s} s between two occurrences; write at most {gap_s - 1}"
        yield Problem(("jitterSeconds",), reason)


def _check_type_params(given: Mapping[str, Any]) -> Iterator[Problem]:
    type_name, params = given.get("type"), given.get("params", {})
    if not isinstance(type_name, str) or not isinstance(params, Mapping):
        return
    try:
        check_params(type_name, params)
    except InputError as exc:
        for text in re.split(r"; (?=params\b|and \d+ more)", str(exc)):
            yield _to_problem(text, "params")


def _to_problem(text: object, field: str) -> Problem:
    """Split an error's text `field: reason` into a problem; of *field* when the text names none."""
    match = _FIELD.fullmatch(str(text))
    if match is None:
        return Problem((field,), str(text))
    names = match[1].replace("[", ".").replace("]", "").split(".")  # `rules[0].path` or `rules.0.path`
    steps = (int(step) if step.isdecimal() else step for step in names)
    return Problem(tuple(steps), match[2])
