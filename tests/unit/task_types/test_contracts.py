"""`expect` of four task types: what is refused, what an attempt comes to, and what is remembered."""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions.domain.expectations import MAX_TEXT_BYTES, MEMORY_KEY
from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client import FetchError
from functions.task_types.registry import check_params, run_job
from functions.task_types.support.expectations import (
    CommandExpectations,
    HeaderRule,
    JsonRule,
    ResponseExpectations,
    TextRules,
    ValueExpectations,
)
from functions.taskfiles.loader import read_task_files
from tests.unit.task_types.conftest import answer, tools_with

URL = "https://example.com/status"
CANARY = "s3cret-canary-0815"
Check = Callable[..., Any]
JSON = {"content-type": "application/json"}


@pytest.fixture(params=["http", "health_check_url"])
def kind(request: pytest.FixtureRequest) -> str:
    """Both types that read an answer, which have the same rules."""
    return str(request.param)


@pytest.fixture
def check(make_job: Callable[..., Job], kind: str) -> Check:
    """Perform one request that is answered so; other params of the type by name."""

    async def run(
        body: bytes | str,
        expect: dict[str, Any],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        truncated: bool = False,
        memory: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        **params: Any,
    ) -> Outcome:
        content = body.encode() if isinstance(body, str) else body
        response = answer(status, content, headers=headers or JSON, truncated=truncated)
        job = make_job(kind, {"url": URL, "expect": expect} | params, memory=memory or {})
        check_params(kind, job.params)
        return await run_job(job, replace(tools_with(response), secrets=secrets or {}))

    return run


# What is refused when a task is saved: each with its field, and with its place where there is one.

