"""Reading cron expressions: dialects, what is refused, and which days and times are meant."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.calendar import DAY
from functions.domain.schedule.cron import CronSchedule, canonical_cron, has_fixed_times, parse_wall_times
from functions.domain.schedule.cron_fields import FIELDS, WEEKDAY, CronField, canonical_field
from functions.domain.schedule.parse import parse_schedule
from functions.domain.schedule.timezones import load_zone
from tests.support.profile import examples

THURSDAY = 0  # day 0 of the count, 1 January 1970


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("30 9 * * 1-5", "30 9 * * 1-5"),
        ("  30\t9  * *   mon-Fri ", "30 9 * * 1-5"),
        ("05 09 01 jan,dec *", "5 9 1 1,12 *"),
        ("0 0 ? * ?/2", "0 0 * * */2"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 0,7,SUN", "0 0 * * 0"),
        ("0 0 * * FRI-SUN", "0 0 * * 5-7"),
        ("0 0 * * SUN-TUE/2", "0 0 * * 0-2/2"),
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 1,l * *", "0 0 1,L * *"),
        ("0 0 * * 5L", "0 0 * * L5"),
        ("0 0 * * L5", "0 0 * * L5"),
        ("0 0 * * FRIL,7l", "0 0 * * L5,L0"),
        ("0 0 * * FRI#2,7#1,TUE", "0 0 * * 5#2,0#1,2"),
        ("*/1 0-23/1 * * *", "* 0-23 * * *"),
        ("5/20 * * * *", "5-59/20 * * * *"),
        ("59/15 3-3/2 * * *", "59 3 * * *"),
    ],
)
def test_dialects_come_down_to_one_plain_spelling(written: str, canonical: str) -> None:
    """What is stored and shown is what was understood; and it is understood again as itself."""
    understood = canonical_cron(written, task_id="")

    assert canonical == understood
    assert canonical == canonical_cron(canonical, task_id="")


def test_hash_spreads_tasks_and_keeps_each_in_its_place() -> None:
    """A thousand tasks that say H must not all run at the same minute, nor move at a new release."""
    drawn = {canonical_cron("H H * * *", task_id=f"task-{n}") for n in range(1000)}

    assert "14 16 4 3 6" == canonical_cron("H H(9-16) H H h", task_id="ping")
    assert "14-59/15 * * * *" == canonical_cron("H/15 * * * *", task_id="ping")
    assert "20-29/15 * * * *" == canonical_cron("H(10-29)/15 * * * *", task_id="pong-8")
    assert len(drawn) > 650


@pytest.mark.parametrize("task_id", [f"task-{n}" for n in range(60)])
def test_hash_never_draws_a_number_that_some_months_lack(task_id: str) -> None:
    """`H` in day-of-month means once a month, February included; its parts stay within their bounds."""
    minute, hour, date, month, weekday = canonical_cron("H(10-12) H/6 H H H", task_id=task_id).split()

    assert 10 <= int(minute) <= 12
    assert 0 <= int(hour.removesuffix("-23/6")) <= 5
    assert 1 <= int(date) <= 28
    assert 1 <= int(month) <= 12
    assert 0 <= int(weekday) <= 6


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        (
            "0 30 9 * * 1-5",
            "these are 6 fields, and seconds and years are not supported; write five: "
            "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5",
        ),
        (
            "0 30 9 * * 1-5 2027",
            "these are 7 fields, and seconds and years are not supported; write five: "
            "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5",
        ),
        (
            "0 9 * *",
            '"0 9 * *" is not a schedule; write five cron fields, '
            "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5, or daily, or every 15m",
        ),
        (
            "every now and then at night",
            '"every now and then at night" is not a schedule; write five cron fields, '
            "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5, or daily, or every 15m",
        ),
        ("CRON_TZ=UTC 0 9 * * *", "CRON_TZ= is not read here; write the zone as timezone"),
        ("60 * * * *", "the minute 60 is out of range; use 0 to 59"),
        ("* 24 * * *", "the hour 24 is out of range; use 0 to 23"),
        ("* * 0 * *", "the day-of-month 0 is out of range; use 1 to 31"),
        ("* * * 13 *", "the month 13 is out of range; use 1 to 12"),
        ("* * * * 8", "the day-of-week 8 is out of range; use 0 to 7"),
        ("* * * * 8L", "the day-of-week 8 is out of range; use 0 to 7"),
        ("*/0 * * * *", 'the minute "*/0" has a step of 0; use a step of 1 to 59'),
        (
            "*/90 * * * *",
            'the minute "*/90" has a step longer than the field; '
            "use a step of 1 to 59, or the interval every 90m",
        ),
        ("* * * */13 *", 'the month "*/13" has a step longer than the field; use a step of 1 to 12'),
        ("* 22-2 * * *", 'the hour range "22-2" runs backwards; write it as 22-23,0-2'),
        ("* * * * 5-1", 'the day-of-week range "5-1" runs backwards; write it as 5-6,0-1'),
        ("H(30-10) * * * *", 'the minute range "H(30-10)" runs backwards; write H(10-30)'),
        ("1,,2 * * * *", "the minute has an empty place; take out the extra comma"),
        (
            "5x * * * *",
            'the minute "5X" is not understood; use numbers 0 to 59, ranges 1-5, steps */5 and lists 1,3,5',
        ),
        ("* * * * MONDAY", 'the day-of-week "MONDAY" is not understood; write MON'),
        ("* * * january *", 'the month "JANUARY" is not understood; write JAN'),
        ("* * * * Thursdays-sunday", 'the day-of-week "THURSDAYS-SUNDAY" is not understood; write THU-SUN'),
        ("* * * * 1\u20135", 'the day-of-week "1\u20135" is not understood; write 1-5'),
        ("\u201c0 9 * * *\u201d", 'the minute "\u201c0" is not understood; write 0'),
        ("\uff10 9 * * *", 'the minute "\uff10" is not understood; write 0'),
        ("0~29 * * * *", 'the minute "0~29" is not understood; write H(0-29)'),
        (
            "* * * * MOONL",
            'the day-of-week "MOONL" is not understood; use numbers 0 to 7 or SUN to SAT, '
            "ranges 1-5, steps */5 and lists 1,3,5",
        ),
        (
            "* * 15W * *",
            'the day-of-month "15W" asks for the nearest weekday, which is not supported; '
            "name the day, or the weekday in the fifth field",
        ),
        (
            "* * L-3 * *",
            'the day-of-month "L-3" counts back from the last day, which is not supported; '
            "use L, or a day from 1 to 28",
        ),
        ("* * * * L", 'the day-of-week "L" lacks its day; write 5L for the last Friday'),
        ("* * * * 5#6", 'the day-of-week "5#6" is in no month; use #1 to #5, or L for the last'),
    ],
)
def test_a_refusal_names_the_fault_and_the_remedy(written: str, refusal: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        canonical_cron(written, task_id="ping")

    assert f"schedule: {refusal}" == str(refused.value)


@pytest.mark.parametrize("written", ["*-5 * * * *", "-5 * * * *", "٣ * * * *", "* * L/2 * *", "* * LW * *"])
def test_what_only_looks_like_cron_is_refused(written: str) -> None:
    with pytest.raises(ScheduleError):
        canonical_cron(written, task_id="ping")


def test_hash_without_a_task_is_refused() -> None:
    """A preview that invented an id would show times the task will not have."""
    with pytest.raises(ScheduleError) as refused:
        canonical_cron("H * * * *", task_id="")

    assert 'schedule: the minute "H" is drawn from the task\'s id; give the id' == str(refused.value)


@pytest.mark.parametrize("expression", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 4 */2"])
def test_dates_that_never_come_are_refused(expression: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_wall_times(expression)

    _, _, date, month, weekday = expression.split()
    assert (
        f'schedule: the day "{date} {month} {weekday}" (day-of-month month day-of-week) never comes; '
        "choose one the calendar has, or L for the last day of a month"
    ) == str(refused.value)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 29 2 */7", "0 0 30 2 1", "0 0 * 2 1#5"])
def test_rare_dates_are_accepted(expression: str) -> None:
    """A leap day that is a Sunday comes every 28 years, and it comes."""
    assert parse_wall_times(expression).at_or_after(0) is not None


@pytest.mark.parametrize(
    ("expression", "dates"),
    [
        ("0 0 13 1 5", [2, 9, 13, 16, 23, 30]),
        ("0 0 */13 1 5", []),
        ("0 0 */2 1 5", [9, 23]),
        ("0 0 13 1 */5", []),
        ("0 0 L 1 *", [31]),
        ("0 0 * 1 L5", [30]),
        ("0 0 * 1 5#2,4", [1, 8, 9, 15, 22, 29]),
        ("0 0 * 1 0-7/3", [3, 4, 7, 10, 11, 14, 17, 18, 21, 24, 25, 28, 31]),
    ],
)
def test_date_and_weekday_combine_as_in_debian(expression: str, dates: list[int]) -> None:
    """Either will do; but both must match where one of the two begins with a star. January 1970."""
    times = parse_wall_times(expression)

    assert dates == [day + 1 for day in range(31) if times.count(day * DAY, (day + 1) * DAY)]


def test_times_are_found_forwards_and_backwards_and_counted() -> None:
    times = parse_wall_times("15,45 6,18 * * *")
    six, eighteen = THURSDAY + 6 * 3600 + 15 * 60, THURSDAY + 18 * 3600 + 45 * 60

    assert six == times.at_or_after(six)
    assert six + 1800 == times.at_or_after(six + 1)
    assert six + DAY == times.at_or_after(eighteen + 1)
    assert eighteen == times.before(eighteen + 1)
    assert eighteen - 1800 == times.before(eighteen)
    assert eighteen - DAY == times.before(six)
    assert 4 == times.count(six, eighteen + 1)
    assert 3 == times.count(six + 1, eighteen + 1)
    assert 3 == times.count(six, eighteen)
    assert 0 == times.count(eighteen, six)


def test_the_calendar_has_an_end() -> None:
    """Asking beyond what dates can say is answered, not crashed."""
    times = parse_wall_times("0 0 29 2 *")
    beyond = 3_000_000 * DAY

    assert times.at_or_after(beyond) is None
    assert times.before(-beyond) is None
    assert times.at_or_after(-beyond) is not None
    assert times.before(beyond) is not None


@pytest.mark.parametrize(
    ("expression", "fixed"),
    [
        ("30 2 * * *", True),
        ("0-59 0-23 * * *", True),
        ("* 2 * * *", False),
        ("*/5 2 * * *", False),
        ("30 * * * *", False),
        ("30 */2 * * *", False),
    ],
)
def test_a_star_in_front_of_minute_or_hour_means_real_time(expression: str, *, fixed: bool) -> None:
    assert fixed == has_fixed_times(expression)


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("0 9 */21 * 6L", datetime(2031, 2, 22, 9, tzinfo=UTC)),
        ("0 0 */29 2 0", datetime(2032, 2, 1, tzinfo=UTC)),
        ("0 0 29-29 2 */7", datetime(2032, 2, 29, tzinfo=UTC)),
    ],
)
def test_a_rare_date_is_found_and_is_not_never(expression: str, first: datetime) -> None:
    """Some need a February of 28 days that begins on one day of the week."""
    schedule = parse_schedule(expression, timezone="UTC", anchor=datetime(2026, 1, 1, tzinfo=UTC))

    assert first == schedule.next_after(datetime(2026, 11, 29, tzinfo=UTC))


def test_a_rare_date_is_found_without_a_look_at_every_year_before_it() -> None:
    """A block of a zone's periods takes a millisecond of the event loop."""
    zone = load_zone.__wrapped__("America/Scoresbysund")  # anew: other tests leave their blocks
    wall_times = parse_wall_times(canonical_cron("30 2 29-29 2 */7", task_id=""))
    schedule = CronSchedule("30 2 29-29 2 */7", wall_times, zone, has_fixed_times=True)

    at = datetime(2073, 1, 1, tzinfo=UTC)  # 40 years: 2100 is no leap year
    for _ in range(3):
        found = schedule.next_after(at)
        assert found is not None
        at = found

    assert 2128 < at.year
    assert len(zone._blocks) <= 12


