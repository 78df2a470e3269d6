"""The test doubles for authors of task types, and the example that their document shows."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions import testing
from functions.domain.run import Run
from functions.domain.task import TaskSpec
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client import BlockedRequestError, FetchError
from functions.task_types import registry
from functions.taskfiles.schema import task_file_schema
from functions.testing import (
    START,
    FixedClock,
    InMemoryStore,
    httpx,
    make_job,
    make_tools,
    mock_http,
    run,
    run_job,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "testing.md"
URL = "https://example.com/feed"


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own on the import path; what it registers is forgotten afterwards."""
    package = tmp_path / "shop_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(registry._registered_modules)
    yield package
    registry._registered_modules.clear()
    registry._registered_modules.update(before)
    registry._import_type.cache_clear()
    for name in [name for name in sys.modules if name.startswith("shop_of_mine")]:
        del sys.modules[name]


async def test_the_documents_example_passes(own_package: Path) -> None:
    type_source, test_source = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (own_package / "count_stock.py").write_text(type_source)
    names: dict[str, object] = {}
    exec(compile(test_source, str(DOCUMENT), "exec"), names)  # the document's own example
    tests = [value for name, value in names.items() if name.startswith("test_")]

    assert 2 == len(tests)
    for test in tests:
        await test()  # type: ignore[operator]  # each is an async function


def test_the_document_names_everything_that_is_exported() -> None:
    text = DOCUMENT.read_text("utf-8")

    assert [] == [name for name in testing.__all__ if f"`{name}" not in text]


async def test_a_module_that_is_no_type_is_refused(own_package: Path) -> None:
    (own_package / "empty.py").write_text("")

    with pytest.raises(InputError, match="is not a task type"):
        await run("shop_of_mine.empty")


MODEL = "from functions import Params as Model, succeeded\nclass Params(Model):\n    whom: str = ''\n"
PERFORM = "async def perform(job, params, tools):\n    return succeeded('x')\n"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("raise RuntimeError('canary')", r"cannot be imported \(RuntimeError in odd.py, line 1\)"),
        ("\ndef f(:\n", r"cannot be imported \(SyntaxError in odd.py, line 2\)"),
        ("import sys\nsys.exit('canary')", r"cannot be imported \(SystemExit in odd.py, line 2\)"),
        ("from functions import canary", r"cannot be imported \(ImportError in odd.py, line 1\)"),
        ("import no_such_module", r"cannot be imported \(there is no module no_such_module\)"),
        (PERFORM, "needs a class Params"),
        (f"Params = dict\n{PERFORM}", "needs a class Params"),
        (MODEL, "needs a function: async def perform"),
        (MODEL + PERFORM.removeprefix("async "), "needs a function: async def perform"),
        (MODEL + PERFORM.replace("return", "yield"), "needs a function: async def perform"),
        (MODEL + PERFORM.replace(", tools", ""), "perform must take three arguments"),
        (MODEL + PERFORM.replace("(job", "(*, job"), "perform must take three arguments"),
        (
            MODEL.replace("str", "'Nothing'") + PERFORM,
            "its Params cannot be built: name 'Nothing' is not defined",
        ),
        (f"class Other: pass\n{MODEL.replace('str', 'Other')}{PERFORM}", "its Params cannot be built: "),
        (f"{MODEL}{PERFORM}EXAMPLE = 'roses'", "EXAMPLE must be a dict of params"),
        (f"{MODEL}{PERFORM}EXAMPLE = {{1: 'roses'}}", "EXAMPLE must be a dict of params"),
        (f"{MODEL}{PERFORM}ONLY_REFERENCES = 'whom'", "ONLY_REFERENCES must be a tuple of the names"),
        (f"{MODEL}{PERFORM}NO_REFERENCES = (1,)", "NO_REFERENCES must be a tuple of the names"),
        (f"{MODEL}{PERFORM}find_missing = 'gold'", "find_missing must be a function of two arguments"),
        (f"{MODEL}{PERFORM}def find_missing(params): pass", "find_missing must be a function of two"),
        (
            f"{MODEL}{PERFORM}async def find_missing(params, tools): pass",
            "find_missing must be .* without async",
        ),
    ],
)
async def test_what_keeps_a_module_from_being_a_type_is_named(
    own_package: Path, source: str, fault: str
) -> None:
    (own_package / "odd.py").write_text(source)

    with pytest.raises(InputError, match=fault) as refused:
        await run("shop_of_mine.odd")

    assert "canary" not in str(refused.value)


