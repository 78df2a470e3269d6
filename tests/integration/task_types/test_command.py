"""`command`: real programs, their output within bounds, and nothing left of them afterwards."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.domain.events import Event
from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind, find_timezone
from functions.errors import InputError, ShortageError
from functions.task_types.command import process
from functions.task_types.command.process import (
    MARKER_VARIABLE,
    MAX_CHARS_PER_END,
    OutputBuffer,
    ProcessGroup,
    run_process,
    signal_name,
)
from functions.task_types.registry import Tools, check_params, run_job
from functions.task_types.support.limits import REDACTION_MARGIN
from tests.unit.task_types.conftest import NOON, tools_with

CANARY = "c4nary-value-of-a-secret"
KEPT = MAX_CHARS_PER_END + REDACTION_MARGIN
STUBBORN = "trap '' TERM INT HUP; while :; do sleep 1000; done"
Do = Callable[..., Any]


def allowing(**changes: Any) -> Tools:
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8"}
    return replace(tools_with(), allow_commands=True, command_environment=environment, **changes)


@pytest.fixture
def do(make_job: Callable[..., Job]) -> Do:
    """Run a command; params by name."""

    async def run_one(
        command: Any, *, timeout_s: float = 30.0, tools: Tools | None = None, **params: Any
    ) -> Outcome:
        job = make_job("command", {"command": command} | params, timezone="Europe/Riga", timeout_s=timeout_s)
        return await run_job(job, tools or allowing())

    return run_one


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Callable[[int], Any]]:
    """Wait until so many processes have written their numbers into the folder; in the end all are killed."""

    yield lambda count: written(tmp_path, count)
    for pid in numbers(tmp_path):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


async def written(folder: Path, count: int) -> list[int]:
    while len(found := numbers(folder)) < count:  # noqa: ASYNC110  # another's child sets no event of ours
        await asyncio.sleep(0.01)
    return found


def numbers(folder: Path) -> list[int]:
    texts = [file.read_text() for file in sorted(folder.glob("*.pid"))]
    return [int(text) for text in texts if text.endswith("\n")]


def open_files() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_commands_are_off_unless_the_owner_of_the_machine_says_so(do: Do, tmp_path: Path) -> None:
    outcome = await do(["touch", str(tmp_path / "file")], tools=tools_with())

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "Commands are switched off here; set ALLOW_COMMANDS=1 to run them" == outcome.summary
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("command", "params", "stdout"),
    [
        (["echo", "a b", "$HOME"], {}, "a b $HOME"),
        ("echo 'a b' $HOME; ls", {}, "a b $HOME; ls"),
        ("echo 'a b' $HOME; echo c", {"shell": True}, "a b /tmp\nc"),
        ("cat", {"stdin": "grüße\n"}, "grüße"),
        ("cat", {}, ""),
        ("pwd", {"workingDirectory": "/"}, "/"),
        ("printenv TZ X", {"env": {"X": "y", "TZ": "UTC"}}, "UTC\ny"),
        (
            "printenv TZ CRONFIRE_TASK CRONFIRE_SCHEDULED_AT",
            {},
            "Europe/Riga\nwater-plants\n2026-11-20T12:00:00Z",
        ),
        (["printf", r"\033[31mred\033[0m\r\n\001\tx"], {}, "red\n\tx"),
        (["printf", r"\033]0;title\007\033(Bred \033[38:5:1mrose\033[?25l"], {}, "red rose"),  # tput sgr0
        (["printf", r"10%%\r100%%\rlost"], {}, "10%\n100%\nlost"),  # progress, and an error after it
    ],
)
async def test_a_command_is_run_as_written(command: Any, params: dict[str, Any], stdout: str, do: Do) -> None:
    outcome = await do(command, **params)

    assert (OutcomeKind.SUCCEEDED, "Ended with exit code 0") == (outcome.kind, outcome.summary)
    assert stdout == outcome.metrics.get("stdout", "")
    assert 0 == outcome.metrics["exitCode"]


async def test_the_exit_code_decides(do: Do) -> None:
    failing = await do("echo why >&2; exit 3", shell=True)
    wanted = await do("exit 3", shell=True, successCodes=[0, 3])
    unwanted = await do("exit 0", shell=True, successCodes=[3, 4])

    assert (OutcomeKind.FAILED, "Ended with exit code 3, expected 0: why") == (failing.kind, failing.summary)
    assert not failing.permanent
    assert {"exitCode": 3, "stderr": "why"} == failing.metrics
    assert OutcomeKind.SUCCEEDED is wanted.kind
    assert "Ended with exit code 0, expected 3 or 4" == unwanted.summary


@pytest.mark.parametrize(
    ("sent", "name"),
    [("SEGV", "SIGSEGV"), (34, "SIGRTMIN"), (35, "SIGRTMIN+1"), (63, "SIGRTMIN+29"), (64, "SIGRTMAX")],
)
async def test_a_signal_is_told_by_name_and_the_output_is_kept(sent: object, name: str, do: Do) -> None:
    outcome = await do(f"echo before; kill -{sent} $$", shell=True)

    assert f"Ended by the signal {name}" == outcome.summary.partition(":")[0]
    assert {"signal": name, "stdout": "before"} == outcome.metrics


def test_a_signal_without_a_name_is_told_by_number() -> None:
    assert "number 33" == signal_name(33)  # the C library keeps it for itself


@pytest.mark.parametrize(
    ("command", "params", "said"),
    [
        ("no-such-program", {}, "The program was not found"),
        ("true", {"workingDirectory": "/no/such/folder"}, "The working directory does not exist"),
        ("/etc/passwd", {}, "The program may not be executed"),
        (
            "cd /srv",
            {},
            "The program was not found; give its absolute path, or check PATH; what only a shell",
        ),
    ],
)
async def test_what_cannot_be_started_is_said_for_good(
    command: str, params: dict[str, Any], said: str, do: Do
) -> None:
    outcome = await do(command, **params)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert outcome.summary.startswith(said)


async def test_a_machine_that_can_start_no_program_now_puts_the_attempt_off(
    do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure of the task's, and another attempt a little later may find what this one lacked."""

    def refuse(*args: Any, **options: Any) -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)

    with pytest.raises(ShortageError):
        await do("true")


