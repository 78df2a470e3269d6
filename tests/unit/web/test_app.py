"""The endpoint: addresses, callers, budgets, and answers when things go wrong."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.responses import PlainTextResponse

from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET, TimeBudget
from functions.errors import SettingsError, StoreError, StoreUnavailableError
from functions.web.app import (
    MAX_BODY_BYTES,
    TriggerApp,
    remaining_budget,
    time_budget_for,
)
from functions.web.auth import (
    MAX_TOKEN_CHARS,
    Authenticator,
    Caller,
    GooglePrincipal,
    GoogleTokenVerifier,
    SecretPrincipal,
    SharedSecrets,
)
from tests.unit.web.asgi import Answer, ask
from tests.unit.web.fakes import RETIRING, SECRET, FakeGoogle, FakeWired, id_token

MakeDoor = Callable[..., TriggerApp]
KEY = ("Authorization", f"Bearer {SECRET}")
CANARY = "canary-a-text-nobody-may-see"


def seconds(stop_starting: float, answer_by: float) -> TimeBudget:
    return TimeBudget(
        start_limit=timedelta(seconds=stop_starting), response_limit=timedelta(seconds=answer_by)
    )


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("path", ["/", "/tick", "/tick/"])
async def test_a_post_with_the_secret_is_one_tick(make_door: MakeDoor, path: str) -> None:
    """Failed tasks are a fact about tasks; the tick worked, and its pinger gets 200."""
    wired = FakeWired()

    answer = await ask(make_door(wired), "POST", path, KEY)

    assert (200, {"status": "ok", "due": 2, "failed": 2}) == (answer.status, answer.json)
    assert 1 == len(wired.budgets)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_status_is_for_those_who_may_ask(make_door: MakeDoor, method: str) -> None:
    known = await ask(make_door(), method, "/status", KEY)
    stranger = await ask(make_door(), method, "/status")

    assert (200, {"status": "healthy", "scheduledTasks": 15}) == (known.status, known.json)
    assert 401 == stranger.status


async def test_healthz_touches_nothing_and_asks_nobody() -> None:
    """A probe must not wake the store, or tell a stranger anything about tasks."""

    def wire() -> FakeWired:
        raise AssertionError("nothing is built for a probe")

    endpoint = TriggerApp(
        authenticator=Authenticator(SharedSecrets(SECRET)),
        build_app=wire,
        response_limit=timedelta(seconds=24),
    )
    answer = await ask(endpoint, "GET", "/healthz")

    assert (200, {"status": "ok"}) == (answer.status, answer.json)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/", "POST"),
        ("GET", "/tick", "POST"),
        ("HEAD", "/tick", "POST"),
        ("PUT", "/tick", "POST"),
        ("OPTIONS", "/tick", "POST"),
        ("POST", "/status", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(
    make_door: MakeDoor, method: str, path: str, allowed: str
) -> None:
    """A browser, or a link checker, that follows a link must not start a tick."""
    wired = FakeWired()

    answer = await ask(make_door(wired), method, path, KEY)

    assert (405, allowed, []) == (answer.status, answer.headers["allow"], wired.budgets)


@pytest.mark.parametrize("path", ["/ticks", "/tick/now", "/api/tasks", "/TICK", "/healthz/x", "/status.json"])
async def test_nothing_else_is_here(make_door: MakeDoor, path: str) -> None:
    answer = await ask(make_door(), "POST", path, KEY)

    assert (404, 404) == (answer.status, answer.json["status"])


async def test_what_people_use_is_for_the_rest() -> None:
    """The rest shares the parts of the endpoint: one process has one store."""
    wired = FakeWired()
    handed: list[object] = []

    def rest(parts: object) -> PlainTextResponse:
        handed.append(parts)
        return PlainTextResponse("the API")

    gate = Authenticator(SharedSecrets(SECRET))
    endpoint = TriggerApp(
        authenticator=gate, build_app=lambda: wired, response_limit=timedelta(seconds=24), build_api=rest
    )
    answer = await ask(endpoint, "GET", "/api/tasks")

    assert (200, b"the API") == (answer.status, answer.body)
    assert [wired] == handed


@pytest.mark.parametrize(
    ("method", "accept", "status"),
    [
        ("GET", "text/html,application/xhtml+xml,*/*;q=0.8", 302),
        ("HEAD", "text/html", 302),
        ("GET", "*/*", 405),
        ("GET", "", 405),
        ("PUT", "text/html", 405),
        ("POST", "text/html", 401),
    ],
)
async def test_a_browser_at_the_bare_address_is_led_to_the_dashboard_and_nobody_else(
    method: str, accept: str, status: int
) -> None:
    def wire() -> FakeWired:
        raise AssertionError("nothing is built for it")

    endpoint = TriggerApp(
        authenticator=Authenticator(SharedSecrets(SECRET)),
        build_app=wire,
        response_limit=timedelta(seconds=24),
        build_api=lambda _: PlainTextResponse("the API"),
    )

    answer = await ask(endpoint, method, "/", ("Accept", accept))

    assert status == answer.status
    assert ("/dashboard" if status == 302 else None) == answer.headers.get("location")


@pytest.mark.parametrize("path", ["/wp-login.php", "/.env", "/apis", "/favicon.ico"])
async def test_guesses_of_strangers_load_nothing(path: str) -> None:
    def wire() -> FakeWired:
        raise AssertionError("nothing is built for a guess")

    def rest(_: object) -> PlainTextResponse:
        raise AssertionError("nor loaded")

    gate = Authenticator(SharedSecrets(SECRET))
    endpoint = TriggerApp(
        authenticator=gate, build_app=wire, response_limit=timedelta(seconds=24), build_api=rest
    )

    assert 404 == (await ask(endpoint, "GET", path)).status


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("0", 200),
        (str(MAX_BODY_BYTES), 200),
        (str(MAX_BODY_BYTES + 1), 413),
        ("9" * 30, 413),
        ("²", 200),
        ("-1", 200),
    ],
)
async def test_a_long_body_is_refused_and_a_short_one_ignored(
    make_door: MakeDoor, length: str, status: int
) -> None:
    answer = await ask(make_door(), "POST", "/tick", KEY, ("Content-Length", length))

    assert status == answer.status


WRONG: list[tuple[str, ...]] = [
    ("Bearer wrong",),
    (f"Bearer {SECRET}x",),
    (f"Bearer {SECRET[:-1]}",),
    ("Bearer é" + "é" * 40,),
    ("Bearer " + "x" * (MAX_TOKEN_CHARS + 1),),
    ("Bearer a.b.c",),
    (f"Bearer {id_token()}",),
]
ABSENT: list[tuple[str, ...]] = [
    (),
    ("",),
    (SECRET,),
    (f"Basic {SECRET}",),
    (f"Bearer {SECRET} {SECRET}",),
    (f"Bearer {SECRET}", f"Bearer {SECRET}"),
]


@pytest.mark.parametrize("authorization", WRONG + ABSENT)
async def test_every_stranger_gets_the_same_body(make_door: MakeDoor, authorization: tuple[str, ...]) -> None:
    """What exactly was wrong would help in guessing."""
    wired = FakeWired()
    headers = [("Authorization", value) for value in authorization]
    challenge = 'Bearer realm="cronfire"' + (', error="invalid_token"' if authorization in WRONG else "")

    answer = await ask(make_door(wired), "POST", "/tick", *headers)

    assert 401 == answer.status
    assert "application/problem+json" == answer.headers["content-type"]
    assert {
        "type": "about:blank",
        "title": "A valid key is required",
        "status": 401,
        "detail": "A valid bearer token is required",
    } == answer.json
    assert challenge == answer.headers["www-authenticate"]
    assert [] == wired.budgets


async def test_the_secret_counts_in_the_header_only(make_door: MakeDoor) -> None:
    """Addresses end up in logs."""
    answers = [
        await ask(make_door(), "POST", "/tick", ("X-Cron-Secret", SECRET)),
        await ask(make_door(), "POST", f"/tick?secret={SECRET}"),
    ]

    assert [401, 422] == [answer.status for answer in answers]


async def test_a_refusal_is_logged_with_its_reason_and_without_the_token(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(make_door(), "POST", "/tick", ("Authorization", f"Bearer {CANARY}"))

    assert [("WARNING", "caller_refused")] == events(caplog)
    assert "wrong_secret" == vars(caplog.records[0])["reason"]
    assert CANARY not in str(vars(caplog.records[0]))


async def test_only_the_retiring_secret_leaves_a_line(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    """It tells whether a pinger still has to be changed before the old secret can go."""
    await ask(make_door(), "POST", "/tick", KEY)
    live = events(caplog)
    answer = await ask(make_door(), "POST", "/tick", ("Authorization", f"Bearer {RETIRING}"))

    assert [] == live
    assert [("WARNING", "secret_retiring_used")] == events(caplog)
    assert 200 == answer.status


async def test_google_opens_with_an_id_token(make_door: MakeDoor, id_tokens: GoogleTokenVerifier) -> None:
    endpoint = make_door(id_tokens=id_tokens)

    answers = [
        await ask(endpoint, "POST", "/tick", ("Authorization", f"Bearer {token}"))
        for token in (id_token(), id_token(exp=-3600), id_token(email="stranger@example.com"), SECRET)
    ]

    assert [200, 401, 403, 200] == [answer.status for answer in answers]
    assert 'Bearer realm="cronfire", error="insufficient_scope"' == answers[2].headers["www-authenticate"]


async def test_a_caller_nobody_can_verify_may_come_again(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier, google: FakeGoogle
) -> None:
    """To tell a caller who may be right that he is wrong would be a lie."""
    google.status = 500
    endpoint = make_door(id_tokens=id_tokens)

    token = await ask(endpoint, "POST", "/tick", ("Authorization", f"Bearer {id_token()}"))
    secret = await ask(endpoint, "POST", "/tick", KEY)

    assert (503, "30") == (token.status, token.headers["retry-after"])
    assert 200 == secret.status


async def test_an_overlong_token_never_reaches_the_check(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier, google: FakeGoogle
) -> None:
    token = id_token(filler="x" * MAX_TOKEN_CHARS)

    answer = await ask(make_door(id_tokens=id_tokens), "POST", "/tick", ("Authorization", f"Bearer {token}"))

    assert [401, 0] == [answer.status, google.asked]


FAILURES = [
    (StoreUnavailableError(CANARY), "The store could not be reached in time"),
    (StoreError(CANARY), "The store refused the work"),
    (SettingsError(CANARY), "The scheduler failed; its log has the details"),
    (RuntimeError(CANARY), "The scheduler failed; its log has the details"),
    (TimeoutError(CANARY), "The scheduler failed; its log has the details"),
]


@pytest.mark.parametrize(("failure", "reason"), FAILURES)
async def test_a_failed_tick_is_degraded_for_each_pinger_in_its_own_way(
    make_door: MakeDoor,
    id_tokens: GoogleTokenVerifier,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    reason: str,
) -> None:
    """cron-job.org switches a job off after repeated HTTP errors; Google's pinger should see one."""
    endpoint = make_door(FakeWired(failure), id_tokens=id_tokens)

    secret = await ask(endpoint, "POST", "/tick", KEY)
    google = await ask(endpoint, "POST", "/tick", ("Authorization", f"Bearer {id_token()}"))

    assert [200, 503] == [secret.status, google.status]
    assert [{"status": "degraded", "reason": reason}] * 2 == [secret.json, google.json]
    assert [("ERROR", "tick_degraded")] * 2 == events(caplog)