RULE = {"path": "$.a", "equals": 1}


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ({}, "expect: expects nothing; give a rule, or leave it out"),
        ({"json": []}, "expect: expects nothing; give a rule, or leave it out"),
        ({"jsons": [RULE]}, "expect.jsons: unknown field"),
        ({"status": "2yz"}, 'expect.status: must be a code such as 200, a range such as "200-299" or "2xx"'),
        ({"status": []}, "expect.status: must name 1 to 20 codes or ranges"),
        ({"latencyMs": 0}, "expect.latencyMs: must be at least 1"),
        (
            {"headers": [{"name": "A B", "exists": True}]},
            "expect.headers[0].name: must be the name of a header",
        ),
        ({"headers": [{"exists": True}]}, "expect.headers[0].name: is required"),
        ({"headers": [{"name": "ETag"}]}, "expect.headers[0]: says nothing; give equals or notEquals"),
        (
            {"headers": [{"name": "Age", "equals": 5}]},
            "expect.headers[0].equals: must be text; put the value",
        ),
        (
            {"headers": [{"name": "A", "matches": "a"}, {"name": "A", "matches": "(a"}]},
            "expect.headers[1].matches: is not a regular expression: missing ), unterminated subpattern, "
            "at character 1",
        ),
        (
            {"headers": [{"name": "A", "matches": "*"}]},
            "expect.headers[0].matches: is not a regular expression",
        ),
        ({"body": {}}, "expect.body: says nothing; give equals or contains"),
        ({"body": {"matches": "a" * 501}}, "expect.body.matches: must have at most 500 characters"),
        ({"body": {"matches": "a{9999999999}"}}, "expect.body.matches: is not a regular expression"),
        ({"body": {"sha256": "abc"}}, "expect.body.sha256: must be 64 hexadecimal digits"),
        ({"body": {"contains": []}}, "expect.body.contains:"),
        (
            {"json": [RULE, {"path": "$.a["}]},
            "expect.json[1].path: is not a JSON path: unexpected end of query",
        ),
        ({"json": [{"path": "a.b", "equals": 1}]}, "expect.json[0].path: must begin with $"),
        ({"json": [{"path": "$.a"}]}, "expect.json[0]: says nothing; give equals or notEquals"),
        (
            {"json": [{"path": "$.a", "exists": False, "equals": 1}]},
            "expect.json[0]: exists: false leaves nothing",
        ),
        ({"json": [{"path": "$.a", "greater": "many"}]}, "expect.json[0].greater: must be a number"),
        ({"json": [{"path": "$.a", "length": {}}]}, "expect.json[0].length"),
        (
            {"json": [{"path": "$.a", "changed": True}]},
            "expect.json[0].changed: must be one of news or required",
        ),
        ({"json": [RULE] * 31}, "expect.json: must have at most 30 entries"),
        ({"schema": {"type": "objekt"}}, "expect.schema: $.type: 'objekt' is not valid"),
        ({"schema": {"$ref": "https://e.com/s"}}, 'expect.schema: "https://e.com/s" is another document'),
    ],
)
def test_a_wrong_rule_is_refused_by_its_place(expect: Any, problem: str, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        check_params(kind, {"url": URL, "expect": expect})

    assert f"params.{problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("type_name", "params", "problem"),
    [
        ("http", {"expectedStatus": 200, "expect": {"status": 201}}, "give expect.status or expectedStatus"),
        ("http", {"jsonPointer": "/a", "expect": {"status": 201}}, "give what jsonPointer says as a rule of"),
        (
            "http",
            {"method": "HEAD", "expect": {"json": [RULE]}},
            "need another method, as HEAD brings no body",
        ),
        ("health_check_url", {"method": "HEAD", "expect": {"body": {"equals": ""}}}, "need the method GET"),
        ("health_check_url", {"expectedStatus": 200, "expect": {"status": 200}}, "give expect.status or"),
        ("health_check_url", {"maxLatencyMs": 5, "expect": {"latencyMs": 5}}, "give expect.latencyMs or"),
    ],
)
def test_nothing_is_said_twice(type_name: str, params: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        check_params(type_name, {"url": URL} | params)


def test_the_exit_code_is_said_once() -> None:
    with pytest.raises(InputError, match=r"give expect\.exitCode or successCodes"):
        check_params("command", {"command": "true", "successCodes": [0], "expect": {"exitCode": 0}})


def test_a_rule_may_hold_a_secret() -> None:
    rule = {"path": "$.token", "equals": "{{secret:TOKEN}}"}
    pattern = {"name": "X-Token", "matches": "{{secret:PATTERN}}"}

    check_params("http", {"url": URL, "expect": {"json": [rule], "headers": [pattern]}})


DOCS = Path(__file__).parents[3] / "docs"


def test_the_recipes_can_be_applied(tmp_path: Path) -> None:
    page = (DOCS / "how-to/expectations.md").read_text(encoding="utf-8")
    files = [tmp_path / f"{number}.yaml" for number in range(3)]
    for file, text in zip(files, re.findall(r"```yaml\n(.*?)```", page, re.DOTALL), strict=True):
        file.write_text(text, encoding="utf-8")

    found = read_task_files(files)

    assert (6, ()) == (len(found.specs), tuple(found.problems))


def test_the_reference_has_every_rule_and_field() -> None:
    """Each operator, and each field of the four types' models."""
    page = (DOCS / "reference/expectations.md").read_text(encoding="utf-8")
    models = (HeaderRule, JsonRule, TextRules, ResponseExpectations, CommandExpectations, ValueExpectations)
    names = {field.alias or name for model in models for name, field in model.model_fields.items()}

    assert [] == sorted(name for name in names if f"`{name}`" not in page)


# What an attempt comes to.


async def test_an_answer_that_is_as_expected_is_a_success(check: Check) -> None:
    outcome = await check(
        '{"status": "ok", "items": [{"id": 1}, {"id": 2}]}',
        {
            "status": "2xx",
            "latencyMs": 100,
            "headers": [
                {"name": "Content-Type", "matches": "^application/json"},
                {"name": "X-Powered-By", "exists": False},
                {"name": "X-Left", "greater": 10},
            ],
            "body": {"contains": ["status", "items"], "notContains": "error"},
            "json": [
                {"path": "$.status", "equals": "ok"},
                {"path": "$.items", "length": {"greater": 1}},
                {"path": "$.items[*].id", "greater": 0},
            ],
            "schema": {"required": ["items"]},
        },
        headers=JSON | {"X-Left": "11"},
    )

    assert (OutcomeKind.SUCCEEDED, "Answered 200 in 84 ms") == (outcome.kind, outcome.summary)
    assert outcome.memory is None
    assert not outcome.has_news
    assert "unmet" not in outcome.metrics


async def test_a_failure_lists_all_that_is_unmet(check: Check) -> None:
    outcome = await check(
        '{"status": "degraded"}',
        {
            "status": [200, "301-308"],
            "latencyMs": 50,
            "headers": [{"name": "ETag", "exists": True}, {"name": "Content-Type", "equals": "text/html"}],
            "json": [{"path": "$.status", "equals": "ok"}, {"path": "$.queue", "less": 100}],
        },
        status=503,
    )

    lines = [
        "status: expected 200 or 301-308, found 503",
        "latency: expected at most 50 ms, found 84 ms",
        "header ETag: expected a value, found nothing",
        'header Content-Type: expected "text/html", found "application/json"',
        '$.status: expected "ok", found "degraded"',
        "$.queue: expected less than 100, found nothing",
    ]
    assert OutcomeKind.FAILED == outcome.kind
    assert f"Answered 503, but {'; '.join(lines[:5])}; and 1 more" == outcome.summary
    assert "\n".join(lines) == outcome.metrics["unmet"]
    assert not outcome.permanent


async def test_the_order_is_that_of_the_rules_wherever_they_are_checked(check: Check) -> None:
    rules = {
        "headers": [{"name": "A", "matches": "x"}, {"name": "B", "exists": True}],
        "body": {"contains": "z", "sha256": "0" * 64},
    }

    outcome = await check("a", rules, headers={"A": "y"})

    assert ["header A", "header B", "body", "body"] == [
        line.partition(":")[0] for line in outcome.metrics["unmet"].splitlines()
    ]
    assert 'to contain "z"' in outcome.metrics["unmet"].splitlines()[2]


async def test_the_short_forms_count_beside_it(check: Check) -> None:
    outcome = await check(
        '{"a": 1}',
        {"json": [{"path": "$.a", "equals": 2}]},
        status=201,
        expectedStatus=200,
        bodyContains="zebra",
    )

    assert [
        "status: expected 200, found 201",
        'body: expected to contain "zebra", found "{\\"a\\": 1}"',
        "$.a: expected 2, found 1",
    ] == outcome.metrics["unmet"].splitlines()


async def test_a_header_that_comes_twice_must_be_right_twice(make_job: Callable[..., Job]) -> None:
    response = answer(200, b"")
    response.headers.update({})
    response = type(response)(
        200, headers=[("Link", "a"), ("Link", "b")], extensions=response.extensions, content=b""
    )
    rules = {"headers": [{"name": "link", "equals": "a"}, {"name": "LINK", "matches": "^[ab]$"}]}

    outcome = await run_job(make_job("http", {"url": URL, "expect": rules}), tools_with(response))

    assert 'Answered 200, but header link: expected "a", found "b" (1 of 2)' == outcome.summary


async def test_only_a_refused_request_is_a_permanent_failure(make_job: Callable[..., Job]) -> None:
    """As without `expect`: what is wrong with the request stays wrong; a value may be right the next time."""
    wait = {"retry-after": "7"}
    for status, headers, permanent in (
        (404, {}, True), (403, wait, False), (503, wait, False), (500, {}, False), (200, wait, False)
    ):  # fmt: skip
        rules = {"expect": {"status": 200, "json": [RULE]}}
        tools = tools_with(answer(status, b'{"a": 2}', headers=headers))

        outcome = await run_job(make_job("http", {"url": URL} | rules), tools)

        assert OutcomeKind.FAILED == outcome.kind
        assert permanent is outcome.permanent, status
        assert (status != 200 and bool(headers)) is (outcome.retry_after is not None)


@pytest.mark.parametrize(
    ("body", "headers", "value"),
    [
        (b'\xef\xbb\xbf{"a": "\xc3\xa4"}', JSON, "ä"),
        ('{"a": "ä"}'.encode("utf-16"), JSON, "ä"),
        ('{"a": "ä"}'.encode("latin-1"), {"content-type": "application/json; charset=iso-8859-1"}, "ä"),
        ('{"a": "ä"}'.encode("latin-1"), {"content-type": "application/json; charset=utf-8"}, "ä"),
        ('{"a": "ä"}'.encode(), {"content-type": "text/html; charset=utf-7"}, "ä"),
        (b'{"a": "\xff"}', JSON, "ÿ"),
    ],
)
async def test_json_is_read_in_the_charset_that_it_has(
    body: bytes, headers: dict[str, str], value: str, check: Check
) -> None:
    outcome = await check(body, {"json": [{"path": "$.a", "equals": value}]}, headers=headers)

    assert OutcomeKind.SUCCEEDED == outcome.kind, outcome.summary


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"json": [RULE]}, "body: expected JSON, found more than the 256 KB that are read"),
        ({"schema": {}}, "body: expected JSON, found more than the 256 KB that are read"),
        ({"body": {"changed": "news"}}, "body: expected all of it, found more than the 256 KB that are read"),
        (
            {"body": {"contains": "z"}},
            'body: expected to contain "z", found "aaaaa" (more than the 256 KB that are read)',
        ),
    ],
)
async def test_a_body_that_is_too_long_is_not_judged_by_its_beginning(
    expect: Any, said: str, check: Check
) -> None:
    outcome = await check("aaaaa", expect, truncated=True)

    assert f"Answered 200, but {said}" == outcome.summary


