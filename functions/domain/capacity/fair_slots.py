"""Fair slots: tasks that hang share a bounded part of them, and no host is called by all its tasks at once.

A target that does not answer holds its slot for the whole timeout. Without a bound, as many hanging tasks as
there are slots stop everybody else. And two hundred calls in one moment look like an attack to a host that
answers each of them gladly.
"""

import ipaddress
import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from functions.domain.capacity.time_budget import expected_duration
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.domain.types import OutcomeKind

SHARE_WHILE_OTHERS_WAIT = 0.25  # of the slots, for slow tasks
LARGEST_SHARE = 0.75  # of the slots, for slow tasks when nobody else waits: somebody may come
NEARLY_WHOLE = 0.75  # of its timeout, which an attempt held its slot for before it was cut
MAY_HAVE_HUNG = (OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED)
MIN_HANGING_TASKS = (
    3  # of one host, and more than half of those due, before the host itself counts as hanging
)
POLITE_AT_ONCE = 8  # calls of one public host, unless its tasks would not all start in time; Scrapy's default
USUAL_START_TIME = timedelta(seconds=18)  # in which a host's tasks are to start where a tick has no limit


def find_slow(tasks: Sequence[VersionedTask]) -> frozenset[str]:
    """The ids of those of *tasks* that hung last time, and of those whose host hangs for most tasks.

    A task that succeeded last time is fast, whatever its host does to others.
    """
    hosts = {stored.task.id: _host(stored.task) for stored in tasks}
    slow = {stored.task.id for stored in tasks if _has_hung(stored.task)}
    total = Counter(host for host in hosts.values() if host)
    hanging = Counter(hosts[task_id] for task_id in slow if hosts[task_id])
    down = {host for host, count in hanging.items() if count >= MIN_HANGING_TASKS and 2 * count > total[host]}
    unproven = {stored.task.id for stored in tasks if stored.task.last_outcome is not OutcomeKind.SUCCEEDED}
    return frozenset(slow | {task_id for task_id in unproven if hosts[task_id] in down})


def find_crowds(tasks: Sequence[VersionedTask]) -> dict[str, str]:
    """The host of each task whose public host has more of *tasks* than it is called by at once, by task id.

    Hosts of one's own network, which strangers do not run, count for none.
    """
    authorities = {stored.task.id: _authority(stored.task) for stored in tasks}
    count = Counter(authorities.values())
    crowded = {one for one, tasks_of_it in count.items() if tasks_of_it > POLITE_AT_ONCE and _is_public(one)}
    return {task_id: authority for task_id, authority in authorities.items() if authority in crowded}


def find_room(
    queue: Iterable[VersionedTask],
    crowds: Mapping[str, str],
    *,
    running: Collection[str],
    time_left: timedelta | None,
) -> dict[str, int]:
    """How many more calls each crowded host may get now, by host.

    As few at once as its tasks need to start in time, and never fewer than `POLITE_AT_ONCE`. No room counts
    until a quarter of that is free: each claim of a few tasks costs a round trip to the store.

        20 wait that take 2.5 s each, 18 s are left, 5 run      3 more
        1,000 wait that take 1.1 s each, 18 s are left, none    62

    Args:
        crowds: See `find_crowds`.
        running: The ids of all tasks that run in this tick.
        time_left: In which attempts may start; None when there is no limit.
    """
    waiting: dict[str, list[timedelta]] = {}
    for stored in queue:
        if (host := crowds.get(stored.task.id)) is not None:
            waiting.setdefault(host, []).append(expected_duration(stored.task))
    if not waiting:
        return {}
    calls = Counter(crowds[task_id] for task_id in running if task_id in crowds)
    seconds = max(1.0, (USUAL_START_TIME if time_left is None else time_left).total_seconds())
    room: dict[str, int] = {}
    for host, durations in waiting.items():
        needed = math.ceil(sum(durations, timedelta()).total_seconds() / seconds)
        limit = max(POLITE_AT_ONCE, needed)
        free = limit - calls[host]
        room[host] = free if free >= min(limit // 4, len(durations)) else 0
    return room


def take_fairly(
    queue: deque[VersionedTask],
    slow: Iterable[str],
    *,
    capacity: int,
    slots: int,
    running_slow: int,
    others_wait: bool,
    crowds: Mapping[str, str] | None = None,
    room_of_hosts: Mapping[str, int] | None = None,
) -> list[VersionedTask]:
    """Take what may start now out of *queue*, in its order.

    Slow tasks beyond their share, and tasks beyond the room of their host, are left in it.

    Args:
        slow: See `find_slow`.
        capacity: How many tasks may start now.
        slots: All there are.
        running_slow: How many slow tasks run already, in all ticks of this process.
        others_wait: Whether tasks that are not in *queue* wait as well.
        crowds: See `find_crowds`.
        room_of_hosts: See `find_room`.
    """
    slow_ids = frozenset(slow)
    others_wait = others_wait or sum(stored.task.id not in slow_ids for stored in queue) > capacity
    share = SHARE_WHILE_OTHERS_WAIT if others_wait else LARGEST_SHARE
    room = max(1, int(slots * share)) - running_slow
    hosts = crowds or {}
    host_room = Counter(room_of_hosts or {})
    taken: list[VersionedTask] = []
    left: list[VersionedTask] = []
    for stored in queue:
        is_slow = stored.task.id in slow_ids
        host = hosts.get(stored.task.id)
        if len(taken) < capacity and (not is_slow or room > 0) and (host is None or host_room[host] > 0):
            taken.append(stored)
            room -= is_slow
            if host is not None:
                host_room[host] -= 1
        else:
            left.append(stored)
    queue.clear()
    queue.extend(left)
    return taken


def _has_hung(task: Task) -> bool:
    """Whether the last attempt of *task* held its slot for the whole timeout, or was cut when it nearly had.

    What the end of a tick or a late claim has cut goes first in the next tick: those that hang would have
    all slots of that as well.
    """
    if task.last_outcome is OutcomeKind.ABANDONED:
        return (task.last_duration_ms or 0) >= NEARLY_WHOLE * task.timeout_seconds * 1000
    return task.last_outcome is OutcomeKind.TIMED_OUT


def _host(task: Task) -> str:
    """The host that *task* calls; empty for one that has no address, or a wrong one."""
    url = task.params.get("url")
    return _host_of(url) if isinstance(url, str) else ""


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _authority(task: Task) -> str:
    """What stands between `//` and the path in the address of *task*; cheaper than its host."""
    url = task.params.get("url")
    parts = url.split("/", 3) if isinstance(url, str) else ()
    return parts[2].lower() if len(parts) > 2 and not parts[1] else ""


def _is_public(authority: str) -> bool:
    host = _host_of(f"//{authority}")
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
