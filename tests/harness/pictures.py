"""Makes the README's pictures of the dashboard: a day in the life of a few tasks, photographed in Chromium.

python -m tests.harness.pictures                those of the README
python -m tests.harness.pictures all FOLDER     every page, in both themes, on a screen and a phone
"""

import asyncio
import base64
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from functions.domain.alerts.model import AlertState
from functions.domain.events import After, OnEvent
from functions.domain.history.tally import add_incident, add_to_tally
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch
from functions.domain.task import Pause, Task, TaskSpec
from functions.domain.types import OutcomeKind, Status
from functions.stores import create_store
from functions.task_types.registry import type_names
from tests.support.browser import chromium
from tests.support.serving import ROOT, answered, serving

PICTURES = ROOT / "docs" / "images"
KEY = "the-first-administrators-key-0123456789"
SECRET = "a-secret-of-the-pictures-with-32-characters"

TASKS: tuple[
    tuple[dict[str, Any], int, int], ...
] = (  # the spec, how often it fails in 100, how long it takes
    (
        {
            "title": "Shop front answers",
            "type": "health_check_url",
            "schedule": "*/5 * * * *",
            "tags": ["shop"],
        },
        0,
        180,
    ),
    (
        {
            "title": "Payment API answers",
            "type": "health_check_url",
            "schedule": "* * * * *",
            "tags": ["shop"],
        },
        12,
        420,
    ),
    ({"title": "Release notes", "type": "rss_watch", "schedule": "H * * * *"}, 3, 900),
    ({"title": "Morning briefing", "type": "daily_briefing", "schedule": "30 7 * * MON-FRI"}, 0, 60),
    ({"title": "Nightly export", "type": "http", "schedule": "0 2 * * *", "tags": ["office"]}, 100, 3100),
    ({"title": "Certificates", "type": "health_check_url", "schedule": "0 9 * * 1"}, 0, 250),
)
LONG_TITLE = "Rechnungsabgleichsdienstleistungsüberwachungsverfahren for all warehouses, " * 2
ODD_TASKS: dict[str, dict[str, Any]] = {  # what pages must bear as well, by id: changes to a task
    "never-ran": {"schedule": "0 4 1 * *", "title": "Yearly audit of the archive"},
    "ledger-sync": {
        "title": "Ledger sync",
        "schedule": "*/10 * * * *",
        "tags": ("office", "money", "nightly"),
        "status": Status.RETRYING,
        "attempt": 1,
        "last_outcome": OutcomeKind.FAILED,
        "last_error": "No answer within 20 s",
    },
    "long-title": {"title": LONG_TITLE.strip(", "), "schedule": "every 90m", "tags": ("x" * 64,)},
    "after-both": {
        "title": "Send the report",
        "schedule": "",
        "after": (After(task="nightly-export"), After(task="ledger-sync", on="failure")),
        "on_event": (OnEvent(type="order.paid"),),
    },
    "old-import": {"title": "Old import", "schedule": "0 3 * * *"},
}
ODD_SETTINGS = {"WEBHOOK_URL": "http://127.0.0.1:9/", "ALLOW_PRIVATE_NETWORKS": "1"}
PARAMS = {
    "health_check_url": {"url": "https://shop.example.com"},
    "rss_watch": {"feedUrl": "https://example.com/feed.xml"},
    "http": {"url": "https://example.com/export", "method": "POST"},
}


def lived(spec: dict[str, Any], failing: int, took_ms: int, *, now: datetime) -> tuple[Task, list[Run]]:
    """A task with a past."""
    dice = random.Random(spec["title"])  # a picture, not a secret
    whole = spec | {"timezone": "Europe/Riga", "params": PARAMS.get(spec["type"], {})}
    task = new_task(TaskSpec.model_validate(whole), now=now, origin="file")
    runs = []
    for number in range(20):
        failed = dice.randrange(100) < failing
        started = now - timedelta(minutes=5 * (20 - number))
        duration = timedelta(milliseconds=took_ms * dice.uniform(0.6, 1.8))
        runs.append(
            Run(
                task_id=task.id,
                occurrence=started.replace(second=0, microsecond=0),
                attempt=1,
                token=f"picture.{number}",
                outcome=OutcomeKind.FAILED if failed else OutcomeKind.SUCCEEDED,
                summary="Answered 503, expected 200" if failed else "Answered 200",
                started_at=started,
                finished_at=started + duration,
                metrics={"latencyMs": round(duration.total_seconds() * 1000)},
            )
        )
    tally, incidents = kept_history(dice, failing, now=now)
    last = runs[-1]
    bad = last.outcome is OutcomeKind.FAILED
    changes: dict[str, Any] = {
        "recent": "\n".join(run.outcome_line for run in runs),
        "last_run_at": last.started_at,
        "last_outcome": last.outcome,
        "last_duration_ms": last.duration_ms,
        "last_result_summary": "" if bad else last.summary,
        "last_error": last.summary if bad else "",
        "consecutive_failures": 3 if bad else 0,
        "run_count": 20,
        "tally": tally,
        "incidents": incidents,
    }
    if bad:
        changes["alert"] = AlertState(failing_since=now - timedelta(hours=3))
    if spec["title"] == "Certificates":
        pause = Pause(note="Moving to the new host", by="Alice", at=now - timedelta(hours=2))
        changes |= {"pause": pause, "status": Status.PAUSED, "next_run_at": None}
    return task.model_copy(update=changes), runs


