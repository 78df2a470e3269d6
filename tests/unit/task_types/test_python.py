"""`python`: which functions may be called, with what, where they run, and what their answers mean."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.task_types.python.threads import TooManyThreadsError, WorkerThreads
from functions.task_types.registry import Tools, check_params, run_job
from tests.unit.task_types.conftest import tools_with

CANARY = "c4nary-value-of-a-secret"
Call = Callable[..., Any]
MODULE = """
import asyncio, subprocess, threading
from os import system
from functions.domain.run import Outcome, failed, succeeded
from gardening_tools import borrowed

started = threading.Event()
going_on = threading.Event()

def silent(): pass
def words(name, *, shout=False): return name.upper() if shout else name
def answer():
    return {"summary": "3 plants", "items": [{"title": "Rose"}], "memory": {"n": 1}, "metrics": {"plants": 3}}
def odd_answer(): return {"summary": "3 plants", "memroy": {}}
def number(): return 7
def truth(): return False
def share(): return 0.5
def large_number(): return 12345678901234567890
def listing(): return ["rose", "tulip"]
def nothing_in_it(): return {}
def found(secret): return {"token": secret, "beds": 2}
def thing(): return Plant("rose")
def odd_thing(): return object.__new__(type("Orchid", (), {}))
def coroutine_later(): return words_later("later")
def outcome(): return failed("no water", permanent=True)
def about(job): return f"{job.task_id} {job.attempt} {job.memory}"
def greedy(job): job.memory["seen"].append("rose"); raise OSError("closed")
def named_job(*, job="none"): return str(job)
def anything(**kwargs): return ",".join(kwargs)
def where(): return threading.current_thread().name
def failing(): raise ValueError("the tap\\nis dry")
def speechless(): raise KeyboardInterrupt
def stopping(): raise StopIteration("x")
def leaving(): raise SystemExit(3)
def done(code): raise SystemExit(code)
def lazy():
    started.set()
    yield "rose"
async def lazy_async():
    started.set()
    yield "rose"
def lazy_items(): return {"items": ({"title": name} for name in ["rose"])}
def word_items(): return {"items": "rose"}
def listed_metrics(): return {"metrics": [3]}
async def grouped():
    async with asyncio.TaskGroup() as group:
        group.create_task(failing_async())
def timing_out(): raise TimeoutError("the tap")
def cancelling(): raise asyncio.CancelledError
def stuck():
    started.set()
    going_on.wait()
def revealing(secret): raise ValueError(f"bad {secret}")
def keeping(secret): return {"summary": secret, "memory": {"s": secret}, "metrics": {"s": secret}}
def _private(): return "x"
async def words_later(name): return name
async def where_async(): return threading.current_thread().name
async def failing_async(): raise ValueError("dry")
async def cancelling_async(): raise asyncio.CancelledError
async def stuck_async(): await asyncio.Event().wait()
async def leaving_async(): raise SystemExit(3)
async def deaf_async():
    while not going_on.is_set():
        try:
            await asyncio.sleep(0.001)
        except BaseException:
            pass
async def tidy_async():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "tidied up"
a_value = 7
class Plant:
    def __init__(self, name): self.name = name
