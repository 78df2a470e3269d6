"""Pages in Chinese say nothing in English: each page and each form with errors, but for code names."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.alerts.model import AlertState
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch
from functions.domain.task import Pause, Task
from functions.domain.types import OutcomeKind
from functions.task_types.registry import type_names
from functions.web.api.runs import encode_run_id
from tests.conftest import NOON
from tests.support.clock import Clock
from tests.support.html_forms import form_fields
from tests.unit.web.api.conftest import ADMIN, clock
from tests.unit.web.dashboard.conftest import Browser, make_browser

__all__ = ["clock"]

MINUTE = timedelta(minutes=1)
# Names of things that have no other: products, formats, protocols, units, what people type as it is.
NAMES = frozenset(
    {
        *(
            "Cronfire",
            "HTTP",
            "https",
            "JSON",
            "GitHub",
            "Python",
            "Markdown",
            "Bearer",
            "RSS",
            "Atom",
            "cron",
        ),
        *("token", "ms", "administrator", "auto", "never", "skip", "id", "every", "at", "last", "daily"),
        *("read", "run", "write", "admin", "types", "secrets", "shell", "after", "notify", "webhook"),
        *(
            "scheduler",
            "keys",
            "create",
            "cron",
            "goal",
            "prompt",
            "true",
            "false",
            "news",
            "required",
            "body",
        ),
        *("next", "previous", "sat", "weekends", "calendars", "set", "other", "except", "sometimes"),
        *("first", "business", "day", "of", "month"),
    }
)


class Visible(HTMLParser):
    """What a reader sees or hears of a page, without what stands for code or is the user's own."""

    SILENT = frozenset({"script", "style", "code", "pre", "datalist", "textarea"})

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self.SILENT
        given = dict(attrs)
        self.texts += [given[name] or "" for name in ("aria-label", "title", "alt") if name in given]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self.SILENT

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def english_in(page: str) -> list[str]:
    """The texts of a page with words that are no names, and these words."""
    reader = Visible()
    reader.feed(page)
    found = []
    for text in dict.fromkeys(" ".join(one.split()) for one in reader.texts):
        words = re.findall(r"[A-Za-z][\w.:/*@{}%+=-]*", text)
        if foreign := [word for word in words if not is_name(word)]:
            found.append(f"{text[:100]} {foreign[:3]}")
    return found


def lines(found: dict[str, list[str]]) -> str:
    places: dict[str, str] = {}
    for path, texts in found.items():
        for text in texts:
            places.setdefault(text, path)
    return "\n".join(f"{text} on {path}" for text, path in places.items())


def is_name(word: str) -> bool:
    bare = word.rstrip(".:/*-={}")
    is_code = bool(re.search(r"[_./:@=\d*{}]|[a-z][A-Z]", bare)) or bare.isupper()
    return len(bare) < 2 or is_code or bare in NAMES or bare in type_names()


@pytest.fixture
async def chinese(
    tmp_path: Path, clock: Clock, make_task: Callable[..., Task]
) -> AsyncIterator[tuple[Browser, str]]:
    """A signed-in browser over tasks of all kinds, and the address of a run."""
    settings = {
        "STORE_URL": f"sqlite:///{tmp_path}/zh.db",
        "API_KEY": ADMIN,
        "NOTICE_LANGUAGE": "zh",
        "WEBHOOK_URL": "https://hook.example",
        "DEFAULT_TIMEZONE": "Asia/Shanghai",
    }
    app = App(Settings.from_env(settings, serves_http=False), clock=clock)
    tasks = [make_task(**fields) for fields in kinds_of_tasks()]
    runs = tuple(runs_of(tasks[0]))
    await app.store.write_with_runs(
        RunBatch("zh.1", NOON, runs), [ConditionalWrite(task, None) for task in tasks]
    )
    browser = make_browser(app)()
    await browser.sign_in()
    yield browser, f"/dashboard/runs/{encode_run_id(runs[-1])}"
    await app.close()


def kinds_of_tasks() -> list[dict[str, Any]]:
    failing = {
        "consecutive_failures": 3,
        "last_outcome": "failed",
        "last_error": "Answered 503, expected 200-299",
        "last_run_at": NOON - MINUTE,
        "last_duration_ms": 125_000,
        "alert": AlertState(failing_since=NOON - 5 * MINUTE),
    }
    lines = tuple(
        f"{outcome} 5 2026-11-20T11:{number:02}:00Z"
        for number, outcome in enumerate(("succeeded", "failed", "timed_out", "skipped"))
    )
    return [
        {"task_id": "t1", "title": "商店", "tags": ["商店"], "recent": lines} | failing,
        {"task_id": "t2", "title": "重试", "status": "retrying", "attempt": 1} | failing,
        {
            "task_id": "t3",
            "title": "暂停",
            "status": "paused",
            "pause": Pause(note="搬家", by="小王", at=NOON, until=NOON + 9000 * MINUTE),
            "next_run_at": None,
        },
        {
            "task_id": "t4",
            "title": "迟到",
            "next_run_at": NOON - 30 * MINUTE,
            "schedule": "0 0 1,15 2 MON-FRI",
        },
        {
            "task_id": "t5",
            "title": "链",
            "schedule": "",
            "after": [{"task": "t1", "on": "failure"}],
            "on_event": [{"type": "order.paid", "source": "o2"}],
            "notify": [{"on": ["failure", "late"], "channels": ["webhook"], "after": 2, "remind": "never"}],
            "expect_seconds": 900,
            "pause_after_failures": 5,
        },
    ]


