"""The dashboard by clicking, in a real Chromium that runs no scripts: everything can be done."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.harness.pictures import shown, sign_in
from tests.support.browser import chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# One request a page, in the browser's own words: those of WebDriver took a third of these tests' time.
CALLED = """
const [label, within] = arguments;
return [...document.querySelectorAll(within)]
  .flatMap((here) => [...here.querySelectorAll("a, button:not(.visually-hidden), summary")])
  .find((one) => one.checkVisibility() && one.innerText.trim().replace(/\\s+/g, " ") === label);
"""


class User:
    """Somebody with a mouse and a keyboard."""

    def __init__(self, window: webdriver.Chrome, address: str) -> None:
        self.window = window
        self._address = address
        # While one page gives way to the next, what is found in the first is gone, in several words.
        self._wait = WebDriverWait(window, 10, ignored_exceptions=[WebDriverException])

    def open(self, path: str) -> None:
        self.window.get(f"{self._address}/dashboard{path}")

    def see(self, *texts: str) -> None:
        with suppress(TimeoutException):
            self._wait.until(lambda _: all(text in self._page() for text in texts))
        page = self._wait.until(lambda _: self._page())
        assert [] == [text for text in texts if text not in page], page

    def _page(self) -> str:
        return str(self.window.execute_script("return document.body.innerText"))

    def click(self, label: str, *, within: str = "body") -> None:
        """Press the button, follow the link or unfold the part that is called *label*."""
        self._wait.until(lambda _: self._pressed(label, within), f"nothing is called {label}")

    def _pressed(self, label: str, within: str) -> bool:
        found = self.window.execute_script(CALLED, label, within)
        if found is None:
            return False
        self.window.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)  # as one scrolls
        found.click()
        return True

    def write(self, name: str, text: str) -> None:
        field = self._field(name)
        field.clear()
        field.send_keys(text)

    def choose(self, name: str, value: str) -> None:
        Select(self._field(name)).select_by_value(value)

    def check(self, name: str) -> None:
        self._field(name).click()

    def _field(self, name: str) -> WebElement:
        return self._wait.until(lambda window: window.find_element(By.NAME, name))


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with shown(odd=True) as address, chromium(scripts=False) as window:
        sign_in(window, address)
        yield User(window, address)


def test_scripts_are_off(user: User) -> None:
    user.open("/tasks/payment-api-answers")

    copies = user.window.find_elements(By.CSS_SELECTOR, "button[data-copy]")
    assert copies
    assert not any(one.is_displayed() for one in copies)  # page.js shows them


def test_a_task_is_made_tried_changed_run_paused_copied_removed_and_brought_back(user: User) -> None:
    user.open("")
    user.click("New task")
    user.click("Make the task")
    user.see("Nothing is saved yet", "Title")
    user.write("title", "My site answers")
    user.write("params.url", f"{user._address}/healthz")
    user.click("Help me write it")
    user.choose("helper.how", "every")
    user.click("Write the schedule")
    user.see("Every 15 minutes")
    user.click("Test this request")
    user.see("works", "nothing is saved")
    user.choose("type", "http")
    user.click("Change the type")
    user.see("what fits was kept")
    user.click("More rows Headers")
    user.click("Make the task")
    user.see("The task is created", "My site answers")
    user.click("Edit")
    user.write("title", "Our site answers")
    user.click("Save")
    user.see("The task is changed", "Our site answers")
    user.click("Run now")
    user.see("succeeded", "Run of Our site answers")
    user.click("Our site answers")
    user.click("Pause")
    user.write("note", "Moving house")
    user.click("Pause the task")
    user.see("The task is paused", "Moving house")
    user.click("Resume")
    user.see("The task is resumed")
    user.click("Copy as a new task")
    user.click("Make the task")
    user.see("Our site answers (copy)")
    user.click("Remove")
    user.click("Remove our-site-answers-copy")
    user.see("is removed")
    user.click("Undo the removal")
    user.see("The task is there again")


def test_many_tasks_are_found_sorted_and_changed_at_once(user: User) -> None:
    user.open("")
    user.click("Task", within="thead")
    user.see("Task ↑")
    user.choose("status", "failing")
    user.click("Show")
    user.see("Nightly export")
    user.click("With the checked tasks")
    user.click("Check all of this page")
    user.write("tag", "urgent")
    assert "tag=urgent" not in user.window.current_url
    [box] = user.window.find_elements(By.CSS_SELECTOR, "#bulk input[name=tag]")
    box.send_keys("watched")
    user.click("Add the tag")
    user.see("tagged")
    user.open("?tag=watched")
    user.see("Nightly export", "Status page")
    user.click("Title and description")
    user.write("title", "What we watch")
    user.click("Save")
    user.see("The status page is changed")
    user.click("What we watch")
    user.see("What we watch", "has a problem")


def test_a_failure_is_acknowledged_and_silenced(user: User) -> None:
    user.open("/incidents")
    user.click("Acknowledge")
    user.see("It is known", "by administrator")
    user.click("Silence", within="td details")
    user.click("Hold its notices", within="td details")
    user.see("is silent for 1 h")
    user.click("Runs")
    user.choose("outcome", "failed")
    user.click("Show")
    user.see("failed")
    user.click("Agenda")
    user.see("The next 24 hours")


def test_keys_owners_and_channels_are_administered(user: User) -> None:
    user.open("/keys")
    user.click("New key")
    user.click("Make the key")
    user.see("Nothing is saved yet")
    user.write("name", "Tablet of Bob")
    user.check("scopes.read")
    user.click("Make the key")
    user.see("shown only once", "cf_")
    user.click("Revoke Tablet of Bob")
    user.click("Revoke the key")
    user.see("Tablet of Bob is revoked")
    user.click("Owners")
    user.click("New owner")
    user.write("name", "bob")
    user.write("maxTasks", "7")
    user.click("Save")
    user.see("bob is set")
    user.click("Channels")
    user.click("Send a test webhook")
    user.see("the test message was not accepted")
    user.click("Switch off webhook")
    user.see("webhook is off")
    user.click("Switch on webhook")
    user.see("webhook is on")
    user.click("Change webhook")
    user.write("ratePerMinute", "5")
    user.click("Save")
    user.see("webhook is changed", "5 a minute")
    user.click("Changes")
    user.see("channel changed", "key revoked")


def test_signing_out_and_in_leads_back(user: User) -> None:
    user.open("/incidents")
    user.click("Sign out")
    user.open("/runs?outcome=failed")
    user.write("key", "wrong")
    user.click("Sign in")
    user.see("This key is not valid")
    sign_in(user.window, user._address)
    user.see("Overview")