"""


@pytest.fixture(autouse=True)
def garden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package `garden` with a module `beds`, and strangers whose names begin alike."""
    files = {
        "garden/__init__.py": "def top(): return 'top'",
        "garden/beds.py": MODULE,
        "garden/broken.py": "raise RuntimeError('on import')",
        "garden/lacking.py": "import no_such_module_at_all",
        "gardening_tools.py": "def borrowed(): return 'borrowed'",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    beds = sys.modules.get("garden.beds")
    if beds is not None:
        beds.going_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("task "):
            thread.join()
    for name in [name for name in sys.modules if name.startswith("garden")]:
        del sys.modules[name]


def allowing(*names: str, **changes: Any) -> Tools:
    return replace(tools_with(), python_tasks=names, **changes)


@pytest.fixture
def call(make_job: Callable[..., Job]) -> Call:
    """Call a function; everything in `garden` is allowed unless a test says otherwise."""

    async def run(
        name: str, *args: Any, tools: Tools | None = None, attempt: Any = None, **kwargs: Any
    ) -> Outcome:
        params = {"callable": name, "args": list(args), "kwargs": kwargs}
        return await run_job(make_job("python", params, **(attempt or {})), tools or allowing("garden"))

    return run


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("garden:top", ("garden",)),
        ("garden.beds:silent", ("garden",)),
        ("garden.beds:silent", ("other", "garden.beds")),
        ("garden.beds:silent", ("garden.beds:silent",)),
        ("gardening_tools:borrowed", ("gardening_tools",)),
    ],
)
async def test_what_is_listed_may_be_called(name: str, allowed: tuple[str, ...], call: Call) -> None:
    outcome = await call(name, tools=allowing(*allowed))

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary


@pytest.mark.parametrize(
    ("name", "allowed", "said"),
    [
        ("garden:top", (), "No function may be called here; list modules in PYTHON_TASKS"),
        ("gardening_tools:borrowed", ("garden",), "PYTHON_TASKS does not list it"),
        ("garden:top", ("garden.beds",), "PYTHON_TASKS does not list it"),
        ("garden.beds:words", ("garden.beds:silent",), "PYTHON_TASKS does not list it"),
        ("garden.beds:silent", ("garden.beds:silen",), "PYTHON_TASKS does not list it"),
        ("os:system", ("garden",), "PYTHON_TASKS does not list it"),
        (
            "garden.beds:borrowed",
            ("garden",),
            "is defined in gardening_tools, which PYTHON_TASKS does not list",
        ),
        ("garden.beds:system", ("garden",), "which PYTHON_TASKS does not list"),
        ("garden.beds:nothing", ("garden",), "The module garden.beds has no function nothing"),
        ("garden.beds:a_value", ("garden",), "The module garden.beds has no function a_value"),
        ("garden.none:x", ("garden",), "cannot be imported (there is no module garden.none)"),
        ("garden.lacking:x", ("garden",), "cannot be imported (there is no module no_such_module_at_all)"),
        ("garden.broken:x", ("garden",), "cannot be imported (RuntimeError in broken.py, line 1)"),
    ],
)
async def test_nothing_else_may_be_called(name: str, allowed: tuple[str, ...], said: str, call: Call) -> None:
    outcome = await call(name, tools=allowing(*allowed))

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert said in outcome.summary


async def test_a_module_that_is_not_listed_is_not_even_imported(call: Call) -> None:
    await call("gardening_tools:borrowed", tools=allowing("garden"))

    assert "gardening_tools" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "garden.beds:_private",
        "garden.beds",
        "garden.beds:subprocess.run",
        "garden.beds:",
        ":x",
        "a b:c",
        "..a:b",
    ],
)
def test_a_name_must_be_a_module_and_a_function(name: str) -> None:
    with pytest.raises(InputError, match=r"params\.callable"):
        check_params("python", {"callable": name})


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "summary"),
    [
        ("silent", (), {}, "garden.beds:silent returned"),
        ("words", ("rose",), {}, "rose"),
        ("words", ("rose",), {"shout": True}, "ROSE"),
        ("words_later", ("rose",), {}, "rose"),
        ("coroutine_later", (), {}, "later"),
        ("about", (), {}, "water-plants 1 {}"),
        ("named_job", (), {"job": "mine"}, "mine"),
        ("anything", (), {"b": 1}, "b"),
        ("number", (), {}, "garden.beds:number returned 7"),
        ("truth", (), {}, "garden.beds:truth returned False"),
        ("share", (), {}, "garden.beds:share returned 0.5"),
        ("large_number", (), {}, "garden.beds:large_number returned an int"),
        ("listing", (), {}, "garden.beds:listing returned a list of 2"),
        ("nothing_in_it", (), {}, "garden.beds:nothing_in_it returned a dict of 0"),
        ("found", (CANARY,), {}, "garden.beds:found returned a dict with beds, token"),
        ("thing", (), {}, "garden.beds:thing returned a Plant"),
        ("odd_thing", (), {}, "garden.beds:odd_thing returned an Orchid"),
    ],
)
async def test_a_function_gets_its_arguments_and_its_answer_is_told(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], summary: str, call: Call
) -> None:
    outcome = await call(f"garden.beds:{name}", *args, **kwargs)

    assert (OutcomeKind.SUCCEEDED, summary) == (outcome.kind, outcome.summary)