def kept_history(dice: random.Random, failing: int, *, now: datetime) -> tuple[str, tuple[str, ...]]:
    """What a task keeps of three months: an occurrence each half hour, bad hours now and then."""
    tally, bad_until = "", now
    incidents: tuple[str, ...] = ()
    for number in range(60 * 48, 0, -1):
        at = now - timedelta(minutes=30 * number)
        if failing and dice.randrange(300) == 0:
            bad_until = at + timedelta(hours=dice.randrange(1, 5))
            incidents = add_incident(incidents, since=at, until=bad_until, failures=dice.randrange(2, 9))
        tally = add_to_tally(tally, succeeded=failing < 100 and not at < bad_until < now, at=at)
    return tally, incidents


async def fill(url: str, *, now: datetime) -> None:
    """Put the tasks and their history into a store."""
    store = create_store(url)
    for number, (spec, failing, took_ms) in enumerate(TASKS):
        task, runs = lived(spec, failing, took_ms, now=now)
        await store.write_with_runs(
            RunBatch(f"picture{number}.1", now, tuple(runs)), [ConditionalWrite(task, None)]
        )
    await store.close()


async def add_odd_tasks(url: str, *, now: datetime) -> None:
    """Put tasks into a store that are long, wait, follow others, or have never run."""
    store = create_store(url)
    spec = {"type": "health_check_url", "params": PARAMS["health_check_url"], "schedule": "@daily"}
    for name, changes in ODD_TASKS.items():
        task = new_task(TaskSpec.model_validate(spec | {"id": name, "title": name}), now=now, origin="api")
        soon = {"next_run_at": now + timedelta(minutes=7)} if changes["schedule"] else {"next_run_at": None}
        await store.write([ConditionalWrite(task.model_copy(update=soon | changes), None)])
    await store.close()


async def administer(address: str) -> None:
    """Make a key, an owner and a removal, so that their pages have something to show."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(address, headers=headers) as session:
        for method, path, body in (
            ("POST", "/api/keys", {"name": "Phone of Alice", "scopes": ["read", "run"], "owner": "alice"}),
            ("POST", "/api/keys", {"name": "Deployment", "scopes": ["read", "write"]}),
            ("PUT", "/api/owners/alice", {"monthlyCredits": 100, "plan": "small"}),
            ("DELETE", "/api/tasks/old-import", None),
        ):
            async with session.request(method, path, json=body) as answer:
                assert answer.status < 300, (path, await answer.text())


@contextmanager
def shown(*, odd: bool = False) -> Iterator[str]:
    """The function over a store with a past; with *odd* tasks, keys, owners and a channel as well."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/pictures.db"
        asyncio.run(fill(url, now=datetime.now(UTC)))
        if odd:
            asyncio.run(add_odd_tasks(url, now=datetime.now(UTC)))
        variables = {
            "CRON_SECRET": SECRET,
            "API_KEY": KEY,
            "STORE_URL": url,
            "DEFAULT_TIMEZONE": "Europe/Riga",
            **(ODD_SETTINGS if odd else {}),
        }
        with serving(ROOT / "main.py", Path(folder), **variables) as address:
            asyncio.run(_ready(address))
            if odd:
                asyncio.run(administer(address))
            yield address


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


# Every page, by a name for its picture. `{run}`, `{public}` and `{key}` are found on other pages.

