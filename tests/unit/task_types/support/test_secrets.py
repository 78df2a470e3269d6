"""References to secrets: checked unseen, filled in at last, and masked in whatever comes of them."""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.domain.events import Event
from functions.domain.lifecycle.permissions import secret_names
from functions.domain.redaction import Redactor
from functions.domain.run import Outcome, succeeded
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.task_types.registry import Tools, check_params, run_job
from functions.task_types.support.limits import clamp_outcome
from functions.task_types.support.secrets import check_references, redactor_for, resolve_secrets
from tests.unit.task_types.conftest import answer, calls_of, tools_with

CANARY = "c4nary+value/of-a-secret"
URL = "https://example.com/hook"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MakeJob = Callable[..., Job]


def knowing(tools: Tools, **secrets: str) -> Tools:
    return replace(tools, secrets={"TOKEN": CANARY} | secrets)


def texts(outcome: Outcome) -> str:
    return json.dumps(
        [outcome.summary, dict(outcome.metrics), list(outcome.items), outcome.memory], ensure_ascii=False
    )


def test_references_are_found_wherever_texts_are() -> None:
    params = {"a": "{{secret:ONE}}", "b": [{"c": "x {{ secret: two }} {{secret:ONE}}"}], "d": 1, "e": "{{x}}"}

    assert ("ONE", "two") == secret_names(params)


def test_a_value_that_looks_like_a_reference_is_not_filled_again() -> None:
    assert {"a": "<{{secret:B}}>"} == resolve_secrets(
        {"a": "<{{secret:A}}>"}, {"A": "{{secret:B}}", "B": CANARY}
    )


async def test_the_value_arrives_and_nothing_else_of_the_job_holds_it(make_job: MakeJob) -> None:
    params = {
        "url": f"{URL}?k={{{{secret:TOKEN}}}}",
        "headers": {"X-Key": "{{secret:TOKEN}}"},
        "method": "POST",
        "json": {"deep": ["{{secret:TOKEN}}"]},
    }
    job, tools = make_job("http", params), knowing(tools_with(answer(200)))

    outcome = await run_job(job, tools)

    assert OutcomeKind.SUCCEEDED is outcome.kind
    [call] = calls_of(tools)
    assert (f"{URL}?k={CANARY}", CANARY) == (str(call.url), call.headers["X-Key"])
    assert {"deep": [CANARY]} == json.loads(call.content)
    assert CANARY not in repr(job)
    assert CANARY not in repr(knowing(tools_with()))


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"bearer": "{{secret:TOKEN}}"}, f"Bearer {CANARY}"),
        (
            {"basic": {"user": "ann", "password": "{{secret:TOKEN}}"}},
            "Basic " + base64.b64encode(f"ann:{CANARY}".encode()).decode(),
        ),
    ],
)
async def test_who_asks_is_proved_by_reference(
    auth: Mapping[str, Any], header: str, make_job: MakeJob
) -> None:
    tools = knowing(tools_with(answer(200)))
    check_params("http", {"url": URL, "auth": auth})

    await run_job(make_job("http", {"url": URL, "auth": auth}), tools)

    assert header == calls_of(tools)[0].headers["Authorization"]


@pytest.mark.parametrize(
    "auth",
    [
        {"bearer": CANARY},
        {"bearer": "Bearer {{secret:TOKEN}}"},
        {"basic": {"user": "ann", "password": CANARY}},
        {},
        {"bearer": "{{secret:TOKEN}}", "basic": {"user": "a", "password": "{{secret:TOKEN}}"}},
        {"basic": {"user": "a:b", "password": "{{secret:TOKEN}}"}},
    ],
)
async def test_a_secret_is_never_written_into_a_task(auth: Mapping[str, Any], make_job: MakeJob) -> None:
    """Neither by a file, nor by who writes into the store."""
    with pytest.raises(InputError, match=r"^params\.auth") as told:
        check_params("http", {"url": URL, "auth": auth})
    tools = knowing(tools_with(answer(200)))
    outcome = await run_job(make_job("http", {"url": URL, "auth": auth}), tools)

    assert CANARY not in str(told.value)
    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert [] == calls_of(tools)


