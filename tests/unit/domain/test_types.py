"""Values: copies that share what cannot change, and instants as text."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from functions.domain.task import Claim, Task
from functions.domain.types import (
    LAST_INSTANT,
    Instant,
    Model,
    earliest,
    format_instant,
    parse_stored_instant,
    timezone_or_utc,
    to_local,
)
from functions.domain.validation import suggest, validation_sentence
from tests.conftest import NOON

CLAIM = Claim(token="a.1", until=NOON, started_at=NOON)


def a_task() -> Task:
    return Task(id="a", title="A", type="http", schedule="@daily", created_at=NOON, updated_at=NOON)


def test_a_copy_differs_in_what_was_asked_for_and_in_nothing_else() -> None:
    task = a_task()

    copied = task.model_copy(update={"claim": CLAIM, "attempt": 1})

    assert (task.claim, task.attempt) == (None, 0)
    assert {"claim", "attempt"} == {name for name, value in copied if value is not getattr(task, name)}
    assert copied == Task.model_validate(task.model_dump() | {"claim": CLAIM, "attempt": 1})
    assert type(copied) is Task


def test_a_copy_without_changes_is_equal_and_another_one() -> None:
    task = a_task()

    copied = task.model_copy()

    assert copied == task
    assert copied is not task
    assert copied.__dict__ is not task.__dict__
    assert copied.model_dump_json(exclude_defaults=True) == task.model_dump_json(exclude_defaults=True)


def test_a_copy_cannot_be_changed_either() -> None:
    copied = a_task().model_copy(update={"attempt": 2})

    with pytest.raises(ValidationError, match="frozen"):
        copied.attempt = 3  # type: ignore[misc]  # that is what this is about


def test_a_deep_copy_shares_nothing() -> None:
    task = a_task().model_copy(update={"params": {"list": [1]}})

    copied = task.model_copy(deep=True)

    assert copied == task
    assert copied.params["list"] is not task.params["list"]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=UTC), "2026-11-20T12:00:00Z"),
        (datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC), "2026-11-20T12:00:00.250000Z"),
        (datetime(2026, 11, 20, 14, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T12:00:00Z"),
    ],
)
def test_an_instant_is_written_in_utc(at: datetime, text: str) -> None:
    """The same, however often it is asked for, and from whatever zone."""
    assert [text, text] == [format_instant(at), format_instant(at)]


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "9001-01-01T00:00:00Z",
        "9000-12-31T23:59:59-00:01",
    ],
)
def test_a_moment_that_utc_cannot_hold_is_refused_as_any_wrong_value_is(text: str) -> None:
    """An OverflowError would go through every check, and one such document would stop a tick."""
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(Instant).validate_python(text)

    assert "document: is out of range; use a year from 1970 to 9000" == validation_sentence(refusal.value)


def test_an_instant_is_in_utc_wherever_it_was_written() -> None:
    read = TypeAdapter(Instant).validate_json('"2026-11-20T14:00:00+02:00"')

    assert (datetime(2026, 11, 20, 12, tzinfo=UTC), UTC) == (read, read.tzinfo)


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_no_instant_is_too_far_to_be_shown(at: datetime, zone: str) -> None:
    """A formatter that raises takes all notices of a tick and the whole page with it."""
    shown = to_local(at, timezone_or_utc(zone))

    assert abs(shown.replace(tzinfo=UTC) - at) <= timedelta(hours=14)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:00:00Z", "1969-12-31T23:59:59Z", "2026-11-20T12:00:00", "soon", "", 5, None, {}]
)
def test_what_a_store_holds_as_an_instant_may_be_none(text: object) -> None:
    assert parse_stored_instant(text) is None


def test_what_lies_beyond_the_last_instant_is_never() -> None:
    beyond = LAST_INSTANT + timedelta(days=1)

    assert earliest([beyond]) is None
    assert LAST_INSTANT == earliest([beyond, LAST_INSTANT, None])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"argv": ["echo", 1]}, "argv[1]: must be text; put the value in quotes"),
        ({"argv": [None]}, "argv[0]: must be text"),
        ({"argv": {"a": 1}}, "argv: must be text or a list"),
        ({"argv": 5}, "argv: must be text or a list; put the value in quotes"),
        ({"argv": ["a"], "limit": [{"most": "x"}]}, "limit[0].most: must be a whole number"),
    ],
)
def test_of_a_text_or_a_list_that_is_judged_which_was_given(given: dict[str, object], sentence: str) -> None:
    class Limit(Model):
        most: int

    class Params(Model):
        argv: str | list[str]
        limit: int | list[Limit] = 1

    with pytest.raises(ValidationError) as refusal:
        Params.model_validate(given)

    assert sentence == validation_sentence(refusal.value, given)


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("get", ("GET", "HEAD"), "GET"),
        ("url", ("feedUrl", "maxItems"), "feedUrl"),
        ("repo", ("repository", "token"), "repository"),
        ("days", ("host", "certificateDaysLeft"), "certificateDaysLeft"),
        ("data", ("dataSourceName", "pathOfDatabase"), ""),  # either
        ("ms", ("maxLatencyMs",), ""),  # too short to mean anything
        ("xyzzy", ("host",), ""),
    ],
)
def test_the_likeliest_name_is_suggested(name: str, known: tuple[str, ...], meant: str) -> None:
    assert (f"did you mean {meant}?" if meant else "") == suggest(name, known)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"names": []}, "names: must not be empty"),
        ({"names": [5]}, "names[0]: must be text; put the value in quotes"),  # one wrong entry is not none
        ({"codes": [1, "a"]}, "codes[1]: must be a whole number"),
        ({"pair": [1]}, "pair: must have at least 2 entries"),
        ({"word": "a"}, "word: must have at least 2 characters"),
    ],
)
def test_what_is_too_short_is_said_with_how_much_it_needs(given: dict[str, object], sentence: str) -> None:
    class Params(Model):
        names: Annotated[list[str], Field(min_length=1)] = ["a"]  # noqa: RUF012  # pydantic copies it
        pair: Annotated[list[int], Field(min_length=2)] = [1, 2]  # noqa: RUF012
        codes: Annotated[tuple[int, ...], Field(min_length=2)] = (1, 2)
        word: Annotated[str, Field(min_length=2)] = "ab"

    with pytest.raises(ValidationError) as refusal:
        Params.model_validate(given)

    assert sentence == validation_sentence(refusal.value)
