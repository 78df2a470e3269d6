"""The newcomer's path with a stop-watch: from a clone to a green task of one's own in the dashboard.

python -m tests.harness.newcomer [--source URL] [--target SECONDS] [--keep]

It does what README says: `git clone`, `./scripts/run`, the link that this prints opened in a real Chromium,
one task made in the form, "Run now", and the wait until it is green. Variables, home and folder are as after
a fresh installation. Processor time is shown beside the clock, because a busy machine stretches the latter.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import chromium
from tests.support.serving import ROOT, free_port

show = partial(print, flush=True)  # this is what it is for
WAIT_S = 600  # for any one step
TITLE = "My site answers"
NETWORK = ("HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "SSL_CERT_FILE", "UV_INDEX_URL")  # of the machine


@dataclass
class StopWatch:
    """The steps done, each with its seconds and what a person has to do for it.

    Attributes:
        rows: What was done, the seconds, and the number of words typed, keys or clicks.
    """

    rows: list[tuple[str, float, int]] = field(default_factory=list)

    @contextmanager
    def step(self, what: str, actions: int) -> Iterator[None]:
        """Time the block as one step."""
        began = monotonic()
        yield
        self.rows.append((what, monotonic() - began, actions))
        show(f"{self.rows[-1][1]:7.1f} s  {actions}  {what}")

    @property
    def total(self) -> float:
        """All seconds."""
        return sum(seconds for _, seconds, _ in self.rows)


def main() -> int:
    """Walk the path once; return 0 when it took no longer than the target."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.newcomer")
    parser.add_argument("--source", default=str(ROOT), help="what is cloned; this checkout's commit")
    parser.add_argument("--target", type=float, default=180, metavar="SECONDS")
    parser.add_argument("--keep", action="store_true", help="leave the clone in its folder")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="newcomer-"))
    watch = StopWatch()
    try:
        show("  clock  actions  step")
        used = _walk(watch, folder, options.source)
    finally:
        if options.keep:
            show(f"The clone is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    actions = sum(one for _, _, one in watch.rows)
    show(
        f"{watch.total:7.1f} s  {actions}  in all; target {options.target:.0f} s; "
        f"processor {used:.1f} s without the browser"
    )
    return 0 if watch.total <= options.target else 1


def _walk(watch: StopWatch, folder: Path, source: str) -> float:
    """Do all steps; return the processor seconds of what the clone started."""
    home, clone = folder / "home", folder / "cronfire"
    home.mkdir()
    network = {name: os.environ[name] for name in NETWORK if name in os.environ}
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **network}
    with watch.step("git clone", 1):
        subprocess.run(["git", "clone", "--quiet", source, str(clone)], env=environment, check=True)
    with _own_site() as site:
        with watch.step("./scripts/run, until it prints the link", 1):
            running = subprocess.Popen(
                ["./scripts/run", "--port", str(free_port())],
                cwd=clone,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            link = _find_link(running)
        try:
            with chromium() as window:
                _make_task(watch, window, link, site)
        finally:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does
            running.wait(WAIT_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def _find_link(running: subprocess.Popen[str]) -> str:
    """Return the link that `scripts/run` prints; what comes after it is read and dropped."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if found := re.search(r"Dashboard: +(\S+)", line):
            threading.Thread(target=running.stdout.read, daemon=True).start()
            return found[1]
    raise SystemExit(f"scripts/run ended with {running.wait(WAIT_S)}:\n{said}")


def _make_task(watch: StopWatch, window: WebDriver, link: str, site: str) -> None:
    with watch.step("open the link: signed in, on the overview", 1):
        window.get(link)
        _text(window, "h1", "Overview")
    with watch.step("New task: the form", 1):
        _find(window, By.LINK_TEXT, "New task").click()
        _text(window, "h1", "New task")
    with watch.step("write title and address, press Make the task", 3):
        for name, text in (("title", TITLE), ("params.url", site)):
            field_ = _find(window, By.NAME, name)
            field_.clear()
            field_.send_keys(text)
        _find(window, By.XPATH, "//button[normalize-space()='Make the task']").click()
        _text(window, ".said", "The task is created")
    with watch.step("Run now, until the task is green", 1):
        _find(window, By.XPATH, "//button[normalize-space()='Run now']").click()
        _text(window, ".said", "Answered 200")
        _find(window, By.CSS_SELECTOR, ".state.good")


def _find(window: WebDriver, by: str, what: str) -> WebElement:
    return WebDriverWait(window, WAIT_S, poll_frequency=0.05).until(lambda one: one.find_element(by, what))


def _text(window: WebDriver, selector: str, expected: str) -> None:
    """Wait until an element of *selector* has *expected* in its text."""

    def is_shown(one: WebDriver) -> bool:
        return any(expected in found.text for found in one.find_elements(By.CSS_SELECTOR, selector))

    WebDriverWait(
        window, WAIT_S, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
    ).until(is_shown)


@contextmanager
def _own_site() -> Iterator[str]:
    """A site of one's own on loopback, so that the path needs no internet but for the packages."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the library's
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Welcome")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
