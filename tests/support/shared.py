"""What the processes of a parallel run share: places for one at a time, and results that are made once."""

import fcntl
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support import processes

T = TypeVar("T")

LOCKS = Path(__file__).parents[2] / ".cronfire"


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Wait until no other test, of this run or another of this checkout, is inside with the same *name*."""
    LOCKS.mkdir(exist_ok=True)
    with _locked(LOCKS / f"{name}.lock"):
        yield


def once_per_run(factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """Return what *make* returns; of all processes of this run one makes it, the others read its pickle.

    For the fixtures that take many seconds: one of module scope is made in each process.
    """
    folder = processes.shared_folder or factory.getbasetemp()
    made = folder / f"{name}.pickle"
    with _locked(folder / f"{name}.lock"):
        if not made.exists():
            partial = made.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(make()))
            partial.rename(made)
        found: T = pickle.loads(made.read_bytes())
        return found


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
