"""Task type `tcp_check`: checks that a port takes connections, and says what it should."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.task_types.support.context import ExpectedText, HostName, PortNumber, Seconds, Tools

EXAMPLE: dict[str, Any] = {"host": "mail.example.com", "port": 25, "expect": "220 "}
MAX_ANSWER_BYTES = 4096
SHOWN_CHARS = 100
FINISH_MARGIN = timedelta(seconds=1)  # of the attempt, for the outcome


class Params(Model):
    """What to check.

    Attributes:
        host: A name or an address.
        port: Other ports than those of the web are allowed by ALLOW_PORTS.
        tls: Whether to shake hands; the certificate must be valid for the host.
        send: Text to send once connected, as it is.
        expect: Text that the first 4 KB of the answer must contain.
        timeout_seconds: Time for all of it.
        max_latency_ms: The check fails when the connection takes longer.
    """

    host: HostName
    port: PortNumber
    tls: bool = False
    send: Annotated[str, StringConstraints(max_length=1000)] = ""
    expect: ExpectedText | None = None
    timeout_seconds: Seconds = 10.0
    max_latency_ms: Annotated[int, Field(ge=1, le=300_000)] | None = None


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Connect once, send and read what is asked for, and hang up."""
    timeout_s = min(params.timeout_seconds, max(job.timeout_s - FINISH_MARGIN.total_seconds(), 0.1))
    async with tools.sockets.open(params.host, params.port, tls=params.tls, timeout_s=timeout_s) as opened:
        left_s = max(timeout_s - opened.connect_ms / 1000, 0.1)
        said, found = await _converse(opened.reader, opened.writer, params, timeout_s=left_s)
    metrics: dict[str, Any] = {"latencyMs": opened.connect_ms}
    if opened.tls_version:
        metrics["tlsVersion"] = opened.tls_version
    where = f"Port {params.port}"
    if not found:
        shown = tools.redact(said.decode("utf-8", "replace"))[:SHOWN_CHARS].strip()
        what = f"it said {shown!r}" if shown else "it said nothing"
        return failed(f"{where} takes connections, but did not say what is expected: {what}", metrics=metrics)
    if params.max_latency_ms is not None and opened.connect_ms > params.max_latency_ms:
        return failed(
            f"{where} took {opened.connect_ms} ms to connect, more than {params.max_latency_ms}",
            metrics=metrics,
        )
    return succeeded(f"{where} takes connections, in {opened.connect_ms} ms", metrics=metrics)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, params: Params, *, timeout_s: float
) -> tuple[bytes, bool]:
    """Return what came, and whether it was what is expected."""
    said = b""
    wanted = params.expect.encode() if params.expect else b""
    try:
        async with asyncio.timeout(timeout_s):
            if params.send:
                writer.write(params.send.encode())
                await writer.drain()
            while wanted not in said and len(said) < MAX_ANSWER_BYTES:
                chunk = await reader.read(MAX_ANSWER_BYTES - len(said))
                if not chunk:
                    break
                said += chunk
    except (TimeoutError, OSError):
        pass  # what has arrived by then counts
    return said, wanted in said
