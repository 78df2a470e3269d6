"""What each page reads, with 5,000 tasks: no more than docs/reference/dashboard.md says, and not far less."""

import pkgutil
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.stores.metering import count_operations
from functions.web import dashboard
from functions.web.api.runs import encode_run_id
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.support.serving import ROOT
from tests.unit.web.api.conftest import ADMIN, clock
from tests.unit.web.dashboard.conftest import make_browser

__all__ = ["clock"]

TASKS = 5000
LEAST, SLACK = 0.9, 10  # a figure that is far too high says nothing
FEW_HERE = frozenset({"/dashboard/audit", "/dashboard/audit?subject=TASK"})  # there are few changes
ROW = re.compile(r"^\| [^|]+ \| `(/[^`]*)` \| ([\d,]+) \|", re.M)


def documented() -> dict[str, int]:
    text = (ROOT / "docs" / "reference" / "dashboard.md").read_text(encoding="utf-8")
    return {path: int(figure.replace(",", "")) for path, figure in ROW.findall(text)}


async def fill(wired: App, make_task: Callable[..., Task]) -> Run:
    """Store the tasks, all of which fail and have a tag, and 3,000 runs of the first; return a run."""
    task = make_task("t", last_outcome="failed", consecutive_failures=2, tags=["shop"], schedule="@daily")
    many = [task.model_copy(update={"id": f"t{n:04}", "title": f"Task {n}"}) for n in range(TASKS)]
    for start in range(0, TASKS, 1000):
        await wired.store.write([ConditionalWrite(one, None) for one in many[start : start + 1000]])
    run = Run(
        task_id="t0000",
        occurrence=NOON,
        attempt=1,
        token="reads.1",
        outcome=OutcomeKind.FAILED,
        summary="Answered 503",
        started_at=NOON,
        finished_at=NOON,
    )
    for batch in range(30):
        at = NOON - timedelta(hours=batch)
        runs = [
            run.model_copy(
                update={
                    "occurrence": at - timedelta(seconds=n),
                    "finished_at": at - timedelta(seconds=n),
                    "token": f"reads.{batch}.{n}",
                }
            )
            for n in range(100)
        ]
        await wired.store.write_with_runs(RunBatch(f"reads.{batch}", at, tuple(runs)), [])
    return runs[0]


@pytest.fixture
async def served(tmp_path: Path, clock: Clock) -> AsyncIterator[App]:
    """An application with a channel."""
    env = {
        "STORE_URL": f"sqlite:///{tmp_path}/reads.db",
        "WEBHOOK_URL": "https://hook.example",
        "API_KEY": ADMIN,
    }
    app = App(Settings.from_env(env, serves_http=False), clock=clock)
    yield app
    await app.close()


@pytest.mark.slow
async def test_every_page_reads_no_more_than_its_documented_figure(
    served: App, make_task: Callable[..., Task]
) -> None:
    run = await fill(served, make_task)
    browser = make_browser(served)()
    await browser.sign_in()
    await browser.post("/dashboard/keys", do="save", name="k", **{"scopes.read": "on"})
    [key] = set(re.findall(rb"/dashboard/keys/(\w+)/revoke", (await browser.get("/dashboard/keys")).body))
    await browser.post("/dashboard/calendars", name="company", do="save", entries="12-25")
    await browser.post("/dashboard/owners", name="ann", do="save", monthlyCredits="5")
    await browser.post("/dashboard/tasks/t4999/delete")
    tagged = (await browser.get("/dashboard?tag=shop")).body.decode()
    task_page = (await browser.get("/dashboard/tasks/t0000")).body.decode()
    places = {
        "TASK": "t0000",
        "REMOVED": "t4999",
        "RUN": encode_run_id(run),
        "KEY": key.decode(),
        "PAGE": re.findall(r'href="/public/([^"]+)"', tagged)[0],
        "BADGE": re.findall(r'src="/badge/([^"]+)\.svg"', task_page)[0],
    }
    read, wrong = {}, {}

    for path, figure in documented().items():
        address = re.sub(r"\b[A-Z]{3,}\b", lambda name: places.get(name[0], name[0]), path)
        with count_operations() as operations:
            answer = await browser.get(address)
        read[path] = operations.reads
        least = 0 if path in FEW_HERE else figure * LEAST - SLACK
        if answer.status != 200 or not least <= operations.reads <= figure:
            wrong[path] = (answer.status, operations.reads, figure)

    assert {} == wrong
    assert len(read) > 25


def test_every_page_has_a_figure() -> None:
    modules = [
        import_module(one.name) for one in pkgutil.walk_packages(dashboard.__path__, f"{dashboard.__name__}.")
    ]
    routes = [route for one in modules if hasattr(one, "router") for route in one.router.routes]
    pages = {
        re.sub(r"\{\w+(:path)?\}", "*", route.path)
        for route in routes
        if "GET" in route.methods and not route.path.endswith((".css", ".js", "/icon.svg"))
    }

    assert pages == {re.sub(r"[A-Z]{3,}|webhook", "*", path.partition("?")[0]) for path in documented()}
