"""The form as its user meets it: errors, buttons that save nothing, another type, a copy."""

import re
from collections.abc import Awaitable, Callable
from html import unescape
from typing import Any

import pytest

from functions.web.dashboard.forms.task_form import TaskForm
from tests.support.html_forms import form_fields
from tests.unit.web.api.conftest import HEALTH, Call, api, clock, make_key, wired
from tests.unit.web.asgi import Answer
from tests.unit.web.dashboard.conftest import Browser, browser

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

__all__ = ["api", "browser", "clock", "make_key", "wired"]

MakeKey = Callable[..., Awaitable[str]]
NEW, EDIT = "/dashboard/new", "/dashboard/tasks/ping/edit"
TASK = HEALTH | {"id": "ping"}


async def fill(browser: Browser, path: str, **typed: str) -> tuple[Answer, dict[str, str]]:
    """Ask for the form, type into it, press a button; return the answer and the fields of its form."""
    fields = form_fields((await browser.get(path)).body.decode(), form_id="task")
    del fields["csrf_token"]
    answer = await browser.post(path.partition("?")[0], **fields | typed)
    return answer, form_fields(answer.body.decode(), form_id="task")


def text_of(answer: Answer) -> str:
    return unescape(re.sub(r"<[^>]+>", "", answer.body.decode()))


async def test_everything_that_is_wrong_is_said_at_once_and_leads_to_its_field(
    browser: Browser, api: Call
) -> None:
    await browser.sign_in()
    typed = {
        "params.url": "ftp://x",
        "schedule": "61 * * * *",
        "timeoutSeconds": "soon",
        "retry.maxAttempts": "99",
        "params.headers.0.value": "a value without a name",
        "notify.0.after": "0",
    }

    answer, fields = await fill(browser, NEW, do="save", **typed)

    page = answer.body.decode()
    names = re.findall(r'<li><a href="#([^"]+)"', page)
    assert 422 == answer.status
    assert {
        "title",
        "params.url",
        "schedule",
        "timeoutSeconds",
        "retry.maxAttempts",
        "notify.0.after",
    } <= set(names)
    assert "params.headers.0.name" in names
    assert all(f'id="{name}"' in page for name in names), "each link leads somewhere"
    assert typed == {name: fields[name] for name in typed}, "what was typed is not lost"
    assert "<summary>Attempts</summary>" in page.replace(" open", "")
    assert '<details class="group" open><summary>Attempts' in page
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_an_error_is_said_at_the_row_behind_an_emptied_one(browser: Browser, api: Call) -> None:
    """What a schema finds wrong is numbered without the emptied rows."""
    rules = [{"on": ["failure"], "channels": ["log"]}, {"on": ["recovery"], "channels": ["log"]}]
    checks = [{"path": "$.a", "equals": 1}, {"path": "$.b", "less": 5}]
    task = TASK | {"params": {"url": "https://a.example", "expect": {"json": checks}}, "notify": rules}
    assert 201 == (await api("POST", "/api/tasks", task)).status
    await browser.sign_in()
    emptied = {"params.expect.json.0.path": "", "params.expect.json.0.rule": ""}
    emptied |= {"params.expect.json.0.value": "", "notify.0.remove": "on"}

    answer, fields = await fill(
        browser, EDIT, do="save", **emptied, **{"params.expect.json.1.value": '"x"', "notify.1.after": "0"}
    )

    page = answer.body.decode()
    assert 422 == answer.status
    assert ["params.expect.json.1.value", "notify.1.after"] == re.findall(r'<li><a href="#([\w.]+)"', page)
    assert {"params.expect.json.1.value", "notify.1.after"} == set(re.findall(r'id="wrong-([\w.]+)"', page))
    assert "on" == fields["notify.0.remove"], "what was asked to go is not back"


