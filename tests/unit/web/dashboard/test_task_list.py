"""The list of tasks: paging, order and filters together are the order over all tasks."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from functions.domain.access import ADMINISTRATOR, Principal
from functions.domain.storage import ConditionalWrite, TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.services.tasks import TaskService
from functions.stores.metering import count_operations
from functions.stores.sqlite.store import SqliteStore
from functions.web.dashboard.task_list import PAGE_SIZE, SEARCHED, SORTED_HERE, Listing, list_page, sort_tasks
from tests.conftest import NOON

MakeTask = Callable[..., Task]
SOME, MANY = 250, SORTED_HERE + 60  # those that are sorted here, and those that the store sorts
ANN = Principal(id="k", name="Ann", owner="ann", scopes=frozenset({"read"}))


def tasks_of(make_task: MakeTask, number: int) -> list[Task]:
    """Tasks whose titles and next runs are in another order than their ids, some without a next run."""
    plain = make_task("t", next_run_at=None)
    return [
        plain.model_copy(
            update={
                "id": f"t{one:04}",
                "title": f"Task {one * 7919 % 1009:04}",
                "type": "http" if one % 40 == 0 else "command",
                "tags": ("shop",) if one % 2 else (),
                "origin": "" if one % 50 == 0 else "file",
                "owner": "ann" if one % 5 == 0 else "",
                "last_outcome": OutcomeKind.FAILED if one % 3 == 0 else OutcomeKind.SUCCEEDED,
                "next_run_at": None if one % 4 == 0 else NOON + timedelta(minutes=one * 7907 % 911 - 30),
                "last_run_at": NOON - timedelta(minutes=one * 31 % 401),
            }
        )
        for one in range(number)
    ]


class MakeService(Protocol):
    async def __call__(self, tasks: list[Task], principal: Principal = ADMINISTRATOR) -> TaskService: ...


@pytest.fixture
async def make_service(tmp_path: Path) -> AsyncIterator[MakeService]:
    store = SqliteStore(f"{tmp_path}/tasks.db")

    async def make(tasks: list[Task], principal: Principal = ADMINISTRATOR) -> TaskService:
        await store.write([ConditionalWrite(task, None) for task in tasks])
        return TaskService(store, principal, clock=lambda: NOON, new_id=lambda: "x")

    yield make
    await store.close()


async def walk(
    service: TaskService, which: TaskFilter, *, sort: str, status: str = "", search: str = ""
) -> tuple[list[str], list[Listing]]:
    after, found, pages = "", [], []
    for _ in range(40):
        page = await list_page(service, which, now=NOON, sort=sort, status=status, search=search, after=after)
        pages.append(page)
        found += [task.id for task in page.tasks]
        if not (after := page.more):
            break
    return found, pages


def expected(tasks: list[Task], which: TaskFilter, sort: str) -> list[str]:
    return [task.id for task in sort_tasks(tasks, sort) if which.matches(task)]


FILTERS = (
    TaskFilter(),
    TaskFilter(tag="shop"),
    TaskFilter(type="http"),
    TaskFilter(owner="ann", type="http"),
)


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["title", "-title", "next", "-next", "state", "last", "-last"])
async def test_some_tasks_are_sorted_by_every_column(
    make_task: MakeTask, make_service: MakeService, sort: str
) -> None:
    tasks = tasks_of(make_task, SOME)
    service = await make_service(tasks)

    for which in FILTERS:
        found, pages = await walk(service, which, sort=sort)

        assert expected(tasks, which, sort) == found
        assert all(len(page.tasks) <= PAGE_SIZE and sort in page.sortable for page in pages)


@pytest.mark.slow
async def test_many_tasks_are_sorted_by_what_the_store_has_in_order(
    make_task: MakeTask, make_service: MakeService
) -> None:
    tasks = tasks_of(make_task, MANY)
    service = await make_service(tasks)

    for sort in ("title", "next"):
        for which in (TaskFilter(), TaskFilter(origin="file"), TaskFilter(tag="shop", origin="file")):
            found, pages = await walk(service, which, sort=sort)

            assert expected(tasks, which, sort) == found, (sort, which)
            assert len(pages) <= -(-MANY // PAGE_SIZE)
    offered = (await list_page(service, TaskFilter(), now=NOON)).sortable
    not_served, pages = await walk(service, TaskFilter(), sort="-last")
    searched, _ = await walk(service, TaskFilter(), sort="title", search="task 0001")

    assert {"title", "next"} == offered == pages[0].sortable
    assert "-last" in (await list_page(service, TaskFilter(type="http"), now=NOON)).sortable
    assert [task.id for task in tasks] == not_served
    assert [one.id for one in sort_tasks(tasks, "title") if "0001" in one.title + one.id] == searched


@pytest.mark.slow
@pytest.mark.parametrize("number", [SOME, MANY])
async def test_all_that_are_late_can_be_reached(
    make_task: MakeTask, make_service: MakeService, number: int
) -> None:
    tasks = [
        one.model_copy(update={"next_run_at": NOON - timedelta(hours=1)})
        for one in tasks_of(make_task, number)
    ]
    tasks[7] = tasks[7].model_copy(update={"next_run_at": NOON})
    service = await make_service(tasks)

    found, _ = await walk(service, TaskFilter(), sort="", status="late")

    assert sorted(task.id for task in tasks if task is not tasks[7]) == found


@pytest.mark.slow
async def test_what_one_page_reads_is_bounded(make_task: MakeTask, make_service: MakeService) -> None:
    service = await make_service(tasks_of(make_task, SEARCHED + 300))
    reads = {}

    for name, options in {
        "by id": {},
        "in the store's order": {"sort": "title"},
        "nothing found": {"sort": "title", "search": "nothing"},
        "not served": {"sort": "-last"},
    }.items():
        with count_operations() as operations:
            page = await list_page(service, TaskFilter(), now=NOON, **options)
        reads[name] = operations.reads
        assert page.more

    counted = 2  # reads of a count of 1,800
    assert {
        "by id": 100 + counted,
        "in the store's order": 100 + counted,
        "nothing found": SEARCHED + counted,
        "not served": 100 + counted,
    } == reads


@pytest.mark.slow
async def test_a_place_in_a_list_never_names_a_task_of_somebody_else(
    make_task: MakeTask, make_service: MakeService
) -> None:
    tasks = tasks_of(make_task, MANY)
    tasks = [one.model_copy(update={"owner": "ann" if int(one.id[1:]) > 50 else ""}) for one in tasks]
    service = await make_service(tasks, ANN)

    found, pages = await walk(service, TaskFilter(), sort="title")

    own = [task.id for task in tasks if task.owner == "ann"]
    assert own == found
    assert all(not page.sortable and page.more in ("", *own) for page in pages)


@pytest.mark.parametrize("after", ["t0003", "~", "t0003~never", "~x", "x" * 400])
async def test_a_place_that_is_none_begins_anew(
    make_task: MakeTask, make_service: MakeService, after: str
) -> None:
    tasks = tasks_of(make_task, 20)
    service = await make_service(tasks)

    page = await list_page(service, TaskFilter(), now=NOON, sort="next", after=after)

    assert expected(tasks, TaskFilter(), "next") == [task.id for task in page.tasks]
