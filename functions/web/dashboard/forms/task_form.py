"""The whole form of a task: its sections, the task it begins with, the task it becomes, and what it shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.domain.task import Task, TaskFields, TaskSpec
from functions.domain.validation import Problem
from functions.web.dashboard.forms.fields import PRESENT, Field, is_untouched, put_at, read_fields, value_at
from functions.web.dashboard.forms.layout import (
    BASICS,
    CAUSES,
    DAYS,
    LATENESS,
    LIMITS,
    NOTIFY,
    RETRY,
    bounds,
    task_field,
    zone_names,
)
from functions.web.dashboard.forms.params import PARAMS, accepts_more, param_fields, required_examples
from functions.web.dashboard.forms.shown import (
    ShownField,
    ShownGroup,
    ShownSection,
    SummaryLine,
    at_rows,
    place_problems,
    show_over,
    summary_of,
)
from functions.web.dashboard.forms.widgets import (
    MISSING,
    FieldError,
    Json,
    Line,
    Moment,
    Switch,
    Text,
    normalize,
)

SPEC_FIELDS = frozenset(TaskSpec.model_fields)
DEFAULTS = TaskFields.model_construct(id="-", title="-", type="-").model_dump(mode="json", by_alias=True)
MORE_PARAMS = (PARAMS, "+")  # params that the type does not name
OTHER_PARAMS = "Other settings"
EXPECT = "expect"  # the param that is spread over fields of a group of its own
NEW_TASK = {"type": "health_check_url", "schedule": "*/5 * * * *", "priority": "medium"}
MAX_TITLE_CHARS = 200
COPY = " (copy)"

Fields = dict[str, Any]  # of a task, by the names of task files


# The task that a form begins with.


def base_of_new(type_name: str, *, timezone: str) -> Fields:
    """Return the fields of a form for a new task."""
    defaults = {name: value for name, value in DEFAULTS.items() if name not in ("id", "title")}
    own = {"type": type_name, "timezone": timezone, PARAMS: required_examples(type_name)}
    return defaults | NEW_TASK | own


def base_of(task: Task) -> Fields:
    """Return the fields of *task* that its user decides."""
    return task.model_dump(mode="json", by_alias=True, include=set(SPEC_FIELDS))


def base_of_copy(task: Task) -> Fields:
    """Return the fields of a new task that is like *task*, with an id of its own."""
    fields = base_of(task)
    del fields["id"]
    return fields | {"title": task.title[: MAX_TITLE_CHARS - len(COPY)] + COPY}


def with_type(base: Fields, type_name: str) -> Fields:
    """Return *base* as a task of another type: with the params that fit, and examples of what it requires."""
    if base.get("type") == type_name:
        return base
    fitting: Fields = {}
    for one in param_fields(type_name):
        value = value_at(base, one.path)
        if one.path != (PARAMS,) and value is not MISSING and one.widget.encode(value) is not None:
            put_at(fitting, one.path, value)
    return base | {"type": type_name, PARAMS: required_examples(type_name) | fitting.get(PARAMS, {})}


# Its fields, in sections.


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together; one with a title is folded."""

    title: str
    fields: tuple[Field, ...]
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the form."""

    legend: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class TaskForm:
    """The form of one task.

    Attributes:
        base: The task that it began with; what is not touched stays as it is there.
        typed_zone: The zone that was sent.
        may_set_owner: Whether the user may make tasks for others.
        is_new: Whether the id can be chosen.
    """

    base: Fields
    typed_zone: str = ""
    may_set_owner: bool = True
    is_new: bool = True
    _params: list[Field] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._params.extend(param_fields(str(self.base.get("type", ""))))

    def sections(self) -> list[Section]:
        """Return the form's parts, in the order of the page."""
        main = [one for one in self._params if one.is_main]
        expected = [one for one in self._params if one.path[1:2] == (EXPECT,) and len(one.path) > 2]
        expected.sort(key=lambda one: len(one.path))  # rules about texts come last: they are seldom used
        more = [one for one in self._params if not one.is_main and one not in expected]
        zone = str(self.base.get("timezone") or "UTC")
        moment = Moment(zone, self.typed_zone or zone)
        what = [task_field("title", Line(), required=True, is_main=True), *main]
        return [
            Section(
                "What",
                (
                    Group("", tuple(what)),
                    self._group("What is expected", expected),
                    self._group("More of this type", more),
                    self._group(OTHER_PARAMS, self._more_params()),
                    self._group("Description", [task_field("description", Text())]),
                ),
            ),
            Section(
                "When",
                (
                    Group(
                        "",
                        (
                            task_field("schedule", Line(), is_main=True),
                            task_field("timezone", Line(options=zone_names()), is_main=True),
                        ),
                    ),
                    self._group("Days off", DAYS),
                    self._group("Start, end and spread", bounds(moment)),
                    self._group("After other tasks, or on events", CAUSES),
                    self._group("Late and overlapping runs", LATENESS),
                ),
            ),
            Section(
                "How",
                (
                    Group("", BASICS),
                    self._group("Attempts", RETRY),
                    self._group("Notifications", NOTIFY),
                    self._group("Limits", LIMITS),
                    self._group("Id, owner and switch", self._identity()),
                ),
            ),
        ]

    def fields(self) -> list[Field]:
        """Return all its fields."""
        return [one for section in self.sections() for group in section.groups for one in group.fields]

    def read(self, posted: Mapping[str, str]) -> tuple[Fields, list[Problem]]:
        """Return the task that *posted* makes of the base, and what is wrong with the texts."""
        known = [one for one in self.fields() if one.path != MORE_PARAMS]
        result, problems = read_fields(known, posted, base=self.base)
        for one in self._more_params():
            problems += self._read_more_params(one, posted, result)
        return result, problems

    def at_rows(self, posted: Mapping[str, str], problems: Iterable[Problem]) -> list[Problem]:
        """Return *problems* of the task that *posted* makes, each at the row that shows it."""
        return at_rows(self.fields(), posted, problems, base=self.base)

    def show(self, posted: Mapping[str, str], problems: Sequence[Problem] = ()) -> list[ShownSection]:
        """Return what the page shows: the texts of *posted*, or else of the base."""
        problems = place_problems(self.fields(), problems)
        return [
            ShownSection(
                section.legend,
                tuple(self._show_group(group, posted, problems) for group in section.groups if group.fields),
            )
            for section in self.sections()
        ]

    def _show_group(self, group: Group, posted: Mapping[str, str], problems: Sequence[Problem]) -> ShownGroup:
        shown = tuple(self._show(one, posted, problems) for one in group.fields)
        return ShownGroup(group.title, group.is_open, shown)

    def _show(self, one: Field, posted: Mapping[str, str], problems: Sequence[Problem]) -> ShownField:
        return show_over(one, posted, problems, before=self._value(one))

    def _value(self, one: Field) -> Any:
        if one.path != MORE_PARAMS:
            return value_at(self.base, one.path)
        return self._unnamed_params() or MISSING

    def _unnamed_params(self) -> Fields:
        params = self.base.get(PARAMS)
        names = {one.path[1] for one in self._params if len(one.path) > 1}
        if not isinstance(params, Mapping) or not names:
            return {}
        return {name: value for name, value in params.items() if name not in names}

    def _more_params(self) -> list[Field]:
        shows_all = any(one.path == (PARAMS,) for one in self._params)
        if shows_all or not (self._unnamed_params() or accepts_more(str(self.base.get("type", "")))):
            return []
        help_ = "A JSON object of what the type does not name. Empty it to remove them"
        return [Field(MORE_PARAMS, Json(), OTHER_PARAMS, help_)]

    def _read_more_params(self, one: Field, posted: Mapping[str, str], result: Fields) -> list[Problem]:
        texts, before = one.texts_in(posted), self._value(one)
        if texts is None or is_untouched(one, texts, before=before):
            return []
        try:
            given = one.widget.decode(texts, before=before)
        except FieldError as exc:
            return [Problem(one.path, reason) for reason in exc.reasons.values()]
        if given is not MISSING and not isinstance(given, dict):
            return [Problem(one.path, "must be a JSON object, such as {}")]
        kept = {name: value for name, value in result[PARAMS].items() if name not in self._unnamed_params()}
        result[PARAMS] = kept | (given if isinstance(given, dict) else {})
        return []

    def _identity(self) -> list[Field]:
        found = [task_field("id", Line())] if self.is_new else []
        found += [task_field("owner", Line())] if self.may_set_owner else []
        return [*found, task_field("enabled", Switch(None))]

    def _group(self, title: str, fields: Iterable[Field]) -> Group:
        fields = tuple(fields)
        return Group(title, fields, any(self._holds_something(one) for one in fields))

    def _holds_something(self, one: Field) -> bool:
        value = self._value(one)
        default = value_at(DEFAULTS, one.path) if one.path[0] != PARAMS else MISSING
        return value not in (MISSING, None, "", [], {}) and value != default