async def test_what_is_found_in_the_beginning_is_found(check: Check) -> None:
    outcome = await check("aaaaa", {"body": {"contains": "a"}}, truncated=True)

    assert OutcomeKind.SUCCEEDED == outcome.kind


async def test_the_hash_of_a_body_is_of_its_bytes(check: Check) -> None:
    body = b"\xef\xbb\xbf\xff\x00body"
    digest = hashlib.sha256(body).hexdigest()

    assert OutcomeKind.SUCCEEDED == (await check(body, {"body": {"sha256": digest}})).kind
    outcome = await check(body + b"!", {"body": {"sha256": digest}})
    assert f'body: expected "{digest}"' in outcome.summary


async def test_without_a_rule_about_it_the_body_is_not_read(make_job: Callable[..., Job]) -> None:
    """A check of a file of any size is decided at the headers, as without `expect`."""

    class Unread(Exception):
        pass

    async def parts() -> Any:
        raise Unread
        yield b""

    response = answer(200)
    streamed = type(response)(200, content=parts(), extensions=response.extensions)
    rules = {"status": 200, "headers": [{"name": "ETag", "exists": False}]}

    outcome = await run_job(make_job("health_check_url", {"url": URL, "expect": rules}), tools_with(streamed))

    assert OutcomeKind.SUCCEEDED == outcome.kind


