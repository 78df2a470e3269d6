"""Charts: their geometry."""

from datetime import timedelta
from typing import Any

import pytest

from functions.domain.history.tally import Slot
from functions.domain.run import Run
from functions.web.dashboard.presentation.charts import (
    SLOT_HEIGHT,
    duration_chart,
    percent,
    percentile,
    time_line,
    uptime_bars,
)
from tests.conftest import NOON

SECOND = timedelta(seconds=1)


def run(start: float, length: float, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "task_id": "ping",
        "occurrence": NOON,
        "attempt": 1,
        "token": "t.1",
        "outcome": "succeeded",
        "started_at": NOON + start * SECOND,
        "finished_at": NOON + (start + length) * SECOND,
    }
    return Run.model_validate(fields | changes)


def test_a_bar_shows_its_failures_however_few() -> None:
    bars = uptime_bars([Slot(NOON, 0, 0), Slot(NOON, 9999, 1), Slot(NOON, 1, 1), Slot(NOON, 0, 5)])

    assert [0, 6, SLOT_HEIGHT // 2, SLOT_HEIGHT] == [bar.bad_height for bar in bars]
    assert [0, 13, 26, 39] == [bar.x for bar in bars]


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (1.0, "100 %"), (0.99999, "99.99 %"), (0.5, "50 %"), (0.0, "0 %"), (0.983, "98.3 %")],
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, text: str) -> None:
    assert text == percent(share)


def test_percentiles_are_values_that_occurred() -> None:
    values = list(range(10, 1010, 10))

    assert (500, 950, 1000) == tuple(percentile(values, rank) for rank in (50, 95, 100))
    assert 7 == percentile([7], 50)


def test_a_chart_is_of_attempts_with_a_result_oldest_first() -> None:
    skipped = run(40, 0, attempt=0, token="", outcome="skipped")
    chart = duration_chart([skipped, run(20, 4, outcome="failed"), run(10, 2), run(0, 1)])

    assert chart is not None
    assert (3, 2000, 4000) == (chart.count, chart.median_ms, chart.slowest_ms)
    assert "0,92.4 300,64.8 600,9.6" == chart.points
    assert ((600.0, 9.6),) == chart.failures
    assert duration_chart([run(0, 1), skipped]) is None


def test_attempts_share_one_time_line() -> None:
    spans = time_line([run(0, 10), run(50, 0), run(90, 10)])

    assert [(0, 100), (500, 6), (900, 100)] == [(span.x, span.width) for span in spans]
    assert () == time_line([])
