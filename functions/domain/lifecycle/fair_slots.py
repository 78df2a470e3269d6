"""Fair slots: tasks that hang share a bounded part of the slots while others wait.

A target that does not answer holds its slot for the whole timeout. Without a bound, as many hanging tasks as
there are slots stop everybody else.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

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


def take_fairly(
    queue: deque[VersionedTask],
    slow: Iterable[str],
    *,
    capacity: int,
    slots: int,
    running_slow: int,
    others_wait: bool,
) -> list[VersionedTask]:
    """Take what may start now out of *queue*, in its order; leave slow tasks beyond their share in it.

    Args:
        slow: See `find_slow`.
        capacity: How many tasks may start now.
        slots: All there are.
        running_slow: How many slow tasks run already, in all ticks of this process.
        others_wait: Whether tasks that are not in *queue* wait as well.
    """
    slow_ids = frozenset(slow)
    others_wait = others_wait or sum(stored.task.id not in slow_ids for stored in queue) > capacity
    share = SHARE_WHILE_OTHERS_WAIT if others_wait else LARGEST_SHARE
    room = max(1, int(slots * share)) - running_slow
    taken: list[VersionedTask] = []
    left: list[VersionedTask] = []
    for stored in queue:
        is_slow = stored.task.id in slow_ids
        if len(taken) < capacity and (not is_slow or room > 0):
            taken.append(stored)
            room -= is_slow
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
    try:
        return (urlsplit(url).hostname or "") if isinstance(url, str) else ""
    except ValueError:
        return ""
