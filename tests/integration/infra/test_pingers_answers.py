"""Every pinger shows it when no tick was done: another page answers, a redirect, or a tick that failed."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.support.pinger_files import (
    CLOUDFLARE,
    NODE,
    SECRET,
    VERCEL,
    bash,
    crontab_line,
    curl_config,
    module,
    node,
    ran,
    step,
    unit,
)
from tests.support.serving import ROOT, in_a_thread

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
WORKED = '{"status":"ok","due":0}'
ANSWERS = {  # the first part of the path: status and body; 302 leads to what worked
    "worked": (200, WORKED),
    "degraded": (200, '{"status":"degraded","reason":"The store could not be reached in time"}'),
    "page": (200, "<!doctype html><title>This domain is for sale</title>"),
    "empty": (200, ""),
    "redirect": (302, ""),
    "forbidden": (403, "<html>Forbidden</html>"),
}
FAULTS = [name for name in ANSWERS if name != "worked"]


class Host:
    """Answers what the first part of the path says; keeps the paths, and the secrets that came with them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                host.asked.append((self.path, self.headers["Authorization"]))
                status, body = ANSWERS[self.path.split("/")[1]]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/worked/tick")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST  # noqa: N815  # what a client makes of a POST that is redirected

            def log_message(self, *_: object) -> None:
                """Nobody reads this log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with in_a_thread(host.server):
        yield host


def asked_once(host: Host, path: str) -> bool:
    return host.asked == [(path, f"Bearer {SECRET}")]


@pytest.mark.parametrize("fault", FAULTS)
def test_cron_mails_whatever_is_no_tick_that_worked(host: Host, tmp_path: Path, fault: str) -> None:
    curl_config(tmp_path / ".config" / "cronfire", f"{host.address}/{fault}")
    command = crontab_line().split(maxsplit=5)[5]

    mailed = ran("sh", "-c", f"{{ {command}; }} 2>&1", env={"HOME": str(tmp_path)})

    assert bool(mailed.strip()) == (fault != "empty")  # the one answer that says nothing to anybody
    assert asked_once(host, f"/{fault}/tick")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_service_of_systemd_fails_without_a_tick_that_worked(
    host: Host, tmp_path: Path, fault: str
) -> None:
    command = unit("cronfire-tick.service")["Service"]["ExecStart"]
    credentials = curl_config(tmp_path, f"{host.address}/{fault}").parent

    journal = bash(f"exec {command.replace('%d', str(credentials))} 2>&1", code=1)

    assert "no report of a tick that worked" in journal
    assert SECRET not in journal
    assert asked_once(host, f"/{fault}/tick")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_workflow_that_pings_fails_without_a_tick_that_worked(host: Host, fault: str) -> None:
    ping = step("ping.yml", "Ping")
    env = {"CRON_SECRET": SECRET, "CRONFIRE_URL": f"{host.address}/{fault}/"}

    script = {**ping, "run": f"{{ {ping['run']}\n}} 2>&1 || exit 1"}
    said = bash(script, code=1, env=env)

    assert SECRET not in said
    assert asked_once(host, f"/{fault}/tick")


def test_the_workflow_sends_a_secret_with_quotes_as_it_is(host: Host) -> None:
    """The function accepts each sign of ASCII; a file of curl takes quotes and backslashes for its own."""
    secret = 'a"secret\\of-32-signs-and-some-more'
    env = {"CRON_SECRET": f"{secret}\n", "CRONFIRE_URL": f"{host.address}/worked"}

    bash(step("ping.yml", "Ping"), env=env)

    assert [("/worked/tick", f"Bearer {secret}")] == host.asked


def test_a_workflow_has_the_time_of_all_its_attempts() -> None:
    ping = step("ping.yml", "Ping")["run"].split()
    each, more = (int(ping[ping.index(word) + 1]) for word in ("--max-time", "--retry"))
    text = (ROOT / "infra" / "pingers" / "github" / "ping.yml").read_text()

    assert each * (more + 1) + 2**more < 60 * yaml.safe_load(text)["jobs"]["ping"]["timeout-minutes"]


@needs_node
@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_at_cloudflare_fails_without_a_tick_that_worked(
    host: Host, tmp_path: Path, fault: str
) -> None:
    env = json.dumps({"CRONFIRE_URL": f"{host.address}/{fault}", "CRON_SECRET": SECRET})

    node(CLOUDFLARE.format(file=module("cloudflare/worker.js", tmp_path), env=env), tmp_path, 1)

    assert asked_once(host, f"/{fault}/tick")


@needs_node
@pytest.mark.parametrize("fault", FAULTS)
def test_vercel_answers_that_no_tick_worked(host: Host, tmp_path: Path, fault: str) -> None:
    headers = json.dumps({"authorization": f"Bearer {SECRET}"})
    script = VERCEL.format(file=module("vercel/api/tick.js", tmp_path), headers=headers)
    script = script.replace("await answer.json()", "await answer.text()")

    said = node(script, tmp_path, CRONFIRE_URL=f"{host.address}/{fault}", CRON_SECRET=SECRET)

    assert json.loads(said.splitlines()[-1])["status"] in (502, 504)
    assert asked_once(host, f"/{fault}/tick")


@needs_node
@pytest.mark.parametrize("end", ["", "/", "//", " "])
def test_the_path_of_the_function_s_address_is_kept(host: Host, tmp_path: Path, end: str) -> None:
    """Cloud Functions has addresses with the function's name as their path, and so have proxies."""
    address = f"{host.address}/worked/cronfire{end}"
    env = json.dumps({"CRONFIRE_URL": address, "CRON_SECRET": SECRET})
    headers = json.dumps({"authorization": f"Bearer {SECRET}"})

    node(CLOUDFLARE.format(file=module("cloudflare/worker.js", tmp_path), env=env), tmp_path)
    said = node(
        VERCEL.format(file=module("vercel/api/tick.js", tmp_path), headers=headers),
        tmp_path,
        CRONFIRE_URL=address,
        CRON_SECRET=f"{SECRET}\n",  # as a form that it was pasted into keeps it
    )

    assert 200 == json.loads(said.splitlines()[-1])["status"]
    assert [("/worked/cronfire/tick", f"Bearer {SECRET}")] * 2 == host.asked


