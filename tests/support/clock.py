"""The clock of tests that move it."""

from datetime import datetime, timedelta

from tests.conftest import NOON


class Clock:
    """A clock that stands until a test sets *now*, or moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)
