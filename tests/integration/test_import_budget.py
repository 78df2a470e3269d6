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

method, path, secret = sys.argv[1:]

async def ask():
    sent = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        sent.append(message)
    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": method, "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"authorization", b"Bearer " + secret.encode())],
    }
    await (await main.scheduler(Request(scope, receive)))(scope, receive, send)
    return json.loads(b"".join(part.get("body", b"") for part in sent))

print(json.dumps({"report": asyncio.run(ask()), "modules": sorted(sys.modules)}))
"""

# With what needs them: a request for the API, a task that calls, a feed, a store, a channel, a task file.
HEAVY = (
    "fastapi",
    "aiohttp",
    "yarl",
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
    "probed_plugin",
)
OURS = (
    "functions.engine.steps",
    "functions.domain.lifecycle.decide",
    "functions.domain.schedule.cron",
    "functions.domain.alerts.routing",
    "functions.app.toolbox",
    "functions.task_types.registry",
    "functions.parsing.pool",
    "functions.http_client.requests",
    "functions.gcp.api",
    "functions.stores.bitable.config",
    "functions.services.upkeep.watchdog",
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


NOT_FOR_THE_API = (
    "yaml",
    "mcp",
    "croniter",
    "holidays",
    "typer",
    "rich",
    "httpx2",
    "aiohttp",
    "functions.cli",
)


def probe(folder: Path, method: str, path: str, secret: str) -> dict[str, Any]:
    """Return the answer of a fresh interpreter on an empty SQLite store, and what it has loaded for it."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "CRON_SECRET": "s" * 32,
        "API_KEY": "k" * 32,
        "STORE_URL": f"sqlite:///{folder}/idle.db",
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", PROBE, method, path, secret]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=variables)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def idle_tick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tick that finds nothing, where a plugin for pydantic is installed."""
    folder = tmp_path_factory.mktemp("idle")
    (folder / "probed_plugin.py").write_text("plugin = None\n")
    (plugin := folder / "probed-1.0.dist-info").mkdir()
    (plugin / "entry_points.txt").write_text("[pydantic]\nprobed = probed_plugin:plugin\n")
    return probe(folder, "POST", "/tick", "s" * 32)


def test_the_first_request_of_the_api_does_without(tmp_path: Path) -> None:
    """It takes 0.3 s of a processor, most of it in FastAPI; task files and assistants are for others."""
    first = probe(tmp_path, "GET", "/api/tasks", "k" * 32)

    assert [] == first["report"]["tasks"]
    assert [] == [name for name in NOT_FOR_THE_API if name in first["modules"]]


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
