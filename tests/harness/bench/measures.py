"""What a line of the benchmark comes to: figures side by side, and whether its target is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One contender's samples.

    Attributes:
        unit: `s`, `ms`, `MiB`, or empty for numbers that are counted.
        note: What makes it not quite alike.
    """

    who: str
    samples: tuple[float, ...]
    unit: str
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.samples)

    def __str__(self) -> str:
        text = shown(self.median, self.unit)
        if len(self.samples) > 1:
            text += f" ({shown(min(self.samples))}-{shown(max(self.samples))})"
        return text


@dataclass(frozen=True)
class Skipped:
    """A contender, or a whole line, that could not be measured, and why."""

    who: str
    why: str


@dataclass(frozen=True)
class Check:
    """One condition of a target.

    Attributes:
        value: What is judged, e.g. 1.21 of a ratio.
        limit: The most it may be.
    """

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        figures = f"{self.what} {shown(self.value, self.unit)} of {shown(self.limit, self.unit)}"
        if self.limit == 0:
            return f"met: {figures}" if self.met else f"MISSED: {figures}"
        away = abs(self.value / self.limit - 1)
        return f"met: {figures}, {away:.0%} to spare" if self.met else f"MISSED by {away:.0%}: {figures}"


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        ours: The product's own figures; empty when the line was skipped.
        beside: Its competitors and baselines.
    """

    name: str
    title: str
    target: str
    ours: tuple[Figure, ...] = ()
    beside: tuple[Figure | Skipped, ...] = ()
    checks: tuple[Check, ...] = ()
    skipped: str = ""

    @property
    def met(self) -> bool:
        return all(check.met for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "target": self.target,
            "met": None if self.skipped else self.met,
            "skipped": self.skipped or None,
            "ours": [_figure(one) for one in self.ours],
            "beside": [_figure(one) for one in self.beside],
            "checks": [
                {"what": one.what, "value": one.value, "limit": one.limit, "met": one.met}
                for one in self.checks
            ],
        }


def ahead_of(competitor: Figure, ours: Figure) -> Check:
    """Whether *ours* is faster than *competitor*."""
    return Check(f"beside {competitor.who}", ours.median, competitor.median, ours.unit)


def closest(checks: Sequence[Check]) -> list[Check]:
    """The one of *checks* with the least to spare; none of none."""
    return sorted(checks, key=lambda check: check.value / check.limit)[-1:]


def ratio(what: str, ours: Figure, baseline: Figure, limit: float) -> Check:
    """Whether *ours* is at most *limit* times *baseline*."""
    return Check(what, ours.median / baseline.median, limit, "x")


def shown(value: float, unit: str = "") -> str:
    """*value* with three digits, e.g. `0.47 s`, `1,001`."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:,.0f}" if value == int(value) else f"{value:,.{digits}f}"
    return f"{text} {unit}".rstrip()


def _figure(one: Figure | Skipped) -> dict[str, Any]:
    if isinstance(one, Skipped):
        return {"who": one.who, "skipped": one.why}
    return {
        "who": one.who,
        "median": one.median,
        "unit": one.unit,
        "samples": list(one.samples),
        "note": one.note,
    }
