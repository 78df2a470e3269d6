"""`scripts/run` as a newcomer starts it: a link that opens the dashboard on tasks that have run."""

import os
import re
import signal
import socket
import subprocess
from http.cookiejar import CookieJar
from pathlib import Path
from shutil import copy
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.support.serving import ROOT, free_port


def test_its_link_opens_the_dashboard_on_samples_that_ran(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "STORE_URL": f"sqlite:///{tmp_path}/tasks.db"}
    running = subprocess.Popen(
        [str(ROOT / "scripts" / "run"), "--port", str(free_port())],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if "3 due, " in line:
                break
        [link] = re.findall(r"http://\S+\?once=\S+", said)
        [key] = re.findall(r"Key: +(\S+)", said)
        browser = build_opener(HTTPCookieProcessor(CookieJar()))
        form = browser.open(Request(link, headers={"Accept": "text/html"}), timeout=20).read().decode()
        [button] = re.findall(r'name="once" value="([^"]+)"', form)
        pressed = Request(link.partition("?")[0], urlencode({"once": button}).encode())
        page = browser.open(pressed, timeout=20).read().decode()
    finally:
        running.send_signal(signal.SIGTERM)
        rest, _ = running.communicate(timeout=30)

    assert re.search(r"3 due, (\d) started, \1 succeeded", said)  # a tick may find one of them again
    assert "The sample site answers" in page
    assert link not in rest
    assert key == (tmp_path / ".cronfire" / "api-key").read_text()
    assert f"sqlite:///{tmp_path}/tasks.db" in said


def test_a_port_that_is_taken_is_said_before_anything_is_made(tmp_path: Path) -> None:
    store = tmp_path / "tasks.db"
    environment = {"PATH": os.environ["PATH"], "STORE_URL": f"sqlite:///{store}"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [str(ROOT / "scripts" / "run"), "--port", str(port)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert (2, "") == (done.returncode, done.stdout)
    assert f"port {port} is taken" in done.stderr
    assert "./scripts/run --port" in done.stderr
    assert not store.exists()


def test_a_checkout_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    scripts = tmp_path / "a check out" / "scripts"
    scripts.mkdir(parents=True)
    copy(ROOT / "scripts" / "run", scripts)
    (scripts / "environment").write_text("#!/bin/sh\n")  # made by somebody else
    (scripts / "environment").chmod(0o755)
    (scripts.parent / ".cronfire").touch()  # as good as a folder without the right to write, which root has

    done = subprocess.run([str(scripts / "run"), "--once"], capture_output=True, text=True, check=False)

    assert (1, "") == (done.returncode, done.stdout)
    [line] = done.stderr.splitlines()
    assert f"{scripts.parent / '.cronfire'} cannot be written" in line
    assert "a checkout of your own" in line
