"""A newcomer's path: sign in, make a task, see the preview, run it, see the result, pause it with a note.

Three times the same: in a real browser, by curl, and by the command line.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest
from aiohttp import web
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.support.browser import chromium
from tests.support.serving import ROOT, answered, environment, serving

KEY = "the-first-administrators-key-0123456789"
SECRET = "a-secret-of-the-tests-with-32-characters"
WAIT_S = 20


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """A site on loopback that answers."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="Welcome to the shop")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        "CRON_SECRET": SECRET,
        "API_KEY": KEY,
        "STORE_URL": f"sqlite:///{tmp_path}/newcomer.db",
        "ALLOW_PRIVATE_NETWORKS": "1",
    }


@pytest.fixture
def function(tmp_path: Path, variables: dict[str, str]) -> Iterator[str]:
    """The function on the real functions-framework."""
    with serving(ROOT / "main.py", tmp_path, **variables) as address:
        yield address


async def ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        await answered(session, address)


# What browsers do that keep a page for "back": it is shown as it was left, and gets an event for it.
SENT_AND_SHOWN_AGAIN = """
document.forms[0].dataset.sent = "yes";
window.dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}));
return document.forms[0].dataset.sent;
"""


LOOKED_AT_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"  # as after an hour in another tab
OFFLINE = ("ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest")


def _leave_open(window: Any, function: str) -> None:
    """Look again at a page that was left open: without a network, with one, and when its task is gone."""
    wait = WebDriverWait(window, 10)
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    window.execute_cdp_cmd("Network.enable", {})
    for offline in (True, False):
        window.execute_cdp_cmd("Network.emulateNetworkConditions", speed | {"offline": offline})
        window.execute_script(LOOKED_AT_AGAIN)
        wait.until(partial(_is_stale, expected=offline))
    window.get(f"{function}/dashboard/tasks/shop-front-answers")
    address = f"{function}/api/tasks/shop-front-answers"
    with urlopen(Request(address, method="DELETE", headers={"Authorization": f"Bearer {KEY}"})):
        window.execute_script(LOOKED_AT_AGAIN)
    wait.until(lambda one: "Undo the removal" in one.page_source)


def _is_stale(window: WebDriver, *, expected: bool) -> bool:
    return expected == window.find_element(By.ID, "stale").is_displayed()


@pytest.mark.browser
async def test_in_the_browser(function: str, shop: str) -> None:
    await ready(function)

    await asyncio.to_thread(_click_through, function, shop)


def _click_through(function: str, shop: str) -> None:
    with chromium() as window:
        window.get(f"{function}/dashboard/agenda")
        _type(window, "key", "wrong")
        _press(window, "Sign in")
        assert "This key is not valid" in _text(window, ".fault")
        _type(window, "key", KEY)
        _press(window, "Sign in")
        assert "The next 24 hours" == _text(window, "h1"), "back to the page that was wanted"

        _follow(window, "Overview")
        _follow(window, "New task")
        _type(window, "title", "Shop front answers")
        _type(window, "params.url", shop)
        _type(window, "schedule", "30 1 * * *")
        _type(window, "timezone", "America/New_York")
        _press(window, "Preview the schedule")
        preview = _text(window, "#preview")
        assert "Every day at 01:30 (America/New_York)" in preview
        assert 5 == len(window.find_elements(By.CSS_SELECTOR, "#preview li"))
        assert "Shop front answers" == window.find_element(By.ID, "title").get_attribute("value")

        _type(window, "schedule", "61 1 * * *")
        _press(window, "Make the task")
        assert "Schedule" in _text(window, "#faults")
        assert "61" in _text(window, "[id=wrong-schedule]")
        _type(window, "schedule", "30 1 * * *")
        _press(window, "Make the task")
        assert "The task is created" == _text(window, ".said")
        assert "message=" not in window.current_url, "a reload does not say it again"
        assert "It has not run yet." in _text(window, "main")

        _press(window, "Run now")
        assert "It ran: Answered 200" in _text(window, ".said")
        assert "manual" in _text(window, "main")

        _follow(window, "Shop front answers")
        window.find_element(By.XPATH, "//summary[.='Pause']").click()
        _type(window, "note", "Moving house <b>today</b>")
        _press(window, "Pause the task")
        assert "Moving house <b>today</b>" in _text(window, ".note")
        assert "paused" in _text(window, ".state")

        _follow(window, "Overview")
        assert "Moving house" in _text(window, "tbody tr")
        Select(window.find_element(By.NAME, "status")).select_by_visible_text("running")
        _press(window, "Show")
        assert "No task matches" in _text(window, ".empty")

        for zone in ("Asia/Tokyo", "America/Lima"):
            window.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
            window.get(f"{function}/dashboard")
            assert zone == (window.get_cookie("cronfire_zone") or {})["value"], "people travel"
        assert not window.execute_script(SENT_AND_SHOWN_AGAIN), 'after "back" a form can be sent at once'

        _leave_open(window, function)

        _press(window, "Sign out")
        window.get(f"{function}/dashboard")
        assert "Sign in" == _text(window, "h1")
        console = window.get_log("browser")  # type: ignore[no-untyped-call]  # the library leaves it so
        refusals = (
            "status of 401",
            "status of 422",
            *OFFLINE,
        )  # wrong key and schedule, and offline, on purpose
        severe = [one["message"] for one in console if one["level"] == "SEVERE"]
        assert [] == [one for one in severe if not any(refusal in one for refusal in refusals)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_by_curl(function: str, shop: str) -> None:
    await ready(function)

    def curl(method: str, path: str, body: Any = None) -> Any:
        words = ["curl", "-sS", "-X", method, "-H", f"Authorization: Bearer {KEY}", f"{function}{path}"]
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
        return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=30).stdout)

    def path() -> None:
        preview = curl("GET", "/api/schedule/preview?schedule=30%201%20*%20*%20*&timezone=America/New_York")
        made = curl("POST", "/api/tasks", _task(shop))
        ran = curl("POST", "/api/tasks/shop-front-answers/run", {"wait": 30})
        paused = curl("POST", "/api/tasks/shop-front-answers/pause", {"note": "Moving house"})

        assert ("Every day at 01:30", 5) == (preview["text"], len(preview["next"]))
        assert "scheduled" == made["status"]
        assert ("finished", "succeeded") == (ran["state"], ran["run"]["outcome"])
        assert ("paused", "Moving house") == (paused["status"], paused["pause"]["note"])

    await asyncio.to_thread(path)


