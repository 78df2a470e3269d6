"""The param `expect` of four task types: what an attempt must find to have succeeded.

One model for all of them: `ResponseExpectations` for `http` and `health_check_url`, `CommandExpectations` and
`ValueExpectations` for `command` and `python`. Each lists its rules as `Expectation`s, in the order in which
they are written here, which is the order of what is said of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, ValidationInfo, model_validator

from functions.domain.expectations import Expectation, Operator
from functions.domain.types import Model, text_form
from functions.task_types.support.context import MAX_HEADER_CHARS, SAVING, ExpectedStatus, StatusRanges

MAX_RULES = 30  # of the JSON, and of the headers
MAX_PATTERN_CHARS = MAX_PATH_CHARS = 500
_HIDDEN = ("path", "name")


def _when_saving(problem_of: Callable[[Any], str | None]) -> AfterValidator:
    """Return a validator for what is checked once, when it is saved: it costs a library, or much time."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if info.context == SAVING and (problem := problem_of(value)):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _pattern_problem(pattern: str) -> str | None:
    from functions.parsing.json_queries import pattern_problem

    return pattern_problem(pattern)


def _path_problem(path: str) -> str | None:
    from functions.parsing.json_queries import path_problem

    return path_problem(path)


def _schema_problem(schema: Mapping[str, Any]) -> str | None:
    from functions.parsing.json_queries import schema_problem

    return schema_problem(schema)


_Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PATTERN_CHARS), _when_saving(_pattern_problem)
]
_Path = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PATH_CHARS), _when_saving(_path_problem)
]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_Whole = Annotated[str, StringConstraints(max_length=1000)]
_Digest = Annotated[str, text_form(r"^[0-9a-f]{64}$", "must be 64 hexadecimal digits, in lower case")]
_HeaderName = Annotated[
    str,
    text_form(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$", "must be the name of a header, such as Content-Type"),
]
_HeaderText = Annotated[str, StringConstraints(max_length=MAX_HEADER_CHARS)]
_ExitCode = Annotated[int, Field(ge=0, le=255)]
ExitCodes = _ExitCode | Annotated[list[_ExitCode], Field(min_length=1, max_length=20)]
_Schema = Annotated[dict[str, JsonValue], _when_saving(_schema_problem)]
Watched = Literal["news", "required"]


class _Rule(Model):
    """Rules about one thing: all that are given must hold."""

    def operators(self) -> Iterator[tuple[Operator, Any]]:
        """Yield the rules that are given, each with its value."""
        for name, field in type(self).model_fields.items():
            if name in self.model_fields_set and name not in _HIDDEN:
                value = getattr(self, name)
                if value is not None or name in self._may_be_null:
                    operator: Any = field.alias or name
                    yield operator, value

    _may_be_null: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        operators = dict(self.operators())
        if not operators:
            known = [field.alias or name for name, field in type(self).model_fields.items()]
            raise ValueError(f"says nothing; give {' or '.join(one for one in known if one not in _HIDDEN)}")
        if operators.get("exists") is False and len(operators) > 1:
            raise ValueError("exists: false leaves nothing that another rule could be about")
        return self


class LengthRange(Model):
    """The length of a text, a list or an object."""

    greater: Annotated[int, Field(ge=0)] | None = None
    less: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.greater is None and self.less is None:
            raise ValueError("give greater, less or both")
        return self


class HeaderRule(_Rule):
    """What a header of the answer must be. Of one that comes several times, each must.

    Attributes:
        name: Of the header, in any case.
        equals: Its whole value.
        not_equals: What its value must not be.
        contains: Text that must be in it.
        matches: A regular expression that is found in it; `^` and `$` for the whole.
        greater: A number that it must be above.
        less: A number that it must be below.
        exists: True when it must be there, whatever its value; false when it must not.
        changed: `news` to be notified when it differs from the last success; `required` to fail when it
            does not.
    """

    name: _HeaderName
    equals: _HeaderText | None = None
    not_equals: _HeaderText | None = None
    contains: _Text | None = None
    matches: _Pattern | None = None
    greater: float | None = None
    less: float | None = None
    exists: bool | None = None
    changed: Watched | None = None


class JsonRule(_Rule):
    """What the values at a path of the JSON must be. Of several that it selects, each must; none is unmet.

    Attributes:
        path: A JSON path (RFC 9535), such as `$.status` or `$.items[*].id`.
        equals: The value, as JSON: 1 and 1.0 are equal, 1 and "1" are not.
        not_equals: What it must not be.
        contains: Text within a text, an element of a list, or a name of an object.
        matches: A regular expression that is found in a text; `^` and `$` for the whole.
        greater: A number that it must be above.
        less: A number that it must be below.
        length: Of a text, a list or an object: a number, or `{greater: 0, less: 10}`.
        exists: True when the path must select something, null included; false when nothing.
        changed: `news` to be notified when it differs from the last success; `required` to fail when it
            does not.
    """

    _may_be_null: ClassVar[frozenset[str]] = frozenset({"equals", "not_equals", "contains"})

    path: _Path
    equals: JsonValue = None
    not_equals: JsonValue = None
    contains: JsonValue = None
    matches: _Pattern | None = None
    greater: float | None = None
    less: float | None = None
    length: Annotated[int, Field(ge=0)] | LengthRange | None = None
    exists: bool | None = None
    changed: Watched | None = None


class TextRules(_Rule):
    """What a text must be, such as the body of an answer.

    Attributes:
        equals: The whole text, without white space around it.
        contains: Text that must be in it, or several.
        not_contains: Text that must not be in it, or several.
        matches: A regular expression that is found in it.
        sha256: The hash of all its bytes, in hexadecimal digits.
        changed: `news` to be notified when it differs from the last success; `required` to fail when it
            does not.
    """

    equals: _Whole | None = None
    contains: _Text | Annotated[list[_Text], Field(min_length=1, max_length=20)] | None = None
    not_contains: _Text | Annotated[list[_Text], Field(min_length=1, max_length=20)] | None = None
    matches: _Pattern | None = None
    sha256: _Digest | None = None
    changed: Watched | None = None


class Expectations(Model):
    """What every kind of expectations has: rules about JSON.

    Attributes:
        json: What values in it must be.
        schema: A JSON Schema that it must fit. Nothing is fetched for it.
    """

    json_rules: Annotated[tuple[JsonRule, ...], Field(alias="json", max_length=MAX_RULES)] = ()
    json_schema: _Schema | None = Field(default=None, alias="schema")

    document: ClassVar[str] = "value"  # the source that holds JSON

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not self.list_all():
            raise ValueError("expects nothing; give a rule, or leave it out")
        return self

    @property
    def needs_document(self) -> bool:
        """Whether the source that holds JSON is read as JSON."""
        return bool(self.json_rules) or self.json_schema is not None

    def list_all(self) -> Sequence[Expectation]:
        """Return every rule, in the order of messages."""
        return [*self.iter_own(), *self._iter_json()]

    def iter_own(self) -> Iterator[Expectation]:
        """Yield the rules that are about other things than JSON."""
        yield from ()

    def _iter_json(self) -> Iterator[Expectation]:
        for rule in self.json_rules:
            for operator, value in rule.operators():
                yield Expectation(self.document, rule.path, operator, _plain(value))
        if self.json_schema is not None:
            yield Expectation(self.document, "", "schema", self.json_schema)


class _OfResponse(Model):
    status: ExpectedStatus | None = None
    latency_ms: Annotated[int, Field(ge=1, le=300_000)] | None = None
    headers: Annotated[tuple[HeaderRule, ...], Field(max_length=MAX_RULES)] = ()
    body: TextRules | None = None


class ResponseExpectations(Expectations, _OfResponse):  # in this order the fields of the second come first
    """What an answer must be.

    Attributes:
        status: A code, a range such as "200-299" or "2xx", or a list of these.
        latency_ms: Milliseconds that the headers of the answer may take, redirects included.
        headers: What headers must be.
        body: What the body must be as a text.
        json: What values in the body must be, which is then read as JSON.
        schema: A JSON Schema that the body must fit. Nothing is fetched for it.
    """

    document: ClassVar[str] = "body"

    @property
    def needs_body(self) -> bool:
        """Whether the body is read for it."""
        return self.body is not None or self.needs_document

    def list_with(
        self, *, status: StatusRanges, latency_ms: int | None = None, contains: str | None = None
    ) -> Sequence[Expectation]:
        """Return every rule, with those that a task type's own params say in short; `status` counts last."""
        given = self.model_copy(
            update={"status": self.status or status, "latency_ms": self.latency_ms or latency_ms}
        )
        short = () if contains is None else (Expectation("body", "", "contains", contains),)
        return [*given.iter_own(), *short, *self._iter_json()]

    def iter_own(self) -> Iterator[Expectation]:
        """See `Expectations.iter_own`."""
        if self.status is not None:
            yield Expectation("status", "", "within", self.status.ranges)
        if self.latency_ms is not None:
            yield Expectation("latency", "", "atMost", self.latency_ms)
        for rule in self.headers:
            for operator, value in rule.operators():
                yield Expectation("header", rule.name, operator, value)
        yield from _text_rules("body", self.body)


class _OfCommand(Model):
    exit_code: ExitCodes | None = None
    stdout: TextRules | None = None
    stderr: TextRules | None = None


class CommandExpectations(Expectations, _OfCommand):
    """What a program must end with.

    Attributes:
        exit_code: An exit code, or a list of these.
        stdout: What its output must be as a text.
        stderr: What its error output must be as a text.
        json: What values in its output must be, which is then read as JSON.
        schema: A JSON Schema that its output must fit. Nothing is fetched for it.
    """

    document: ClassVar[str] = "stdout"

    def list_with(self, *, exit_codes: Sequence[int]) -> Sequence[Expectation]:
        """Return every rule, with the exit codes that the task type's own params say in short."""
        given = self if self.exit_code is not None else self.model_copy(update={"exit_code": [*exit_codes]})
        return given.list_all()

    def iter_own(self) -> Iterator[Expectation]:
        """See `Expectations.iter_own`."""
        if self.exit_code is not None:
            codes = self.exit_code if isinstance(self.exit_code, list) else [self.exit_code]
            yield Expectation("exitCode", "", "within", tuple((code, code) for code in codes))
        yield from _text_rules("stdout", self.stdout)
        yield from _text_rules("stderr", self.stderr)


class ValueExpectations(Expectations):
    """What a function must return.

    Attributes:
        json: What values in it must be, as JSON.
        schema: A JSON Schema that it must fit. Nothing is fetched for it.
    """


def _text_rules(source: str, rules: TextRules | None) -> Iterator[Expectation]:
    for operator, value in () if rules is None else rules.operators():
        yield Expectation(source, "", operator, value)


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if isinstance(value, LengthRange) else value