@needs_node
@pytest.mark.parametrize("address", [None, "", "cronfire.example.com"])
def test_vercel_names_the_variable_that_is_no_address(tmp_path: Path, address: str | None) -> None:
    headers = json.dumps({"authorization": f"Bearer {SECRET}"})
    script = VERCEL.format(file=module("vercel/api/tick.js", tmp_path), headers=headers)
    given = {} if address is None else {"CRONFIRE_URL": address}

    said = node(script, tmp_path, CRON_SECRET=SECRET, **given)

    answer = json.loads(said.splitlines()[-1])
    assert (500, {"error": "CRONFIRE_URL is no address"}) == (answer["status"], answer["body"])


@needs_node
def test_cloudflare_names_the_variable_that_is_no_address(tmp_path: Path) -> None:
    file = module("cloudflare/worker.js", tmp_path)
    script = CLOUDFLARE.format(file=file, env=json.dumps({"CRON_SECRET": SECRET}))

    said = node(f'process.on("uncaughtException", console.log);\n{script}', tmp_path)

    assert "CRONFIRE_URL must be an address" in said


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("empty", "redirect")])
def test_the_pinger_of_compose_says_what_is_no_tick_that_worked(host: Host, fault: str) -> None:
    services = yaml.safe_load((ROOT / "infra" / "container" / "compose.yaml").read_text())["services"]
    [script] = services["pinger"]["command"]
    once = script.replace("$$", "$").replace("http://cronfire:8080", f"{host.address}/{fault}")
    once = once.replace("sleep ", "exit 0 ; : ")

    said = ran("sh", "-c", f"{{ {once}\n}} 2>&1", env={"CRON_SECRET": SECRET})

    assert said.strip()
    assert asked_once(host, f"/{fault}/tick")
