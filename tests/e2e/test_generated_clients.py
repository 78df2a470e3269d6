"""Clients made from `/openapi.json` go a newcomer's path: create, list, run, look, pause, remove."""

import asyncio
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from functions.taskfiles.schema import task_file_schema
from tests.support.serving import ROOT, answered, environment, serving

HERE = Path(__file__).parent / "clients"
INSTALLED = ROOT / ".cronfire" / "clients"
KEY = "the-first-administrators-key-0123456789"
LIMIT_S = 120  # for each program, on a busy machine
EXPECTED = {
    "made": "shop-front-answers",
    "listed": ["shop-front-answers"],
    "run": "succeeded",
    "timezone": [
        "Europe/Riga",
        "Europe/Riga",
    ],  # what the installation says, not what a generator takes for the default
    "priority": "high",
    "runs": ["succeeded"],
    "status": "paused",
    "note": "Moving house",
    "removed": 204,
    "refused": ["schedule"],
}


@pytest.fixture(scope="module")
def generators() -> Path:
    """The folder that the generators are installed in."""
    refuse = pytest.fail if os.environ.get("REQUIRE_CLIENTS") == "1" else pytest.skip
    if shutil.which("npm") is None:
        refuse("Node.js and npm are not installed")
    done = subprocess.run([ROOT / "scripts" / "clients"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        refuse(f"scripts/clients could not install the generators: {done.stderr[-1000:]}")
    return INSTALLED


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The function on the real functions-framework."""
    folder = tmp_path_factory.mktemp("clients")
    variables = {
        "CRON_SECRET": "s" * 32,
        "API_KEY": KEY,
        "STORE_URL": f"sqlite:///{folder}/clients.db",
        "DEFAULT_TIMEZONE": "Europe/Riga",
        "ALLOW_PRIVATE_NETWORKS": "1",
    }
    with serving(ROOT / "main.py", folder, **variables) as address:
        asyncio.run(ready(address))
        yield address


async def ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


def program(*words: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment(HOME=str(Path.home()), **variables),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert 0 == done.returncode, f"{words[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


def description(address: str, folder: Path) -> Path:
    file = folder / "openapi.json"
    with urllib.request.urlopen(f"{address}/openapi.json", timeout=LIMIT_S) as answer:
        file.write_bytes(answer.read())
    return file


def result(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output)
    return found


def test_a_client_of_openapi_python_client(generators: Path, function: str, tmp_path: Path) -> None:
    tools = generators / "python" / "bin"
    said = program(
        tools / "openapi-python-client",
        *("generate", "--meta", "none", "--output-path", tmp_path / "cronfire_client"),
        *("--path", description(function, tmp_path), "--config", HERE / "openapi_python_client.yaml"),
    )

    output = program(tools / "python", HERE / "newcomer.py", function, KEY, PYTHONPATH=str(tmp_path))

    assert "Warning" not in said, said
    assert EXPECTED == result(output)


def test_a_client_of_openapi_typescript(generators: Path, function: str, tmp_path: Path) -> None:
    """The types as the generator makes them without options; the compiler is strict."""
    (tmp_path / "node_modules").symlink_to(generators / "node_modules")
    for name in ("newcomer.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / name, tmp_path)
    tools = tmp_path / "node_modules" / ".bin"
    program(tools / "openapi-typescript", description(function, tmp_path), "-o", tmp_path / "api.d.ts")
    program(tools / "tsc", "--project", tmp_path, cwd=tmp_path)

    output = program("node", tmp_path / "newcomer.js", function, KEY)

    assert EXPECTED == result(output)


def test_the_schema_of_task_files_is_served_without_a_key(function: str) -> None:
    with urllib.request.urlopen(f"{function}/task-file.schema.json", timeout=LIMIT_S) as answer:
        assert task_file_schema() == json.load(answer)