def test_two_ways_of_proving_are_one_too_many() -> None:
    with pytest.raises(InputError, match="either auth or a header Authorization"):
        check_params(
            "http", {"url": URL, "auth": {"bearer": "{{secret:A}}"}, "headers": {"authorization": "x"}}
        )


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("http", {"url": "{{secret:HOOK}}"}),
        ("http", {"url": "https://{{secret:HOST}}/x/{{secret:PATH}}?{{secret:QUERY}}"}),
        ("http", {"url": URL, "timeoutSeconds": "{{secret:S}}", "method": "{{secret:M}}"}),
        ("http", {"url": URL, "expectedStatus": "{{secret:S}}"}),
        ("http", {"url": URL, "form": {"a": ["{{secret:A}}"]}, "query": {"q": "{{secret:Q}}"}}),
        ("rss_watch", {"feedUrl": "{{secret:FEED}}"}),
        ("rss_watch", {"feed_url": "{{secret:FEED}}"}),
        ("health_check_url", {"url": "{{secret:URL}}", "certificateDaysLeft": 5}),
    ],
)
def test_a_reference_may_stand_in_any_field(name: str, params: dict[str, Any]) -> None:
    """What it will be is not known when the task is saved, so nothing is wrong with it yet."""
    check_params(name, params)


@pytest.mark.parametrize(
    ("name", "params", "fault"),
    [
        ("http", {"url": "{{secret:A}}", "method": "FETCH"}, r"params\.method: "),
        ("http", {"url": "ftp://{{secret:A}}/"}, r"params\.url: The URL must start with http"),
        ("http", {"url": URL, "headers": "{{secret:A}}"}, r"params\.headers: "),
        ("http", {"url": URL, "other": "{{secret:A}}"}, r"params\.other: unknown"),
        ("http", {"headers": {"X": "{{secret:A}}"}}, r"params\.url: is required"),
        ("http", {"url": URL, "headers": {"X-{{secret:A}}": "x"}}, r"params\.headers: A header's name"),
        ("http", {"url": "{{secret:bad-name}}"}, r"params\.url: write a secret as \{\{secret:NAME\}\}"),
        ("http", {"url": "{{secret:}}"}, r"params\.url: write a secret as"),
        ("http", {"url": URL, "body": " ".join(f"{{{{secret:S{n}}}}}" for n in range(21))}, "at most 20"),
        ("command", {"command": "curl -H {{secret:A}} x"}, r"params\.command: a secret does not belong"),
        ("command", {"command": ["curl", "{{secret:A}}"]}, r"params\.command\.1: a secret does not belong"),
        ("github_dispatch", {"token": CANARY}, r"params\.token: must be a reference"),
    ],
)
def test_all_else_is_checked_as_ever(name: str, params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault) as told:
        check_params(name, params)

    assert CANARY not in str(told.value)


async def test_an_unknown_secret_fails_for_good_and_is_named(make_job: MakeJob) -> None:
    tools = knowing(tools_with(answer(200)))

    outcome = await run_job(make_job("http", {"url": "{{secret:NOBODY}}"}), tools)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "params: there is no secret NOBODY; set TASK_SECRET_NOBODY" == outcome.summary
    assert [] == calls_of(tools)


