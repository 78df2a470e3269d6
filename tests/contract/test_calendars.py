"""Calendars on every store: kept, copied into the tasks that use them, and in step with tasks being saved."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.domain.access import ADMINISTRATOR
from functions.domain.storage import ConditionalWrite, Document
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Status
from functions.errors import ConflictError, NotFoundError
from functions.interfaces import Store
from functions.services.access.limits import OwnerLimits
from functions.services.calendars import book, service
from functions.services.calendars.service import CalendarService
from functions.services.removal import RemovedTasks
from functions.services.tasks import TaskService
from tests.conftest import NOON

NEXT_DAY = NOON + timedelta(days=1)


def calendars(store: Store) -> CalendarService:
    return CalendarService(store, ADMINISTRATOR, clock=lambda: NOON, new_id=lambda: "id")


def tasks(store: Store) -> TaskService:
    return TaskService(store, ADMINISTRATOR, clock=lambda: NOON, new_id=lambda: "id")


def spec(task_id: str, **fields: object) -> TaskSpec:
    whole = {"id": task_id, "title": task_id, "type": "http", "schedule": "0 12 * * *", "owner": ""}
    return TaskSpec.model_validate(whole | {"except": ["calendar:company"]} | fields)


async def read(store: Store, task_id: str) -> Task:
    [found] = (await store.get_tasks([task_id])).tasks
    return found.task


def day_of(task: Task) -> datetime | None:
    return task.next_occurrence


async def test_a_calendar_is_kept_changed_and_removed(store: Store) -> None:
    days = calendars(store)
    await days.save("company", ["12-24..01-02", "Sat"])
    await days.save("company", ["12-25"], owner="ann")
    found = [(one.owner, one.name, one.entries, one.behind) for one in await days.list_all()]
    await days.remove("company")

    assert [("", "company", ("12-24..01-02", "sat"), None), ("ann", "company", ("12-25",), None)] == found
    with pytest.raises(NotFoundError, match="no calendar 'company'"):
        await days.get("company")
    assert ("12-25",) == (await days.get("company", owner="ann")).entries


async def test_the_tasks_of_its_owner_have_the_new_days_and_no_others(store: Store) -> None:
    days = calendars(store)
    for owner in ("", "ann"):
        await days.save("company", ["2026-12-31"], owner=owner)
    for one in (spec("a"), spec("b"), spec("anns", owner="ann"), spec("without", **{"except": []})):
        await tasks(store).create(one)
    await tasks(store).pause("b")

    done = await days.save("company", ["2026-11-21", "2026-11-22"])

    assert (2, (), True) == (done.updated, done.failed, done.is_complete)
    moved = NEXT_DAY + timedelta(days=2)
    assert [moved, moved, NEXT_DAY, NEXT_DAY] == [
        day_of(await read(store, name)) for name in ("a", "b", "anns", "without")
    ]
    assert "paused" == (await read(store, "b")).status
    with pytest.raises(ConflictError, match="used by a, b"):
        await days.remove("company")


async def test_it_is_copied_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    days = calendars(store)
    await days.save("company", ["2026-12-31"])
    for number in range(5):
        await tasks(store).create(spec(f"t{number}"))
    monkeypatch.setattr(service, "PAGE_SIZE", 2)
    monkeypatch.setattr(service, "MAX_PAGES", 1)

    steps = [await days.save("company", ["2026-11-21"])]
    while not steps[-1].is_complete:
        steps.append(await days.refresh("company"))

    assert ([2, 2, 1], ["t1", "t3", None]) == (
        [one.updated for one in steps],
        [one.calendar.behind for one in steps],
    )
    assert {NEXT_DAY + timedelta(days=1)} == {day_of(await read(store, f"t{number}")) for number in range(5)}


async def test_a_task_that_is_saved_while_its_calendar_changes_has_the_new_days(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes after its days were read, and has looked at all tasks before this one is written."""
    days = calendars(store)
    await days.save("company", ["2026-12-31"])
    resolve = book.resolve_calendars

    async def resolve_and_change(*given: object, **more: object) -> object:
        found = await resolve(*given, **more)  # type: ignore[arg-type]
        monkeypatch.setattr(book, "resolve_calendars", resolve)
        await days.save("company", ["2026-11-21"])
        return found

    monkeypatch.setattr(book, "resolve_calendars", resolve_and_change)
    created = await tasks(store).create(spec("late"))

    assert NEXT_DAY + timedelta(days=1) == day_of(created.task) == day_of(await read(store, "late"))


async def test_what_is_due_keeps_the_former_days(store: Store, make_task: Callable[..., Task]) -> None:
    """A run of today that has not started yet is queued, though the calendar now excludes today."""
    days = calendars(store)
    await days.save("company", ["2026-12-31"])
    await tasks(store).create(spec("due"))
    late = CalendarService(
        store, ADMINISTRATOR, clock=lambda: NEXT_DAY + timedelta(minutes=1), new_id=lambda: "id"
    )
    await late.save("company", ["2026-11-21..2026-11-23"])

    task = await read(store, "due")
    assert [NEXT_DAY] == [one.at for one in task.backlog]
    assert NEXT_DAY + timedelta(days=3) == task.next_occurrence


async def test_a_removed_task_comes_back_with_the_days_of_today(store: Store) -> None:
    days = calendars(store)
    await days.save("company", ["2026-12-31"])
    await tasks(store).create(spec("back"))
    await tasks(store).delete("back")
    await days.save("company", ["2026-11-21"])
    removed = RemovedTasks(
        store,
        ADMINISTRATOR,
        limits=OwnerLimits(store, clock=lambda: NOON),
        clock=lambda: NOON,
        new_id=lambda: "back",
    )

    restored = await removed.restore("back")

    assert NEXT_DAY + timedelta(days=1) == restored.task.next_occurrence == day_of(await read(store, "back"))


async def test_a_stopped_task_stays_stopped_and_has_the_new_days(store: Store) -> None:
    days = calendars(store)
    await days.save("company", ["2026-12-31"])
    await tasks(store).create(spec("bad"))
    [stored] = (await store.get_tasks(["bad"])).tasks
    stop = {"status": Status.QUARANTINED, "next_run_at": None}
    await store.write([ConditionalWrite.for_changes(stored, stop)])
    await days.save("company", ["2026-11-21"])

    task = await read(store, "bad")
    assert ("quarantined", None, NEXT_DAY + timedelta(days=1)) == (
        task.status,
        task.next_run_at,
        task.next_occurrence,
    )


async def test_a_document_that_cannot_be_read_is_a_calendar_without_days(store: Store) -> None:
    await store.put_documents([Document("calendars", "odd", {"entries": 7, "behind": 3})])

    [odd] = await calendars(store).list_all()
    assert ("odd", (), None) == (odd.name, odd.entries, odd.behind)
    await calendars(store).save("odd", ["sat"])
    assert ("sat",) == (await calendars(store).get("odd")).entries


async def test_a_reader_changes_nothing(store: Store) -> None:
    reader = replace(ADMINISTRATOR, scopes=frozenset({"read"}))
    days = CalendarService(store, reader, clock=lambda: NOON, new_id=lambda: "id")

    for call in (days.save("a", ["sat"]), days.refresh("a"), days.remove("a")):
        with pytest.raises(Exception, match="scope write"):
            await call
