"""What the tests cost: seconds of a processor, by file."""

import os
from collections import defaultdict
from collections.abc import Iterator

import pytest

MOST = 15


def processor_seconds() -> float:
    """Of this process, and of those that it started and waited for.

    A browser's are not among them: its driver does not wait for them.
    """
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class Costs:
    """Adds up what is spent, which says more than durations where several processes share a processor."""

    def __init__(self, *, collecting: float) -> None:
        self.collecting = collecting
        self.by_file: defaultdict[str, float] = defaultdict(float)
        self.by_test: defaultdict[str, float] = defaultdict(float)

    def add(self, item: pytest.Item, seconds: float) -> None:
        """Note what one test cost, with what it set up for others of its file."""
        self.by_file[item.nodeid.partition("::")[0]] += seconds
        self.by_test[item.nodeid] += seconds

    def lines(self) -> Iterator[str]:
        """In all, the files that cost most, and the tests."""
        tests = sum(self.by_file.values())
        yield f"{self.collecting:.1f} s to collect, {tests:.1f} s for {len(self.by_test):,} tests"
        for costs in (self.by_file, self.by_test):
            yield ""
            for name in sorted(costs, key=costs.__getitem__, reverse=True)[:MOST]:
                yield f"{costs[name]:6.2f} s  {name}"
