"""The entry point under the real server: what Google runs."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.serving import ROOT, answered, environment, serving
from tests.unit.web.fakes import SECRET

SERVED = Path(__file__).with_name("served.py")
TRACE = "0123456789abcdef0123456789abcdef"
ON_GOOGLE = {"K_SERVICE": "cronfire", "LOG_EXECUTION_ID": "true", "GOOGLE_CLOUD_PROJECT": "project"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def run(*command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=environment(**variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_the_served_function_ticks(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Loaded in the master, forked, and the parts built once, in the worker that serves."""
    with serving(SERVED, tmp_path, CRON_SECRET=SECRET) as address:
        await answered(session, address)
        key = {"Authorization": f"Bearer {SECRET}"}
        ticks: list[Any] = []
        for _ in range(2):
            async with session.post(f"{address}/tick", headers=key, data=b"x" * 1000) as response:
                ticks.append(await response.json())
        async with session.head(f"{address}/healthz") as response:
            head = (response.status, await response.read())
        async with session.get(f"{address}/status", headers=key) as response:
            status = response.status

    assert ticks[0] == ticks[1]
    assert [ticks[0]["servedIn"]] == ticks[0]["builtIn"]
    assert ticks[0]["importedIn"] != ticks[0]["servedIn"]
    assert [(200, b""), 503] == [head, status]
    logged = (tmp_path / "err").read_text()
    assert ["status_degraded", "***"] == [
        word for word in ("status_degraded", SECRET, "***") if word in logged
    ]


async def test_logs_are_structured_on_google_cloud(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The framework replaces our log handler after it has loaded us, when LOG_EXECUTION_ID is set."""
    with serving(ROOT / "main.py", tmp_path, CRON_SECRET=SECRET, **ON_GOOGLE) as address:
        await answered(session, address)
        headers = {"Authorization": "Bearer wrong", "X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
        async with session.post(f"{address}/tick", headers=headers) as response:
            status = response.status

    start, *lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert ("WARNING", "store_not_durable") == (start["severity"], start["message"])
    assert 401 == status
    assert [("WARNING", "caller_refused", "wrong_secret", f"projects/project/traces/{TRACE}")] == [
        (line["severity"], line["message"], line["reason"], line["logging.googleapis.com/trace"])
        for line in lines
    ]
    assert "" == (tmp_path / "err").read_text()


@pytest.mark.parametrize("secret", ["", "too-short"])
@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import main"),
        (
            "-m",
            "functions_framework",
            "--target",
            "scheduler",
            "--source",
            str(ROOT / "main.py"),
            "--port",
            "0",
        ),
    ],
)
def test_without_a_good_secret_it_does_not_start(
    command: tuple[str, ...], secret: str, tmp_path: Path
) -> None:
    """Closed unless configured; the remedy is said in one paragraph, without a traceback."""
    result = run(*command, folder=tmp_path, CRON_SECRET=secret)

    assert 1 == result.returncode
    assert result.stderr.startswith("Cronfire cannot start. CRON_SECRET ")
    assert "secrets.token_urlsafe(32)" in result.stderr
    assert 1 == len(result.stderr.splitlines())
    assert secret == "" or secret not in result.stderr


def test_with_a_task_type_that_is_not_there_it_does_not_start(tmp_path: Path) -> None:
    """The revision before goes on, which ticks."""
    result = run("-c", "import main", folder=tmp_path, CRON_SECRET=SECRET, TASK_TYPES="no_such_shop.stock")

    assert (1, 1) == (result.returncode, len(result.stderr.splitlines()))
    assert result.stderr.startswith("Cronfire cannot start. TASK_TYPES names no_such_shop.stock")


@pytest.mark.parametrize(("variables", "code"), [({}, 0), ({"K_SERVICE": "cronfire"}, 1)])
def test_a_dotenv_file_is_read_except_on_google_cloud(
    variables: dict[str, str], code: int, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"CRON_SECRET={SECRET}\n")

    assert code == run("-c", "import main", folder=tmp_path, **variables).returncode


HEAVY = (
    "aiohttp",
    "croniter",
    "cryptography",
    "feedparser",
    "functions.app.application",
    "google.api_core",
    "google.auth",
    "google.cloud.firestore",  # functions-framework itself has something in google.cloud
    "google.oauth2",
    "grpc",
    "requests",
    "sqlite3",
    "yaml",
)


def test_importing_the_entry_point_stays_cheap(tmp_path: Path) -> None:
    """A cold start loads this before it can answer anybody; the rest is loaded when it is needed."""
    shown = "import json, sys, main; print(json.dumps(list(sys.modules)))"
    oidc = {"OIDC_AUDIENCE": "https://example.com", "OIDC_SERVICE_ACCOUNTS": "pinger@example.com"}

    result = run("-W", "error", "-c", shown, folder=tmp_path, CRON_SECRET=SECRET, **oidc)

    assert "" == result.stderr
    assert [] == [name for name in json.loads(result.stdout) if name.startswith(HEAVY)]
