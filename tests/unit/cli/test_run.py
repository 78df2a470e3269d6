"""The command `run`: stored tasks and tasks of files, at the next tick or at once."""

import asyncio
import signal
from collections.abc import Iterator

import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks


def test_a_run_that_is_waited_for_says_its_outcome(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    scheduler("apply", write_tasks({"id": "a", "params": {"url": site}}))

    said = scheduler("run", "a", "--wait")
    [again] = scheduler("run", "a", "a", "--wait", "--json").data

    assert 0 == said.code
    assert "succeeded" in said.out
    assert ("a", "succeeded", "manual") == (again["task"], again["run"]["outcome"], again["run"]["trigger"])
    assert "scheduled" == scheduler("show", "a", "--json").data["status"]


def test_a_failed_attempt_says_when_the_next_one_is(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    broken = {"url": f"{site}/broken"}
    scheduler("apply", write_tasks({"id": "a", "params": broken}))

    said = scheduler("run", "a", "--wait")

    assert 1 == said.code
    assert "a: attempt 1 failed; a tick makes the next one at 20" in said.out
    assert "UTC" in said.out


def test_a_run_that_is_waited_for_shows_what_it_put_out(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    words = {"command": ["printf", "first\n\033[31msecond\n"]}
    scheduler(
        "apply",
        write_tasks({"id": "a", "type": "command", "params": words}, {"id": "b", "params": {"url": site}}),
    )

    alone = scheduler("run", "a", "--wait", ALLOW_COMMANDS="1").out.splitlines()
    both = scheduler("run", "a", "b", "--wait", ALLOW_COMMANDS="1").out.splitlines()

    assert ["  exitCode     0", "  stdout       first", f"{'':15}second"] == alone[2:]
    assert ["a:", *alone[2:], "b:", "  status       200"] == both[3:-1]


def test_the_last_failure_promises_nothing(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    once = {"id": "a", "params": {"url": f"{site}/broken"}, "retry": {"maxAttempts": 1}}
    scheduler("apply", write_tasks(once))

    said = scheduler("run", "a", "--wait")

    assert (1, False) == (said.code, "next" in said.out)


def test_unknown_tasks_are_refused_before_anything_is_queued(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "a"}, {"id": "c"}))

    said = scheduler("run", "a", "nope", "c", "neither")

    assert 1 == said.code
    assert all(word in said.err for word in ("'nope'", "'neither'", "No run was requested"))
    assert [[], []] == [one["backlog"] for one in scheduler("list", "--json").data]


@pytest.mark.parametrize("words", [(), ("a", "--file", "tasks.json")])
def test_run_takes_ids_or_a_file(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    said = scheduler("run", *words)

    assert (2, True) == (said.code, "--file" in said.err)


def test_a_task_of_a_file_runs_once_without_a_schedule_and_is_kept(
    scheduler: Scheduler, write_tasks: WriteTasks, site: str
) -> None:
    path = write_tasks({"id": "once", "schedule": "", "params": {"url": site}})

    said = scheduler("run", "--file", path, "--wait")
    kept = scheduler("show", "once", "--json").data
    again = scheduler("run", "--file", path)
    by_id = scheduler("run", "once", "--wait")

    assert (0, True) == (said.code, "succeeded" in said.out)
    assert ("ended", "succeeded", None) == (kept["status"], kept["lastOutcome"], kept["nextRunAt"])
    assert (1, True) == (again.code, "scheduler run once" in again.err)
    assert 0 == by_id.code


def test_a_task_of_a_file_waits_for_a_tick(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    scheduler("run", "--file", write_tasks({"id": "once", "schedule": "", "params": {"url": site}}))

    waiting = scheduler("show", "once", "--json").data
    listed = scheduler("list").out
    ticked = scheduler("tick").code
    done = scheduler("show", "once", "--json").data

    assert "scheduled" == waiting["status"]
    assert "Only when asked" in listed
    assert (0, "ended", "succeeded") == (ticked, done["status"], done["lastOutcome"])


def test_files_that_are_applied_still_need_a_schedule(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("apply", write_tasks({"id": "once", "schedule": ""}))

    assert (2, True) == (said.code, "scheduler run --file" in said.err)


def test_errors_of_a_file_are_all_named(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    said = scheduler("run", "--file", write_tasks({"id": "a", "params": {}}, {"id": "b", "timezone": "Mars"}))

    assert (2, True, True) == (said.code, "params.url" in said.err, "Mars" in said.err)
    assert [] == scheduler("list", "--json").data


def test_runs_show_what_has_not_finished(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> None:
    broken = {"url": f"{site}/broken"}
    scheduler("apply", write_tasks({"id": "a", "params": broken}, {"id": "b", "params": {"url": site}}))
    scheduler("run", "a", "--wait")
    scheduler("run", "b")

    shown = scheduler("runs").out.splitlines()
    listed = scheduler("runs", "--json").data
    of_one = scheduler("runs", "b", "--json").data

    assert "retrying" in shown[1]
    assert "attempt 2 at 20" in shown[1]
    assert "manual, waits for a tick" in shown[2]
    assert [("a", "retrying", None), ("b", "queued", None), ("a", "finished", "failed")] == [
        (one["taskId"], one["state"], one["outcome"]) for one in listed
    ]
    assert ["queued"] == [one["state"] for one in of_one]


async def stopped_meanwhile(name: str) -> None:
    """What the task below does: its process receives a signal while it runs."""
    number = signal.Signals[name]
    assert signal.getsignal(number) is not signal.SIG_DFL, "it would end the tests"
    signal.raise_signal(number)
    await asyncio.sleep(0.3 if signal.getsignal(number) is signal.SIG_IGN else 30)


@pytest.fixture
def as_from_a_shell() -> Iterator[None]:
    """Nothing is done about signals, whatever started the tests: below `nohup` SIGHUP comes ignored."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_from_a_shell")
@pytest.mark.parametrize("words", [("run", "a", "--wait"), ("tick",)], ids=["run", "tick"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_attempts_in_order_as_ctrl_c_does(
    scheduler: Scheduler, write_tasks: WriteTasks, words: tuple[str, ...], name: str
) -> None:
    python = {"PYTHON_TASKS": __name__}
    params = {"callable": f"{__name__}:stopped_meanwhile", "kwargs": {"name": name}}
    scheduler("apply", write_tasks({"id": "a", "type": "python", "params": params}), **python)
    scheduler("run", "a")

    with pytest.raises(SystemExit) as ended:
        scheduler(*words, **python)

    assert 128 + signal.Signals[name] == ended.value.code
    assert "abandoned" == scheduler("show", "a", "--json").data["lastOutcome"]
    assert signal.SIG_DFL is signal.getsignal(signal.SIGHUP)


def test_a_signal_that_the_caller_ignores_stays_ignored(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    python = {"PYTHON_TASKS": __name__}
    params = {"callable": f"{__name__}:stopped_meanwhile", "kwargs": {"name": "SIGHUP"}}
    scheduler("apply", write_tasks({"id": "a", "type": "python", "params": params}), **python)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as below nohup
    try:
        said = scheduler("run", "a", "--wait", **python)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert (0, "") == (said.code, said.err)