@pytest.mark.slow
@given(
    st.sampled_from(FIELDS),
    st.integers(0, 59),
    st.integers(0, 59),
    st.integers(1, 5),
    st.sampled_from(["{}-{}/{}", "{}-{}", "H({}-{})", "H({}-{})/{}"]),
)
@settings(max_examples=examples(400), deadline=None)
def test_the_remedy_for_a_backward_range_is_accepted_and_means_it(
    field: CronField, first: int, last: int, step: int, form: str
) -> None:
    low, high = (max(number % (field.high + 1), field.low) for number in (first, last))
    text = form.format(low, high, step)
    try:
        canonical_field(field, text, task_id="any")
    except ScheduleError as refused:
        remedy = re.search(r"write (?:it as )?(\S+)$", str(refused))
        assert remedy is not None
        accepted = canonical_field(field, remedy[1], task_id="any")
        if not form.startswith("H"):
            over_the_end = [*range(low % 7 if field is WEEKDAY else low, field.last + 1)]
            wanted = [*over_the_end, *range(field.low, high + 1)] if low <= field.last else range(high + 1)
            assert set([*wanted][:: step if form.endswith("{}/{}") else 1]) == numbers_of(field, accepted)


def numbers_of(field: CronField, canonical: str) -> set[int]:
    found: set[int] = set()
    for term in canonical.split(","):
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


@pytest.mark.parametrize("written", ["FRI-MON", "7-2", "SAT-TUE/2", "6-0", "7-2/2"])
def test_a_week_that_turns_is_refused_with_a_remedy_that_is_accepted(written: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        canonical_cron(f"0 0 * * {written}", task_id="")

    remedy = str(refused.value).rpartition("write it as ")[2]
    assert canonical_cron(f"0 0 * * {remedy}", task_id="")