@pytest.mark.slow
async def test_params_that_json_schema_has_no_words_for_hide_no_other_type(own_package: Path) -> None:
    fields = "    model_config = {'arbitrary_types_allowed': True}\n    other: Other | None = None\n"
    (own_package / "odd.py").write_text(f"class Other: pass\n{MODEL}{fields}{PERFORM}")
    await run("shop_of_mine.odd")

    schema = task_file_schema()

    assert {"type": "object"} == registry.params_schema("odd")
    assert "odd" in str(schema)


VALIDATOR = """
    @field_validator("whom")
    def check(cls, whom):
        return {"canary": 1}[whom]
"""


async def test_a_validator_that_crashes_refuses_the_params_with_its_place(own_package: Path) -> None:
    (own_package / "odd.py").write_text(f"from pydantic import field_validator\n{MODEL}{VALIDATOR}{PERFORM}")
    await run("shop_of_mine.odd")

    refusal = (
        r"params: shop_of_mine.odd cannot check them \(KeyError in odd.py, line 8\); correct the task type"
    )
    with pytest.raises(InputError, match=refusal):
        registry.check_params("odd", {"whom": "roses"})
    outcome = await run("shop_of_mine.odd", {"whom": "roses"})
    missing = registry.find_missing("odd", {"whom": "roses"}, make_tools())

    assert ("failed", True) == (outcome.kind, outcome.permanent)
    assert re.match(refusal, outcome.summary)
    assert [True] == [bool(re.match(refusal, one.what)) for one in missing]


async def test_what_is_missing_is_said_when_the_type_cannot_say_it(own_package: Path) -> None:
    (own_package / "odd.py").write_text(f"{MODEL}{PERFORM}def find_missing(params, tools):\n    1 / 0\n")
    await run("shop_of_mine.odd")

    missing = registry.find_missing("odd", {}, make_tools())

    assert [
        ("find_missing of odd failed (ZeroDivisionError in odd.py, line 7)", "correct the task type")
    ] == missing


GREEDY = """
async def perform(job, params, tools):
    job.memory["seen"].append("rose")
    job.params["given"]["to"] = params.given["by"] = "nobody"
    return failed("the shop is closed")
"""


async def test_what_a_type_does_to_its_job_is_not_done_to_the_task(own_package: Path) -> None:
    model = "from typing import Any\nfrom functions import Params as Model, failed\n"
    model += "class Params(Model):\n    given: Any\n"
    (own_package / "odd.py").write_text(f"{model}{GREEDY}")
    params, memory = {"given": {"to": "Ann"}}, {"seen": ["tulip"]}

    outcome = await run("shop_of_mine.odd", params, memory=memory)

    assert "the shop is closed" == outcome.summary
    assert ({"given": {"to": "Ann"}}, {"seen": ["tulip"]}) == (params, memory)


async def test_two_types_of_one_name_are_named(own_package: Path) -> None:
    (own_package / "odd.py").write_text(MODEL + PERFORM)
    await run("shop_of_mine.odd")

    with pytest.raises(InputError, match=r"odd exists already, in shop_of_mine\.odd; choose"):
        await run("elsewhere.odd")


async def test_a_type_may_be_a_module_without_a_package(own_package: Path) -> None:
    (own_package.parent / "shop_of_mine_alone.py").write_text(MODEL + PERFORM)

    outcome = await run("shop_of_mine_alone")

    assert OutcomeKind.SUCCEEDED == outcome.kind


async def test_a_handler_without_a_response_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Most often its `return` was forgotten."""
    no_answer: Any = lambda _: None  # noqa: E731  # its type is wrong, as this test is about

    await run("health_check_url", {"url": URL}, tools=make_tools(mock_http(no_answer)))

    assert "the handler returned None; return an httpx.Response" in capsys.readouterr().err


async def test_the_traceback_of_an_error_is_printed(
    own_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The author of a type sees what an operator's log has no message of."""
    (own_package / "odd.py").write_text(f"{MODEL}{PERFORM.replace('return', 'return job.pears or')}")

    outcome = await run("shop_of_mine.odd")

    assert "The task type odd failed unexpectedly (AttributeError)" == outcome.summary
    assert "AttributeError: 'Job' object has no attribute 'pears" in capsys.readouterr().err


