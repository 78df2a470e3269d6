"""How many random cases a test draws: all, or a tenth with TEST_PROFILE=fast (scripts/test --fast)."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

FAST_SHARE = 10
IS_FAST = os.environ.get("TEST_PROFILE") == "fast"


def examples(full: int, *, at_least: int = 2) -> int:
    """The number of examples where *full* is that of a complete run."""
    return max(at_least, full // FAST_SHARE) if IS_FAST else full


def sample(cases: Sequence[T]) -> Sequence[T]:
    """Every case, or one in ten, spread over all of them."""
    return cases[::FAST_SHARE] if IS_FAST else cases