def summarize(form: TaskForm, problems: Iterable[Problem]) -> list[SummaryLine]:
    """Return what is wrong, in the order of the form, with what belongs to no field at the end."""
    return summary_of(form.fields(), place_problems(form.fields(), problems))


def carried_texts(form: TaskForm, posted: Mapping[str, str]) -> dict[str, str]:
    """Return params that were sent and are none of this type: choosing the last type again shows them."""
    shown = [one.name for one in form.fields()]
    return {
        name: text
        for name, text in posted.items()
        if name.startswith(f"{PARAMS}.")
        and normalize({"": text})
        and not name.endswith(PRESENT)
        and not any(name == one or name.startswith(f"{one}.") for one in shown)
    }


def fitting_texts(form: TaskForm, posted: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return *posted* without the params that are none of the form's type, and the names of those."""
    texts, dropped = dict(posted), []
    for one in form.fields():
        sent = one.texts_in(posted)
        if one.path[0] != PARAMS or one.path == MORE_PARAMS or sent is None:
            continue
        try:
            one.faithful_to(value_at(form.base, one.path)).decode(sent, before=MISSING)
        except FieldError:
            dropped.append(one.label)
            texts = {name: text for name, text in texts.items() if name != one.name}
    names = {name.split(".")[1] for name in carried_texts(form, posted)}
    return texts, (*dropped, *sorted(names))
