"""The entries of `except`: what each means, and what is refused with which remedy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days import public_holidays
from functions.domain.schedule.days.entries import (
    EXAMPLE,
    MAX_ENTRIES,
    PublicHolidays,
    calendar_names,
    canonical_entries,
    parse_entry,
    split_entries,
)
from functions.domain.task import TaskSpec
from functions.errors import InputError
from functions.services.calendars.book import check_entries
from functions.taskfiles.validation import check_task


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2026-12-24", "2026-12-24"),
        (" 2026-12-24 .. 2027-01-02 ", "2026-12-24..2027-01-02"),
        ("12-24..01-02", "12-24..01-02"),
        ("02-29", "02-29"),
        ("2026-12-24..2026-12-24", "2026-12-24"),
        ("Saturday", "sat"),
        ("FRI..sat", "fri..sat"),
        ("Weekend", "weekends"),
        ("weekends: fri..sat", "weekends:fri..sat"),
        ("weekends:none", "weekends:none"),
        ("Holidays: us-ca", "holidays:US-CA"),
        ("holiday:LVA", "holidays:LVA"),
        ("calendar: company", "calendar:company"),
    ],
)
def test_an_entry_has_one_plainest_spelling(written: str, canonical: str) -> None:
    assert str(parse_entry(written)) == canonical
    assert parse_entry(canonical) == parse_entry(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "not understood"),
        ("tomorrow", "not understood"),
        ("24.12.2026", "not understood"),
        ("2026-12-24..", "not understood"),
        ("2026-12-24..25..26", "not understood"),
        ("2026-1-2", "not understood"),
        ("٢٠٢٦-١٢-٢٤", "not understood"),
        ("2026-02-30", "not in the calendar"),
        ("13-01", "not in the calendar"),
        ("1969-12-31", "use a year from 1970"),
        ("2027-01-02..2026-12-24", "write 2026-12-24..2027-01-02"),
        ("2026-12-24..01-02", "a year at one end only"),
        ("holidays:", "names no country"),
        ("holidays:Latvia", "names no country"),
        ("calendar:", "not the name of a calendar"),
        ("calendar:Company", "not the name of a calendar"),
        ("calendar:-x", "not the name of a calendar"),
        ("weekends:some", "names no weekdays"),
        ("x" * 81, "too long"),
    ],
)
def test_what_is_no_entry_is_refused(written: str, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        parse_entry(written)


@pytest.mark.slow
@given(st.text(max_size=90))
def test_any_text_is_an_entry_or_refused(text: str) -> None:
    try:
        entry = parse_entry(text)
    except ScheduleError:
        return
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("given_", "texts"),
    [
        ("12-24..01-02; holidays:LV, sat", ["12-24..01-02", " holidays:LV", " sat"]),
        (["12-25", {"holidays": "LV"}], ["12-25", "holidays:LV"]),
        ({"holidays": ["LV", "US-CA"], "weekends": True}, ["holidays:LV", "holidays:US-CA", "weekends"]),
        (7, 7),
        ([7, None], [7, None]),
        ({"calendar": None}, [None]),
    ],
)
def test_one_text_and_mappings_are_lists_of_entries(given_: Any, texts: Any) -> None:
    assert split_entries(given_) == texts


def test_entries_are_counted_and_calendars_hold_none() -> None:
    with pytest.raises(ScheduleError, match=f"at most {MAX_ENTRIES}"):
        canonical_entries(["sat"] * 10_000)
    with pytest.raises(ScheduleError, match="at most 5 calendars"):
        canonical_entries(f"calendar:c{number}" for number in range(6))
    with pytest.raises(ScheduleError, match="a calendar within a calendar"):
        canonical_entries(["calendar:other"], may_name_calendars=False)
    assert calendar_names(("sat", "calendar:a", "holidays:LV", "calendar:b")) == ("a", "b")


def test_all_that_is_wrong_is_said_at_once_with_each_remedy_once() -> None:
    given_ = ["sat", "24.12.", "12-32", "tomorrow", "24.12.", "weekends"]

    with pytest.raises(ScheduleError) as caught:
        canonical_entries(given_)

    assert str(caught.value) == (
        f'"24.12." is not understood; {EXAMPLE}; also "12-32" is not in the calendar; write a date such as '
        '2026-12-24 or 12-24; also "tomorrow" is not understood'
    )
    with pytest.raises(ScheduleError, match=r'; also "x9" is not understood; also 490 more are wrong$'):
        canonical_entries(f"x{number}" for number in range(500))


def test_an_unknown_country_is_said_beside_what_is_not_understood() -> None:
    task = {"id": "a", "title": "A", "type": "http", "schedule": "daily", "params": {"url": "https://a.io"}}

    found = check_task(task | {"except": ["24.12.", "holidays:QQ", "holidays:US-XX"]})

    assert isinstance(found, list)
    [problem] = found
    assert "except" == problem.field
    for said in ('"24.12." is not', '"holidays:QQ" is no country', '"holidays:US-XX" is no part'):
        assert said in problem.reason
    with pytest.raises(InputError, match=r'^entries: "24.12." is not .*"holidays:QQ" is no country'):
        check_entries(["24.12.", "holidays:QQ"], name="company")


def test_a_task_has_them_in_their_plainest_spelling_each_once() -> None:
    spec = TaskSpec.model_validate(
        {"title": "t", "type": "http", "schedule": "daily", "except": ["Sat", "sat", {"holidays": "lv"}]},
        by_alias=True,
        by_name=False,
    )

    assert spec.excluded == ("sat", "holidays:LV")
    assert spec.model_dump(by_alias=True)["except"] == ("sat", "holidays:LV")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"except": ["2026-02-30"], "schedule": "daily"}, "not in the calendar"),
        ({"except": ["sat"] * 501, "schedule": "daily"}, "at most 500"),
        ({"except": ["sat"]}, "there is none; remove it"),
        ({"onExcluded": "next"}, "there is none; remove it"),
        ({"onExcluded": "later", "schedule": "daily"}, "'skip', 'next' or 'previous'"),
    ],
)
def test_a_task_with_wrong_days_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TaskSpec.model_validate({"title": "t", "type": "http", **fields}, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("code", "near"),
    [("LX", "LV|LA|LU|LI"), ("ZZZ", "there is"), ("US-ZZ", "there is AZ"), ("LV-RIX", "write holidays:LV")],
)
def test_an_unknown_country_is_refused_with_those_that_exist(code: str, near: str) -> None:
    with pytest.raises(ScheduleError, match=near):
        public_holidays.check(parse_entry(f"holidays:{code}"))  # type: ignore[arg-type]


def test_known_countries_have_their_days() -> None:
    latvia = public_holidays.holiday_year(PublicHolidays("LV"), 2026)
    assert "2026-11-18" in {day.isoformat() for day in latvia.dates}
    assert latvia.weekend == {6, 0}
    assert public_holidays.holiday_year(PublicHolidays("SA"), 2026).weekend == {5, 6}  # Friday and Saturday
    assert public_holidays.holiday_year(PublicHolidays("CN"), 2026).workdays  # made up for on weekends
    assert not public_holidays.holiday_year(PublicHolidays("XX"), 2026).dates
    california = public_holidays.holiday_year(PublicHolidays("US", "CA"), 2027)
    assert "2027-03-31" in {day.isoformat() for day in california.dates}  # César Chávez Day
