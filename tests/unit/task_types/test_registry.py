"""The registry: types are found by their files, params are checked, no fault gets out as an exception."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import functions.task_types.registry as actions
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import (
    InputError,
    LimitsUnknownError,
    PostponedError,
    StoreError,
    StoreUnavailableError,
)
from functions.http_client import BlockedRequestError, FetchError
from functions.parsing.errors import NoParserError
from tests.unit.task_types.conftest import FakeRecords, answer, tools_with

CANARY = "s3cret-canary"
MakeJob = Callable[..., Job]


def test_each_plain_file_is_a_type() -> None:
    """Adding a type is adding a file, or a folder where it is more than one idea."""
    folder = Path(actions.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    types = files - {"__init__", "registry", "support"}

    assert tuple(sorted(types)) == actions.type_names()
    assert {"daily_briefing", "health_check_url", "http", "rss_watch"} <= types


@pytest.mark.parametrize("name", actions.type_names())
def test_every_type_shows_an_example_it_accepts(name: str) -> None:
    """The documentation prints it; it must survive a store, too."""
    shown = actions.example_params(name)

    actions.check_params(name, shown)

    assert shown == json.loads(json.dumps(shown))


@pytest.mark.parametrize(
    "name", ["http ", "HTTP", "htttp", "net", "tools", "net.client", "os", "__init__", ""]
)
def test_only_types_can_be_named(name: str) -> None:
    """A name from a task never reaches another module."""
    with pytest.raises(InputError, match="no task type has this name"):
        actions.check_params(name, {})


def test_an_unknown_type_is_answered_with_near_names() -> None:
    with pytest.raises(InputError, match=r"did you mean health_check_url\?"):
        actions.check_params("healthcheck_url", {})


def test_every_fault_is_told_with_its_field() -> None:
    """One round of corrections is enough."""
    params = {"uri": "x", "timeoutSeconds": 0, "expectedStatus": "fine", "headers": {"Host": CANARY}}

    with pytest.raises(InputError) as told:
        actions.check_params("health_check_url", params)

    text = str(told.value)
    assert "params.url: is required" in text
    assert "params.uri: unknown field; did you mean url?" in text
    assert "params.timeoutSeconds: " in text
    assert 'params.expectedStatus: must be a code such as 200, a range such as "200-299"' in text
    assert "params.headers: The header Host is not allowed" in text
    assert CANARY not in text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        f"https://user:{CANARY}@example.com/",
        "example.com",
        "http://",
        f"javascript:{CANARY}",
        "file:///etc/passwd",
        "http://metadata.google.internal/",
        "http://exa mple.com/",
        f"https://example.com/{'x' * 3000}",
        "",
        7,
    ],
)
@pytest.mark.parametrize(("name", "field"), [("http", "url"), ("rss_watch", "feedUrl")])
def test_a_bad_address_is_refused_when_the_task_is_saved(url: object, name: str, field: str) -> None:
    with pytest.raises(InputError, match=f"^params.{field}: ") as told:
        actions.check_params(name, {field: url})

    assert CANARY not in str(told.value)
    assert told.value.__cause__ is None


async def test_a_type_that_cannot_be_loaded_is_named_with_the_reason(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a file that an author has put into the folder, where no setting names it."""
    monkeypatch.setitem(actions._registered_modules, "broken", "no_such_garden.broken")
    reason = "type: broken cannot be loaded (there is no module no_such_garden); correct the task type"

    with pytest.raises(InputError) as refused:
        actions.check_params("broken", {})
    outcome = await actions.run_job(make_job("broken", {}), tools_with())

    assert [reason, reason] == [str(refused.value), outcome.summary]


async def test_wrong_params_fail_for_good(make_job: MakeJob) -> None:
    """They were valid once, or came by another way; trying again cannot help."""
    tools = tools_with()

    outcome = await actions.run_job(make_job("http", {"url": "nowhere"}), tools)

    assert OutcomeKind.FAILED is outcome.kind
    assert outcome.permanent
    assert outcome.summary.startswith("params.url: ")


