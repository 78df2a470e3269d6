"""The official SDK's client over both transports: a real process on its pipes, and a real server."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import ClientSession, MCPError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from functions.assistants.tools import TOOLS
from functions.http_client.httpx import httpx
from tests.support.serving import ROOT, answered, environment, serving

KEY = "the-first-administrators-key-0123456789"
SHOP = {"title": "Shop", "type": "http", "schedule": "daily", "params": {"url": "https://example.com/"}}


@asynccontextmanager
async def over_stdio(folder: Path, *options: str) -> AsyncIterator[ClientSession]:
    """A session with `scheduler mcp`."""
    variables = environment(STORE_URL=f"sqlite:///{folder}/a.db")
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "functions.cli", "mcp", *options], env=variables, cwd=folder
    )
    with (folder / "err").open("w") as err:
        async with stdio_client(server, errlog=err) as streams, ClientSession(*streams) as session:
            await session.initialize()
            yield session


@asynccontextmanager
async def over_http(address: str, key: str) -> AsyncIterator[ClientSession]:
    """A session with the route /mcp."""
    async with (
        httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=20) as http,
        streamable_http_client(f"{address}/mcp", http_client=http) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        yield session


async def walk(session: ClientSession) -> None:
    """Plan, confirm, pause, run and read, as an assistant does."""

    async def ask(tool: str, **given: Any) -> Any:
        result = await session.call_tool(tool, given)
        assert not result.is_error, result.content
        [shown] = result.content
        assert isinstance(shown, types.TextContent)
        assert shown.text.endswith(json.dumps(result.structured_content, ensure_ascii=False, indent=1))
        return result.structured_content

    listed = await session.list_tools()
    planned = await ask("create_task", task=SHOP)
    none = await ask("list_tasks")
    made = await ask(planned["toConfirm"]["tool"], **planned["toConfirm"]["arguments"])
    paused = await ask("pause_task", id="shop", note="Holiday")
    await ask("resume_task", id="shop")
    await ask("run_task", id="shop")
    wrong = await session.call_tool("create_task", {"task": SHOP | {"schedule": "61 * * * *"}})

    assert set(TOOLS) == {one.name for one in listed.tools}
    assert [] == none["tasks"]
    assert "shop is created" == made["done"]
    assert "shop is paused until it is resumed" == paused["done"]
    assert ["shop"] == [one["id"] for one in (await ask("list_tasks"))["tasks"]]
    assert {"open": [], "over": []} == await ask("list_incidents")
    assert (True, "schedule") == (wrong.is_error, wrong.structured_content["errors"][0]["field"])


async def test_a_process_on_its_pipes(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        async with over_stdio(tmp_path) as session:
            await walk(session)

    assert f"Store: sqlite:///{tmp_path}/a.db" in (tmp_path / "err").read_text()


async def test_a_process_that_may_only_read(tmp_path: Path) -> None:
    async with asyncio.timeout(60), over_stdio(tmp_path, "--read-only") as session:
        refused = await session.call_tool("create_task", {"task": SHOP, "dryRun": False})

    assert (True, True) == (refused.is_error, "scope write" in refused.structured_content["error"])


async def test_a_server_by_key(tmp_path: Path) -> None:
    variables = {
        "CRON_SECRET": "a-secret-of-the-tests-with-32-characters",
        "API_KEY": KEY,
        "STORE_URL": f"sqlite:///{tmp_path}/a.db",
    }
    with serving(ROOT / "main.py", tmp_path, **variables) as address:
        async with asyncio.timeout(90), aiohttp.ClientSession() as client:
            await answered(client, address)
            async with over_http(address, KEY) as session:
                await walk(session)
                with pytest.raises(MCPError, match="at most 64 KB"):
                    await session.call_tool("create_task", {"task": SHOP | {"description": "x" * 70_000}})
                await session.list_tools()  # the session goes on
            bound = {"Authorization": f"Bearer {KEY}"}
            async with client.get(f"{address}/api/tasks/shop/audit", headers=bound) as trail:
                entries = (await trail.json())["entries"]
            body = {"name": "alice", "scopes": ["read"], "owner": "alice"}
            async with client.post(f"{address}/api/keys", json=body, headers=bound) as made:
                token = (await made.json())["token"]
            async with over_http(address, token) as session:
                seen = await session.call_tool("list_tasks", {})
            assert {"administrator (mcp)"} == {one["by"] for one in entries}
            assert [] == seen.structured_content["tasks"]
            assert {} == await _refusals(client, f"{address}/mcp")


async def _refusals(client: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Return what was answered otherwise than expected."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepted = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {KEY}"}
    tries: list[tuple[str, int, str, dict[str, str], Any]] = [
        ("no key", 401, "POST", {"Authorization": ""}, message),
        ("wrong key", 401, "POST", {"Authorization": "Bearer cf_wrong"}, message),
        ("a page of another site", 403, "POST", {"Origin": "https://evil.example"}, message),
        ("a stream", 405, "GET", {}, None),
        ("a session to end", 405, "DELETE", {}, None),
        ("too much", 413, "POST", {}, {"x": "x" * 70_000}),
        ("not said to be JSON", 415, "POST", {"Content-Type": "text/plain"}, message),
        ("no method", 400, "POST", {}, {"jsonrpc": "2.0", "id": 1}),
        ("well", 200, "POST", {}, message),
    ]
    found = {}
    for name, status, method, headers, body in tries:
        async with client.request(method, url, json=body, headers=accepted | headers) as answer:
            is_problem = answer.content_type == "application/problem+json"
            if status != answer.status or is_problem != (status not in (200, 403)):  # 403 is the SDK's
                found[name] = (answer.status, await answer.text())
    return found


@pytest.mark.parametrize("module", ["main", "functions.cli.main"])
def test_nobody_else_pays_for_the_sdk(module: str) -> None:
    """It takes half a second to import; no tick and no other command does."""
    import subprocess

    code = f"import sys, {module}; print([one for one in sys.modules if one.split('.')[0] == 'mcp'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(CRON_SECRET="a-secret-of-the-tests-with-32-characters"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "[]" == done.stdout.strip(), done.stderr
