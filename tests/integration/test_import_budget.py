"""What an idle tick loads: a cold start pays for every library, so each heavy one has to be needed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

# A process of its own: this one has loaded everything already.
PROBE = """
import asyncio, json, sys
import main
from starlette.requests import Request

async def tick():
    sent = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": "POST", "path": "/tick",
        "raw_path": b"/tick", "root_path": "", "query_string": b"", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"authorization", b"Bearer " + b"s" * 32)],
    }
    await (await main.scheduler(Request(scope, receive)))(scope, receive, send)
    return json.loads(b"".join(part.get("body", b"") for part in sent))

print(json.dumps({"report": asyncio.run(tick()), "modules": sorted(sys.modules)}))
"""

# With what needs them: a request for the API, a task that calls, a feed, a store, a channel, a task file.
HEAVY = (
    "fastapi",
    "aiohttp",
    "httpx2",
    "httpcore2",
    "feedparser",
    "jsonpath",
    "jsonschema",
    "lxml",
    "selectolax",
    "dns",
    "multiprocessing",
    "google.cloud.firestore",
    "google.cloud.firestore_v1",
    "google.auth",
    "google.protobuf",
    "grpc",
    "requests",
    "cryptography",
    "smtplib",
    "yaml",
    "croniter",
    "holidays",
    "dateutil",
    "rich",
    "typer",
    "jwt",
    "dotenv",
    "prometheus_client",
    "sqlalchemy",
    "apprise",
    "cronsim",
    "pydantic_ai",
    "openai",
    "anthropic",
    "genai_prices",
    "hypothesis",
    "pytest",
)
OURS = (
    "functions.services.events",
    "functions.services.apply",
    "functions.cli.main",
    "functions.cli.commands",
    "functions.services.access.accounts",
    "functions.services.access.credits",
    "functions.taskfiles",
    "functions.web.api",
    "functions.stores.firestore.store",
    "functions.http_client.client",
    "functions.parsing.feeds",
    "functions.parsing.replies",
    "functions.parsing.contents",
    "functions.task_types.support.expectations",
    "functions.task_types.http",
    "functions.task_types.rss_watch",
    "functions.domain.costs.pricing",
)


@pytest.fixture(scope="module")
def idle_tick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of a tick on an empty SQLite store in a fresh interpreter, and what that had loaded."""
    folder = tmp_path_factory.mktemp("idle")
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "CRON_SECRET": "s" * 32,
        "STORE_URL": f"sqlite:///{folder}/idle.db",
        "LOG_LEVEL": "WARNING",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, cwd=folder, env=variables
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_probe_has_done_a_tick(idle_tick: dict[str, Any]) -> None:
    """Else nothing below would mean anything."""
    assert {"status": "ok", "due": 0, "reads": 1}.items() <= idle_tick["report"].items()
    assert {
        "main",
        "functions.engine.tick",
        "functions.app.application",
        "functions.stores.sqlite.store",
    } <= {*idle_tick["modules"]}


@pytest.mark.parametrize("name", [*HEAVY, *OURS])
def test_an_idle_tick_on_sqlite_does_without(idle_tick: dict[str, Any], name: str) -> None:
    assert name not in idle_tick["modules"]
