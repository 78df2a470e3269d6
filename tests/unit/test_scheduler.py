"""The library: what it exports, and a program that makes tasks of its own type and runs them."""

import ast
import asyncio
import re
import runpy
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel

import functions
from functions import InputError, Job, NotFoundError, Scheduler, SettingsError, Task
from functions.domain.cloud_events import CloudEvent
from functions.task_types import registry
from tests.conftest import NOON

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "library.md").read_text(encoding="utf-8")
GREETS = '''
"""Greets whom it is told to."""

from functions import Job, Outcome, Params as Model, Tools, succeeded


class Params(Model):
    whom: str


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    return succeeded(f"Hello {params.whom}", metrics={"attempt": job.attempt})
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own, with task types."""
    package = tmp_path / "shop_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "greet.py").write_text(GREETS)
    (package / "empty.py").write_text("")
    (package / "http.py").write_text(GREETS)
    (package / "Loud.py").write_text(GREETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(registry._registered_modules)
    yield package
    registry._registered_modules.clear()
    registry._registered_modules.update(before)
    registry._import_type.cache_clear()
    for name in [name for name in sys.modules if name.startswith("shop_of_mine")]:
        del sys.modules[name]


@pytest.fixture
async def scheduler(tmp_path: Path, shop: Path) -> AsyncIterator[Scheduler]:
    async with Scheduler(f"sqlite:///{tmp_path}/shop.db", types=["shop_of_mine.greet"]) as one:
        yield one


LISTENS = Task.model_validate(
    {
        "id": "listens",
        "title": "Listens",
        "type": "greet",
        "params": {"whom": "Bob"},
        "onEvent": [{"type": "door.bell"}],
    }
)
GREETING = Task(id="hello", title="Say hello", type="greet", schedule="@yearly", params={"whom": "Ann"})


# -- what there is -----------------------------------------------------------------------------------------


def test_each_part_of_a_task_can_be_written_with_a_name_of_the_library() -> None:
    """A type checker takes no dict in its place."""
    exported = [getattr(functions, name) for name in functions.__all__]

    def models(annotation: object) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for part in get_args(annotation):
            yield from models(part)

    parts = {model for field in Task.model_fields.values() for model in models(field.annotation)}
    assert functions.Retry in parts
    assert set() == parts - set(exported)


def test_all_names_are_there_and_no_others_are_promised() -> None:
    assert sorted([*functions._HOMES, "__version__"]) == functions.__all__
    for name in functions.__all__:
        assert getattr(functions, name) is not None


def test_each_name_has_a_type_for_whoever_checks_types() -> None:
    tree = ast.parse((ROOT / "functions" / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in ast.walk(guarded) if isinstance(node, ast.ImportFrom)]
    typed = {alias.asname or alias.name for node in imports for alias in node.names}

    assert typed == set(functions._HOMES)


def test_the_guide_tells_of_every_name_and_every_method() -> None:
    methods = [name for name in vars(Scheduler) if not name.startswith("_")]

    assert [] == [name for name in [*functions.__all__, *methods] if f"`{name}" not in GUIDE]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        functions.Nonsense  # noqa: B018  # the access is the test


# -- what it does ------------------------------------------------------------------------------------------


async def test_a_dict_is_no_task_and_the_error_says_how_to_make_one(scheduler: Scheduler) -> None:
    given: Any = {"id": "ping", "type": "http", "schedule": "daily"}
    remedy = r"must be a Task; make it with Task\(...\), or of a dict with Task.model_validate\(...\)"

    with pytest.raises(InputError, match=rf"tasks\[1\]: {remedy}"):
        await scheduler.apply([GREETING, given])
    with pytest.raises(InputError, match=f"task: {remedy}"):
        await scheduler.run_once(given)

    assert [] == await scheduler.tasks()


async def test_a_task_of_ones_own_type_runs(scheduler: Scheduler) -> None:
    [change] = await scheduler.apply([GREETING])

    run = await scheduler.run("hello")

    assert ("hello", "create") == (change.id, change.action)
    assert run is not None
    assert ("succeeded", "Hello Ann", {"attempt": 1}) == (run.outcome, run.summary, run.metrics)
    assert [run.key] == [one.key for one in await scheduler.runs("hello")]
    assert "Hello Ann" == (await scheduler.task("hello")).last_result_summary


async def test_a_task_without_a_schedule_runs_once_and_is_kept(scheduler: Scheduler) -> None:
    once = Task(id="hello", title="Say hello", type="greet", params={"whom": "Ann"})

    run = await scheduler.run_once(once)
    kept = await scheduler.task("hello")
    again = await scheduler.run("hello")
    with pytest.raises(InputError, match="schedule: is required"):
        await scheduler.apply([Task(id="never", title="Never", type="greet", params={"whom": "Bob"})])

    assert (run and run.summary) == "Hello Ann" == (again and again.summary)
    assert ("ended", None, 0) == (kept.status, kept.next_run_at, kept.run_count)


async def test_a_tick_reports_what_it_found(scheduler: Scheduler) -> None:
    await scheduler.apply([GREETING])

    report = await scheduler.tick(within=timedelta(seconds=24))

    assert ("ok", 0) == (report["status"], report["due"])


async def test_a_task_is_paused_resumed_changed_and_removed(scheduler: Scheduler) -> None:
    await scheduler.apply([GREETING])

    paused = await scheduler.pause("hello", note="Holiday")
    resumed = await scheduler.resume("hello")
    [change] = await scheduler.apply([GREETING.model_copy(update={"title": "Greet"})])
    await scheduler.remove("hello")

    assert paused.pause is not None
    assert ("paused", "Holiday", "scheduled") == (paused.status, paused.pause.note, resumed.status)
    assert ("update", ("title",)) == (change.action, change.fields)
    assert [] == await scheduler.tasks()
    with pytest.raises(NotFoundError):
        await scheduler.task("hello")


async def test_only_what_it_made_itself_is_ever_pruned(scheduler: Scheduler) -> None:
    await scheduler.apply([GREETING, GREETING.model_copy(update={"id": "bye"})])

    changes = await scheduler.apply([GREETING], prune=True)

    assert [("bye", "remove"), ("hello", "unchanged")] == [(one.id, one.action) for one in changes]


async def test_callbacks_are_called_and_stop_nothing(scheduler: Scheduler) -> None:
    called: list[str] = []

    async def hang(job: Job) -> None:
        called.append(f"before {job.task_id}")
        await asyncio.sleep(60)

    def fail(event: CloudEvent) -> None:
        called.append(f"{event.type} {event.data['outcome']}")
        raise ZeroDivisionError

    scheduler.before_task(hang)
    scheduler.subscribe(fail, "cronfire.run.finished")
    scheduler.subscribe(fail, "another.type")
    spec = Task(id="hello", title="Say hello", type="greet", params={"whom": "Ann"}, timeout_seconds=0.8)

    run = await scheduler.run_once(spec)

    assert (run and run.summary) == "Hello Ann"
    assert ["before hello", "cronfire.run.finished succeeded"] == called


@pytest.mark.slow
async def test_the_api_is_mounted_in_an_application_of_ones_own(tmp_path: Path, shop: Path) -> None:
    key = "an-administrators-key-of-some-length-0123"
    async with Scheduler(f"sqlite:///{tmp_path}/shop.db", settings={"API_KEY": key}) as scheduler:
        app = FastAPI()
        app.mount("/scheduler", scheduler.asgi_app())
        await scheduler.apply([Task(id="own", title="Own", type="daily_briefing", schedule="daily")])
        transport = ASGITransport(app=app)
        async with AsyncClient(transport=transport, base_url="http://own.example") as client:
            anonymous = await client.get("/scheduler/api/tasks")
            listed = await client.get("/scheduler/api/tasks", headers={"Authorization": f"Bearer {key}"})
            described = await client.get("/scheduler/openapi.json")
            client.headers["Authorization"] = f"Bearer {key}"
            elsewhere = await client.get("/scheduler/api/nothing")
            page = await client.get("/scheduler/docs")
            beside = re.findall(r'(?:src|href)="([^"]*)"', page.text)
            loaded = {(await client.get(urljoin("/scheduler/docs", one))).status_code for one in beside}

    assert (401, 200) == (anonymous.status_code, listed.status_code)
    assert ["own"] == [task["id"] for task in listed.json()["tasks"]]
    assert [{"url": "/scheduler"}] == described.json()["servers"], "clients find it where it is mounted"
    assert "the API's are at /scheduler/docs" in elsewhere.json()["detail"]
    assert {200} == loaded, "what the page of the API loads is there as well"


async def test_addresses_that_a_mounted_api_gives_out_lead_to_it(tmp_path: Path) -> None:
    """A heartbeat's program called the application around it, where nothing was, and was missed."""
    key = "an-administrators-key-of-some-length-0123"
    beat = {"title": "Beat", "type": "heartbeat", "schedule": "@daily"}
    async with Scheduler(f"sqlite:///{tmp_path}/shop.db", settings={"API_KEY": key}) as scheduler:
        app = FastAPI()
        app.mount("/scheduler", scheduler.asgi_app())
        async with AsyncClient(
            transport=ASGITransport(app=app),
            base_url="http://own.example",
            headers={"Authorization": f"Bearer {key}"},
        ) as client:
            made = await client.post("/scheduler/api/tasks", json=beat)
            found = await client.get(made.headers["location"])
            address = (await client.get(f"{made.headers['location']}/heartbeat")).json()["address"]
            called = await client.post(f"{address}/fail", content="x" * 99_000 + " the end")
            await scheduler.tick()
            [run] = (await client.get("/scheduler/api/runs?task=beat")).json()["runs"]

    assert (201, 200, "OK\n") == (made.status_code, found.status_code, called.text)
    assert run["metrics"]["output"].endswith(" the end"), "and takes as much as it does at the root"


async def test_the_sample_of_an_application_serves_its_own_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "an-administrators-key-of-some-length-0123")
    monkeypatch.setenv("STORE_URL", f"sqlite:///{tmp_path}/sample.db")
    sample = runpy.run_path(str(ROOT / "samples" / "library_app.py"))
    transport = ASGITransport(app=sample["app"])

    async with (
        sample["app"].router.lifespan_context(sample["app"]),
        AsyncClient(transport=transport, base_url="http://own.example") as client,
    ):
        own, api = await client.get("/last-runs"), await client.get("/scheduler/api/tasks")

    assert ([], 401) == (own.json(), api.status_code)


async def test_events_start_tasks(scheduler: Scheduler) -> None:
    await scheduler.apply([LISTENS])

    heard = await scheduler.publish("door.bell", {"times": 2})
    report = await scheduler.tick()

    assert ("listens",) == heard.started
    assert 1 == report["succeeded"]


async def test_every_fault_is_named_and_nothing_written(scheduler: Scheduler) -> None:
    wrong = GREETING.model_copy(update={"id": "wrong", "params": {"who": "Ann"}})

    with pytest.raises(InputError, match=r"wrong: params\.who"):
        await scheduler.apply([GREETING, wrong])

    assert [] == await scheduler.tasks()


async def test_it_runs_for_ever_until_it_is_cancelled(scheduler: Scheduler) -> None:
    await scheduler.apply([LISTENS])
    forever = asyncio.create_task(scheduler.run_forever(every=timedelta(milliseconds=50)))
    await scheduler.publish("door.bell")

    async with asyncio.timeout(20):
        while not await scheduler.runs("listens"):  # noqa: ASYNC110  # a store rings no bell
            await asyncio.sleep(0.05)
    forever.cancel()

    with pytest.raises(asyncio.CancelledError):
        await forever


@pytest.mark.parametrize(
    ("module", "fault"),
    [
        ("shop_of_mine.missing", r"cannot be imported \(there is no module shop_of_mine.missing\)"),
        ("shop_of_mine.empty", "it needs a class Params that is derived from functions.Params"),
        ("shop_of_mine.http", "a task type http exists already, built in; choose another name"),
        ("shop_of_mine.Loud", "cannot name a type"),
    ],
)
def test_what_is_no_type_of_ones_own_is_refused(shop: Path, module: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Scheduler("sqlite://:memory:", types=[module])


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="STORE_URL"):
        Scheduler("mysql://here")


NAIVE = NOON.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("method", "arguments", "fault"),
    [
        ("publish", {"event_type": "Door Bell"}, "type: must be "),
        ("publish", {"event_type": "door.bell", "data": {"at": object()}}, "data"),
        ("publish", {"event_type": "door.bell", "data": {"at": float("nan")}}, "data.at: must be a finite"),
        ("publish", {"event_type": "door.bell", "data": {"at": "\ud800"}}, "data.at: must not contain half"),
        ("pause", {"task_id": "hello", "note": "x" * 401}, "note: must have at most 400 characters"),
        ("pause", {"task_id": "hello", "until": NAIVE}, "until: give an instant with its time zone"),
        ("pause", {"task_id": "hello", "until": NOON.replace(year=9999)}, "until: is out of range"),
        ("runs", {"since": NAIVE}, "since: give an instant with its time zone"),
    ],
)
async def test_a_wrong_argument_is_named(
    scheduler: Scheduler, method: str, arguments: dict[str, Any], fault: str
) -> None:
    """What a caller catches is a SchedulerError, whatever is wrong."""
    await scheduler.apply([GREETING])

    with pytest.raises(InputError, match=fault):
        await getattr(scheduler, method)(**arguments)
