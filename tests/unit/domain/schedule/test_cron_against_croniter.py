"""Cron schedules against croniter's own enumeration, where clocks never change."""

from datetime import UTC, datetime
from itertools import islice
from random import Random

import pytest
from croniter import croniter

from functions.domain.schedule.parse import Schedule, parse_schedule
from tests.unit.domain.schedule.cron_samples import Sample, draw, draw_dates

START = datetime(2026, 1, 30, 23, 58, tzinfo=UTC)


@pytest.mark.slow
def test_expressions_mean_to_us_what_they_mean_to_croniter() -> None:
    """We read with croniter and enumerate ourselves; in UTC the two must agree."""
    dice = Random(70_000)
    samples = [draw(dice) for _ in range(200)] + [draw_dates(dice) for _ in range(200)]

    for sample in samples:
        if croniter_reads_days_differently(sample):
            continue
        theirs = islice(croniter(sample.text, START).all_next(datetime), 5)

        assert list(theirs) == following(sample.text, 5), sample.text


def croniter_reads_days_differently(sample: Sample) -> bool:
    """To Debian `*/2` is a star, and date and weekday must both match; to croniter one is enough."""
    _, _, date, _, weekday = sample.text.split()
    return (date.startswith("*/") and weekday != "*") or (weekday.startswith("*/") and date != "*")


def following(text: str, count: int) -> list[datetime]:
    schedule: Schedule = parse_schedule(text, timezone="UTC", anchor=START)
    found = [START]
    while len(found) <= count and (at := schedule.next_after(found[-1])) is not None:
        found.append(at)
    return found[1:]
