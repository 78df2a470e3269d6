"""Makes the README's pictures of the dashboard: a day in the life of a few tasks, photographed in Chromium.

python -m tests.harness.pictures
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from selenium.webdriver.common.by import By

from functions.domain.alerts.model import AlertState
from functions.domain.history.tally import add_incident, add_to_tally
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch
from functions.domain.task import Pause, Task, TaskSpec
from functions.domain.types import OutcomeKind, Status
from functions.stores import create_store
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
        "recent": tuple(run.outcome_line for run in runs),
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


@contextmanager
def shown() -> Iterator[str]:
    """The function over a store with a past."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/pictures.db"
        asyncio.run(fill(url, now=datetime.now(UTC)))
        variables = {
            "CRON_SECRET": SECRET,
            "API_KEY": KEY,
            "STORE_URL": url,
            "DEFAULT_TIMEZONE": "Europe/Riga",
        }
        with serving(ROOT / "main.py", Path(folder), **variables) as address:
            asyncio.run(_ready(address))
            yield address


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


def main() -> None:
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
        window.get(f"{address}/dashboard")
        window.find_element(By.NAME, "key").send_keys(KEY)
        window.find_element(By.XPATH, "//button[.='Sign in']").click()
        for name, path in pages.items():
            window.get(f"{address}/dashboard{path}")
            window.save_screenshot(str(PICTURES / f"dashboard-{name}.png"))


if __name__ == "__main__":
    main()