PAGES = {
    "overview": "/dashboard",
    "failing": "/dashboard?status=failing",
    "nothing-found": "/dashboard?search=nothing",
    "tag": "/dashboard?tag=shop",
    "task-failing": "/dashboard/tasks/payment-api-answers",
    "task-always-failing": "/dashboard/tasks/nightly-export",
    "task-paused": "/dashboard/tasks/certificates",
    "task-retrying": "/dashboard/tasks/ledger-sync",
    "task-never-ran": "/dashboard/tasks/never-ran",
    "task-long-title": "/dashboard/tasks/long-title",
    "task-after": "/dashboard/tasks/after-both",
    "edit": "/dashboard/tasks/payment-api-answers/edit",
    **{f"new-{name}": f"/dashboard/new?type={name}" for name in sorted(type_names())},
    "run": "{run}",
    "runs": "/dashboard/runs",
    "incidents": "/dashboard/incidents",
    "agenda": "/dashboard/agenda",
    "calendars": "/dashboard/calendars",
    "removed": "/dashboard/removed",
    "removed-task": "/dashboard/removed/old-import",
    "keys": "/dashboard/keys",
    "key-revoke": "{key}",
    "owners": "/dashboard/owners",
    "owner-edit": "/dashboard/owners/edit?name=alice",
    "channels": "/dashboard/channels",
    "channel-edit": "/dashboard/channels/webhook",
    "audit": "/dashboard/audit",
    "not-found": "/dashboard/nothing",
    "status-page": "{public}",
}
LOOKS = tuple((width, theme) for theme in ("light", "dark") for width in (1280, 390))
FOUND_ON = {
    "{run}": ("/dashboard/runs", "td a[href^='/dashboard/runs/']"),
    "{key}": ("/dashboard/keys", "a[href$='/revoke']"),
    "{public}": ("/dashboard?tag=shop", "a[href^='/public/']"),
}


def sign_in(window: webdriver.Chrome, address: str) -> None:
    """Sign the administrator in."""
    window.get(f"{address}/dashboard")
    window.find_element(By.NAME, "key").send_keys(KEY)
    window.find_element(By.CSS_SELECTOR, "form.stack button").click()
    WebDriverWait(window, 20).until(lambda one: one.find_elements(By.TAG_NAME, "nav"))


def pages_of(window: webdriver.Chrome, address: str) -> Iterator[str]:
    """Open each page in turn, and yield its name."""
    found = {}
    for place, (page, selector) in FOUND_ON.items():
        window.get(f"{address}{page}")
        found[place] = str(window.find_element(By.CSS_SELECTOR, selector).get_attribute("href"))
    for name, path in PAGES.items():
        window.get(found.get(path) or f"{address}{path}")
        yield name


def look(window: webdriver.Chrome, width: int, theme: str) -> None:
    """Show the open page on a screen or a phone, in a theme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}  # no colour in between
    features = [{"name": name, "value": value} for name, value in wanted.items()]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def photograph_all(folder: Path) -> None:
    """Photograph each page whole, in each look."""
    folder.mkdir(parents=True, exist_ok=True)
    with shown(odd=True) as address, chromium() as window:
        window.get(f"{address}/dashboard/sign-in")
        for width, theme in LOOKS:
            look(window, width, theme)
            _photograph_whole(window, folder / f"sign-in-{width}-{theme}.png")
        sign_in(window, address)
        for name in pages_of(window, address):
            for width, theme in LOOKS:
                look(window, width, theme)
                _photograph_whole(window, folder / f"{name}-{width}-{theme}.png")


def _photograph_whole(window: webdriver.Chrome, path: Path) -> None:
    shot = window.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Make the pictures that the command line asks for."""
    if sys.argv[1:2] == ["all"]:
        photograph_all(Path(sys.argv[2]))
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    with shown() as address:
        _photograph(address, {"tasks": "", "task": "/tasks/payment-api-answers"}, height=1000)
        _photograph(address, {"agenda": "/agenda"})
        _photograph(address, {"phone": ""}, width=420, height=900)
        _photograph(address, {"dark": "/tasks/payment-api-answers"}, height=1000, dark=True)


def _photograph(
    address: str, pages: dict[str, str], *, width: int = 1280, height: int = 800, dark: bool = False
) -> None:
    with chromium(width=width, height=height, dark=dark) as window:
        sign_in(window, address)
        for name, path in pages.items():
            window.get(f"{address}/dashboard{path}")
            window.save_screenshot(str(PICTURES / f"dashboard-{name}.png"))


if __name__ == "__main__":
    main()