async def test_an_error_of_a_name_that_begins_with_a_digit_is_said_at_its_field(browser: Browser) -> None:
    await browser.sign_in()
    typed = {"title": "Job", "params.command": "true", "params.env.0.name": "2X", "params.env.0.value": "1"}

    answer, _ = await fill(browser, f"{NEW}?type=command", do="save", type="command", **typed)

    assert b'id="wrong-params.env">2X: must be the name of a variable' in answer.body


async def test_another_type_keeps_what_fits_and_saves_nothing(browser: Browser, api: Call) -> None:
    await browser.sign_in()
    typed = {"title": "Hook", "params.url": "https://a.example", "params.headers.0.name": "X-A"}
    typed |= {"params.headers.0.value": "1", "params.method": "POST", "params.body": "one\r\ntwo"}

    changed, fields = await fill(browser, f"{NEW}?type=http", do="save", type="health_check_url", **typed)
    del fields["csrf_token"]
    back = await browser.post(NEW, **fields | {"do": "type", "type": "http"})
    again = form_fields(back.body.decode(), form_id="task")

    assert 200 == changed.status
    kept = ("title", "params.url", "params.headers.0.name", "params.headers.0.value")
    assert {name: typed[name] for name in kept} == {name: fields[name] for name in kept}
    assert ("", "") == (fields["params.method"], fields["params.expectedStatus"])
    assert "No part of it: Method, body." in text_of(changed)
    assert "one\r\ntwo" == again["params.body"], "the other type's texts wait until it is chosen again"
    assert [] == (await api("GET", "/api/tasks")).json["tasks"]


async def test_a_saved_task_can_become_one_of_another_type(browser: Browser, api: Call) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()

    changed, fields = await fill(browser, EDIT, do="type", type="http")
    del fields["csrf_token"]
    saved = await browser.post(EDIT, **fields | {"do": "save"})

    task = (await api("GET", "/api/tasks/ping")).json
    assert (200, 303) == (changed.status, saved.status)
    assert ("http", TASK["params"]) == (task["type"], task["params"])


async def test_a_copy_has_everything_but_the_id(browser: Browser, api: Call) -> None:
    rich = TASK | {
        "tags": ["a, b"],
        "notify": [{"on": ["late"]}],
        "params": {"url": "https://a.example", "timeoutSeconds": "7"},
    }
    made = (await api("POST", "/api/tasks", rich)).json
    await browser.sign_in()

    saved, _ = await fill(browser, f"{NEW}?from=ping", do="save")

    copy = (await api("GET", "/api/tasks/shop-front-answers-copy")).json
    assert 303 == saved.status
    assert "Shop front answers (copy)" == copy["title"]
    same = ("type", "params", "tags", "notify", "schedule", "timezone", "retry")
    assert {name: made[name] for name in same} == {name: copy[name] for name in same}


async def test_a_task_that_may_not_be_seen_is_not_copied(
    browser: Browser, api: Call, make_key: MakeKey
) -> None:
    await api("POST", "/api/tasks", TASK | {"owner": "bob"})
    await browser.sign_in(await make_key("write", owner="alice"))

    assert 404 == (await browser.get(f"{NEW}?from=ping")).status


@pytest.mark.parametrize(
    ("choices", "schedule"),
    [
        ({"how": "every", "step": "15", "unit": "m"}, "every 15m"),
        ({"how": "daily", "time": "09:30"}, "30 9 * * *"),
        ({"how": "weekly", "time": "07:05", "day.mon": "on", "day.fri": "on"}, "5 7 * * MON,FRI"),
        ({"how": "monthly", "time": "00:00", "date": "31"}, "0 0 31 * *"),
        ({"how": "monthly", "time": "00:00", "date": "last"}, "0 0 L * *"),
        ({"how": "once", "moment": "2027-01-02T03:04"}, "at 2027-01-02T03:04"),
        ({"how": "weekly", "time": "07:05"}, "*/5 * * * *"),  # no day: what was there stays
        ({"how": "monthly", "time": "07:05", "date": "32"}, "*/5 * * * *"),
        ({"how": "daily", "time": "25:00"}, "*/5 * * * *"),
    ],
)
async def test_the_helper_writes_the_schedule(
    browser: Browser, choices: dict[str, str], schedule: str
) -> None:
    await browser.sign_in()

    answer, fields = await fill(
        browser, NEW, do="use", **{f"helper.{name}": text for name, text in choices.items()}
    )

    assert (200, schedule) == (answer.status, fields["schedule"])
    assert b'<ol class="next">' in answer.body