@pytest.mark.parametrize("name", ["CRON_SECRET", "STORE_URL", "PATH", "TASK_SECRET_TOKEN", "token"])
async def test_nothing_but_the_secrets_of_tasks_can_be_named(
    name: str, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task's author must not be able to read our own secrets, nor the cloud's."""
    monkeypatch.setenv(name, CANARY)
    tools = knowing(tools_with(answer(200)))

    outcome = await run_job(make_job("http", {"url": f"{URL}?{{{{secret:{name}}}}}"}), tools)

    assert f"params: there is no secret {name}; set TASK_SECRET_{name}" == outcome.summary


async def test_a_value_that_does_not_fit_its_field_is_not_shown(make_job: MakeJob) -> None:
    tools = knowing(tools_with(answer(200)))

    outcome = await run_job(make_job("http", {"url": "{{secret:TOKEN}}"}), tools)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert outcome.summary.startswith("params.url: ")
    assert CANARY not in texts(outcome)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "echo",
    [
        CANARY,
        json.dumps({"you": CANARY}),
        base64.b64encode(f"user:{CANARY}".encode()).decode(),
        base64.urlsafe_b64encode(f"u:{CANARY} and more".encode()).decode(),
        "c4nary%2Bvalue%2Fof-a-secret",
        "x" * 290 + CANARY,
        "x" * 8185 + CANARY,
    ],
    ids=["plain", "json", "basic", "base64url", "url", "cut-short", "cut-long"],
)
async def test_an_answer_that_echoes_a_secret_is_masked(status: int, echo: str, make_job: MakeJob) -> None:
    """As it is, encoded, or cut in two by the end of the snippet."""
    tools = knowing(tools_with(answer(status, echo.encode())))

    outcome = await run_job(make_job("http", {"url": URL, "body": "{{secret:TOKEN}}"}), tools)

    snippet = outcome.metrics["snippet"]
    assert "c4nary" not in snippet
    assert "***" in snippet or snippet.endswith(("x*", "x**", "x"))
    assert base64.b64encode(CANARY.encode())[4:16].decode() not in snippet


def test_everything_an_outcome_holds_is_masked_before_it_is_cut() -> None:
    digits = "8675309867"
    given = succeeded(
        "s" * 390 + CANARY,
        metrics={"word": CANARY, f"n-{CANARY}": 1, "number": int(digits), "ok": True, "share": 0.5},
        items=({"title": "t" * 195 + CANARY, "url": f"https://example.com/{CANARY}", "text": CANARY},),
        memory={"deep": [{CANARY: CANARY}, int(digits), True, None]},
    )

    redact = redactor_for([CANARY, digits])

    outcome = clamp_outcome(given, task_type="odd", redact=redact, redact_memory=redact)

    assert "c4n" not in texts(outcome)
    assert digits not in texts(outcome)
    assert (True, 0.5) == (outcome.metrics["ok"], outcome.metrics["share"])
    assert {"deep": [{"***": "***"}, "***", True, None]} == outcome.memory


def test_events_are_masked_before_anybody_receives_them() -> None:
    event = Event(
        id=f"id-{CANARY}", type="order.paid", subject=CANARY, time=NOON, data={CANARY: [{"deep": CANARY}, 1]}
    )

    outcome = clamp_outcome(succeeded("ok", events=(event,)), task_type="odd", redact=redactor_for([CANARY]))

    assert [{"***": [{"deep": "***"}, 1]}] == [one.data for one in outcome.events]
    assert [("id-***", "***", "order.paid")] == [(one.id, one.subject, one.type) for one in outcome.events]


async def test_operators_secrets_are_masked_before_a_type_cuts_its_text(make_job: MakeJob) -> None:
    """A name that is cut after 40 characters would otherwise show the secret's beginning."""
    tools = replace(tools_with(), redact=Redactor([CANARY]), python_tasks=("tests",))
    job = make_job("python", {"callable": f"{__name__}:returns_an_odd_name"})

    outcome = await run_job(job, tools)

    assert CANARY[:3] not in outcome.summary
    assert "***" in outcome.summary


def returns_an_odd_name() -> dict[str, str]:
    return {"x" * 25 + CANARY: ""}


def test_memory_keeps_what_only_looks_secret() -> None:
    """A feed's ETag such as `token=abc` must come back as it was."""
    given = succeeded("ok", memory={"etag": 'W/"token=abcdef"'})

    assert given.memory == clamp_outcome(given, task_type="odd", redact=Redactor([CANARY])).memory


@pytest.mark.parametrize("fault", [RuntimeError(CANARY), KeyError(CANARY)])
async def test_a_crash_tells_no_secret(
    fault: Exception, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tools = knowing(tools_with(fault))

    outcome = await run_job(make_job("http", {"url": f"{URL}?{{{{secret:TOKEN}}}}"}), tools)

    assert CANARY not in texts(outcome)
    assert CANARY not in "".join(repr(vars(record)) for record in caplog.records)


def test_a_field_for_references_alone_may_be_left_out() -> None:
    check_references({"url": URL}, reference_only=("auth.bearer",), no_references=("command",))


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        ('{"password": "', 'Zq\\"7-p\\u00e4r%, 81/xk+'),
        ('{"password": "', 'Zq\\"7-pär%, 81/xk+'),
        ("user=ann&password=", "Zq%227-p%C3%A4r%25%2C+81%2Fxk%2B"),
        ("/books?key=", "Zq%227-p%C3%A4r%25%2C%2081%2Fxk%2B"),
        ("/books/", "Zq%227-p%C3%A4r%25,%2081/xk+"),
    ],
    ids=["json", "json-utf8", "form", "query", "path"],
)
def test_a_secret_is_masked_in_a_request_that_a_server_quotes_in_base64(before: str, sent: str) -> None:
    quoted = base64.b64encode(f"{before}{sent} and more".encode()).decode()

    masked = redactor_for(['Zq"7-pär%, 81/xk+'])(quoted)

    assert quoted.startswith(masked.partition("***")[0])
    left = masked.replace("***", "." * (len(quoted) - len(masked) + 3))  # at its old place
    shown = base64.b64decode(left.replace(".", "A")).decode("utf-8", "replace")
    assert before[:-2] in shown
    assert not [sent[at : at + 4] for at in range(len(sent) - 3) if sent[at : at + 4] in shown]
