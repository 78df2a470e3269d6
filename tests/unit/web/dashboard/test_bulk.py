"""One action on the tasks that are checked in the list."""

import re
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.web.api.conftest import HEALTH, Call, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import Browser, browser

__all__ = ["api", "browser", "clock", "make_key", "wired"]

BULK = "/dashboard/tasks/bulk"
MakeKey = Callable[..., Awaitable[str]]


@pytest.fixture
async def three(browser: Browser, api: Call) -> None:
    for task_id, owner in (("one", ""), ("two", "alice"), ("three", "bob")):
        fields = HEALTH | {"id": task_id, "title": task_id, "owner": owner, "tags": ["x"]}
        assert 201 == (await api("POST", "/api/tasks", fields)).status
    await browser.sign_in()


async def states(api: Call, name: str = "status") -> list[object]:
    return [(await api("GET", f"/api/tasks/{one}")).json[name] for one in ("one", "two", "three")]


@pytest.mark.usefixtures("three")
async def test_checked_tasks_are_paused_and_resumed(browser: Browser, api: Call) -> None:
    page = await browser.get("/dashboard?tag=x&select=all")
    checked = re.findall(r'name="(id\.\w+)"[^>]* checked', page.body.decode())

    answer = await browser.post(
        BULK, do="pause", query="tag=x&select=all&message=m", **dict.fromkeys(checked, "on")
    )
    paused = await states(api)
    await browser.post(BULK, do="resume", **{"id.one": "on"})

    assert ["id.one", "id.three", "id.two"] == sorted(checked)
    assert "/dashboard?tag=x&message=3%20tasks%20paused" == answer.headers["location"]
    assert ["paused"] * 3 == paused
    assert ["scheduled", "paused", "paused"] == await states(api)


@pytest.mark.slow
@pytest.mark.usefixtures("three")
async def test_tags_are_added_and_removed_and_nothing_else_changes(browser: Browser, api: Call) -> None:
    before = (await api("GET", "/api/tasks/one")).json

    await browser.post(BULK, do="tag", tag="new, tag", **{"id.one": "on", "id.two": "on"})
    tagged = await states(api, "tags")
    await browser.post(BULK, do="untag", tag="x", **{"id.one": "on", "id.three": "on"})

    after = (await api("GET", "/api/tasks/one")).json
    assert [["x", "new, tag"], ["x", "new, tag"], ["x"]] == tagged
    assert [["new, tag"], ["x", "new, tag"], []] == await states(api, "tags")
    changed = {name for name, value in before.items() if after[name] != value}
    assert changed <= {"tags", "etag", "updatedAt"}


@pytest.mark.usefixtures("three")
async def test_a_run_of_each_is_asked_for(browser: Browser, api: Call) -> None:
    answer = await browser.post(BULK, do="run", **{"id.one": "on", "id.gone": "on"})

    assert "1%20task%20will%20run%20at%20the%20next%20tick%3B%201%20not" in answer.headers["location"]
    entries = (await api("GET", "/api/tasks/one/audit")).json["entries"]
    assert {"run", "created"} == {one["verb"] for one in entries}


@pytest.mark.slow
@pytest.mark.usefixtures("three")
async def test_one_owner_acts_on_no_task_of_another(browser: Browser, api: Call, make_key: MakeKey) -> None:
    await browser.sign_in(await make_key("write", "run", owner="alice"))

    for verb in ("pause", "run", "tag"):
        await browser.post(BULK, do=verb, tag="t", **{"id.one": "on", "id.two": "on", "id.three": "on"})

    assert ["scheduled", "paused", "scheduled"] == await states(api)
    assert [["x"], ["x", "t"], ["x"]] == await states(api, "tags")


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"do": "pause"}, "Check%20the%20tasks%20first"),
        ({"do": "tag", "id.one": "on"}, "Write%20the%20tag%20first"),
    ],
)
async def test_what_is_missing_is_said(browser: Browser, typed: dict[str, str], message: str) -> None:
    answer = await browser.post(BULK, query="https://evil.example", **typed)

    assert f"message={message}" in answer.headers["location"]
    assert answer.headers["location"].startswith("/dashboard")


@pytest.mark.usefixtures("three")
async def test_a_key_that_only_reads_has_no_boxes(browser: Browser, api: Call, make_key: MakeKey) -> None:
    await browser.sign_in(await make_key("read"))

    page = await browser.get("/dashboard")
    await browser.post(BULK, do="pause", **{"id.one": "on"})

    assert b'name="id.' not in page.body
    assert ["scheduled"] * 3 == await states(api)


@pytest.mark.slow
@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("scopes", "default"), [(("read", "run", "write"), "tag"), (("read", "run"), "choose")]
)
async def test_enter_in_a_box_or_the_tag_pauses_nothing(
    browser: Browser, api: Call, make_key: MakeKey, scopes: tuple[str, ...], default: str
) -> None:
    """A browser presses the first button of a form that is sent by Enter."""
    await browser.sign_in(await make_key(*scopes))

    page = (await browser.get("/dashboard")).body.decode()

    bulk = page.partition('id="bulk"')[2].partition("</form>")[0]
    first, *others = re.findall(r"<button([^>]*)>", bulk)
    assert first.startswith(f' name="do" value="{default}"')
    assert 303 == (await browser.post(BULK, do=default, tag="", **{"id.one": "on"})).status
    assert ["scheduled"] * 3 == await states(api)
    assert all("formnovalidate" in one for one in others if re.search("pause|resume|run", one))
    assert ("write" in scopes) == bool(re.search(r'<input name="tag"[^>]* required', bulk))