async def test_what_a_function_does_to_its_job_is_not_done_to_the_task(call: Call) -> None:
    memory = {"seen": ["tulip"]}

    outcome = await call("garden.beds:greedy", attempt={"memory": memory})

    assert "OSError: closed" == outcome.summary
    assert {"seen": ["tulip"]} == memory


async def test_a_dict_may_tell_all_of_an_outcome(call: Call) -> None:
    outcome = await call("garden.beds:answer")

    assert ("3 plants", ({"title": "Rose"},), {"n": 1}, {"plants": 3}, True) == (
        outcome.summary,
        outcome.items,
        outcome.memory,
        outcome.metrics,
        outcome.has_news,
    )


async def test_an_outcome_is_taken_as_it_is(call: Call) -> None:
    outcome = await call("garden.beds:outcome")

    assert (OutcomeKind.FAILED, "no water", True) == (outcome.kind, outcome.summary, outcome.permanent)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("odd_answer", "returned a dict with memroy; known are summary, items, memory, metrics"),
        ("words", "the function does not take these arguments: missing a required argument: 'name'"),
        ("Plant", "the function does not take these arguments"),
        ("lazy", "lazy has a yield: called, it ran none of its code"),
        ("lazy_async", "lazy_async has a yield: called, it ran none of its code"),
        ("lazy_items", "returned items that are no list"),
        ("word_items", "returned items that are no list"),
        ("listed_metrics", "returned metrics that are no dict"),
    ],
)
async def test_a_misunderstanding_fails_for_good(name: str, said: str, call: Call) -> None:
    outcome = await call(f"garden.beds:{name}")

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert said in outcome.summary


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("failing", "ValueError: the tap"),
        ("failing_async", "ValueError: dry"),
        ("grouped", "ValueError: dry"),
        ("speechless", "RuntimeError: KeyboardInterrupt"),
        ("stopping", "RuntimeError: StopIteration"),
        ("leaving", "SystemExit: 3"),
        ("timing_out", "TimeoutError: the tap"),
        ("cancelling", "RuntimeError: CancelledError"),
        ("cancelling_async", "CancelledError"),
    ],
)
async def test_an_exception_is_one_sentence_and_may_be_tried_again(
    name: str, summary: str, call: Call
) -> None:
    outcome = await call(f"garden.beds:{name}")

    assert (OutcomeKind.FAILED, summary, False) == (outcome.kind, outcome.summary, outcome.permanent)


@pytest.mark.parametrize("code", [0, None])
async def test_a_function_that_ends_as_a_program_without_a_fault_has_succeeded(
    code: int | None, call: Call
) -> None:
    """Such as `main` of a command line: it ends with `sys.exit(0)` when all is done."""
    outcome = await call("garden.beds:done", code)

    assert (OutcomeKind.SUCCEEDED, "garden.beds:done returned") == (outcome.kind, outcome.summary)


async def test_only_async_functions_run_in_the_loop(call: Call) -> None:
    """A function that blocks would stop all other tasks."""
    blocking = await call("garden.beds:where")
    waiting = await call("garden.beds:where_async")

    assert "task water-plants" == blocking.summary
    assert threading.current_thread().name == waiting.summary


