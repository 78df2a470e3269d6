"""Who runs which test next."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.queue_of_tests import LONGEST, TESTS, QueueOfTests


def items(*files: tuple[str, int, Sequence[str]]) -> list[pytest.Item]:
    """Tests of files, each with so many, which bear these marks."""
    return [
        cast(
            pytest.Item,
            SimpleNamespace(path=TESTS / name, iter_markers=lambda marks=marks: map(mark_named, marks)),
        )
        for name, count, marks in files
        for _ in range(count)
    ]


def mark_named(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name)


def taken(queue: QueueOfTests, process: int) -> list[int]:
    """All that one process gets, when it is alone."""
    return list(iter(lambda: queue.take(process), None))


def test_every_test_is_given_to_one_process() -> None:
    queue = QueueOfTests(items(("a.py", 7, ()), ("b.py", 1, ()), ("c.py", 30, ())))
    given = [queue.take(turn % 3) for turn in range(38)]

    assert list(range(38)) == sorted(number for number in given if number is not None)
    assert [None] * 3 == [queue.take(process) for process in range(3)]


def test_half_of_the_processes_begin_with_long_files_and_half_with_short_ones() -> None:
    files = items(("short.py", 2, ()), ("long.py", 1, ["process"]), ("longer.py", 1, ["browser", "process"]))
    named = items((LONGEST[0], 1, ()))

    assert [4, 3, 2, 0, 1] == taken(QueueOfTests(files + named), 0)
    assert [0, 1, 2, 3, 4] == taken(QueueOfTests(files + named), 1)


def test_a_process_keeps_to_its_file() -> None:
    queue = QueueOfTests(items(("a.py", 3, ()), ("b.py", 3, ())))
    given = [(queue.take(0), queue.take(1)) for _ in range(3)]

    assert [(0, 3), (1, 4), (2, 5)] == given


def test_without_files_left_the_later_half_of_the_longest_is_taken_over() -> None:
    queue = QueueOfTests(items(("a.py", 9, ()), ("b.py", 1, ())))

    assert (0, 9) == (queue.take(0), queue.take(1))
    assert [5, 6, 7, 8, 3, 4, 2, 1] == taken(queue, 1)
    assert queue.take(0) is None


def test_what_a_process_did_not_come_to_is_given_to_others() -> None:
    queue = QueueOfTests(items(("a.py", 2, ())))
    assert [0, 1] == taken(queue, 0)
    queue.put_back([1])

    assert [1] == taken(queue, 1)


def test_long_files_are_those_there_are() -> None:
    assert [] == [name for name in LONGEST if not (Path(TESTS) / name).is_file()]
