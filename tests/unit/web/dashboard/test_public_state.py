"""What a badge says: green after a success, and after nothing else."""

from collections.abc import Callable

import pytest

from functions.domain.task import Pause, Task
from functions.domain.types import Status
from functions.web.dashboard.presentation.formatting import BAD, GOOD, QUIET
from functions.web.dashboard.public import public_state

MakeTask = Callable[..., Task]
DONE, FAILED, SKIPPED = (f"{one} 5 2026-11-20T12:00:00Z" for one in ("succeeded", "failed", "skipped"))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, ("new", QUIET)),
        ({"recent": (SKIPPED,), "last_outcome": "skipped"}, ("new", QUIET)),
        ({"recent": (DONE,), "last_outcome": "succeeded"}, ("passing", GOOD)),
        ({"recent": (DONE, SKIPPED), "last_outcome": "skipped"}, ("passing", GOOD)),
        ({"recent": (DONE, FAILED), "last_outcome": "failed", "consecutive_failures": 1}, ("failing", BAD)),
        (
            {"recent": (DONE,), "last_outcome": "failed", "status": Status.RETRYING, "attempt": 1},
            ("retrying", QUIET),
        ),
        ({"recent": (DONE, FAILED), "last_outcome": "failed"}, ("unknown", QUIET)),
        ({"recent": (DONE,), "status": Status.PAUSED, "pause": Pause()}, ("paused", QUIET)),
        ({"status": Status.QUARANTINED}, ("stopped", BAD)),
    ],
)
def test_a_badge_is_green_only_after_a_success(
    make_task: MakeTask, fields: dict[str, object], state: tuple[str, str]
) -> None:
    assert state == public_state(make_task(**fields))
