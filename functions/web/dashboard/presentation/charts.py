"""Charts as SVG: their geometry. Templates draw it, so that a chart needs neither script nor inline style."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.web.dashboard.presentation.formatting import duration, severity

BAR_WIDTH = 5  # width of one bar of a sparkline, and the gap after it
BAR_GAP = 2
SPARKLINE_HEIGHT = 24
MIN_BAR_HEIGHT = 4  # so that a run of 0 ms is visible


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a sparkline, in the units of its view box."""

    x: int
    y: int
    height: int
    severity: str
    title: str


def sparkline(recent: Sequence[str]) -> tuple[Bar, ...]:
    """Return a bar for each outcome in `Task.recent`, oldest first; the slowest run has the highest bar.

    A line of *recent* is `succeeded 120 2026-11-20T12:00:00Z`: outcome, milliseconds, instant.
    """
    runs = [one.split(" ") for one in recent if one.count(" ") == 2]
    slowest = max((int(took) for _, took, _ in runs if took.isdecimal()), default=0)
    return tuple(
        _build_bar(number, outcome, int(took) if took.isdecimal() else 0, at, slowest)
        for number, (outcome, took, at) in enumerate(runs)
    )


def sparkline_width(bars: Sequence[Bar]) -> int:
    """Return the width of the view box."""
    return max(1, len(bars) * (BAR_WIDTH + BAR_GAP) - BAR_GAP)


def _build_bar(number: int, outcome: str, milliseconds: int, at: str, slowest: int) -> Bar:
    height = (
        max(MIN_BAR_HEIGHT, round(SPARKLINE_HEIGHT * milliseconds / slowest)) if slowest else MIN_BAR_HEIGHT
    )
    title = f"{outcome}, {duration(milliseconds)}, {at}"
    return Bar(number * (BAR_WIDTH + BAR_GAP), SPARKLINE_HEIGHT - height, height, severity(outcome), title)
