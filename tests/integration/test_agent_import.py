"""The first agent of a process imports pydantic-ai, for seconds: the loop goes on meanwhile."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_STALL_S = 0.25

# A process of its own: this one has loaded everything already.
PROBE = """
import asyncio, json, sys
from functions.task_types.registry import Tools, check_params, run_job
from functions.task_types.support.context import LanguageModel
from functions.testing import httpx, make_job, mock_http
from functions.parsing.pool import parse_here
from tests.integration.test_hostile_documents import beside_a_heartbeat

REPLY = {"choices": [{"message": {"content": json.dumps({"summary": "s", "items": []})}}]}

async def main():
    http = mock_http(lambda _: httpx.Response(200, json=REPLY))
    model = LanguageModel(open_http=lambda: http, url="https://example.com/v1", default_model="m")
    tools = Tools(open_http=lambda: http, open_store=lambda owner: None, parse=parse_here, model=model)
    check_params("agent", {"goal": "x"})
    early = "pydantic_ai" in sys.modules
    job = make_job("agent", {"goal": "x"}, timeout_s=100.0)
    outcome, heart = await beside_a_heartbeat(run_job(job, tools))
    late = [name in sys.modules for name in ("pydantic_ai", "anthropic", "mcp")]
    print(json.dumps([early, late, outcome.kind.value, heart.longest_s, heart.beats]))

asyncio.run(main())
"""


def test_the_first_agent_of_a_process_stops_no_other_task() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )

    early, late, kind, longest_s, beats = json.loads(done.stdout)
    assert (False, [True, False, False], "succeeded") == (early, late, kind)
    assert beats > 20
    assert longest_s <= MAX_STALL_S
