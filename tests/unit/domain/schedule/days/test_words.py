"""Phrases of business days, and a task's days in words, in English and in Chinese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.lifecycle.upcoming import describe_trigger
from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.closed import OnExcluded
from functions.domain.schedule.days.phrases import MAX_PLACE, BusinessDayPhrase, parse_phrase
from functions.domain.schedule.describe import describe_schedule
from functions.domain.schedule.phrasing import CHINESE, ENGLISH
from functions.domain.task import TaskSpec


@pytest.mark.parametrize(
    ("written", "english", "chinese"),
    [
        (
            "first business day of month at 09:00",
            "At 09:00 on the first business day of the month",
            "每月第 1 个工作日 09:00",
        ),
        (
            "On the last working day of each month at 17:30",
            "At 17:30 on the last business day of the month",
            "每月最后一个工作日 17:30",
        ),
        ("every business day at 9:05", "At 09:05 on every business day", "每个工作日 09:05"),
        ("business days at 09:00", "At 09:00 on every business day", "每个工作日 09:00"),
        ("each business day of the quarter at 09:00", "At 09:00 on every business day", "每个工作日 09:00"),
        (
            "second last business day of january and July at 00:00",
            "At 00:00 on the second last business day of January and July",
            "1、7 月倒数第 2 个工作日 00:00",
        ),
        (
            "3rd business day of quarter at 08:00",
            "At 08:00 on the third business day of January, April, July and October",
            "1、4、7、10 月第 3 个工作日 08:00",
        ),
        (
            "last business day of the quarter at 08:00",
            "At 08:00 on the last business day of March, June, September and December",
            "3、6、9、12 月最后一个工作日 08:00",
        ),
        (
            "every business day of december at 08:00",
            "At 08:00 on every business day of December",
            "12 月每个工作日 08:00",
        ),
    ],
)
def test_a_phrase_has_words(written: str, english: str, chinese: str) -> None:
    assert describe_schedule(written, timezone="UTC") == english
    assert describe_schedule(written, timezone="UTC", words=CHINESE) == chinese


PHRASES = st.builds(
    BusinessDayPhrase,
    st.one_of(st.none(), st.integers(1, MAX_PLACE), st.integers(-MAX_PLACE, -1)),
    st.frozensets(st.integers(1, 12), min_size=1),
    st.integers(0, 23),
    st.integers(0, 59),
)


@pytest.mark.slow
@given(PHRASES)
def test_the_plainest_spelling_reads_back_as_itself(phrase: BusinessDayPhrase) -> None:
    assert parse_phrase(phrase.canonical) == phrase


@pytest.mark.parametrize(
    "written",
    [
        "business day",
        "first business day of month",
        "first business day of month at nine",
        "first business day of month at 24:00",
        "first business day of month at 9:5",
        "zeroth business day of month at 09:00",
        "24th business day of month at 09:00",
        "next to last business day of month at 09:00",
        "first business day of week at 09:00",
        "first business day after tomorrow at 09:00",
        "last last last business day of month at 09:00",
        "first and last business day of month at 09:00",  # it was the last alone
        "second and last business day of month at 09:00",  # it was the second last
        "every second business day at 09:00",  # it was the second of each month
        "first business day month at 09:00",
        "business day " * 12 + "at 09:00",
    ],
)
def test_other_phrases_are_refused_with_examples(written: str) -> None:
    with pytest.raises(ScheduleError, match="write it like first business day of month at 09:00"):
        parse_phrase(written)


@pytest.mark.parametrize(
    ("entries", "policy", "english", "chinese"),
    [
        ((), "skip", "", ""),
        (("sat",), "skip", ", except on Saturdays", "，周六除外"),
        (
            ("weekends", "holidays:US-CA", "12-24..01-02", "2026-11-18", "calendar:company", "fri..sat"),
            "skip",
            ", except on weekends, public holidays (US-CA), 12-24 to 01-02, 2026-11-18 and 2 more",
            "，周末、公共假日（US-CA）、12-24 至 01-02、2026-11-18、另外 2 项除外",
        ),
        ((), "next", "; on the next business day when that is in a weekend", "；遇周末则改在后一个工作日"),
        (
            ("weekends", "holidays:LV", "calendar:company"),
            "previous",
            "; on the previous business day when that is in a weekend, on public holidays (LV) or on days of "
            "company",
            "；遇周末、公共假日（LV）、日历 company 的日期则改在前一个工作日",
        ),
    ],
)
def test_days_have_words(entries: tuple[str, ...], policy: OnExcluded, english: str, chinese: str) -> None:
    assert ENGLISH.describe_days(entries, policy) == english
    assert CHINESE.describe_days(entries, policy) == chinese


def test_a_task_says_what_it_excludes() -> None:
    spec = TaskSpec(title="t", type="http", schedule="0 9 * * *", excluded=("weekends",))

    assert describe_trigger(spec) == "Every day at 09:00, except on weekends"