async def test_by_the_command_line(shop: str, tmp_path: Path, variables: dict[str, str]) -> None:
    """Over the same store, without any server."""
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"tasks": [_task(shop)]}))

    def scheduler(*words: str) -> Any:
        command = [sys.executable, "-m", "functions.cli", *words, "--json"]
        done = subprocess.run(
            command, capture_output=True, env=environment(**variables), cwd=tmp_path, timeout=60, check=False
        )
        assert 0 == done.returncode, done.stderr.decode()
        return json.loads(done.stdout)

    def path() -> None:
        following = scheduler("next", "30 1 * * *", "--timezone", "America/New_York", "--count", "5")
        planned = scheduler("plan", str(file))
        scheduler("apply", str(file))
        scheduler("run", "shop-front-answers")
        ticked = scheduler("tick")
        paused = scheduler("pause", "shop-front-answers", "--note", "Moving house")
        [run] = scheduler("runs", "shop-front-answers")

        assert 5 == len(following)
        assert ["create"] == [change["action"] for change in planned["changes"]]
        assert 1 == ticked["succeeded"]
        assert ("paused", "Moving house") == (paused["status"], paused["pause"]["note"])
        assert ("succeeded", "manual") == (run["outcome"], run["trigger"])

    await asyncio.to_thread(path)


def _task(shop: str) -> dict[str, Any]:
    return {
        "title": "Shop front answers",
        "type": "health_check_url",
        "schedule": "30 1 * * *",
        "timezone": "America/New_York",
        "params": {"url": shop},
    }


def _type(window: WebDriver, name: str, text: str) -> None:
    field = _found(window, By.NAME, name)
    field.clear()
    field.send_keys(text)


def _press(window: WebDriver, label: str) -> None:
    """Press a button, and wait for the page it leads to."""
    _leave(window, By.XPATH, f"//button[normalize-space()='{label}']")


def _follow(window: WebDriver, label: str) -> None:
    """Follow a link, and wait for the page it leads to."""
    _leave(window, By.LINK_TEXT, label)


def _leave(window: WebDriver, by: str, what: str) -> None:
    """Click, and wait until another page is there, whole: a mark left on the old one is gone with it."""
    window.execute_script("window.left = true")
    _found(window, by, what).click()
    arrived = "return !window.left && document.readyState === 'complete'"
    WebDriverWait(window, WAIT_S, poll_frequency=0.05, ignored_exceptions=[WebDriverException]).until(
        lambda one: one.execute_script(arrived)  # between two pages there is nobody to ask: that is ignored
    )


def _text(window: WebDriver, selector: str) -> str:
    return _found(window, By.CSS_SELECTOR, selector).text


def _found(window: WebDriver, by: str, what: str) -> WebElement:
    return WebDriverWait(window, WAIT_S, poll_frequency=0.05).until(
        lambda one: one.find_element(by, what)  # it waits over NoSuchElementException
    )