async def test_a_schedule_is_previewed_while_one_types(browser: Browser) -> None:
    await browser.sign_in()

    shown = await browser.get("/dashboard/schedule-preview?schedule=30+9+*+*+*&timezone=Europe/Riga")
    wrong = await browser.get("/dashboard/schedule-preview?schedule=31+2+31+2+*")

    assert b"Every day at 09:30" in shown.body
    assert b"<html" not in shown.body
    assert b'class="fault"' in wrong.body


async def test_the_preview_while_one_types_keeps_to_the_bounds(browser: Browser) -> None:
    """The times typed are on the clock of the zone; an interval of a stored task counts from its creation."""
    await browser.sign_in()
    path = "/dashboard/schedule-preview?schedule=every+20m&timezone=Europe/Riga"

    bounded = await browser.get(f"{path}&startAt=2026-12-01T09:05&endAt=2026-12-01T10:00&maxRuns=2")
    stored = await browser.get(f"{path}&created=2026-11-20T00:03:00Z&maxRuns=5&done=4")
    over = await browser.get(f"{path}&startAt=2026-12-02T09:05&endAt=2026-12-01T10:00")

    assert ["09:05", "09:25"] == re.findall(r"(\d\d:\d\d) EET", bounded.body.decode())
    assert 1 == stored.body.count(b"EET")
    assert re.search(rb":(03|23|43) EET", stored.body)
    assert b"endAt: must not be earlier than startAt" in over.body


async def test_rows_are_added_changed_and_removed(browser: Browser, api: Call) -> None:
    params = {
        "url": "https://a.example",
        "query": {"n": 5, "tag": ["a"], "gone": "x"},
        "headers": {"X": " y "},
    }
    await api("POST", "/api/tasks", TASK | {"type": "http", "params": params})
    await browser.sign_in()

    more, fields = await fill(browser, EDIT, do="more:params.query")
    del fields["csrf_token"]
    typed = {
        "params.query.2.name": "",
        "params.query.2.value": "",
        "params.query.7.name": "tag",
        "params.query.7.value": "b",
    }
    saved = await browser.post(EDIT, **fields | typed | {"do": "save"})

    after = (await api("GET", "/api/tasks/ping")).json["params"]
    assert (200, 303) == (more.status, saved.status)
    assert {"n": 5, "tag": ["a", "b"]} == after["query"]
    assert {"X": " y "} == after["headers"]


@pytest.mark.parametrize(
    ("button", "place"),
    [
        ("more:params.headers", "params.headers.1.name"),  # the first row that is empty
        ("more:notify", "notify.0.on"),
        ("preview", "preview"),
        ("use", "preview"),
        ("save", "faults"),
    ],
)
async def test_one_goes_on_where_a_button_was_pressed(browser: Browser, button: str, place: str) -> None:
    await browser.sign_in()
    typed = {"params.headers.0.name": "Accept", "params.url": "https://a.example", "schedule": "daily"}

    page = (await fill(browser, f"{NEW}?type=http", do=button, **typed))[0].body.decode()

    focused = re.findall(r'<[^>]* id="([^"]+)"[^>]* autofocus[ >]', page)
    [*_, around] = ["</details>", *re.findall("</?details[^>]*>", page.partition(f'id="{place}"')[0])]
    assert [place] == focused
    assert around == "</details>" or " open>" in around, "it is not folded away"


