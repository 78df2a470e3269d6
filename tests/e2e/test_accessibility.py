"""Every page in a real browser, in both themes, on a screen and a phone: axe-core objects to nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.harness.pictures import KEY, shown
from tests.support.axe import axe_script
from tests.support.browser import chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # fifty pages; a minute on a busy machine

PAGES = (
    "/dashboard",
    "/dashboard?status=failing",
    "/dashboard?search=nothing",
    "/dashboard?tag=shop",
    "/dashboard/tasks/payment-api-answers",
    "/dashboard/tasks/nightly-export",
    "/dashboard/tasks/new",
    "/dashboard/tasks/payment-api-answers/edit",
    "/dashboard/runs",
    "/dashboard/incidents",
    "/dashboard/agenda",
    "/dashboard/channels",
    "/dashboard/owners",
    "/dashboard/keys",
    "/dashboard/audit",
    "/dashboard/tasks/new?type=http",
    "/dashboard/owners/edit",
    "/dashboard/removed",
)
LOOKS = ((1280, "light"), (390, "dark"))  # widths and themes do not depend on one another
CHECK = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then((found) => done(found.violations.map((one) =>
  `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)));
"""


@pytest.fixture(scope="module")
def window() -> Iterator[webdriver.Chrome]:
    with chromium() as opened:
        yield opened


def test_every_page_is_for_everybody(window: webdriver.Chrome, tmp_path: Path) -> None:
    axe = axe_script(tmp_path)
    found: list[str] = []
    with shown() as address:
        window.get(f"{address}/dashboard")
        found += problems(window, axe, "sign-in")
        window.find_element(By.NAME, "key").send_keys(KEY)
        window.find_element(By.XPATH, "//button[.='Sign in']").click()
        WebDriverWait(window, 20).until(lambda one: one.find_elements(By.TAG_NAME, "nav"))  # signed in
        run = window.execute_async_script(FIRST_RUN)
        for page in (*PAGES, run):
            for width, theme in LOOKS:
                look(window, width, theme)
                window.get(f"{address}{page}")
                found += problems(window, axe, f"{page} {width} {theme}")
        found += [one["message"] for one in window.get_log("browser") if one["level"] == "SEVERE"]  # type: ignore[no-untyped-call]

    assert [] == found


FIRST_RUN = """
const done = arguments[arguments.length - 1];
fetch("/dashboard/runs").then((answer) => answer.text()).then((text) =>
  done(new DOMParser().parseFromString(text, "text/html").querySelector("td a").getAttribute("href")));
"""


def look(window: webdriver.Chrome, width: int, theme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature: dict[str, Any] = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)


def problems(window: webdriver.Chrome, axe: str, place: str) -> list[str]:
    window.execute_script(axe)
    found = window.execute_async_script(CHECK)
    wide = window.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [f"{place}: {one}" for one in found] + ([f"{place}: {wide} px too wide"] if wide > 0 else [])
