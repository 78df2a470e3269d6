"""Deadlines of many waits in one loop under one timer: nearly all end long before theirs comes."""

import asyncio
import math
from types import TracebackType


class Deadlines:
    """What `asyncio.timeout` does, for thousands of short waits; there each has a timer of its own to drop.

    Make it inside the running loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: set[Within] = set()
        self._timer: asyncio.TimerHandle | None = None  # at the earliest of the deadlines, or before it

    def within(self, seconds: float) -> "Within":
        """A block of the running task, to be entered by `with`, that is cancelled after so many *seconds*.

        Raises:
            TimeoutError: From the block, as soon as what runs in it has let go.
        """
        return Within(self, self._loop.time() + seconds)

    def _enter(self, one: "Within") -> None:
        self._open.add(one)
        if self._timer is None or one.deadline < self._timer.when():
            self._look_at(one.deadline)

    def _leave(self, one: "Within") -> None:
        self._open.discard(one)

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        """End what is past its deadline, once, and look again at the next one."""
        self._timer = None
        now = self._loop.time()
        for one in [one for one in self._open if one.deadline <= now]:
            self._open.discard(one)
            one.end()
        if (first := min((one.deadline for one in self._open), default=math.inf)) < math.inf:
            self._look_at(first)


class Within:
    """One block with a deadline.

    Attributes:
        deadline: In the loop's time.
        passed: Whether it has come while the block was running.
    """

    __slots__ = ("_all", "_asked", "_task", "deadline", "passed")

    def __init__(self, all_of_them: Deadlines, deadline: float) -> None:
        self._all = all_of_them
        self.deadline = deadline
        self.passed = False

    def __enter__(self) -> "Within":
        task = asyncio.current_task()
        assert task is not None  # nothing else can be cancelled
        self._task, self._asked = task, task.cancelling()
        self._all._enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        self._all._leave(self)
        # Somebody else may have cancelled the task as well: that goes on, and is no matter of time.
        if self.passed and self._task.uncancel() <= self._asked and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def end(self) -> None:
        """Cancel the task: its deadline has come."""
        self.passed = True
        self._task.cancel()