async def test_rules_of_notifications_are_added_and_removed(browser: Browser, api: Call) -> None:
    rules: list[dict[str, Any]] = [{"on": ["failure"], "channels": ["feishu"]}, {"on": ["late"], "after": 2}]
    await api("POST", "/api/tasks", TASK | {"notify": rules})
    await browser.sign_in()

    saved, _ = await fill(
        browser,
        EDIT,
        do="save",
        **{"notify.0.remove": "on", "notify.2.on.news": "on", "notify.2.remind": "never"},
    )
    changed = (await api("GET", "/api/tasks/ping")).json["notify"]
    nobody, _ = await fill(browser, EDIT, do="save", **{"notify.mode": "nobody"})
    silent = (await api("GET", "/api/tasks/ping")).json["notify"]
    default, _ = await fill(browser, EDIT, do="save", **{"notify.mode": "default"})

    assert [(["late"], 2, "auto"), (["news"], 1, "never")] == [
        (one["on"], one["after"], one["remind"]) for one in changed
    ]
    assert [303] * 3 == [one.status for one in (saved, nobody, default)]
    assert ([], None) == (silent, (await api("GET", "/api/tasks/ping")).json["notify"])


async def test_a_line_is_changed_with_the_line_ends_it_had(browser: Browser, api: Call) -> None:
    unix, windows = "a\nb\n", "a\r\nb\r\n"
    hook = TASK | {"type": "http"}
    for task_id, body in (("unix", unix), ("windows", windows)):
        params = {"url": "https://a.example", "body": body}
        await api("POST", "/api/tasks", hook | {"id": task_id, "params": params})
    await browser.sign_in()

    for task_id in ("unix", "windows"):
        await fill(
            browser, f"/dashboard/tasks/{task_id}/edit", do="save", **{"params.body": "a\r\nchanged\r\n"}
        )

    bodies = [(await api("GET", f"/api/tasks/{one}")).json["params"]["body"] for one in ("unix", "windows")]
    assert ["a\nchanged\n", "a\r\nchanged\r\n"] == bodies


def test_params_that_the_type_does_not_know_stay_or_are_removed() -> None:
    params = {"url": "https://a.example", "old": {"a": None}, "method": "GET"}
    form = TaskForm(TASK | {"params": params})

    [shown] = [
        one
        for part in form.show({})
        for group in part.groups
        for one in group.fields
        if one.name == "params.+"
    ]
    kept, _ = form.read({"params.+": shown.text, "title": "x"})
    emptied, _ = form.read({"params.+": ""})
    _, wrong = form.read({"params.+": "[1]"})

    assert list(params) == list(kept["params"])
    assert params == kept["params"]
    assert {"url": "https://a.example", "method": "GET"} == emptied["params"]
    assert ["must be a JSON object, such as {}"] == [one.reason for one in wrong]


async def test_a_large_text_fits_into_the_form(browser: Browser, api: Call) -> None:
    params = {"url": "https://a.example", "body": "x" * 60_000}
    assert 201 == (await api("POST", "/api/tasks", TASK | {"type": "http", "params": params})).status
    await browser.sign_in()

    saved, _ = await fill(browser, EDIT, do="save", title="Large")

    assert 303 == saved.status
    assert params == (await api("GET", "/api/tasks/ping")).json["params"]


async def test_a_stale_form_names_what_differs_and_can_be_saved_on_purpose(
    browser: Browser, api: Call
) -> None:
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    fields = form_fields((await browser.get(EDIT)).body.decode(), form_id="task")
    del fields["csrf_token"]
    await api("PATCH", "/api/tasks/ping", {"title": "Theirs", "tags": ["theirs"]})

    stale = await browser.post(EDIT, **fields | {"do": "save", "timeoutSeconds": "7"})
    again = form_fields(stale.body.decode(), form_id="task")
    del again["csrf_token"]
    saved = await browser.post(EDIT, **again | {"do": "save", "tags": "theirs"})

    task = (await api("GET", "/api/tasks/ping")).json
    assert (422, 303) == (stale.status, saved.status)
    assert "differs now: Title, Longest run, in seconds, Tags" in text_of(stale)
    assert ("Shop front answers", ["theirs"], 7) == (task["title"], task["tags"], task["timeoutSeconds"])


