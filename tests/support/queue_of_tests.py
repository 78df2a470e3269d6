"""In which order, and in which of the processes, tests are run: long files first, and neighbours together."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# By how long a test waits, or works, on the whole: a guess, for what the list does not name.
WEIGHTS = {"browser": 30, "process": 10, "slow": 5, "emulator": 3}
# Files that take longer than twenty seconds, most of which is waiting or one test's.
LONGEST = (
    "e2e/test_accessibility.py",
    "integration/infra/test_pingers.py",
    "integration/infra/test_terraform.py",
    "integration/engine/test_process_killer.py",
    "e2e/test_without_scripts.py",
    "e2e/test_generated_clients.py",
    "integration/engine/test_time_of_a_tick.py",
    "integration/harness/test_chaos_short.py",
    "integration/engine/test_stopping.py",
    "integration/engine/test_backlog.py",
    "integration/gcp/test_pubsub.py",
    "e2e/test_groups.py",
    "e2e/test_function.py",
    "unit/web/api/test_openapi.py",
    "integration/harness/test_year.py",
    "integration/harness/test_crash_points.py",
    "integration/cli/test_export_import.py",
    "e2e/test_newcomer.py",
    "unit/domain/schedule/test_cron_against_debian.py",
)


class QueueOfTests:
    """The numbers of the tests that were not yet given to a process, by file.

    A process keeps to its file, whose fixtures it has. Of the files that nobody has, half of the processes
    take the longest, half the shortest: tests that wait run beside tests that work. When there are none, the
    later half of what is left of the longest is taken away from whoever has it.
    """

    def __init__(self, items: Sequence[pytest.Item]) -> None:
        self.weights = [_weight(item) for item in items]
        files = [
            (path, deque(number for number, _ in of_file))
            for path, of_file in groupby(enumerate(items), key=lambda numbered: numbered[1].path)
        ]
        files.sort(key=lambda file: (-_rank(file[0]), -self._weight_of(file[1])))
        self.files = deque(numbers for _, numbers in files)
        self.owned: dict[int, deque[int]] = {}

    def take(self, process: int) -> int | None:
        """Return the next test for *process*, a number; None when there is none left."""
        own = self.owned.get(process)
        if not own:
            own = self.owned[process] = self._next_file(process)
        return own.popleft() if own else None

    def put_back(self, numbers: Iterable[int]) -> None:
        """Take back tests that were given to a process, and not run."""
        self.files.appendleft(deque(numbers))

    def _next_file(self, process: int) -> deque[int]:
        while self.files:
            file = self.files.pop() if process % 2 else self.files.popleft()
            if file:
                return file
        longest = max(self.owned.values(), key=self._weight_of, default=deque[int]())
        kept = len(longest) // 2
        taken = deque(longest.pop() for _ in range(len(longest) - kept))
        taken.reverse()
        return taken

    def _weight_of(self, numbers: Iterable[int]) -> int:
        return sum(self.weights[number] for number in numbers)


def _weight(item: pytest.Item) -> int:
    return max((WEIGHTS[mark.name] for mark in item.iter_markers() if mark.name in WEIGHTS), default=1)


def _rank(path: Path) -> int:
    """The place in the list of the longest, counted from its end."""
    name = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    return len(LONGEST) - LONGEST.index(name) if name in LONGEST else 0
