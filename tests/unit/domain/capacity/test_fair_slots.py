"""Which tasks count as slow, and how many of them start beside the others."""

from collections import deque
from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.domain.capacity.fair_slots import find_crowds, find_room, find_slow, take_fairly
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


def on_host(make_task: MakeTask, authority: str, count: int, **fields: object) -> list[VersionedTask]:
    names = [f"t{number}" for number in range(count)]
    return stored(make_task, *names, params={"url": f"https://{authority}/feed"}, **fields)


@pytest.mark.parametrize(
    ("authority", "is_crowd"),
    [
        ("shop.example", True),
        ("Shop.Example:8443", True),
        ("user@shop.example", True),
        ("93.184.216.34", True),
        ("[2606:4700::1111]", True),
        ("127.0.0.1:8080", False),
        ("[::1]:8080", False),
        ("10.1.2.3", False),
        ("localhost:9000", False),
        ("web", False),
        ("db.internal", False),
        ("[", False),
    ],
)
def test_a_public_host_with_many_due_tasks_is_a_crowd(
    make_task: MakeTask, authority: str, is_crowd: bool
) -> None:
    assert bool(find_crowds(on_host(make_task, authority, 9))) is is_crowd
    assert {} == find_crowds(on_host(make_task, authority, 8))


def test_tasks_without_an_address_are_no_crowd(make_task: MakeTask) -> None:
    tasks = stored(make_task, *"abcdefghij", params={}) + stored(make_task, *"klmnopqrst", params={"url": 3})

    assert {} == find_crowds(tasks)


# One run of 2,950 ms before: 5.425 s are expected. One of 100 ms: 1.15 s.
@pytest.mark.parametrize(
    ("count", "recent", "running", "seconds", "room"),
    [
        (20, "2026-11-01T12:00:00Z", 0, 18, 12),  # never ran: 10 s each
        (20, "succeeded 100", 0, 18, 8),
        (20, "succeeded 100", 5, 18, 3),
        (20, "succeeded 100", 7, 18, 0),  # one more would be a round trip for itself
        (1, "succeeded 100", 7, 18, 1),  # there is no other to wait for
        (400, "succeeded 100", 0, 18, 26),
        (20, "succeeded 100", 0, 1, 23),  # the time is short
        (20, "succeeded 100", 0, -4, 23),
        (20, "succeeded 100", 0, None, 8),
    ],
)
def test_a_host_gets_as_few_calls_at_once_as_its_tasks_need_to_start_in_time(
    make_task: MakeTask, count: int, recent: str, running: int, seconds: int | None, room: int
) -> None:
    queue = on_host(make_task, "shop.example", count, recent=(recent,) if " " in recent else ())
    ids = [f"r{number}" for number in range(running)]
    crowds = dict.fromkeys([one.task.id for one in queue] + ids, "shop.example")

    time_left = None if seconds is None else timedelta(seconds=seconds)
    assert {"shop.example": room} == find_room(queue, crowds, running=ids, time_left=time_left)


def test_tasks_beyond_the_room_of_their_host_are_left_in_order_and_others_go_on(make_task: MakeTask) -> None:
    queue = deque(stored(make_task, "a", "b", "x", "c", "y"))
    options: dict[str, object] = {"capacity": 8, "slots": 8, "running_slow": 0, "others_wait": False}
    crowds = dict.fromkeys("abc", "shop.example")

    taken_now = take_fairly(queue, (), **options, crowds=crowds, room_of_hosts={"shop.example": 1})  # type: ignore[arg-type]  # a test's options

    assert ["a", "x", "y"] == [one.task.id for one in taken_now]
    assert ["b", "c"] == [one.task.id for one in queue]
