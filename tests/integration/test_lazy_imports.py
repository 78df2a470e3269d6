"""What importing a part of the product leaves unloaded: a cold start pays for all that is loaded."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
URL = "https://example.com/canary-path"


def test_importing_the_package_loads_nothing_else() -> None:
    script = "import sys, functions; print([one for one in sys.modules if one.startswith('functions.')])"
    words = [sys.executable, "-c", script]

    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)

    assert "[]" == done.stdout.strip()


def test_a_command_waits_for_no_others_handler() -> None:
    script = """
import sys
from functions.cli.main import build_command
words = ["list", "--json"]
parsed = build_command().main(words, prog_name="scheduler", standalone_mode=False)
handlers = "apply tasks transfer rehearsals heartbeats run local.doctor serve.command admin.keys"
loaded = lambda: [name for name in handlers.split() if f"functions.cli.{name}" in sys.modules]
before = loaded()
parsed.handler
print(before, loaded(), sorted({"functions.transfer", "functions.services.apply"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert "[] ['tasks'] []" == done.stdout.strip()


def test_a_type_is_imported_when_it_is_needed() -> None:
    """Checking params pays neither for feeds nor for connections it has no use for."""
    script = """
import sys
from functions.task_types import registry
registry.type_names()
early = [name for name in sys.modules if name.startswith("functions.task_types.") and name.rsplit(".", 1)[-1]
         in registry.type_names()]
for name in ("health_check_url", "rss_watch", "page_watch", "dns_check", "http", "daily_briefing"):
    registry.check_params(name, registry.example_params(name))
print(early, sorted({"aiohttp", "feedparser", "selectolax", "dns"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[] []" == done.stdout.strip()


def test_opening_channels_loads_no_library_for_http_mail_or_templates() -> None:
    """Most ticks send no notification; a cold start does not pay for one."""
    code = f"""
import sys
from functions.http_client.trusted import TrustedHttpClient
from functions.notifications import create_channels
settings = {{"WEBHOOK_URL": {URL!r}, "FEISHU_WEBHOOK_URL": {URL!r}, "SMTP_URL": "smtp://127.0.0.1",
             "NOTIFY_EMAIL_TO": "a@example.com", "NOTIFY_EMAIL_FROM": "b@example.com"}}
channels = create_channels(settings, TrustedHttpClient())
print(sorted(channels), sorted({{"aiohttp", "aiosmtplib", "httpx2", "jinja2"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "['email', 'feishu', 'webhook'] []" == done.stdout.strip()


def test_a_task_without_expectations_imports_nothing_for_them() -> None:
    """Nor does one whose paths were checked when it was saved: they are applied in a process of their own."""
    script = f"""
import asyncio, sys
from functions.http_client.client import HttpClient
from functions.http_client.httpx import httpx
from functions.task_types import registry
from functions.testing import make_job, make_tools

async def run(expect):
    params = {{"url": {URL!r}}} | ({{"expect": expect}} if expect else {{}})
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text="{{}}"))
    async with httpx.AsyncClient(transport=answer) as http:
        outcome = await registry.run_job(make_job("http", params), make_tools(http))
    libraries = {{"jsonpath", "jsonschema", "referencing"}} & sys.modules.keys()
    ours = [name for name in sys.modules if name.endswith((".expectations", ".contracts", ".contents"))]
    print(outcome.kind.value, sorted(libraries), sorted(one.rpartition("functions.")[2] for one in ours))

asyncio.run(run(None))
asyncio.run(run({{"status": 200, "headers": [{{"name": "content-type", "exists": True}}]}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    without, light = done.stdout.splitlines()
    assert "succeeded [] ['domain.expectations']" == without
    assert light.startswith(
        "succeeded [] ['domain.expectations', 'parsing.contents', 'task_types.support.contr"
    )
