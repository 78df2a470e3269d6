"""Which tasks count as slow, and how many of them start beside the others."""

from collections import deque
from collections.abc import Callable

from functions.domain.lifecycle.fair_slots import find_slow, take_fairly
from functions.domain.storage import VersionedTask
from functions.domain.task import Task

MakeTask = Callable[..., Task]


def stored(make_task: MakeTask, *names: str, **fields: object) -> list[VersionedTask]:
    return [VersionedTask(make_task(name, **fields), 1) for name in names]


def taken(queue: deque[VersionedTask], slow: set[str], **given: int | bool) -> list[str]:
    options: dict[str, object] = {"capacity": 8, "slots": 8, "running_slow": 0, "others_wait": False}
    found = take_fairly(queue, slow, **(options | given))  # type: ignore[arg-type]  # a test's options
    return [one.task.id for one in found]


def test_a_task_is_slow_after_a_time_out_and_fast_after_any_other_end(make_task: MakeTask) -> None:
    tasks = stored(make_task, "hangs", last_outcome="timed_out")
    tasks += stored(make_task, "fails", last_outcome="failed") + stored(make_task, "new")

    assert {"hangs"} == find_slow(tasks)


def test_a_task_is_slow_after_it_was_cut_when_its_time_was_nearly_up(make_task: MakeTask) -> None:
    """A busy machine grants claims late; what hung was cut by that, and had all slots of the next tick."""
    cut = {"last_outcome": "abandoned", "timeout_seconds": 20}
    tasks = stored(make_task, "hung", **cut, last_duration_ms=19_700)
    tasks += stored(make_task, "short", **cut, last_duration_ms=2_000)

    assert {"hung"} == find_slow(tasks)


def test_a_host_that_hangs_for_most_of_its_tasks_slows_its_own_tasks_only(make_task: MakeTask) -> None:
    down, up = {"params": {"url": "http://down.example/x"}}, {"params": {"url": "http://up.example/"}}
    tasks = stored(make_task, "d1", "d2", "d3", **down, last_outcome="timed_out")
    tasks += stored(make_task, "d4", **down) + stored(make_task, "u1", "u2", **up)
    tasks += stored(make_task, "u3", **up, last_outcome="timed_out")
    tasks += stored(make_task, "d5", **down, last_outcome="succeeded")
    tasks += stored(make_task, "odd", params={"url": "http://[/"})

    assert {"d1", "d2", "d3", "d4", "u3"} == find_slow(tasks)


def test_slow_tasks_have_a_quarter_of_the_slots_while_others_wait(make_task: MakeTask) -> None:
    queue = deque(stored(make_task, *"abcdef") + stored(make_task, "x", "y"))

    assert ["a", "b", "x", "y"] == taken(queue, set("abcdef"), others_wait=True)
    assert ["c", "d", "e", "f"] == [one.task.id for one in queue]


def test_slow_tasks_that_run_count_towards_their_share(make_task: MakeTask) -> None:
    queue = deque(stored(make_task, "a", "b", "x"))

    assert ["a", "x"] == taken(queue, {"a", "b"}, running_slow=1, others_wait=True)


def test_slow_tasks_leave_a_quarter_free_when_nobody_else_waits(make_task: MakeTask) -> None:
    assert list("abcdef") == taken(deque(stored(make_task, *"abcdefgh")), set("abcdefgh"))


def test_what_is_left_keeps_its_order(make_task: MakeTask) -> None:
    queue = deque(stored(make_task, *"axbycz"))

    assert ["a", "x"] == taken(queue, set("abc"), capacity=2, others_wait=False)
    assert ["b", "y", "c", "z"] == [one.task.id for one in queue]
