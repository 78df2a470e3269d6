"""The agenda: a table of hours on the user's clock."""

from datetime import timedelta

import pytest

from functions.domain.schedule.describe import Agenda, AgendaMinute
from functions.web.dashboard.agenda import agenda_rows, minutes_of
from tests.conftest import NOON
from tests.unit.web.api.conftest import HEALTH, Call, api
from tests.unit.web.dashboard.conftest import Browser, clock, wired

__all__ = ["api", "clock", "wired"]

MINUTE = timedelta(minutes=1)


def agenda_of(*counts: tuple[int, int]) -> Agenda:
    minutes = tuple(AgendaMinute(NOON + after * MINUTE, count, ("a",)) for after, count in counts)
    return Agenda(NOON + 7 * MINUTE, minutes)


def test_parts_are_counted_and_as_hot_as_they_are_full() -> None:
    rows = agenda_rows(agenda_of((7, 1), (9, 2), (15, 1), (65, 40)), "UTC")

    assert ["Fri 12:00", "Fri 13:00", "Sat 12:00"] == [f"{rows[number].at:%a %H:%M}" for number in (0, 1, 24)]
    assert [(3, 2), (1, 1), (0, 0)] == [(part.count, part.heat) for part in rows[0].parts[:3]]
    assert (40, 4) == (rows[1].parts[0].count, rows[1].parts[0].heat)
    assert 25 == len(rows)


def test_an_hour_begins_where_the_users_clock_says() -> None:
    rows = agenda_rows(agenda_of((7, 1), (30, 5)), "Asia/Kolkata")

    assert "Fri 17:00" == f"{rows[0].at:%a %H:%M}"
    assert [0, 0, 0, 1, 0, 0] == [part.count for part in rows[0].parts]
    assert 5 == rows[1].parts[0].count


def test_the_minutes_of_a_part() -> None:
    agenda = agenda_of((7, 1), (9, 2), (15, 1))
    part = agenda_rows(agenda, "UTC")[0].parts[0]

    assert [1, 2] == [minute.count for minute in minutes_of(agenda, part)]


@pytest.mark.slow
async def test_a_number_is_a_link_to_its_tasks_by_the_browsers_zone(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", HEALTH | {"id": "ping", "schedule": "30 13 * * *", "timezone": "UTC"})
    await browser.sign_in()
    browser.extra_headers = {"Cookie": f"{browser.cookie}; cronfire_zone=Europe/Riga"}

    page = (await browser.get("/dashboard/agenda?at=20261120T1330")).body.decode()
    wrong = (await browser.get("/dashboard/agenda?at=nonsense")).body.decode()

    assert "by the clock of Europe/Riga" in page
    assert 'aria-current="true" aria-label="1 runs from 15:30 on"' in page
    assert '<h2 id="chosen">From 15:30 on</h2>' in page
    assert 'id="chosen"' not in wrong