def runs_of(task: Task) -> list[Run]:
    kinds = (
        (OutcomeKind.SUCCEEDED, "Answered 200 in 31 ms"),
        (OutcomeKind.FAILED, "No answer within 20 s"),
        (OutcomeKind.TIMED_OUT, "No result within 20 s"),
        (OutcomeKind.FAILED, "The name shop.example does not resolve: no such name is known"),
    )
    return [
        Run(
            task_id=task.id,
            occurrence=NOON - MINUTE,
            attempt=number + 1,
            token=f"zh.{number}",
            outcome=outcome,
            summary=summary,
            started_at=NOON + number * MINUTE,
            finished_at=NOON + number * MINUTE + timedelta(seconds=1),
            final=number == 3,
        )
        for number, (outcome, summary) in enumerate(kinds)
    ]


PAGES = (
    "",
    "?status=late",
    "?search=没有",
    f"?tag={'%E5%95%86%E5%BA%97'}",
    "/tasks/t1",
    "/tasks/t2",
    "/tasks/t3",
    "/tasks/t4",
    "/tasks/t5",
    "/tasks/t1?outcome=failed",
    "/tasks/t1/edit",
    "/tasks/t5/edit",
    *(f"/new?type={name}" for name in type_names()),
    "/runs",
    "/incidents",
    "/agenda",
    "/calendars",
    "/calendars?name=c1&owner=",
    "/removed",
    "/keys",
    "/owners",
    "/owners/edit",
    "/channels",
    "/channels/webhook",
    "/audit",
    "/sign-in",
    "/nothing",
    "/tasks/t9",
    "/runs/nothing",
)


@pytest.mark.slow
async def test_no_page_in_chinese_says_anything_in_english(chinese: tuple[Browser, str]) -> None:
    browser, run = chinese
    found = {
        path: english_in((await browser.get(f"/dashboard{path}")).body.decode())
        for path in (*PAGES, run.removeprefix("/dashboard"))
    }

    assert not any(found.values()), lines(found)


WRONG = {
    "title": "x" * 300,
    "id": "No Id",
    "schedule": "61 * * * *",
    "timezone": "Mars9",
    "except": "24.12.",
    "onExcluded": "later",
    "startAt": "soon",
    "maxRuns": "many",
    "jitterSeconds": "-1",
    "timeoutSeconds": "0",
    "retry.maxAttempts": "1.5",
    "retry.minBackoffSeconds": "900",
    "retry.maxBackoffSeconds": "10",
    "pauseAfterFailures": "0",
    "expectSeconds": "x",
    "budget.creditsPerRun": "-5",
    "misfire.graceSeconds": "soon",
    "overlap": "nonsense",
    "tags": "y" * 100,
    "after.0.task": "No Id",
    "onEvent.0.type": "No Type",
    "notify.mode": "rules",
    "notify.0.after": "x",
    "notify.0.on.failure": "on",
    "notify.0.remind": "x",
}
DAYS = (
    "24.12.",
    "2026-02-30",
    "2027-01-02..2026-12-24",
    "2026-12-24..01-02",
    "1960-01-01",
    "holidays:X",
    "holidays:XX",
    "holidays:US-ZZ",
    "holidays:LV-RIX",
    "weekends:never",
    "calendar:No1",
    "01-01..12-31",
    "x" * 81,
    "24.12., 2026-02-30, holidays:XX, 25.12., " + ", ".join(f"{day}.1." for day in range(1, 9)),
)
SCHEDULES = (
    "first business day of month",
    "first business day of sometimes at 09:00",
    "",
    "x9",
    "every 5s",
    "at 9999",
    "* * * *",
    "5-1 * * * *",
    "0 0 31 2 *",
    "*/0 * * * *",
)


