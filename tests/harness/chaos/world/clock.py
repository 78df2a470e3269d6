"""A clock and an event loop that run faster than real time, the same in every process of a run."""

import asyncio
import selectors
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of a run. At *began* it is the real time; from then on it runs *speed* times as fast.

    All that waits by the event loop of `fast_loop` keeps to it as well: timeouts, claims and schedules stand
    in their usual proportions. What computers need for their work seems *speed* times as long.
    """

    began: float
    speed: float = 1.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The clock that `variables` told a process of."""
        return cls(float(environment["CHAOS_BEGAN"]), float(environment["CHAOS_SPEED"]))

    @property
    def variables(self) -> dict[str, str]:
        """What a process must be told to have the same clock."""
        return {"CHAOS_BEGAN": repr(self.began), "CHAOS_SPEED": repr(self.speed)}

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.began + (time.time() - self.began) * self.speed

    def now(self) -> datetime:
        """The same, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def real(self, seconds: float) -> float:
        """How many of this clock's seconds pass in so many real ones: for what no clock can hasten."""
        return seconds * self.speed


def fast_loop(speed: float) -> type[asyncio.SelectorEventLoop]:
    """An event loop whose time runs *speed* times as fast."""

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> Any:
            return super().select(timeout if timeout is None else timeout / speed)

    class Loop(asyncio.SelectorEventLoop):
        def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
            super().__init__(selector or Selector())

        def time(self) -> float:
            return super().time() * speed

    return Loop