async def test_a_program_is_ended_when_no_thread_is_left_to_wait_for_it(
    do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(ShortageError):
        await do("sleep 1000")

    assert [-signal.SIGKILL] == [process.returncode for process in started]


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(errno.ENOENT, "No usable temporary directory"), OSError(errno.ENOSPC, "No space")],
    ids=["folder", "room"],
)
async def test_input_needs_a_temporary_file_and_no_input_does_not(
    error: OSError, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> Any:
        raise error

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    assert OutcomeKind.SUCCEEDED is (await do("cat")).kind
    outcome = await do("cat", stdin="something")
    assert (OutcomeKind.FAILED, False) == (outcome.kind, outcome.permanent)
    assert outcome.summary.startswith("The program's input needs a temporary file, for which there is no")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo hello\n", "a script needs a first line such as #!/bin/sh"),
        ("#!/bin/sh\r\necho hello\r\n", "that line must not end as on Windows (CRLF)"),
        ("#!/no/such/interpreter\n", "The program is there, but not what the #! in its first line names"),
    ],
)
async def test_a_script_that_the_machine_cannot_start_says_why(
    tmp_path: Path, script: str, said: str, do: Do
) -> None:
    file = tmp_path / "job.sh"
    file.write_bytes(script.encode())
    file.chmod(0o755)

    by_path, by_name = await do([str(file)]), await do("./job.sh", workingDirectory=str(tmp_path))

    assert [(OutcomeKind.FAILED, True)] * 2 == [(one.kind, one.permanent) for one in (by_path, by_name)]
    assert said in by_path.summary
    assert by_path.summary == by_name.summary


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"command": ""}, "command names no program"),
        ({"command": "  ", "shell": True}, "command names no program"),
        ({"command": [""]}, "command names no program"),
        ({"command": "echo 'x"}, "quotation that is not closed"),
        ({"command": ["ls"], "shell": True}, "shell needs the command as one text"),
        (
            {"command": "pg_dump shop | gzip > /backups/shop.gz"},
            r"command has \| outside quotes.*set shell to",
        ),
        ({"command": "date >/var/log/roses"}, "command has > outside quotes"),
        ({"command": "make -C /srv 2>&1"}, "command has 2> outside quotes"),
        ({"command": "backup.sh || mail-me"}, r"command has \|\| outside quotes"),
        ({"command": "cd /srv && make"}, "command has && outside quotes"),
        ({"command": "touch a; touch b"}, "command has ; outside quotes"),
        ({"command": "sleep 5 &"}, "command has & outside quotes"),
        ({"command": "sort < /srv/roses"}, "command has < outside quotes"),
        ({"command": "tar -cf roses-$(date +%F).tar roses"}, r"command has \$\( outside quotes"),
        ({"command": "echo `hostname`"}, "command has ` outside quotes"),
        ({"command": "ls $HOME/roses"}, r"command has \$HOME outside quotes"),
        ({"command": "rm -f ~/roses/wilted"}, "command has ~ outside quotes"),
        ({"command": "~/bin/water"}, "command has ~ outside quotes"),
        ({"command": "cp roses ~"}, "command has ~ outside quotes"),
        ({"command": "BED='the north one' water --all"}, "command has BED= outside quotes"),
        ({"command": "ls", "env": {"A=B": "x"}}, r"params\.env"),
        ({"command": "ls", "env": {"A": "x\0y"}}, r"params\.env\.A"),
        ({"command": "l\0s"}, r"params\.command"),
        ({"command": "ls", "workingDirectory": "relative"}, r"params\.workingDirectory"),
        ({"command": "ls", "successCodes": []}, r"params\.successCodes"),
        ({"command": "ls", "successCodes": [256]}, r"params\.successCodes"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_task_is_saved(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_params("command", params)


@pytest.mark.parametrize(
    "command",
    [
        "find /srv -name *.log -exec rm {} \\;",
        "curl -s https://example.com/roses?a=1&b=2;c",
        "psql -c 'select 1 > 0; select $TAG$x$TAG$'",
        'mongosh --eval "db.roses.find({n: {$gt: 5}}) | 0"',
        "awk -F';' '{print $1 > \"/dev/stderr\"}' \\&",
        "echo a->b 5$ $1",
        "rsync -a roses garden:~/roses --log=x ~roses '~/roses' roses~",
    ],
)
def test_what_is_a_word_as_it_stands_needs_no_shell(command: str) -> None:
    check_params("command", {"command": command})


async def test_a_command_of_before_that_has_signs_of_a_shell_is_run_as_it_was(do: Do) -> None:
    outcome = await do("echo roses > tulips")

    assert "roses > tulips" == outcome.metrics["stdout"]


async def test_nothing_of_our_environment_is_handed_on(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRON_SECRET", CANARY)
    script = "import json, os; print(json.dumps(dict(os.environ)))"

    outcome = await do([sys.executable, "-c", script])

    given = json.loads(outcome.metrics["stdout"])
    assert CANARY not in given.values()
    assert {"PATH", "HOME", "LANG", "TZ", MARKER_VARIABLE} <= given.keys()
    own = {name for name in given if name.startswith("CRONFIRE_")}
    assert {"PATH", "HOME", "LANG", "TZ", "TZDIR", "LC_CTYPE"} >= given.keys() - own


async def test_the_event_that_started_it_is_a_variable(make_job: Callable[..., Job]) -> None:
    event = Event(id="7", type="order.paid", source="shop", time=NOON, data={"total": 12})
    job = replace(make_job("command", {"command": "printenv CRONFIRE_EVENT"}), event=event)

    outcome = await run_job(job, allowing())

    given = json.loads(outcome.metrics["stdout"])
    assert ("order.paid", {"total": 12}, "1.0") == (given["type"], given["data"], given["specversion"])


async def test_a_secret_goes_in_by_the_environment_and_comes_out_masked(do: Do) -> None:
    tools = allowing(secrets={"KEY": CANARY})
    script = 'printf "%s" "$KEY"; printf "%s" "$KEY" | base64 >&2; test "$KEY" = ' + CANARY

    outcome = await do(script, shell=True, env={"KEY": "{{secret:KEY}}"}, tools=tools)

    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert "***" == outcome.metrics["stdout"]
    assert "c4nary" not in repr(outcome)
    assert "YzRuYXJ5" not in repr(outcome)


async def test_of_long_output_both_ends_are_kept_and_no_more(do: Do) -> None:
    script = """
import sys
for n in range(300_000):
    sys.stdout.write(f'{n:09}\\n')
sys.stderr.write('e' * 3_000_000)"""

    outcome = await do([sys.executable, "-c", script])

    kept = outcome.metrics["stdout"]
    assert kept.startswith("000000000\n000000001\n")
    assert kept.endswith("000299998\n000299999")
    assert "\n[... 3000000 bytes in all ...]\n" in kept
    assert 2 * MAX_CHARS_PER_END < len(kept) <= 2 * MAX_CHARS_PER_END + 60
    assert 2 * MAX_CHARS_PER_END < len(outcome.metrics["stderr"]) <= 2 * MAX_CHARS_PER_END + 60


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        MAX_CHARS_PER_END,
        2 * MAX_CHARS_PER_END,
        2 * MAX_CHARS_PER_END + 1,
        2 * KEPT,
        2 * KEPT + 1,
        200_000,
    ],
)
@pytest.mark.parametrize("piece", [1000, 1_000_000])
def test_a_capture_keeps_both_ends_whatever_the_pieces(size: int, piece: int) -> None:
    data = "".join(f"{n:07} " for n in range(size // 8 + 1))[:size].encode()
    capture = OutputBuffer()

    for start in range(0, size, piece):
        capture.append(data[start : start + piece])

    text = capture.text(lambda given: given)
    assert sum(len(kept) for kept in (capture._head, capture._tail)) <= 2 * KEPT
    whole = data.decode().strip()
    if size <= 2 * MAX_CHARS_PER_END:
        assert whole == text
    else:
        assert text.startswith(whole[: MAX_CHARS_PER_END - 1])
        assert text.endswith(whole[-(MAX_CHARS_PER_END - 1) :])
        assert f"[... {size} bytes in all ...]" in text
        assert len(text) < 2 * MAX_CHARS_PER_END + 60


@pytest.mark.parametrize(
    "before", [MAX_CHARS_PER_END - 5, KEPT - 5, 100_000 - MAX_CHARS_PER_END - 10, 100_000 - KEPT - 10]
)
def test_a_secret_at_a_cut_is_masked_whole(before: int) -> None:
    capture = OutputBuffer()
    capture.append((b"x" * before + CANARY.encode()).ljust(100_000, b"x"))

    text = capture.text(lambda given: given.replace(CANARY, "***"))

    assert "c4n" not in text
    assert "secret" not in text


async def test_output_is_read_while_it_comes_so_that_nobody_waits(do: Do) -> None:
    """A full pipe stops its writer for ever; both streams at once, and an input nobody reads."""
    script = "head -c 400000 /dev/zero | tee /dev/stderr"

    outcome = await do(script, shell=True, stdin="x" * 65_536)

    assert OutcomeKind.SUCCEEDED is outcome.kind


async def test_when_time_is_up_a_program_is_asked_and_then_ended(
    do: Do, tmp_path: Path, started: Callable[[int], Any]
) -> None:
    polite = (
        f"trap 'echo bye; exit 0' TERM; echo hello; echo $$ > {tmp_path}/a.pid; while :; do sleep 0.05; done"
    )

    outcome = await do(polite, shell=True, timeout_s=4)

    assert (OutcomeKind.TIMED_OUT, "hello\nbye") == (outcome.kind, outcome.metrics["stdout"])
    assert "Not over after 2 s; it was ended, with every process it had started" == outcome.summary
    assert [False] == [alive(pid) for pid in await started(1)]


async def test_a_stubborn_program_is_ended_with_its_whole_family(
    do: Do, tmp_path: Path, started: Callable[[int], Any]
) -> None:
    """Children, grandchildren in sessions of their own and orphans, none of which heeds SIGTERM."""
    script = f"""
        echo $$ > {tmp_path}/a.pid
        sh -c "echo \\$\\$ > {tmp_path}/b.pid; {STUBBORN}" &
        setsid sh -c "echo \\$\\$ > {tmp_path}/c.pid; {STUBBORN}" &
        (setsid sh -c "exec >/dev/null 2>&1 </dev/null; echo \\$\\$ > {tmp_path}/d.pid; {STUBBORN}" &)
        {STUBBORN}"""

    outcome = await do(script, shell=True, timeout_s=4)

    assert OutcomeKind.TIMED_OUT is outcome.kind
    assert "SIGKILL" == outcome.metrics["signal"]
    assert [False] * 4 == [alive(pid) for pid in await started(4)]


async def test_what_a_program_leaves_running_ends_with_it(
    do: Do, tmp_path: Path, started: Callable[[int], Any]
) -> None:
    """Left behind, it would hold the pipe open, and freeze with the instance."""
    script = f"""
        setsid sh -c 'echo $$ > {tmp_path}/a.pid; exec sleep 1000' &
        while [ ! -s {tmp_path}/a.pid ]; do sleep 0.01; done"""

    outcome = await do(script, shell=True)

    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert [False] == [alive(pid) for pid in await started(1)]


async def test_a_cancelled_command_is_ended_and_its_caller_goes_on(
    make_job: Callable[..., Job], tmp_path: Path, started: Callable[[int], Any]
) -> None:
    script = (
        f"echo $$ > {tmp_path}/a.pid; (sh -c 'echo $$ > {tmp_path}/b.pid; exec sleep 1000' &); sleep 1000"
    )
    job = make_job("command", {"command": script, "shell": True}, timeout_s=1000.0)
    task = asyncio.create_task(run_job(job, allowing()))
    pids = await started(2)

    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    while any(alive(pid) for pid in pids):  # noqa: ASYNC110  # its end is not waited for very long
        await asyncio.sleep(0.01)


def test_when_the_loop_ends_so_does_a_stubborn_program(tmp_path: Path) -> None:
    """Whoever stops the scheduler while a cancelled command is being ended leaves no orphan."""
    file = tmp_path / "a.pid"

    async def main() -> None:
        words = ["sh", "-c", f"trap '' TERM; echo $$ > {file}; while :; do sleep 0.05; done"]
        environment = {"PATH": os.environ["PATH"]}
        task = asyncio.create_task(
            run_process(
                words, environment=environment, working_directory=None, stdin=b"", marker="m1", timeout_s=1000
            )
        )
        await written(tmp_path, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())

    asyncio.run(gone(ProcessGroup(int(file.read_text()), marker="m1")))


async def gone(family: ProcessGroup) -> None:
    """Return when nothing of it is left: the kernel takes a moment to bury what was killed."""
    async with asyncio.timeout(20):
        while family.is_alive():  # noqa: ASYNC110  # nobody tells us of its end
            await asyncio.sleep(0.01)


async def test_a_strangers_process_is_not_of_the_family() -> None:
    environments = {"stranger": {MARKER_VARIABLE: "other"}, "leader": {MARKER_VARIABLE: "mine"}}
    stranger, leader = [
        await asyncio.create_subprocess_exec(
            "sleep", "1000", env={"PATH": os.environ["PATH"]} | own, start_new_session=True
        )
        for own in environments.values()
    ]

    ProcessGroup(leader.pid, marker="mine").send_signal(signal.SIGKILL)

    assert -signal.SIGKILL == await leader.wait()
    assert alive(stranger.pid)
    stranger.kill()
    await stranger.wait()


def test_one_that_runs_on_is_found_again_without_a_look_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at each process of the machine takes the loop 10 ms and more, 50 times a second."""
    looks: list[str] = []
    stat = process._stat

    def look(folder: Path) -> tuple[str, int, int, int]:
        looks.append(folder.name)
        return stat(folder)

    monkeypatch.setattr(process, "_stat", look)
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    group = ProcessGroup(child.pid, marker="none")

    assert group.is_alive()

    assert [str(child.pid)] == looks
    child.kill()
    child.wait()
    assert not group.is_alive()


def test_a_process_that_nobody_has_buried_is_not_alive() -> None:
    """In a container nobody may: waiting for it would cost each command its grace."""
    process = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not ProcessGroup(process.pid, marker="mine").is_alive()
    process.wait()


async def test_no_file_stays_open(do: Do) -> None:
    await do("true")
    before = open_files()

    for _ in range(5):
        await do("echo x; echo y >&2", shell=True)

    assert before == open_files()


async def test_many_at_once_keep_their_output_apart(do: Do) -> None:
    outcomes = await asyncio.gather(*(do(["echo", str(n)]) for n in range(20)))

    assert [str(n) for n in range(20)] == [outcome.metrics["stdout"] for outcome in outcomes]


async def test_a_program_has_the_zones_of_the_scheduler(make_job: Callable[..., Job]) -> None:
    """British Columbia stays on summer time from 2026 on; a machine's older tables do not know."""
    command = "date -d 2026-12-15T17:00Z +%H:%M"

    outcome = await run_job(
        make_job("command", {"command": command}, timezone="America/Vancouver"), allowing()
    )

    local = datetime(2026, 12, 15, 17, 0, tzinfo=UTC).astimezone(find_timezone("America/Vancouver"))
    assert f"{local:%H:%M}" == outcome.metrics["stdout"].strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hide the variables of a process")
def test_a_program_cannot_read_the_variables_of_the_scheduler() -> None:
    """A process of the same user may read `/proc/PID/environ` of those alone that may be dumped."""
    script = """
import asyncio, ctypes
from functions.task_types.command.process import run_process
result = asyncio.run(run_process(["env"], environment={"A": "b"}, working_directory=None, stdin=b"",
                                 marker="x", timeout_s=20))
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), sorted(result.stdout.text(str).split()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert "0 ['A=b', 'CRONFIRE_ATTEMPT=x']" == done.stdout.strip()


EXPECTED: list[tuple[str, dict[str, Any], str]] = [
    ("echo ok", {"stdout": {"equals": "ok"}, "stderr": {"equals": ""}}, "Ended with exit code 0"),
    ("exit 3", {"exitCode": [0, 3]}, "Ended with exit code 3"),
    ("echo '{\"lag\": 5}'", {"json": [{"path": "$.lag", "less": 60}]}, "Ended with exit code 0"),
    (
        "echo '{\"lag\": 90}'; echo WARNING: slow >&2; exit 1",
        {"stderr": {"notContains": "WARNING"}, "json": [{"path": "$.lag", "less": 60}]},
        "Ended with exit code 1, but exit code: expected 0, found 1; "
        'error output: expected not to contain "WARNING", found "WARNING: slow\\n"; '
        "$.lag: expected less than 60, found 90",
    ),
    (
        "printf '\\377'; head -c 300000 /dev/zero | tr '\\0' a",
        {"stdout": {"contains": "aaa"}, "json": [{"path": "$", "exists": True}]},
        "Ended with exit code 0, but output: expected JSON, found more than the 256 KB that are read",
    ),
]


@pytest.mark.parametrize(("script", "expect", "summary"), EXPECTED)
async def test_a_program_is_held_against_what_is_expected(
    do: Do, script: str, expect: dict[str, Any], summary: str
) -> None:
    outcome = await do(script, shell=True, expect=expect)

    assert summary == outcome.summary
    assert ("but" in summary) is (outcome.kind is OutcomeKind.FAILED)


async def test_a_signal_is_no_result_to_be_checked(do: Do) -> None:
    outcome = await do("kill -9 $$", shell=True, expect={"stdout": {"equals": ""}})

    assert (OutcomeKind.FAILED, "Ended by the signal SIGKILL") == (outcome.kind, outcome.summary)
