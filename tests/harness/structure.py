"""Measure the structure of the program: its modules, and how many of them one request passes through.

Run by `scripts/structure`. A function entered counts its module; a hop is an entry into another module than
the one entered before it, in the same thread. Class bodies and imports do not count.
"""

import argparse
import ast
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import functions_framework.aio

SECRET = "a-shared-secret-for-this-measurement-alone"
KEY = "an-administrator-key-for-this-measurement"
TASK = {
    "id": "site",
    "title": "Site",
    "type": "health_check_url",
    "schedule": "@yearly",
    "timezone": "Europe/Riga",
}
OPTIMIZED = 0x1  # the flag of functions; class bodies and modules lack it
TICK = "the first POST /tick of a process, one health check"
PAUSE = "POST /api/tasks/ID/pause"
TARGETS = {TICK: (60, 250), PAUSE: (20, 90)}


@dataclass
class Trace:
    """What was entered while `recording`; paths are relative to the checkout."""

    root: Path
    modules: set[str] = field(default_factory=set)
    hops: int = 0
    _last: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> "Trace":
        _open.append(self)
        threading.setprofile(_profile)
        sys.setprofile(_profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)
        _open.remove(self)

    def record(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_flags & OPTIMIZED:
            return
        path = code.co_filename
        is_ours = path.startswith(f"{self.root}/functions/") or path == f"{self.root}/main.py"
        if is_ours and not _is_import(frame, f"{self.root}/functions/"):
            thread = threading.get_ident()
            if self._last.setdefault(thread, path) != path:
                self.hops += 1
            self.modules.add(path)
            self._last[thread] = path


def _is_import(frame: FrameType | None, folder: str) -> bool:
    """Whether *frame* was called by the code of a module below *folder* while that was imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(folder):
            return True
        frame = frame.f_back
    return False


_open: list[Trace] = []


def _profile(frame: FrameType, event: str, arg: Any) -> None:
    """Pass a call on to what records now: a thread keeps the function that was set when it began."""
    for trace in _open:
        trace.record(frame, event, arg)


def sizes(root: Path) -> list[tuple[str, int | str]]:
    """The figures of `functions/`: empty package files are left out."""
    lines: dict[Path, int] = {}
    for path in (root / "functions").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if len(ast.parse(text).body) > 1:
            lines[path] = text.count("\n")
    folders = Counter(path.parent for path in lines if path.name != "__init__.py")
    longest = max(lines, key=lines.__getitem__)
    fullest, most = folders.most_common(1)[0]
    return [
        ("modules with code", len(lines)),
        ("lines of a module, median", round(statistics.median(lines.values()))),
        ("lines of a module, most", f"{lines[longest]} ({longest.relative_to(root)})"),
        ("modules under 40 lines", sum(count < 40 for count in lines.values())),
        ("modules in functions/ itself", folders[root / "functions"]),
        ("modules in the fullest folder", f"{most} ({fullest.relative_to(root)})"),
    ]


async def trace_requests(root: Path, folder: Path) -> dict[str, Trace]:
    """Serve one request of each kind in this process and return what each entered."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    file = folder / "tasks.json"
    file.write_text(json.dumps({"tasks": [TASK | {"params": {"url": f"http://127.0.0.1:{port}/"}}]}))
    for words in (("apply", str(file)), ("run", "site")):
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "functions.cli", *words, cwd=root, stdout=asyncio.subprocess.DEVNULL
        )
        assert await command.wait() == 0
    target = str(root / "main.py")
    app = functions_framework.aio.create_asgi_app("scheduler", target)  # type: ignore[no-untyped-call]  # untyped
    traces = {}
    with Trace(root) as trace:
        report = await _request(app, "POST", "/tick", SECRET)
    assert json.loads(report)["succeeded"] == 1, report
    traces[TICK] = trace
    await _request(app, "GET", "/api/tasks", KEY)  # makes what all requests of the API share
    with Trace(root) as trace:
        await _request(app, "POST", "/api/tasks/site/pause", KEY, b'{"note": "measured"}')
    traces[PAUSE] = trace
    server.close()
    return traces


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()
    writer.close()


async def _request(
    app: Callable[..., Awaitable[None]], method: str, path: str, token: str, body: bytes = b""
) -> bytes:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "host": "localhost"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent
    return b"".join(message.get("body", b"") for message in sent[1:])


def over_the_targets(traces: Mapping[str, Trace]) -> list[str]:
    """Return in a sentence each target that is missed."""
    return [
        f"{name}: {figure} {what}, the target is {target}"
        for name, trace in traces.items()
        for what, figure, target in zip(
            ("modules", "hops"), (len(trace.modules), trace.hops), TARGETS[name], strict=True
        )
        if figure > target
    ]


def main() -> int:
    """Print the tables; 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/structure", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--modules", action="store_true", help="name the modules that each request enters")
    options = parser.parse_args()
    root = Path.cwd().resolve()
    lines = ["| what | figure |", "|---|---|"]
    lines += [f"| {name} | {figure} |" for name, figure in sizes(root)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            STORE_URL=f"sqlite:///{folder}/scheduler.db",
            CRON_SECRET=SECRET,
            API_KEY=KEY,
            ALLOW_PRIVATE_NETWORKS="1",
            LOG_LEVEL="ERROR",
        )
        traces = asyncio.run(trace_requests(root, Path(folder)))
    lines += ["", "| request | modules entered (target) | hops between modules (target) |", "|---|---|---|"]
    for name, trace in traces.items():
        modules, hops = TARGETS[name]
        lines.append(f"| {name} | {len(trace.modules)} ({modules}) | {trace.hops} ({hops}) |")
        if options.modules:
            lines += [f"  {Path(path).relative_to(root)}" for path in sorted(trace.modules)]
    missed = over_the_targets(traces)
    sys.stdout.write("\n".join([*lines, *missed]) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
