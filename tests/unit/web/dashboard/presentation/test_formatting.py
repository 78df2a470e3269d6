"""How values look."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.domain.task import Task
from functions.web.dashboard.presentation.charts import sparkline
from functions.web.dashboard.presentation.formatting import (
    absolute_time,
    duration,
    matches_search,
    relative_time,
)
from functions.web.dashboard.views import _is_dashboard_path
from tests.conftest import NOON


@pytest.mark.parametrize(
    ("away", "text"),
    [
        (timedelta(seconds=2), "now"),
        (timedelta(seconds=-45), "45 s ago"),
        (timedelta(minutes=4), "in 4 min"),
        (timedelta(hours=-2, minutes=-59), "2 h ago"),
        (timedelta(days=3), "in 3 d"),
    ],
)
def test_a_moment_is_near_in_its_largest_unit(away: timedelta, text: str) -> None:
    assert text == relative_time(NOON + away, NOON)


def test_a_moment_is_far_on_the_clock_of_its_zone() -> None:
    assert "Fri 20 Nov 2026, 14:00 Europe/Riga" == absolute_time(NOON, "Europe/Riga")
    assert "Fri 20 Nov 2026, 12:00 UTC" == absolute_time(NOON, "Mars/Olympus")
    assert ("–", "–") == (absolute_time(None, "UTC"), relative_time(None, NOON))


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(7, "7 ms"), (1500, "1.5 s"), (61_000, "1 min 1 s"), (None, "–")]
)
def test_durations_are_for_people(milliseconds: int | None, text: str) -> None:
    assert text == duration(milliseconds)


def test_a_sparkline_has_a_bar_an_outcome_and_the_slowest_is_highest() -> None:
    bars = sparkline("succeeded 50 2026-11-20T12:00:00Z\nfailed 100 2026-11-20T12:05:00Z\nspoilt")

    assert [("good", 12), ("bad", 24)] == [(bar.severity, bar.height) for bar in bars]
    assert ("failed", "100 ms, 2026-11-20T12:05:00Z") == (bars[1].outcome, bars[1].detail)


def test_a_search_finds_tasks_with_all_its_words(make_task: Callable[..., Task]) -> None:
    task = make_task("shop-front", title="Shop front answers", tags=("Riga",))

    assert matches_search(task, "riga SHOP")
    assert matches_search(task, "")
    assert not matches_search(task, "shop back")


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("/dashboard", True),
        ("/dashboard/tasks/ping", True),
        ("//evil.example.com", False),
        ("/dashboard//evil.example.com", False),
        ("/dashboard/\\evil.example.com", False),
        ("https://evil.example.com", False),
        ("/dashboards", False),
    ],
)
def test_nobody_is_sent_on_to_a_strangers_page(address: str, is_ours: bool) -> None:
    assert is_ours == _is_dashboard_path(address)
