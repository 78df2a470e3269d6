"""A server that another process started, and that ends with it."""

import os
import signal
from collections.abc import Iterator
from threading import Event

import pytest

from functions.server import prefork


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Set by the signal that ends a server. The timer is that of pytest's own bound, which is put back."""
    monkeypatch.setattr(prefork, "PARENT_CHECK_S", 0.01)
    event = Event()
    bound = signal.getitimer(signal.ITIMER_REAL)
    alarm = signal.getsignal(signal.SIGALRM)
    term = signal.signal(signal.SIGTERM, lambda number, frame: event.set())
    yield event
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGTERM, term)
    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, *bound)


def test_a_server_whose_parent_was_killed_ends(ended: Event) -> None:
    """It kept the port, so that the next `serve` could not begin, and nobody ticked."""
    prefork.end_with_parent(os.getpid())  # nobody is its own parent

    assert ended.wait(10)


def test_a_server_whose_parent_is_there_goes_on(ended: Event) -> None:
    prefork.end_with_parent(os.getppid())

    assert not ended.wait(0.3)