@pytest.mark.slow
async def test_what_is_wrong_with_a_form_is_said_in_chinese(
    chinese: tuple[Browser, str], clock: Clock
) -> None:
    browser, _ = chinese
    found: dict[str, list[str]] = {}

    async def send(path: str, **typed: str) -> None:
        answer = await browser.post(f"/dashboard{path}", **typed)
        assert 422 == answer.status, (path, typed)
        if words := english_in(answer.body.decode()):
            found[f"{path} {sorted(typed)[:3]} {typed.get('schedule', '')}"] = words

    for name in type_names():
        page = (await browser.get(f"/dashboard/new?type={name}")).body.decode()
        empty = dict.fromkeys(form_fields(page, form_id="task"), "") | {"type": name, "shownType": name}
        await send("/new", do="save", **{k: v for k, v in empty.items() if k not in ("csrf_token", "do")})
    base = {"do": "save", "type": "http", "shownType": "http"}
    await send("/new", **base | WRONG | {"params.url": "ftp://x", "params.timeoutSeconds": "x"})
    await send(
        "/new",
        **base
        | {"title": "一", "params.url": "https://a b/", "params.json": "{", "params.method": "FETCH"}
        | {"params.auth.bearer": "secret", "params.expectedStatus": "999-1", "params.headers.0.value": "x"},
    )
    wrong_rules = {
        "params.url": "https://a.example",
        "params.expect.status": "2yy",
        "params.expect.json.0.path": "$.a[",
        "params.expect.json.0.rule": "equals",
        "params.expect.json.0.value": "5",
        "params.expect.json.1.path": "$.b",
        "params.expect.json.2.rule": "less",
        "params.expect.headers.0.name": "ETag",
        "params.expect.headers.0.rule": "matches",
        "params.expect.headers.0.value": "(a",
        "params.expect.schema": '{"$ref": "https://a.example"}',
    }
    await send("/new", **base | {"title": "一"} | wrong_rules)
    emptied = dict.fromkeys(("params.expect.json.1.path", "params.expect.json.2.rule"), "")
    await send("/new", **base | {"title": "一"} | wrong_rules | emptied)
    for schedule in SCHEDULES:
        await send("/new", **base | {"title": "一", "params.url": "https://a.example", "schedule": schedule})
    await send(
        "/keys", name="", expiresAt="tomorrow", **{"scopes.sent": "1", "capabilities.types": "no type!"}
    )
    await send("/keys", do="save", name="x", expiresAt="2020-01-01T00:00", **{"scopes.read": "on"})
    clock.now += MINUTE  # a key may send so many requests in a minute
    await send("/owners", do="save", name="", monthlyCredits="x", maxTasks="-1")
    for entries in (*DAYS[:6], "", "calendar:other"):  # the messages are those of tasks
        await send("/calendars", do="save", name="公司" if not entries else "company", entries=entries)
    for days in (*DAYS[6:], "calendar:other"):
        await send(
            "/new",
            **base | {"title": "一", "params.url": "https://a.example", "schedule": "daily", "except": days},
        )
    await send(
        "/channels/webhook",
        do="save",
        ratePerMinute="-1",
        **{"quiet.0.from": "25:00", "quiet.0.to": "x", "maintenance.0.from": "2026-11-21T10:00"},
    )
    await send("/channels/webhook", do="save", seen="0", ratePerMinute="3", **{"digest.at": "08:00"})
    await send("/calendars", do="save", seen="0", name="公司日历", entries="sat")

    assert not found, lines(found)


@pytest.mark.slow
async def test_what_a_form_came_to_is_said_in_chinese(chinese: tuple[Browser, str]) -> None:
    browser, _ = chinese
    found: dict[str, list[str]] = {}
    for path, typed in (
        ("/tasks/t1/pause", {"note": "搬家"}),
        ("/tasks/t1/pause", {"until": "2020-01-01T00:00"}),
        ("/tasks/t1/resume", {}),
        ("/tasks/t1/resume", {}),
        ("/tasks/t1/cancel", {}),
        ("/tasks/t4/acknowledge", {}),
        ("/tasks/t1/revoke-badge", {}),
        ("/tasks/bulk", {"do": "pause"}),
        ("/tasks/bulk", {"do": "choose", "id.t1": "on"}),
        ("/tasks/bulk", {"do": "pause", "id.t1": "on", "id.t4": "on", "id.t9": "on"}),
        ("/tasks/bulk", {"do": "resume", "id.t1": "on", "id.t4": "on"}),
        ("/tasks/bulk", {"do": "tag", "tag": "新", "id.t1": "on"}),
        ("/links/words", {"tag": "商店", "title": "我的商店"}),
        ("/links/revoke", {"tag": "商店"}),
        ("/incidents/silence", {"task": "t1", "hours": "4"}),
        ("/incidents/silence", {"tag": "", "hours": "4"}),
        ("/channels/webhook/disable", {}),
        ("/channels/webhook/enable", {}),
        ("/owners", {"name": "o1", "do": "save", "monthlyCredits": "9"}),
        ("/calendars", {"name": "c1", "do": "save", "entries": "12-24..01-02"}),
        ("/calendars", {"name": "c1", "do": "refresh"}),
        ("/calendars", {"name": "c1", "do": "remove"}),
        ("/tasks/t4/delete", {}),
        ("/removed/t4/restore", {}),
    ):
        answer = await browser.post(f"/dashboard{path}", **typed)
        assert 303 == answer.status, path
        if words := english_in((await browser.get(answer.headers["location"])).body.decode()):
            found[f"{path} {typed}"] = words
    made = await browser.post("/dashboard/keys", do="save", name="小王", **{"scopes.read": "on"})
    page = await browser.get(made.headers["location"])
    [key] = set(re.findall(r"/dashboard/keys/(\w+)/revoke", page.body.decode()))
    for path in (f"/keys/{key}/revoke", "/keys", "/audit", "/owners", "/removed", "/incidents", "/channels"):
        if words := english_in((await browser.get(f"/dashboard{path}")).body.decode()):
            found[path] = words

    assert not found, lines(found)
