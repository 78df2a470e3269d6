"""The app's access tokens: two hours each, handed out again while they have half an hour left."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

LIFE = timedelta(hours=2)
LEFT = timedelta(minutes=30)  # with less a new one is made, and both are good


class Tokens:
    """What the door hands out, and knows again."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._number = itertools.count(1)
        self._ends: dict[str, datetime] = {}

    def hand_out(self) -> tuple[str, int]:
        """A token and the seconds it has left."""
        now = self._clock()
        newest = max(self._ends, key=self._ends.__getitem__, default=None)
        if newest is None or self._ends[newest] - now < LEFT:
            newest = f"t-canary{next(self._number):04d}"
            self._ends[newest] = now + LIFE
        return newest, int((self._ends[newest] - now).total_seconds())

    def good(self, token: str) -> bool:
        """Whether *token* is one of ours, and not over."""
        return token in self._ends and self._clock() < self._ends[token]

    def revoke(self) -> None:
        """From now on none that was handed out is good."""
        self._ends.clear()
