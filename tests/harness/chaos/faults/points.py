"""Named places in the work where a process can be made to die; its store's faults; its wrong clock."""

import json
import os
import random
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.harness.chaos.world.clock import Clock

POINTS = (
    "after_query",
    "after_claim",
    "before_send",
    "after_send",
    "before_ledger",
    "after_ledger",
    "after_settlement",
    "before_notice",
    "after_notice",
)


class Orders:
    """What the nemesis wants of this process: small files it leaves for it, read at each turn.

    Files: `<name>.point` holds `<point>:<n>` (or `<point>:<n>:sleep`), `<name>.clock` seconds, `<name>.store`
    the odds of faults.
    """

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        self._folder = folder
        self._name = name
        self._clock = clock
        self.process = f"{name}/{os.getpid()}"
        self._reached: tuple[str, int] = ("", 0)
        self._dice = random.Random(self.process)
        self._events = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def now(self) -> datetime:
        """The run's time and what this process's clock is wrong by."""
        return self._clock.now() + timedelta(seconds=float(self._order("clock") or 0))

    def reach(self, point: str) -> None:
        """Die, or fall asleep, here when told so; nobody is told beforehand and nothing is tidied up."""
        order = self._order("point")
        if not order.startswith(f"{point}:"):
            return
        times = self._reached[1] + 1 if self._reached[0] == order else 1
        self._reached = (order, times)
        _, wanted, *sleep = order.split(":")
        if times >= int(wanted):
            (self._folder / f"{self._name}.point").unlink(missing_ok=True)
            self.say(event="sleep" if sleep else "crash", point=point)
            os.kill(os.getpid(), signal.SIGSTOP if sleep else signal.SIGKILL)

    def die(self, point: str) -> None:
        """Die here, and say so."""
        self.say(event="crash", point=point)
        os.kill(os.getpid(), signal.SIGKILL)

    def time(self) -> float:
        """The run's time, which no wrong clock changes."""
        return self._clock.time()

    def late(self, what: str, since: float) -> None:
        """Note that *what* held this process up from *since* until now."""
        self.say(event="late", what=what, since=since)

    def odds(self) -> dict[str, float]:
        """How likely each fault of the store is; empty for none.

        `before` (it never arrives), `ledger` (neither do its records), `lost`, `unknown`, `hang`.
        """
        order = self._order("store")
        odds: dict[str, float] = json.loads(order) if order else {}
        return odds

    def drawn(self, odds: float) -> bool:
        """Whether something of these *odds* happens now."""
        return odds > 0 and self._dice.random() < odds

    def say(self, **facts: Any) -> None:
        """Leave a line in the common record; whole lines, whoever writes at the same time."""
        line = json.dumps({"process": self.process, "at": self._clock.time(), **facts}) + "\n"
        os.write(self._events, line.encode())

    def _order(self, kind: str) -> str:
        try:
            return (self._folder / f"{self._name}.{kind}").read_text()
        except OSError:
            return ""


Reach = Callable[[str], None]