async def test_an_unknown_type_fails_for_good(make_job: MakeJob) -> None:
    outcome = await actions.run_job(make_job("telepathy"), tools_with())

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "TASK_TYPES" in outcome.summary  # it may have been one of the operator's own


@pytest.mark.parametrize(
    ("error", "permanent"),
    [(FetchError("No answer within 5 s"), False), (BlockedRequestError("The address is not allowed"), True)],
)
async def test_an_address_that_cannot_be_fetched_is_a_failure(
    error: FetchError, permanent: bool, make_job: MakeJob
) -> None:
    outcome = await actions.run_job(make_job("http", {"url": "https://example.com"}), tools_with(error))

    assert (OutcomeKind.FAILED, error.reason, permanent) == (
        outcome.kind,
        outcome.summary,
        outcome.permanent,
    )


async def test_a_store_that_is_away_is_a_failure_worth_retrying(make_job: MakeJob) -> None:
    records = FakeRecords(fault=StoreUnavailableError("The store did not answer in time"))

    outcome = await actions.run_job(make_job("daily_briefing"), tools_with(records=records))

    assert ("The store did not answer in time", False) == (outcome.summary, outcome.permanent)


@pytest.mark.parametrize(
    ("type_name", "params"),
    [("rss_watch", {"feedUrl": "https://example.com"}), ("page_watch", {"url": "https://example.com"})],
)
async def test_a_document_that_waits_for_a_parser_is_no_failure_of_the_task(
    type_name: str, params: dict[str, Any], make_job: MakeJob
) -> None:
    waits: list[dict[str, float]] = []

    async def busy(function: Any, document: bytes, **times: Any) -> Any:
        waits.append(times)
        raise NoParserError

    with pytest.raises(PostponedError):
        await actions.run_job(make_job(type_name, params), replace(tools_with(answer(200)), parse=busy))

    assert 0 < sum(waits[0].values()) < 20  # of an attempt of 20 s


async def test_limits_that_cannot_be_read_are_no_failure_of_the_task(make_job: MakeJob) -> None:
    async def away(owner: str) -> Capabilities:
        raise LimitsUnknownError("The store did not answer in time")

    async def refused(owner: str) -> Capabilities:
        raise StoreError("owners: line 3: mend it")

    job = replace(make_job("daily_briefing"), owner="ann")

    with pytest.raises(LimitsUnknownError):
        await actions.run_job(job, replace(tools_with(), capabilities=away))
    outcome = await actions.run_job(job, replace(tools_with(), capabilities=refused))
    assert ("owners: line 3: mend it", False) == (outcome.summary, outcome.permanent)


@pytest.mark.parametrize("fault", [RuntimeError(CANARY), SystemExit(CANARY), KeyError(CANARY)])
async def test_a_crash_is_a_failure_and_a_log_without_values(
    fault: BaseException, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad type must not stop the tick, and its error's text may hold what the task was about."""
    job = make_job("daily_briefing", {"title": CANARY})

    outcome = await actions.run_job(job, tools_with(records=FakeRecords(fault=fault)))

    name = type(fault).__name__
    assert f"The task type daily_briefing failed unexpectedly ({name})" == outcome.summary
    assert not outcome.permanent
    (record,) = caplog.records
    assert (logging.ERROR, "task_type_crashed") == (record.levelno, record.message)
    assert name == record.__dict__["error"]
    assert "daily_briefing" in record.__dict__["trace"]
    assert CANARY not in repr(record.__dict__)


async def test_cancellation_passes_through(make_job: MakeJob) -> None:
    """Ending an attempt is the tick's business."""
    tools = tools_with(records=FakeRecords(fault=asyncio.CancelledError()))

    with pytest.raises(asyncio.CancelledError):
        await actions.run_job(make_job("daily_briefing"), tools)


async def test_what_a_type_returns_is_cut_to_size(make_job: MakeJob) -> None:
    """Another side's text, half of a surrogate pair included, never makes a record no store can keep."""
    odd = answer(body="ok \ud800 \x00".encode("utf-8", "surrogatepass"))

    outcome = await actions.run_job(make_job("http", {"url": "https://example.com"}), tools_with(odd))

    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert outcome.metrics["snippet"].encode()
