"""`http`: what is sent, what counts as an answer, and which failures are worth another try."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.events import Event
from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client.httpx import httpx
from functions.task_types.registry import check_params, run_job
from tests.unit.task_types.conftest import NOON, answer, calls_of, given_headers, tools_with

URL = "https://example.com/hook"
CANARY = "s3cret-canary"


@pytest.fixture
def send(make_job: Callable[..., Job]) -> Callable[..., Any]:
    """Perform one request and return what was sent."""

    async def run(**params: Any) -> httpx.Request:
        tools = tools_with(answer(200))
        outcome = await run_job(make_job("http", {"url": URL} | params, attempt=2), tools)
        assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
        return calls_of(tools)[0]

    return run


@pytest.fixture
def ask(make_job: Callable[..., Job]) -> Callable[..., Any]:
    """Perform one request that is answered so."""

    async def run(response: httpx.Response, **params: Any) -> Outcome:
        return await run_job(make_job("http", {"url": URL} | params), tools_with(response))

    return run


async def test_a_request_says_which_occurrence_it_is_for(send: Callable[..., Any]) -> None:
    """With the key a receiver can tell a repeat from a second wish."""
    call = await send()

    assert {
        "idempotency-key": "water-plants@2026-11-20T12:00:00Z",
        "x-scheduled-time": "2026-11-20T12:00:00Z",
        "x-attempt": "2",
    } == given_headers(call)
    assert ("GET", URL, b"", 10, 20.0) == (
        call.method,
        str(call.url),
        call.content,
        call.extensions["max_redirects"],
        call.extensions["timeout"]["read"],
    )


@pytest.mark.parametrize(
    ("params", "content_type", "body"),
    [
        ({"json": {"a": "ü", "b": [1, None]}}, "application/json", '{"a": "ü", "b": [1, null]}'),
        ({"json": None}, "application/json", "null"),
        ({"body": "as it is ü"}, "text/plain; charset=utf-8", "as it is ü"),
        ({"body": ""}, "text/plain; charset=utf-8", ""),
        (
            {"form": {"a": "x y", "b": [1, True], "c": 0.5}},
            "application/x-www-form-urlencoded",
            "a=x+y&b=1&b=true&c=0.5",
        ),
    ],
)
async def test_a_body_is_sent_in_the_form_it_was_given(
    params: dict[str, Any], content_type: str, body: str, send: Callable[..., Any]
) -> None:
    call = await send(method="POST", **params)

    assert (content_type, body) == (call.headers["Content-Type"], call.content.decode())


async def test_a_header_of_the_task_s_own_wins(send: Callable[..., Any]) -> None:
    call = await send(
        method="POST", json={}, headers={"content-type": "application/x", "idempotency-key": "mine"}
    )

    assert {
        "content-type": "application/x",
        "idempotency-key": "mine",
        "x-scheduled-time": "2026-11-20T12:00:00Z",
        "x-attempt": "2",
    } == given_headers(call)


@pytest.mark.parametrize(
    ("url", "query", "expected"),
    [
        (URL, {"q": "a b&c", "n": 1, "yes": True}, f"{URL}?q=a+b%26c&n=1&yes=true"),
        (f"{URL}?a=1", {"b": [1, 2]}, f"{URL}?a=1&b=1&b=2"),
        (f"{URL}?", {"b": "1"}, f"{URL}?b=1"),
        (f"{URL}#part", {"b": "1"}, f"{URL}?b=1"),
        (URL, {}, URL),
    ],
)
async def test_a_query_is_added_to_the_address(
    url: str, query: dict[str, Any], expected: str, send: Callable[..., Any]
) -> None:
    assert expected == str((await send(url=url, query=query)).url).partition("#")[0]


@pytest.mark.parametrize(
    ("params", "redirects"),
    [
        ({"method": "GET"}, 10),
        ({"method": "HEAD"}, 10),
        ({"method": "POST"}, 0),
        ({"method": "DELETE"}, 0),
        ({"method": "POST", "followRedirects": True}, 10),
        ({"method": "GET", "followRedirects": False}, 0),
    ],
)
async def test_redirects_are_followed_where_that_is_harmless(
    params: dict[str, Any], redirects: int, send: Callable[..., Any]
) -> None:
    assert redirects == (await send(**params)).extensions["max_redirects"]


async def test_an_answer_leaves_its_beginning_in_the_record(ask: Callable[..., Any]) -> None:
    outcome = await ask(answer(201, b"  made\n\x00it\t" + b"x" * 999))

    assert "Answered 201 in 84 ms" == outcome.summary
    assert {"status", "latencyMs", "snippet"} == outcome.metrics.keys()
    assert outcome.metrics["snippet"].startswith("made it x")
    assert outcome.metrics["snippet"].isprintable()
    assert len(outcome.metrics["snippet"]) <= 300


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *((status, True) for status in (400, 401, 404, 422)),
        *((status, False) for status in (408, 425, 429, 500, 503, 302)),
    ],
)
async def test_only_a_lasting_refusal_is_permanent(
    status: int, permanent: bool, ask: Callable[..., Any]
) -> None:
    outcome = await ask(answer(status, CANARY.encode()))

    assert (OutcomeKind.FAILED, permanent) == (outcome.kind, outcome.permanent)
    assert f"Answered {status}, expected 200-299" == outcome.summary


@pytest.mark.parametrize("status", [302, 403, 409, 413, 429, 503])
async def test_a_refusal_that_says_when_to_ask_again_may_be_retried(
    status: int, ask: Callable[..., Any]
) -> None:
    outcome = await ask(answer(status, headers={"retry-after": "9"}))

    assert (False, timedelta(seconds=9)) == (outcome.permanent, outcome.retry_after)


@pytest.mark.parametrize(
    ("params", "body", "fault"),
    [
        ({"bodyContains": "done"}, b"all done", None),
        ({"bodyContains": "done"}, b"s3cret-canary", "the expected text is not in its body"),
        ({"jsonPointer": "/state"}, b'{"state": null}', None),
        ({"jsonPointer": "/state"}, b'{"s3cret-canary": 1}', "its body has nothing at /state"),
        ({"jsonPointer": "/state", "equals": "ok"}, b'{"state": "ok"}', None),
        ({"jsonPointer": "/state", "equals": None}, b'{"state": null}', None),
        (
            {"jsonPointer": "/state", "equals": None},
            b'{"state": "s3cret-canary"}',
            "the value at /state is not the expected one",
        ),
        ({"jsonPointer": "/n", "equals": 1}, b'{"n": true}', "the value at /n is not the expected one"),
        ({"jsonPointer": "/n"}, b"<s3cret-canary>", "its body is not JSON"),
        ({"jsonPointer": "/n"}, b"[" * 100_000, "its body is not JSON"),
        ({"jsonPointer": "/n"}, b"\xff", "its body is not JSON"),
        ({"jsonPointer": "/n"}, b"1" * 5000, "its body is not JSON"),
    ],
)
async def test_the_content_must_be_as_expected(
    params: dict[str, Any], body: bytes, fault: str | None, ask: Callable[..., Any]
) -> None:
    """A failure says what was missing and never quotes the answer, which may hold a secret."""
    outcome = await ask(answer(200, body), **params)

    expected = "Answered 200 in 84 ms" if fault is None else f"Answered 200, but {fault}"
    assert expected == outcome.summary
    assert (OutcomeKind.SUCCEEDED if fault is None else OutcomeKind.FAILED) is outcome.kind
    assert not outcome.permanent


async def test_half_a_document_is_not_read(ask: Callable[..., Any]) -> None:
    outcome = await ask(answer(200, b'{"state": 1}', truncated=True), jsonPointer="/state")

    assert "Answered 200, but its body is longer than the 256 KB that are read as JSON" == outcome.summary


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"json": None, "body": "x"}, "params: give at most one of json, body and form"),
        ({"form": {}, "body": "x"}, "params: give at most one of json, body and form"),
        ({"equals": None}, "params: equals needs jsonPointer"),
        ({"jsonPointer": "state"}, "params.jsonPointer"),
        ({"method": "HEAD", "jsonPointer": "/a"}, "params: bodyContains and jsonPointer need another method"),
        ({"method": "TRACE"}, "params.method"),
        ({"headers": {"Host": "x"}}, "params.headers: The header Host"),
        ({"query": {"a": {"b": 1}}}, "params.query"),
        ({"expectedStatus": 0}, "params.expectedStatus"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_params("http", {"url": URL} | params)


def test_a_body_of_any_json_is_accepted() -> None:
    values: tuple[Any, ...] = (None, 0, "x", [], {"a": [1, {"b": False}]})
    for value in values:
        check_params("http", json.loads(json.dumps({"url": URL, "method": "PUT", "json": value})))


async def test_of_an_expected_answer_a_little_is_kept_and_of_another_what_a_person_looks_into(
    ask: Callable[..., Any],
) -> None:
    body = b"x" * 20_000

    expected = await ask(answer(200, body))
    other = await ask(answer(500, body))
    lacking = await ask(answer(200, body), bodyContains="y")

    assert [300, 8192, 8192] == [len(one.metrics["snippet"]) for one in (expected, other, lacking)]


# -- events ------------------------------------------------------------------------------------------------

DATA = {"total": 12, "note": "ü"}
PAID = Event(id="7", type="order.paid", source="shop", subject='Größe "9"', time=NOON, data=DATA)


async def test_an_event_is_passed_on_as_a_cloud_event_in_binary_mode(make_job: Callable[..., Job]) -> None:
    tools = tools_with(answer(200))
    job = replace(make_job("http", {"method": "POST", "url": URL}), event=PAID)

    await run_job(job, tools)

    [call] = calls_of(tools)
    sent = {name: value for name, value in call.headers.items() if name.startswith("ce-")}
    assert DATA == json.loads(call.content)
    assert "application/json" == call.headers["Content-Type"]
    assert {
        "ce-specversion": "1.0",
        "ce-id": "7",
        "ce-type": "order.paid",
        "ce-source": "shop",
        "ce-time": "2026-11-20T12:00:00Z",
        "ce-subject": "Gr%C3%B6%C3%9Fe %229%22",
    } == sent


@pytest.mark.parametrize("params", [{"method": "GET"}, {"method": "POST", "json": {"own": 1}}])
async def test_a_request_with_a_body_of_its_own_or_without_any_keeps_it(
    make_job: Callable[..., Job], params: dict[str, Any]
) -> None:
    tools = tools_with(answer(200))

    await run_job(replace(make_job("http", {"url": URL} | params), event=PAID), tools)

    [call] = calls_of(tools)
    assert (b'{"own": 1}' if "json" in params else b"") == call.content
    assert "7" == call.headers["ce-id"]
