"""The tasks of the overview: a page of those that match, in the order that the address names, over all tasks.

Reads, whatever the number of tasks: by id a page of `PAGE_SIZE`, with a search up to `SEARCHED`. In another
order all that match, if they are at most `SORTED_HERE`, which are sorted here by whatever the page has a
column for. More than these are sorted by the store, in the orders of `STORE_ORDERS` alone, from which at most
`SEARCHED` are read for one page; a filter is applied to them here. What cannot be sorted is not offered.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from functions.domain.storage import OrderPosition, TaskFilter, TaskOrder
from functions.domain.task import Task
from functions.domain.types import Status, format_instant, parse_stored_instant
from functions.services.access.view import OwnerView, tolerate_missing_index
from functions.services.tasks import TaskService
from functions.web.dashboard.presentation.formatting import matches_search

PAGE_SIZE = 100  # tasks on a page
SEARCHED = 1500  # tasks that one page reads in order to find those that match
SORTED_HERE = 1000  # tasks that are read to be sorted; as many as an owner may have without more
CHUNK = 300  # tasks of one request to the store, when some of them may not match
LATE_AFTER = timedelta(minutes=3)  # a tick comes each minute
BAD_OUTCOMES = frozenset({"failed", "timed_out", "abandoned"})

Value = str | datetime | None
SORT_VALUES: dict[str, Callable[[Task], Value]] = {
    "title": lambda task: task.title,
    "state": lambda task: f"{int(not task.is_failing)} {task.status}",
    "next": lambda task: task.next_run_at,
    "last": lambda task: task.last_run_at,
}
ALL_SORTS = frozenset({*SORT_VALUES, *(f"-{name}" for name in SORT_VALUES)})
INSTANTS = frozenset({"next", "last"})
STORE_ORDERS: dict[str, TaskOrder] = {"title": "title", "next": "nextRunAt"}
BY_ID, LATE = "", "late"


@dataclass(frozen=True, slots=True)
class Listing:
    """The tasks of a page.

    Attributes:
        broken: Documents that cannot be read as a task.
        more: Where the next page begins; empty on the last.
        sort: The order in which they are; empty for that of ids.
        sortable: The columns by which these tasks can be sorted; with `-` before it, backwards.
    """

    tasks: list[Task]
    broken: Sequence[Any] = ()
    more: str = ""
    sort: str = BY_ID
    sortable: frozenset[str] = ALL_SORTS


async def list_page(
    service: TaskService,
    which: TaskFilter,
    *,
    now: datetime,
    status: str = "",
    search: str = "",
    after: str = "",
    sort: str = BY_ID,
) -> Listing:
    """Return the page of tasks that begins at *after*, of those that match all that is asked.

    Args:
        status: One of `Status`, or `failing`, or `late`.
        sort: A column, with `-` before it backwards. Another one is used where it cannot be served.
    """
    if status == "failing":
        which = replace(which, outcomes=BAD_OUTCOMES)
    elif status in set(Status):
        which = replace(which, status=status)

    asked, which = which, filter_of_store(which, service.principal.owner)
    is_search = bool(search) or which != asked

    def matches(task: Task) -> bool:
        return asked.matches(task) and matches_search(task, search) and (status != LATE or is_late(task, now))

    sort = sort if sort in ALL_SORTS else "next" if status == LATE else BY_ID
    if sort == BY_ID:
        found = await _list_by_id(service, which, matches, is_search=is_search, after=after)
        if not (after or found.more) or await _is_small(service.view, which):
            return found
        return replace(found, sortable=_orders_in_store(service))
    if await _is_small(service.view, which):
        return await _sort_here(service, which, matches, sort=sort, after=after)
    if sort not in _orders_in_store(service):
        start = "" if "~" in after else after  # a place in the order by id
        found = await _list_by_id(service, which, matches, is_search=is_search, after=start)
        return replace(found, sortable=_orders_in_store(service))
    ends = (lambda task: not is_late(task, now)) if status == LATE else None
    return await _sort_in_store(service, asked, matches, sort=sort, after=after, ends=ends)


def filter_of_store(which: TaskFilter, owner: str) -> TaskFilter:
    """Return the part of *which* that a store answers without reading more than it returns.

    Firestore has no index for a tag beside something else: it would read all that matches the rest.

    Args:
        owner: Of the key, which is a filter too.
    """
    is_alone = which == TaskFilter(tag=which.tag) and not owner
    return which if is_alone or not which.tag else replace(which, tag=None)


def is_late(task: Task, now: datetime) -> bool:
    """Whether *task* has been due for longer than a tick that comes each minute leaves it."""
    return task.next_run_at is not None and now - task.next_run_at > LATE_AFTER


def sort_tasks(tasks: Iterable[Task], sort: str) -> list[Task]:
    """Return *tasks* by the column *sort*, backwards with `-`; those without a value are last either way."""
    value_of = SORT_VALUES[sort.removeprefix("-")]
    by_id = sorted(tasks, key=lambda task: task.id)
    known = [task for task in by_id if value_of(task) is not None]
    unknown = [task for task in by_id if value_of(task) is None]
    return sorted(known, key=lambda task: (value_of(task), task.id), reverse=sort.startswith("-")) + unknown


def cursor_of(sort: str, task: Task) -> str:
    """Return the text for the place behind *task* in an address: its id, and what it is sorted by."""
    return _format_cursor(OrderPosition(SORT_VALUES[sort.removeprefix("-")](task), task.id))


def _format_cursor(place: OrderPosition) -> str:
    text = format_instant(place.value) if isinstance(place.value, datetime) else place.value or ""
    return f"{place.id}~{text}"


def parse_cursor(sort: str, text: str) -> OrderPosition | None:
    """Return the place that *text* stands for; None when it is no place in this order."""
    task_id, separator, value = text.partition("~")
    if not (task_id and separator):
        return None
    if not value or sort.removeprefix("-") not in INSTANTS:
        return OrderPosition(value or None, task_id)
    at = parse_stored_instant(value)
    return OrderPosition(at, task_id) if at else None


def _orders_in_store(service: TaskService) -> frozenset[str]:
    """Return the orders that the store has of any number of tasks; none for a key of an owner."""
    return frozenset() if service.principal.owner else frozenset(STORE_ORDERS)


async def _is_small(view: OwnerView, which: TaskFilter) -> bool:
    return await tolerate_missing_index(view.count_tasks(which), SORTED_HERE + 1) <= SORTED_HERE


async def _list_by_id(
    service: TaskService, which: TaskFilter, matches: Callable[[Task], bool], *, is_search: bool, after: str
) -> Listing:
    tasks: list[Task] = []
    broken: list[Any] = []
    read = 0
    while True:
        page = await service.list_tasks(which, after=after, limit=PAGE_SIZE)
        ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
        read += len(ids)
        broken += page.invalid
        tasks += [stored.task for stored in page.tasks if matches(stored.task)]
        after = max(ids) if len(ids) >= PAGE_SIZE else ""
        if not after or not is_search or read >= SEARCHED or len(tasks) >= PAGE_SIZE:
            return Listing(tasks, broken, after)


async def _sort_here(
    service: TaskService, which: TaskFilter, matches: Callable[[Task], bool], *, sort: str, after: str
) -> Listing:
    """Return a page of the tasks that match, all of which are read and sorted."""
    tasks: list[Task] = []
    broken: list[Any] = []
    last = ""
    while True:
        page = await service.list_tasks(which, after=last, limit=CHUNK)
        tasks += [stored.task for stored in page.tasks if matches(stored.task)]
        broken += page.invalid
        ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
        if len(ids) < CHUNK or len(tasks) > SORTED_HERE:  # some may have been made since they were counted
            break
        last = max(ids)
    start = parse_cursor(sort, after)
    left = [task for task in sort_tasks(tasks, sort) if start is None or _is_behind(task, start, sort)]
    more = cursor_of(sort, left[PAGE_SIZE - 1]) if len(left) > PAGE_SIZE else ""
    return Listing(left[:PAGE_SIZE], broken if start is None else (), more, sort)


def _is_behind(task: Task, start: OrderPosition, sort: str) -> bool:
    value: Any = SORT_VALUES[sort.removeprefix("-")](task)
    if value is None or start.value is None:
        return value is None and (start.value is not None or task.id > start.id)
    place, other = (value, task.id), (start.value, start.id)
    return place < other if sort.startswith("-") else place > other


async def _sort_in_store(
    service: TaskService,
    which: TaskFilter,
    matches: Callable[[Task], bool],
    *,
    sort: str,
    after: str,
    ends: Callable[[Task], bool] | None,
) -> Listing:
    """Return the page of the tasks that match among the next `SEARCHED` in the store's order.

    Args:
        ends: Whether nothing that matches can come behind a task.

    Raises:
        MissingIndexError: The database lacks the index for this order.
    """
    found: list[Task] = []

    def listing(more: str) -> Listing:
        return Listing(found, (), more, sort, _orders_in_store(service))

    place = parse_cursor(sort, after)
    size = PAGE_SIZE if which == TaskFilter() else CHUNK
    for _ in range(SEARCHED // size):
        page = await service.list_ordered(STORE_ORDERS[sort], after=place, limit=size)
        for stored in page.tasks:
            if ends and ends(stored.task):
                return listing("")
            if matches(stored.task):
                found.append(stored.task)
            if len(found) == PAGE_SIZE:
                return listing(cursor_of(sort, stored.task))
        place = page.following
        if place is None:
            return listing("")
    return listing(_format_cursor(place) if place else "")