async def test_a_certificate_counts_beside_it(make_job: Callable[..., Job]) -> None:
    params = {"url": URL, "certificateDaysLeft": 14, "expect": {"json": [RULE]}}

    outcome = await run_job(make_job("health_check_url", params), tools_with(answer(200, b'{"a": 2}')))

    assert (
        "Answered 200, but $.a: expected 1, found 2; "
        "the certificate's last day could not be read, so it was not checked"
    ) == outcome.summary


async def test_no_answer_is_no_answer(make_job: Callable[..., Job], kind: str) -> None:
    tools = tools_with(FetchError("The host does not answer"))

    outcome = await run_job(make_job(kind, {"url": URL, "expect": {"json": [RULE]}}), tools)

    assert "The host does not answer" == outcome.summary


# Secrets, and what is long.


async def test_no_secret_is_shown_or_remembered(check: Check) -> None:
    """Whether it is expected, found, in a path or in what is watched; also where it would be cut."""
    body = json.dumps({"a": "x" * 92 + CANARY, "b": CANARY, CANARY: 1})
    expect = {
        "headers": [{"name": "X-Token", "equals": "{{secret:TOKEN}}"}, {"name": "X-Key", "changed": "news"}],
        "body": {"notContains": "{{secret:TOKEN}}"},
        "json": [
            {"path": "$.a", "equals": "{{secret:TOKEN}}"},
            {"path": "$.b", "changed": "news"},
            {"path": "$['{{secret:TOKEN}}']", "equals": 2},
        ],
        "schema": {"const": "{{secret:TOKEN}}"},
    }
    headers = JSON | {"X-Token": "other " + CANARY, "X-Key": CANARY}

    failure = await check(body, expect, headers=headers, secrets={"TOKEN": CANARY})

    assert OutcomeKind.FAILED == failure.kind
    assert 5 == len(failure.metrics["unmet"].splitlines()), failure.metrics["unmet"]
    assert CANARY[:6] not in repr(failure)
    watched = {
        "json": [{"path": "$.b", "changed": "news"}],
        "headers": [{"name": "X-Key", "changed": "news"}],
    }
    first = await check(
        body, watched, headers=headers, secrets={"TOKEN": CANARY}, bodyContains="{{secret:TOKEN}}"
    )
    other = await check(
        json.dumps({"b": "new " + CANARY}),
        watched,
        headers=headers,
        secrets={"TOKEN": CANARY},
        memory=dict(first.memory),
        bodyContains="{{secret:TOKEN}}",
    )
    assert other.has_news
    assert CANARY[:6] not in repr((first.memory, other))


