"""The command line against a deployed function: the same words, over the API of the real one on loopback."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cli.conftest import Said, WriteTasks
from tests.serving import ROOT, answered, environment, serving

KEY = "the-first-administrators-key-0123456789"
Remote = Callable[..., Said]


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


@pytest.fixture
def remote(tmp_path: Path, site: str) -> Iterator[Remote]:
    """Run one command, in a process of its own, against a function of its own."""
    store = {
        "CRON_SECRET": "a-secret-of-the-tests-with-32-characters",
        "API_KEY": KEY,
        "STORE_URL": f"sqlite:///{tmp_path}/remote.db",
        "ALLOW_PRIVATE_NETWORKS": "1",
        "WEBHOOK_URL": site,
    }
    with serving(ROOT / "main.py", tmp_path, **store) as address:
        asyncio.run(_ready(address))

        def run(*words: str, **variables: str) -> Said:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "functions.cli", *words],
                capture_output=True,
                text=True,
                env=environment(**({"SCHEDULER_URL": address, "SCHEDULER_KEY": KEY} | variables)),
                cwd=tmp_path,
                timeout=60,
                check=False,
            )
            return Said(done.returncode, done.stdout, done.stderr)

        yield run


def test_tasks_are_applied_seen_run_and_steered(remote: Remote, write_tasks: WriteTasks, site: str) -> None:
    path = write_tasks({"id": "one", "params": {"url": site}}, {"id": "two"})

    planned = remote("plan", path, "--json")
    applied = remote("apply", path)
    again = remote("apply", path)
    paused = remote("pause", "two", "--note", "Holiday")
    shown = remote("show", "two")
    resumed = remote("resume", "two", "--json")
    ran = remote("run", "one")
    missing = remote("show", "nobody")
    listed = remote("list", "--json")

    assert ["create", "create"] == [change["action"] for change in planned.data["changes"]]
    assert (0, "2 created") == (applied.code, applied.out.splitlines()[-1].split(",")[0])
    assert "2 unchanged" in again.out
    assert (0, True) == (paused.code, "Holiday" in shown.out)
    assert "scheduled" == resumed.data["status"]
    assert "one runs at the next tick" in ran.out
    assert (1, True) == (missing.code, "nobody" in missing.err)
    assert ["one", "two"] == [task["id"] for task in listed.data]
    assert 1 == len(next(task for task in listed.data if task["id"] == "one")["backlog"])


def test_channels_events_and_history_are_there(remote: Remote, write_tasks: WriteTasks) -> None:
    remote("apply", write_tasks({"id": "pack", "onEvent": [{"type": "order.paid"}]}, {"id": "daily"}))

    tried = remote("channels", "list")
    heard = remote("events", "publish", "order.paid", "--data", '{"total": 12}')
    listening = remote("events")
    runs = remote("runs", "--json")
    span = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-11-02T12:00:00Z")
    dry = remote("backfill", "daily", *span, "--dry-run", "--json")

    assert "webhook" in tried.out
    assert "pack run at the next tick" in heard.out
    assert "order.paid: pack" in listening.out
    assert [] == runs.data
    assert 2 == len(dry.data)


@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        (("list",), {"SCHEDULER_KEY": "wrong"}, 1, "SCHEDULER_KEY: "),
        (("list",), {"SCHEDULER_KEY": ""}, 2, "SCHEDULER_KEY is missing"),
        (("list",), {"SCHEDULER_URL": "http://127.0.0.1:1"}, 1, "no answer"),
        (("list",), {"SCHEDULER_URL": "cron.example.com"}, 2, "SCHEDULER_URL: must begin with https://"),
        (("tick",), {}, 2, "cannot be had over SCHEDULER_URL"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    remote: Remote, words: tuple[str, ...], variables: dict[str, Any], code: int, said: str
) -> None:
    done = remote(*words, **variables)

    assert (code, 1) == (done.code, done.err.count("\n"))
    assert said in done.err
    assert KEY not in done.err + done.out


def test_the_key_may_be_in_a_file(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)

    done = remote("list", "--json", SCHEDULER_KEY="", SCHEDULER_KEY_FILE=str(tmp_path / "key"))

    assert (0, []) == (done.code, json.loads(done.out))
