"""`github_dispatch`: what GitHub is sent, and what each of its answers means for the next try."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.http_client.client import build_guarded_client
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools, check_params, run_job
from tests.unit.task_types.conftest import NOON, FakeRecords, answer, calls_of, tools_with

TOKEN = "ghp_c4nary-token-of-github"
OWN = "ghp_c4nary-token-of-the-task"
PARAMS: dict[str, Any] = {
    "repository": "octo-org/site",
    "eventType": "nightly",
    "clientPayload": {"a": [1, "ü"]},
}
Ask = Callable[..., Any]


@pytest.fixture
def ask(make_job: Callable[..., Job]) -> Ask:
    """Perform one dispatch that is answered so."""

    async def run(status: int, body: Any = None, **headers: str) -> Outcome:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = answer(status, json.dumps(body).encode() if body is not None else b"", headers=named)
        return await run_job(
            make_job("github_dispatch", PARAMS), replace(tools_with(response), github_token=TOKEN)
        )

    return run


@pytest.fixture
async def github() -> AsyncIterator[tuple[str, list[Mapping[str, Any]]]]:
    """A server that takes events for one repository; its address, and what it was sent."""
    taken: list[Mapping[str, Any]] = []

    async def dispatches(request: web.Request) -> web.Response:
        if request.headers["Authorization"] not in (f"Bearer {TOKEN}", f"Bearer {OWN}"):
            return web.json_response({"message": "Bad credentials"}, status=401)
        taken.append({"path": request.path, "headers": dict(request.headers), "body": await request.json()})
        return web.Response(status=204)

    async def moved(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return web.json_response(
            {"message": "Moved"}, status=status, headers={"Location": "/repos/octo-org/site/dispatches"}
        )

    app = web.Application()
    app.router.add_post("/repos/octo_corp/{status}/dispatches", moved)
    app.router.add_post("/repos/octo-org/site/dispatches", dispatches)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", taken
    await runner.cleanup()


@pytest.fixture
async def over_the_wire(github: tuple[str, list[Mapping[str, Any]]]) -> AsyncIterator[Tools]:
    client = build_guarded_client(allow_private=True)
    yield Tools(
        open_http=lambda: client,
        open_store=lambda owner: FakeRecords(),
        parse=parse_here,
        github_token=TOKEN,
        github_api=f"{github[0]}/",
    )
    await client.close_connections()


async def test_the_event_arrives_as_github_wants_it(
    over_the_wire: Tools, github: tuple[str, list[Mapping[str, Any]]], make_job: Callable[..., Job]
) -> None:
    outcome = await run_job(make_job("github_dispatch", PARAMS), over_the_wire)

    assert (OutcomeKind.SUCCEEDED, "GitHub accepted the event nightly for octo-org/site") == (
        outcome.kind,
        outcome.summary,
    )
    [sent] = github[1]
    assert {"event_type": "nightly", "client_payload": {"a": [1, "ü"]}} == sent["body"]
    assert "application/vnd.github+json" == sent["headers"]["Accept"]
    assert "2022-11-28" == sent["headers"]["X-GitHub-Api-Version"]


async def test_a_task_may_bring_a_token_of_its_own(
    over_the_wire: Tools, github: tuple[str, list[Mapping[str, Any]]], make_job: Callable[..., Job]
) -> None:
    job = make_job("github_dispatch", PARAMS | {"token": "{{secret:SITE}}"})

    outcome = await run_job(job, replace(over_the_wire, secrets={"SITE": OWN}))

    assert OutcomeKind.SUCCEEDED is outcome.kind
    assert [f"Bearer {OWN}"] == [sent["headers"]["Authorization"] for sent in github[1]]


async def test_an_event_follows_a_repository_that_was_renamed(
    over_the_wire: Tools, github: tuple[str, list[Mapping[str, Any]]], make_job: Callable[..., Job]
) -> None:
    """Its owner is a managed user's account, whose name has an underscore."""
    outcome = await run_job(
        make_job("github_dispatch", PARAMS | {"repository": "octo_corp/307"}), over_the_wire
    )

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert ["nightly"] == [sent["body"]["event_type"] for sent in github[1]]


