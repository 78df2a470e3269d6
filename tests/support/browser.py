"""A real Chromium without a screen."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

SHELL_FOLDER = "/usr/lib/chromium"  # Debian's
WITHOUT = "chromium and chromium-driver are not installed: apt-get install chromium chromium-driver"


@contextmanager
def chromium(
    *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True
) -> Iterator[webdriver.Chrome]:
    """A fresh browser, without anything kept from before; without *scripts* it runs none of a page's."""
    # The same engine without windows, for less of a processor. The script of its name in the path starts
    # it as a child, which goes on when the script is ended.
    browser = shutil.which("chromium-headless-shell", path=SHELL_FOLDER) or shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        refuse = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
        refuse(WITHOUT)
    options = Options()
    options.binary_location = str(browser)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # there is no user to protect in a container that runs as root
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        f"--window-size={width},{height}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1},scriptEnabled={str(scripts).lower()}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    window.implicitly_wait(0)
    try:
        yield window
    finally:
        window.quit()