async def test_an_unexpected_failure_is_logged_with_its_stack(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture
) -> None:
    await ask(make_door(FakeWired(RuntimeError(CANARY))), "POST", "/tick", KEY)

    assert CANARY in (logging.Formatter().format(caplog.records[0]))


@pytest.mark.parametrize("path", ["/status", "/metrics"])
async def test_a_failed_status_is_an_error_for_everybody(
    make_door: MakeDoor, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """Whoever asks for the status wants to know; nobody switches a job off for it."""
    answer = await ask(make_door(FakeWired(StoreUnavailableError(CANARY))), "GET", path, KEY)

    assert (503, "degraded") == (answer.status, answer.json["status"])
    assert [("ERROR", f"{path[1:]}_degraded")] == events(caplog)


async def test_a_tick_that_hangs_is_cut_off(
    make_door: MakeDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last line of defence: the pinger hangs up soon after."""
    monkeypatch.setattr("functions.web.app.MAX_OVERRUN", timedelta(seconds=0.05))
    endpoint = make_door(FakeWired(hangs=True), answer_by=timedelta(seconds=0.05))

    async with asyncio.timeout(2):
        answer = await ask(endpoint, "POST", "/tick", KEY)

    assert {"status": "degraded", "reason": "It took too long"} == answer.json
    assert [("ERROR", "tick_degraded")] == events(caplog)


async def test_parts_that_cannot_be_built_are_tried_again() -> None:
    built: list[FakeWired] = []

    def wire() -> FakeWired:
        built.append(FakeWired())
        if len(built) == 1:
            raise StoreError(CANARY)
        return built[-1]

    endpoint = TriggerApp(
        authenticator=Authenticator(SharedSecrets(SECRET)),
        build_app=wire,
        response_limit=timedelta(seconds=24),
    )
    answers = [await ask(endpoint, "POST", "/tick", KEY) for _ in range(3)]

    assert ["degraded", "ok", "ok"] == [answer.json["status"] for answer in answers]
    assert [0, 2] == [len(wired.budgets) for wired in built]


def test_parts_are_built_once_for_each_loop() -> None:
    """Clients belong to the loop that made them; at import there is none, and the server forks later."""
    built: list[asyncio.AbstractEventLoop] = []

    def wire() -> FakeWired:
        built.append(asyncio.get_running_loop())
        return FakeWired()

    endpoint = TriggerApp(
        authenticator=Authenticator(SharedSecrets(SECRET)),
        build_app=wire,
        response_limit=timedelta(seconds=24),
    )

    async def ask_at_once() -> list[Answer]:
        return await asyncio.gather(*(ask(endpoint, "POST", "/tick", KEY) for _ in range(5)))

    before = len(built)
    answers = asyncio.run(ask_at_once()) + asyncio.run(ask_at_once())

    assert [200] * 10 == [answer.status for answer in answers]
    assert [0, 2, 2] == [before, len(built), len(set(built))]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/tick", [KEY]),
        ("POST", "/tick", []),
        ("GET", "/tick", []),
        ("GET", "/nothing", []),
        ("GET", "/healthz", []),
        ("POST", "/tick", [("Content-Length", "70000")]),
    ],
)
async def test_every_answer_is_json_nobody_keeps(
    make_door: MakeDoor, method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    answer = await ask(make_door(), method, path, *headers)

    names = ("content-type", "cache-control", "x-content-type-options")
    kind = "application/json" if answer.status == 200 else "application/problem+json"
    assert [kind, "no-store", "nosniff"] == [answer.headers[name] for name in names]
    assert isinstance(answer.json, dict)


SCHEDULER = {"x-cloudscheduler": "true"}
GOOGLE = GooglePrincipal("pinger@example.com")


@pytest.mark.parametrize(
    ("caller", "headers", "answer_by", "expected"),
    [
        (SecretPrincipal(), {}, 24, seconds(18, 24)),
        (SecretPrincipal(), SCHEDULER, 24, seconds(18, 24)),
        (GOOGLE, {}, 24, seconds(18, 24)),
        (GOOGLE, {"x-cloudscheduler": "false"}, 24, seconds(18, 24)),
        (GOOGLE, {"x-cloudscheduler-jobname": "tick"}, 24, seconds(18, 24)),
        (GOOGLE, SCHEDULER, 24, seconds(45, 52)),
        (GOOGLE, {"x-cloudscheduler": "True"}, 8, seconds(45, 52)),
        (SecretPrincipal(), {}, 300, seconds(294, 300)),
        (SecretPrincipal(), {}, 12, seconds(6, 12)),
        (SecretPrincipal(), {}, 10, seconds(5, 10)),
        (SecretPrincipal(), {}, 4, seconds(2, 4)),
    ],
)
def test_the_budget_follows_from_who_is_known_to_be_calling(
    caller: Caller, headers: Mapping[str, str], answer_by: float, expected: TimeBudget
) -> None:
    """Anybody can send a header; only with an ID token is it believed."""
    assert expected == time_budget_for(caller, headers, response_limit=timedelta(seconds=answer_by))


async def test_the_tick_gets_the_budget_of_its_pinger(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier
) -> None:
    wired = FakeWired()
    endpoint = make_door(wired, id_tokens=id_tokens)

    await ask(endpoint, "POST", "/tick", KEY)
    await ask(
        endpoint, "POST", "/tick", ("Authorization", f"Bearer {id_token()}"), ("X-CloudScheduler", "true")
    )

    # What the request took until then is taken off, which is seconds on a busy machine.
    assert [24, 52] == pytest.approx([seconds_of(budget.response_limit) for budget in wired.budgets], abs=4)
    assert [18, 45] == pytest.approx([seconds_of(budget.start_limit) for budget in wired.budgets], abs=4)


async def test_time_spent_before_the_tick_is_taken_from_its_budget(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier, google: FakeGoogle
) -> None:
    """The pinger counts from its first byte, however long the check of its token took."""
    wired = FakeWired()

    await ask(
        make_door(wired, id_tokens=id_tokens), "POST", "/tick", ("Authorization", f"Bearer {id_token()}")
    )

    answer_by, stop_starting = wired.budgets[0].response_limit, wired.budgets[0].start_limit
    assert answer_by is not None
    assert stop_starting is not None
    assert timedelta(seconds=23) < answer_by < timedelta(seconds=24)
    assert timedelta(seconds=6) == answer_by - stop_starting


def test_a_budget_is_never_less_than_nothing() -> None:
    most = [remaining_budget(seconds(18, 24), elapsed=timedelta(seconds=22))]
    most.append(remaining_budget(CLOUD_SCHEDULER_BUDGET, elapsed=timedelta(seconds=99)))

    assert [seconds(0, 2), seconds(0, 0)] == [replace(one, usual_limit=None) for one in most]
    assert [timedelta(seconds=24), timedelta(seconds=52)] == [one.usual_limit for one in most]
    assert TimeBudget(None, None) == remaining_budget(TimeBudget(None, None), elapsed=timedelta(seconds=1))


def seconds_of(span: timedelta | None) -> float:
    assert span is not None
    return span.total_seconds()