async def test_what_is_long_is_cut(check: Check) -> None:
    body = json.dumps({"a": "y" * 100_000, "b": list(range(20_000))})
    rules = [
        {"path": "$.a", "equals": "n"},
        {"path": "$.b", "equals": []},
        {"path": "$.a", "matches": "z" * 400},
    ]

    outcome = await check(body, {"json": rules, "schema": {"additionalProperties": False}})

    lines = outcome.metrics["unmet"].splitlines()
    assert 4 == len(lines)
    assert max(map(len, lines)) < 400
    assert lines[0].endswith("…")
    assert len(outcome.summary) <= 400


# What is remembered.


@pytest.fixture
def watch(check: Check) -> Check:
    """Check after check, each with the memory that the last success left."""
    memory: dict[str, Any] = {}

    async def run(body: str, expect: dict[str, Any], **more: Any) -> Outcome:
        outcome: Outcome = await check(body, expect, memory=dict(memory), **more)
        if outcome.memory is not None:
            memory.clear()
            memory.update(outcome.memory)
        return outcome

    return run


VERSION = {"json": [{"path": "$.version", "changed": "news"}]}


async def test_a_change_is_news(watch: Check) -> None:
    """The first run has nothing to compare with: it succeeds and remembers."""
    first = await watch('{"version": "1.2"}', VERSION)
    same = await watch('{ "version" : "1.2"}', VERSION)
    changed = await watch('{"version": "1.3"}', VERSION)
    settled = await watch('{"version": "1.3"}', VERSION)

    assert [False, False, True, False] == [one.has_news for one in (first, same, changed, settled)]
    assert {OutcomeKind.SUCCEEDED} == {one.kind for one in (first, same, changed, settled)}
    assert 'Answered 200 in 84 ms; $.version changed from "1.2" to "1.3"' == changed.summary
    assert ({"title": "$.version changed", "text": 'from "1.2" to "1.3"'},) == changed.items
    assert same.memory is None  # nothing to write
    assert settled.memory is None


async def test_a_failure_remembers_nothing(watch: Check) -> None:
    """The change is news when the rest is right again: nothing is missed in between."""
    rules = {**VERSION, "status": 200}
    await watch('{"version": "1.2"}', rules)

    failure = await watch('{"version": "1.3"}', rules, status=500)
    recovered = await watch('{"version": "1.3"}', rules)

    assert (OutcomeKind.FAILED, None) == (failure.kind, failure.memory)
    assert recovered.has_news


async def test_a_value_that_must_move_and_does_not_is_a_failure(watch: Check) -> None:
    rules = {"json": [{"path": "$.backupAt", "changed": "required"}]}

    first = await watch('{"backupAt": 1}', rules)
    stale = await watch('{"backupAt": 1}', rules)
    fresh = await watch('{"backupAt": 2}', rules)

    assert [OutcomeKind.SUCCEEDED, OutcomeKind.FAILED, OutcomeKind.SUCCEEDED] == [
        one.kind for one in (first, stale, fresh)
    ]
    assert "Answered 200, but $.backupAt: expected a change since the last success, found 1" == stale.summary
    assert not fresh.has_news


async def test_a_body_and_a_header_are_watched_as_well(watch: Check) -> None:
    rules = {"body": {"changed": "news"}, "headers": [{"name": "ETag", "changed": "news"}]}
    await watch("one", rules, headers={"ETag": '"1"'})

    changed = await watch("two", rules, headers={"ETag": '"2"'})

    assert [
        {"title": "header ETag changed", "text": r'from "\"1\"" to "\"2\""'},
        {"title": "body changed"},
    ] == list(changed.items)


async def test_another_address_has_no_past(watch: Check) -> None:
    await watch('{"version": "1.2"}', VERSION)

    moved = await watch('{"version": "1.3"}', VERSION, url="https://example.com/v2")

    assert not moved.has_news


@pytest.mark.parametrize("memory", [{MEMORY_KEY: 5}, {MEMORY_KEY: {"x": 1}}, {MEMORY_KEY: []}, {"etag": "x"}])
async def test_a_memory_that_is_none_of_ours_is_no_past(memory: dict[str, Any], check: Check) -> None:
    outcome = await check('{"version": "1.2"}', VERSION, memory=memory)

    assert (OutcomeKind.SUCCEEDED, False) == (outcome.kind, outcome.has_news)