async def test_wrong_params_are_an_outcome_that_names_the_field() -> None:
    outcome = await run("health_check_url", {"url": URL, "expectedStatus": "often"})

    assert OutcomeKind.FAILED == outcome.kind
    assert outcome.permanent
    assert "expectedStatus" in outcome.summary


async def test_without_a_client_there_is_no_connection() -> None:
    outcome = await run("health_check_url", {"url": URL})

    assert (OutcomeKind.FAILED, False) == (outcome.kind, outcome.permanent)
    assert "No usable answer came" == outcome.summary


async def test_the_handler_gives_the_response_and_sees_the_request() -> None:
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204, headers={"X-Next": "1"})

    response = await mock_http(respond).post(URL, content=b"x", headers={"A": "b"}, timeout=3)

    assert (204, "1") == (response.status_code, response.headers["x-next"])
    assert ("POST", b"x", "b") == (requests[0].method, requests[0].content, requests[0].headers["a"])


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (httpx.ConnectError("canary"), "No usable answer came"),
        (httpx.ReadTimeout("canary"), "No answer in time"),
        (FetchError("Name not found"), "Name not found"),
    ],
)
async def test_an_error_of_the_handler_is_a_failure(error: Exception, summary: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    outcome = await run("health_check_url", {"url": URL}, tools=make_tools(mock_http(fail)))

    assert (OutcomeKind.FAILED, summary) == (outcome.kind, outcome.summary)


@pytest.mark.parametrize(
    ("url", "headers"), [("ftp://example.com/", {}), (URL, {"Host": "other.example.com"})]
)
async def test_what_the_real_client_refuses_is_refused(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(BlockedRequestError):
        await mock_http(lambda _: httpx.Response(200)).get(url, headers=headers)


def test_a_clock_moves_only_when_it_is_advanced() -> None:
    clock = FixedClock(datetime(2026, 3, 1, 8, 0, tzinfo=UTC))

    assert clock() == clock() == datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    assert clock.advance(timedelta(minutes=90)) == clock() == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def test_a_clock_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FixedClock(datetime(2026, 3, 1))  # noqa: DTZ001  # that is the test


def test_a_job_is_on_time_unless_the_test_says_otherwise() -> None:
    clock = FixedClock()
    on_time = make_job("http", clock=clock)
    late = make_job("http", clock=clock, scheduled_at=START - timedelta(hours=1))

    assert on_time.scheduled_at == on_time.started_at == START
    assert "task-1@2026-11-20T12:00:00Z" == on_time.idempotency_key
    assert (START, "task-1@2026-11-20T11:00:00Z") == (late.started_at, late.idempotency_key)


async def test_a_type_reads_the_tasks_and_runs_of_the_store() -> None:
    record = Run(
        task_id="shop",
        occurrence=START - timedelta(hours=1),
        attempt=1,
        token="t",
        outcome=OutcomeKind.FAILED,
        summary="Answered 503",
        started_at=START - timedelta(hours=1),
        finished_at=START - timedelta(minutes=59),
    )
    async with InMemoryStore() as store:
        await store.add_tasks(
            TaskSpec(
                id="shop", title="Shop", type="health_check_url", schedule="@hourly", params={"url": URL}
            )
        )
        await store.add_runs(record)
        reader = store.reader()

        assert ["shop"] == [task.id for task in await reader.list_tasks()]
        assert [record] == list(await reader.list_runs(START - timedelta(days=1)))
        assert [] == list(await reader.list_runs(START))
        outcome = await run_job(make_job("daily_briefing", timezone="Europe/Riga"), make_tools(store=store))
    assert "Shop" in str(outcome.items) + outcome.summary


async def test_without_a_store_there_are_no_tasks_and_no_runs() -> None:
    reader = make_tools().store

    assert ([], []) == (list(await reader.list_tasks()), list(await reader.list_runs(START)))


async def test_two_stores_share_nothing() -> None:
    async with InMemoryStore() as one, InMemoryStore() as other:
        await one.add_tasks(TaskSpec(id="a", title="A", type="http", schedule="@daily", params={"url": URL}))

        assert [] == list(await other.reader().list_tasks())