@pytest.mark.parametrize("status", [301, 302])
async def test_a_redirect_that_drops_the_event_is_no_missing_repository(
    status: int, over_the_wire: Tools, make_job: Callable[..., Job]
) -> None:
    """From http to https of an Enterprise server, say, or to the page where people sign in."""
    job = make_job("github_dispatch", PARAMS | {"repository": f"octo_corp/{status}"})

    outcome = await run_job(job, over_the_wire)

    assert outcome.summary.startswith("The call was redirected, and the event was not sent on")
    assert "GITHUB_API_URL" in outcome.summary
    assert outcome.permanent


async def test_a_token_that_is_wrong_is_said_and_not_shown(
    over_the_wire: Tools, make_job: Callable[..., Job]
) -> None:
    tools = replace(over_the_wire, github_token="ghp_c4nary-wrong")

    outcome = await run_job(make_job("github_dispatch", PARAMS), tools)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "GitHub does not accept the token; it may have expired: Bad credentials" == outcome.summary
    assert "c4nary" not in repr(outcome)


async def test_without_a_token_nothing_is_sent(make_job: Callable[..., Job]) -> None:
    tools = tools_with()

    outcome = await run_job(make_job("github_dispatch", PARAMS), tools)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert "set GITHUB_TOKEN" in outcome.summary
    assert [] == calls_of(tools)


@pytest.mark.parametrize(
    ("status", "body", "summary"),
    [
        (403, None, "The token may not write to octo-org/site; give it write access to contents"),
        (
            404,
            {"message": "Not Found"},
            "There is no repository octo-org/site, or the token may not see it: Not Found",
        ),
        (
            422,
            {"message": "Invalid\nrequest"},
            "GitHub does not accept the event type or the payload: Invalid request",
        ),
        (200, None, "GitHub answered 200 instead of 204"),
        (410, ["odd"], "GitHub answered 410 instead of 204"),
    ],
)
async def test_a_refusal_is_explained_and_final(status: int, body: Any, summary: str, ask: Ask) -> None:
    outcome = await ask(status, body)

    assert (OutcomeKind.FAILED, summary, True) == (outcome.kind, outcome.summary, outcome.permanent)
    assert {"status": status, "latencyMs": 84} == outcome.metrics


RESET = str(int((NOON + timedelta(minutes=9)).timestamp()))
PAST = str(int((NOON - timedelta(minutes=9)).timestamp()))


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (403, {"retry_after": "30"}, None, 30),
        (429, {"retry_after": "30"}, None, 30),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": RESET}, None, 540),
        (429, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": RESET}, None, 540),
        (403, {"retry_after": "30", "x_ratelimit_remaining": "0", "x_ratelimit_reset": RESET}, None, 30),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": PAST}, None, 1),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "9" * 30}, None, 604_800),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "soon"}, None, 60),
        (403, {}, {"message": "You have exceeded a secondary rate limit"}, 60),
        (429, {}, None, 60),
    ],
)
async def test_a_rate_limit_is_obeyed(
    status: int, headers: dict[str, str], body: Any, seconds: int, ask: Ask
) -> None:
    outcome = await ask(status, body, **headers)

    assert ("GitHub's rate limit is used up", False) == (outcome.summary, outcome.permanent)
    assert timedelta(seconds=seconds) == outcome.retry_after


async def test_the_wait_for_a_limit_is_counted_from_the_answer(make_job: Callable[..., Job]) -> None:
    late = answer(429, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET})
    late.extensions["elapsed_ms"] = 15_200

    outcome = await run_job(
        make_job("github_dispatch", PARAMS), replace(tools_with(late), github_token=TOKEN)
    )

    assert timedelta(seconds=525) == outcome.retry_after


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_fault_of_githubs_own_is_worth_another_try(status: int, ask: Ask) -> None:
    outcome = await ask(status)

    assert (OutcomeKind.FAILED, False) == (outcome.kind, outcome.permanent)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repository": "site"}, "repository"),
        ({"repository": "octo/../site"}, "repository"),
        ({"repository": "octo/site/dispatches"}, "repository"),
        ({"repository": "octo/si te"}, "repository"),
        ({"repository": "octo/.."}, "repository"),
        ({"eventType": ""}, "eventType"),
        ({"eventType": "x" * 101}, "eventType"),
        ({"clientPayload": {str(n): n for n in range(11)}}, "clientPayload"),
        ({"clientPayload": {"a": "ü" * 40_000}}, "clientPayload"),
        ({"token": OWN}, "token"),
    ],
)
def test_what_github_would_refuse_is_refused_when_the_task_is_saved(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InputError, match=rf"params\.{field}: ") as told:
        check_params("github_dispatch", PARAMS | changes)

    assert OWN not in str(told.value)