async def test_a_run_or_a_pause_meanwhile_is_no_change_of_what_is_edited(browser: Browser, api: Call) -> None:
    """A task may run each minute, and a form takes longer."""
    await api("POST", "/api/tasks", TASK)
    await browser.sign_in()
    fields = form_fields((await browser.get(EDIT)).body.decode(), form_id="task")
    del fields["csrf_token"]
    for verb in ("run", "pause"):
        await api("POST", f"/api/tasks/ping/{verb}")

    saved = await browser.post(EDIT, **fields | {"do": "save", "timeoutSeconds": "7"})

    task = (await api("GET", "/api/tasks/ping")).json
    assert (303, 7, "paused") == (saved.status, task["timeoutSeconds"], task["status"])


def rule_cells(number: int, path: str, rule: str, value: str) -> dict[str, str]:
    prefix = f"params.expect.json.{number}"
    return {f"{prefix}.path": path, f"{prefix}.rule": rule, f"{prefix}.value": value}


@pytest.mark.parametrize(
    ("typed", "places"),
    [
        (
            {"params.auth.bearer": "{{secret:A}}", "params.auth.basic.user": "ann"}
            | {"params.auth.basic.password": "{{secret:B}}"},
            {"params.auth.bearer"},
        ),
        ({"params.auth.basic.password": "{{secret:B}}"}, {"params.auth.basic.user"}),
        ({"params.auth.basic.user": "ann"}, {"params.auth.basic.password"}),
        ({"params.auth.bearer": "not a secret's name"}, {"params.auth.bearer"}),
        (
            {"params.auth.basic.user": "ann", "params.auth.basic.password": "plain"},
            {"params.auth.basic.password"},
        ),
        ({"params.json": "{}", "params.body": "x"}, {"params.json"}),
        ({"params.equals": "1"}, {"params.equals"}),
        (
            {"retry.minBackoffSeconds": "900", "retry.maxBackoffSeconds": "10"},
            {"retry.maxBackoffSeconds"},
        ),
        ({"startAt": "2026-12-02T00:00", "endAt": "2026-12-01T00:00"}, {"endAt"}),
        (rule_cells(0, "$.a[", "equals", "1"), {"params.expect.json.0.path"}),
        (rule_cells(0, "$.a", "matches", "(a"), {"params.expect.json.0.value"}),
        (rule_cells(0, "$.a", "length", '{"greater": -1}'), {"params.expect.json.0.value"}),
        (rule_cells(2, "$.a", "", "1"), {"params.expect.json.2.rule"}),
        (rule_cells(0, "$.a", "less", "many"), {"params.expect.json.0.value"}),
        ({"params.expect.schema": '{"type": "objekt"}'}, {"params.expect.schema"}),
        ({"params.expect.body.matches": "(a"}, {"params.expect.body.matches"}),
        ({"params.expect.status": "201", "params.expectedStatus": "200"}, {"params.expectedStatus"}),
    ],
)
async def test_what_is_wrong_with_several_fields_together_is_said_at_one_of_them(
    browser: Browser, typed: dict[str, str], places: set[str]
) -> None:
    await browser.sign_in()
    basics = {"title": "Call", "params.url": "https://a.example"}

    answer, _ = await fill(browser, f"{NEW}?type=http", do="save", **basics | typed)

    page = answer.body.decode()
    assert 422 == answer.status
    assert places == set(re.findall(r'id="wrong-([\w.]+)"', page))
    assert places == set(re.findall(r'<li><a href="#([\w.]+)"', page))
    assert all(f'id="{place}" name="{place}"' in page for place in places)
