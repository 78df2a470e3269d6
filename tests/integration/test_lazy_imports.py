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


def test_a_type_is_imported_when_it_is_needed() -> None:
    """A cold start does not pay for feeds or an HTTP library it has no use for."""
    script = """
import sys
from functions.task_types import registry as actions
actions.type_names()
early = [name for name in sys.modules if name.startswith("functions.task_types.") and name.rsplit(".", 1)[-1]
         in actions.type_names()]
for name in ("health_check_url", "rss_watch", "http", "daily_briefing"):
    actions.check_params(name, actions.example(name))
print(early, sorted({"aiohttp", "feedparser"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[] []" == done.stdout.strip()


def test_opening_channels_does_not_load_the_http_library() -> None:
    """Most ticks tell nobody anything; a cold start does not pay for it."""
    code = (
        "import sys; from functions.notifications import open_channels;"
        "from functions.http_client.trusted import VendorPost;"
        f"open_channels({{'WEBHOOK_URL': {URL!r}, 'FEISHU_WEBHOOK_URL': {URL!r}}}, VendorPost());"
        "sys.exit('aiohttp' in sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
