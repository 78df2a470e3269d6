"""Charts as SVG: their geometry. Templates draw it, so that a chart needs neither script nor inline style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.domain.history.tally import Slot
from functions.domain.run import Run
from functions.domain.types import OutcomeLine
from functions.web.dashboard.presentation.formatting import BAD, duration, severity

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
    outcome: str
    detail: str


def sparkline(recent: str) -> tuple[Bar, ...]:
    """Return a bar for each outcome in `Task.recent`, oldest first; the slowest run has the highest bar.

    A line that is not whole has none.
    """
    attempts = [one for line in recent.splitlines() if (one := OutcomeLine.parse(line)).started_at]
    slowest = max((one.duration_ms or 0 for one in attempts), default=0)
    return tuple(_build_bar(number, one, slowest) for number, one in enumerate(attempts))


def sparkline_width(bars: Sequence[Bar]) -> int:
    """Return the width of the view box."""
    return max(1, len(bars) * (BAR_WIDTH + BAR_GAP) - BAR_GAP)


def _build_bar(number: int, attempt: OutcomeLine, slowest: int) -> Bar:
    milliseconds = attempt.duration_ms or 0
    height = (
        max(MIN_BAR_HEIGHT, round(SPARKLINE_HEIGHT * milliseconds / slowest)) if slowest else MIN_BAR_HEIGHT
    )
    x, y = number * (BAR_WIDTH + BAR_GAP), SPARKLINE_HEIGHT - height
    detail = f"{duration(milliseconds)}, {attempt.started_at}"
    return Bar(x, y, height, severity(attempt.outcome), attempt.outcome, detail)


# Uptime: a bar for each hour or day, of which the lower part failed.

SLOT_WIDTH = 10
SLOT_GAP = 3
SLOT_HEIGHT = 36
MIN_FAILED_HEIGHT = 6  # so that one failure among a thousand is visible


@dataclass(frozen=True, slots=True)
class SlotBar:
    """The bar of an hour or a day: *bad_height* of it, from the bottom, is red; empty ones are grey."""

    x: int
    bad_height: int
    slot: Slot


def uptime_bars(slots: Sequence[Slot]) -> tuple[SlotBar, ...]:
    """Return a bar for each of *slots*, in their order."""
    return tuple(
        SlotBar(number * (SLOT_WIDTH + SLOT_GAP), _bad_height(slot), slot)
        for number, slot in enumerate(slots)
    )


def _bad_height(slot: Slot) -> int:
    if not slot.failed:
        return 0
    total = slot.succeeded + slot.failed
    return max(MIN_FAILED_HEIGHT, round(SLOT_HEIGHT * slot.failed / total))


def percent(share: float | None) -> str:
    """Return a share as text, never rounded up to 100 %: `99.98 %`; a dash for none."""
    if share is None:
        return "–"
    hundredths = int(share * 10_000 + 1e-6)
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + " %"


# Response times: a line through the last attempts, and their percentiles.

CHART_WIDTH = 600
CHART_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class DurationChart:
    """How long the last attempts took, oldest first.

    Attributes:
        points: Of the line, for the attribute `points` of SVG.
        failures: The places of failed attempts.
        median_y: The height of the median.
        slowest_ms: The value at the top.
    """

    points: str
    area: str
    failures: tuple[tuple[float, float], ...]
    median_y: float
    high_y: float
    median_ms: int
    high_ms: int
    slowest_ms: int
    count: int
    first_at: datetime
    last_at: datetime


def duration_chart(runs: Sequence[Run]) -> DurationChart | None:
    """Return the chart of *runs*, newest first as stores give them; None for fewer than two attempts."""
    attempts = [run for run in reversed(runs) if run.attempt and not run.has_no_result]
    if len(attempts) < 2:
        return None
    took = [run.duration_ms for run in attempts]
    top = max(*took, 1)
    step = CHART_WIDTH / (len(took) - 1)
    places = [(round(number * step, 1), _height(ms, top)) for number, ms in enumerate(took)]
    points = " ".join(f"{x:g},{y:g}" for x, y in places)
    median, high = percentile(took, 50), percentile(took, 95)
    return DurationChart(
        points=points,
        area=f"0,{CHART_HEIGHT} {points} {CHART_WIDTH},{CHART_HEIGHT}",
        failures=tuple(
            place for place, run in zip(places, attempts, strict=True) if severity(run.outcome) == BAD
        ),
        median_y=_height(median, top),
        high_y=_height(high, top),
        median_ms=median,
        high_ms=high,
        slowest_ms=max(took),
        count=len(took),
        first_at=attempts[0].started_at,
        last_at=attempts[-1].started_at,
    )


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the nearest-rank percentile of *values*, of which there is at least one."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _height(value: int, top: int) -> float:
    return round(CHART_HEIGHT * (1 - 0.92 * value / top), 1)


# Attempts at one occurrence on one time line.


@dataclass(frozen=True, slots=True)
class Span:
    """The place of an attempt on the time line, in thousandths of its length."""

    x: int
    width: int


def time_line(runs: Sequence[Run]) -> tuple[Span, ...]:
    """Return the place of each of *runs* between the first start and the last end."""
    if not runs:
        return ()
    first = min(run.started_at for run in runs)
    length = max((max(run.finished_at for run in runs) - first).total_seconds(), 0.001)
    spans = []
    for run in runs:
        x = round(1000 * (run.started_at - first).total_seconds() / length)
        width = round(1000 * (run.finished_at - run.started_at).total_seconds() / length)
        spans.append(Span(min(max(x, 0), 994), max(width, 6)))
    return tuple(spans)