async def test_a_thread_that_will_not_end_is_reported_and_not_doubled(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    first = await call("garden.beds:stuck", attempt={"timeout_s": 0.4})
    second = await call("garden.beds:silent")
    other = await call("garden.beds:silent", attempt={"task_id": "other"})

    assert OutcomeKind.TIMED_OUT is first.kind
    assert "it cannot be ended and goes on" in first.summary
    assert ["python_task_goes_on"] == [record.message for record in caplog.records]
    assert (OutcomeKind.FAILED, False) == (second.kind, second.permanent)
    assert "An earlier run's function has not ended yet; nothing was started beside it" == second.summary
    assert OutcomeKind.SUCCEEDED is other.kind


async def test_when_the_thread_has_ended_the_task_runs_again(call: Call) -> None:
    await call("garden.beds:stuck", attempt={"timeout_s": 0.4})
    [thread] = [one for one in threading.enumerate() if one.name == "task water-plants"]
    sys.modules["garden.beds"].going_on.set()
    await asyncio.get_running_loop().run_in_executor(None, thread.join)

    outcome = await call("garden.beds:silent")

    assert OutcomeKind.SUCCEEDED is outcome.kind


async def test_an_async_function_that_will_not_end_is_ended(call: Call) -> None:
    outcome = await call("garden.beds:stuck_async", attempt={"timeout_s": 0.4})

    assert (OutcomeKind.TIMED_OUT, "garden.beds:stuck_async did not return within 0.4 s") == (
        outcome.kind,
        outcome.summary,
    )


async def test_an_async_function_that_catches_its_end_is_left_and_not_doubled(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """It would hold its slot, and with each run one more, until none is free."""
    first = await call("garden.beds:deaf_async", attempt={"timeout_s": 0.4})
    second = await call("garden.beds:silent")
    sys.modules["garden.beds"].going_on.set()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others)
    third = await call("garden.beds:silent")

    assert OutcomeKind.TIMED_OUT is first.kind
    assert first.summary.endswith("; it cannot be ended and goes on")
    assert ["python_task_goes_on"] == [record.message for record in caplog.records]
    assert [OutcomeKind.FAILED, OutcomeKind.SUCCEEDED] == [second.kind, third.kind]


@pytest.mark.parametrize(
    ("function", "timeout_s", "summary"),
    [("tidy_async", 0.4, "tidied up"), ("leaving_async", 20.0, "SystemExit: 3")],
)
async def test_an_async_function_says_how_it_ended(
    call: Call, function: str, timeout_s: float, summary: str
) -> None:
    outcome = await call(f"garden.beds:{function}", attempt={"timeout_s": timeout_s})

    assert summary == outcome.summary


async def test_cancellation_passes_through_and_a_thread_left_behind_is_logged(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    await call("garden.beds:silent")
    task = asyncio.create_task(call("garden.beds:stuck"))
    await asyncio.get_running_loop().run_in_executor(None, sys.modules["garden.beds"].started.wait)

    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert ["python_task_goes_on"] == [record.message for record in caplog.records]


async def test_threads_are_counted() -> None:
    threads = WorkerThreads(max_threads=1)
    gate = threading.Event()
    running = asyncio.create_task(threads.run("one", gate.wait))
    await asyncio.sleep(0)  # one step of the loop, in which it starts

    with pytest.raises(TooManyThreadsError):
        await threads.run("two", gate.wait)

    gate.set()
    assert await running
    assert "free" == await threads.run("two", lambda: "free")


@pytest.mark.parametrize("name", ["revealing", "keeping"])
async def test_a_secret_argument_arrives_and_is_masked(
    name: str, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tools = allowing("garden", secrets={"TOKEN": CANARY})

    outcome = await call(f"garden.beds:{name}", "{{secret:TOKEN}}", tools=tools)

    assert outcome.summary in ("ValueError: bad ***", "***")
    assert CANARY not in repr(outcome)
    assert CANARY not in "".join(repr(vars(record)) for record in caplog.records)