async def test_much_that_is_watched_fits_into_the_memory(check: Check) -> None:
    rules = [{"path": f"$.a{number}{'x' * 480}", "changed": "news"} for number in range(30)]
    body = json.dumps({f"a{number}{'x' * 480}": "ü" * 5000 for number in range(30)})

    outcome = await check(body, {"json": rules})

    assert OutcomeKind.SUCCEEDED == outcome.kind, outcome.summary
    assert len(json.dumps(outcome.memory)) < 32_000


# A function's value.

MODULE = """
from functions.domain.run import failed, succeeded
def value(given): return given
def nothing(): return None
def odd(): return {1, 2}
def endless():
    given = []
    given.append(given)
    return given
def huge(): return "x" * 300_000
def fine(): return succeeded("3 plants", metrics={"plants": 3})
def broken(): return failed("no water", permanent=True)
def remembered(job): return {"summary": str(sorted(job.memory)), "memory": {"n": job.memory.get("n", 0) + 1}}
"""


@pytest.fixture
def call(make_job: Callable[..., Job], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Call a function of the module above."""
    (tmp_path / "contract_garden.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "contract_garden", raising=False)
    tools = replace(tools_with(), python_tasks=("contract_garden",))

    async def run(name: str, *args: Any, expect: Any, memory: dict[str, Any] | None = None) -> Outcome:
        params = {"callable": f"contract_garden:{name}", "args": list(args), "expect": expect}
        check_params("python", params)
        return await run_job(make_job("python", params, memory=memory or {}), tools)

    return run


async def test_what_a_function_returns_may_be_any_json(call: Check) -> None:
    expect = {"json": [{"path": "$.orders", "greater": 3}], "schema": {"type": "object"}}

    right = await call("value", {"orders": 5}, expect=expect)
    wrong = await call("value", {"orders": 2}, expect=expect)

    assert (OutcomeKind.SUCCEEDED, "contract_garden:value returned a dict with orders") == (
        right.kind,
        right.summary,
    )
    assert "contract_garden:value returned, but $.orders: expected more than 3, found 2" == wrong.summary


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("odd", "a set that JSON cannot hold"),
        ("endless", "a list that JSON cannot hold"),
        ("huge", "more than the 256 KB that are read"),
    ],
)
async def test_what_is_no_json_is_unmet(name: str, found: str, call: Check) -> None:
    outcome = await call(name, expect={"json": [{"path": "$", "exists": True}]})

    assert (
        f"contract_garden:{name} returned, but returned value: expected JSON, found {found}"
        == outcome.summary
    )


async def test_a_result_in_the_usual_form_keeps_its_meaning(call: Check) -> None:
    usual = {"summary": "3 plants", "metrics": {"plants": 3}, "items": [{"title": "Rose"}]}
    expect = {"json": [{"path": "$.metrics.plants", "equals": 3}]}

    for outcome in (await call("value", usual, expect=expect), await call("fine", expect=expect)):
        assert (OutcomeKind.SUCCEEDED, "3 plants", {"plants": 3}) == (
            outcome.kind,
            outcome.summary,
            outcome.metrics,
        )
    assert "no water" == (await call("broken", expect=expect)).summary
    assert (
        OutcomeKind.SUCCEEDED
        == (await call("nothing", expect={"json": [{"path": "$", "equals": None}]})).kind
    )


async def test_a_function_keeps_its_own_memory(call: Check) -> None:
    expect = {"json": [{"path": "$.memory.n", "changed": "required"}]}

    first = await call("remembered", expect=expect, memory={"n": 4})
    second = await call("remembered", expect=expect, memory=dict(first.memory))

    assert ["['n']", "['n']"] == [first.summary, second.summary]
    assert {"n", MEMORY_KEY} == first.memory.keys()
    assert (5, 6) == (first.memory["n"], second.memory["n"])


async def test_what_a_function_remembers_stays_when_it_says_nothing(call: Check) -> None:
    expect = {"json": [{"path": "$", "changed": "news"}]}

    outcome = await call("value", "a text", expect=expect, memory={"n": 4})

    assert 4 == outcome.memory["n"]
    assert "a text" == outcome.summary


def test_a_text_that_is_read_fits_through_the_pipe() -> None:
    """A body of the largest size, all of it characters that JSON escapes, is no megabytes in the loop."""
    assert len(json.dumps("\x00" * MAX_TEXT_BYTES)) < 2_000_000
