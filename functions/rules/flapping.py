"""Tasks that change too often between success and failure: how often that is, and what is steady."""

from itertools import groupby, pairwise

REMEMBERED = 20  # occurrences looked back upon
CHANGES = 5  # of state among those; people follow that many, and one more is flapping
STEADY = 5  # occurrences in a row with the same result end it

GOOD, BAD = ".", "!"


def went_on(course: str, *, succeeded: bool) -> str:
    """*course* with one more occurrence; empty while no failure is remembered: all was well before."""
    before = course or (GOOD if not succeeded else "")
    after = (before + (GOOD if succeeded else BAD))[-REMEMBERED:]
    return after if BAD in after else ""


def begins(course: str) -> bool:
    """Whether the last occurrence was one change too many."""
    return course[-1:] != course[-2:-1] and changes(course) > CHANGES


def steady(course: str) -> bool:
    """Whether the last occurrences all had the same result."""
    return len(course) < STEADY or len(set(course[-STEADY:])) == 1


def longest_failure(course: str) -> int:
    """The most failures in a row."""
    return max((len(list(run)) for state, run in groupby(course) if state == BAD), default=0)


def changes(course: str) -> int:
    """How often the state changed."""
    return sum(one != other for one, other in pairwise(course))
