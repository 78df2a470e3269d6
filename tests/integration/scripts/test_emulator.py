"""`scripts/emulator`: one of its own for each command, none left behind, and advice where there is none."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.support.firestore_emulator import emulator_host
from tests.support.signals import WITH_CTRL_C

SCRIPT = Path(__file__).parents[3] / "scripts" / "emulator"
NOWHERE = "/nonexistent"  # a PATH on which neither gcloud nor npx is found


async def test_help_names_every_verb() -> None:
    code, said, _ = await emulator("--help")

    assert 0 == code
    assert ["start", "stop", "run"] == [
        verb for verb in ("start", "stop", "run") if f"emulator {verb}" in said
    ]


@pytest.mark.parametrize(
    "wrong", [[], ["dance"], ["run"], ["run", "--"], ["start", "--port", "x"], ["stop", "x"]]
)
async def test_wrong_usage_is_2(wrong: list[str]) -> None:
    code, said, complaint = await emulator(*wrong)

    assert (2, "") == (code, said)
    assert "scripts/emulator" in complaint


async def test_without_any_emulator_it_says_how_to_get_one() -> None:
    code, said, complaint = await emulator("start", PATH=NOWHERE, FIRESTORE_EMULATOR_HOST="")

    assert (3, "") == (code, said)
    assert "gcloud components install cloud-firestore-emulator" in complaint


@pytest.mark.emulator
async def test_one_that_runs_already_is_used_and_left_alone() -> None:
    host = emulator_host()

    code, said, _ = await emulator(
        "run", "--", sys.executable, "-c", "import os; print(os.environ['FIRESTORE_EMULATOR_HOST']); exit(7)"
    )

    assert (7, host) == (code, said.strip())
    assert answers(host)


@pytest.mark.emulator
async def test_ctrl_c_reaches_the_command_and_no_emulator_is_left_behind() -> None:
    """The emulator is a script that starts a script that starts Java: all of it has to go."""
    emulator_host()
    wait = "import os, sys; print(os.environ['FIRESTORE_EMULATOR_HOST'], flush=True); sys.stdin.read()"
    process = await asyncio.create_subprocess_exec(
        *WITH_CTRL_C, SCRIPT, "run", "--",
        sys.executable, "-c", f"try:\n {wait}\nexcept KeyboardInterrupt:\n sys.exit(5)",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"FIRESTORE_EMULATOR_HOST": ""}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    host = (await process.stdout.readline()).decode().strip()
    was_up = answers(host)

    os.killpg(process.pid, signal.SIGINT)
    code = await process.wait()

    assert (True, 5, False) == (was_up, code, answers(host))


async def emulator(*arguments: str, **env: str) -> tuple[int | None, str, str]:
    """Run the script; its exit code, what it said and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",
        SCRIPT,
        *arguments,
        env=os.environ | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    return process.returncode, said.decode(), complaint.decode()


def answers(host: str) -> bool:
    name, _, port = host.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0
