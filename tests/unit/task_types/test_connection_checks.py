"""`tcp_check` and `tls_check` over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.errors import InputError
from functions.http_client.sockets import GuardedSockets
from functions.task_types.registry import Tools, check_params, run_job
from tests.support.authority import Authority
from tests.support.sockets import listening, say_nothing
from tests.unit.task_types.conftest import tools_with

DAY = timedelta(days=1)
MakeJob = Callable[..., Job]


def tools_over(sockets: GuardedSockets) -> Tools:
    return replace(tools_with(), open_sockets=lambda: sockets)


LOCAL = GuardedSockets(allow_private=True)


@pytest.fixture
async def greeter() -> AsyncIterator[int]:
    """A port that greets, and answers PING."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ready\r\n")
        while line := await reader.readline():
            writer.write(b"+PONG\r\n" if line == b"PING\r\n" else b"-ERR\r\n")

    async with listening(talk) as port:
        yield port


async def check(make_job: MakeJob, type_name: str, tools: Tools | None = None, **params: Any) -> Outcome:
    job = make_job(type_name, {"host": "127.0.0.1", **params}, started_at=datetime.now(UTC))
    return await run_job(job, tools or tools_over(LOCAL))


@pytest.mark.parametrize(
    ("params", "outcome"),
    [
        ({}, "succeeded"),
        ({"expect": "220 "}, "succeeded"),
        ({"expect": "220 ", "maxLatencyMs": 60_000}, "succeeded"),
        ({"send": "PING\r\n", "expect": "+PONG"}, "succeeded"),
        ({"expect": "250 ", "timeoutSeconds": 0.3}, "failed"),
        ({"send": "QUIT\r\n", "expect": "+PONG", "timeoutSeconds": 0.3}, "failed"),
    ],
)
async def test_what_a_port_says(
    make_job: MakeJob, greeter: int, params: dict[str, Any], outcome: str
) -> None:
    found = await check(make_job, "tcp_check", port=greeter, **params)
    assert found.kind == outcome, found.summary
    assert found.metrics["latencyMs"] >= 0
    if outcome == "failed":
        assert "did not say what is expected: it said '220 mail.example.com ready" in found.summary


async def test_a_port_that_says_nothing(make_job: MakeJob) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The connection ends with it."""

    async with listening(hang_up) as port:
        found = await check(make_job, "tcp_check", port=port, expect="220")
    assert found.summary.endswith("it said nothing")
    refused = await check(make_job, "tcp_check", port=port)
    assert (refused.kind, refused.summary) == ("failed", "The connection was refused")
    assert not refused.permanent


async def test_a_flood_is_read_up_to_a_bound(make_job: MakeJob) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with listening(flood) as port:
        found = await check(make_job, "tcp_check", port=port, expect="220")
    assert found.kind == "failed"
    assert len(found.summary) < 400


async def test_it_is_too_slow(make_job: MakeJob, greeter: int) -> None:
    ticks = iter([0.0, 0.5])
    slow = GuardedSockets(allow_private=True, clock=lambda: next(ticks))
    found = await check(make_job, "tcp_check", tools_over(slow), port=greeter, maxLatencyMs=200)
    assert found.summary.endswith("took 500 ms to connect, more than 200")


async def test_private_addresses_are_refused(make_job: MakeJob, greeter: int) -> None:
    guarded = GuardedSockets(ports=((1, 65_535),))
    for type_name in ("tcp_check", "tls_check"):
        found = await check(make_job, type_name, tools_over(guarded), port=greeter)
        assert "not allowed" in found.summary
        assert found.permanent


async def test_certificates(make_job: MakeJob, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = Authority(tmp_path, now=now)

    tools = tools_over(GuardedSockets(allow_private=True, ssl_context=authority.trusted))
    async with listening(say_nothing, tls=authority.server(ends=now + 30 * DAY)) as port:
        good = await check(make_job, "tls_check", tools, port=port)
        short = await check(make_job, "tls_check", tools, port=port, certificateDaysLeft=31)
        untrusted = await check(make_job, "tls_check", port=port)
        over_tls = await check(make_job, "tcp_check", tools, port=port, tls=True)
    assert good.kind == "succeeded"
    assert good.summary.startswith("The certificate lasts 29 days more")
    assert good.metrics["certificateDaysLeft"] == 29
    assert short.summary == "The certificate ends in 29 days, sooner than the 31 asked for"
    assert "authority unknown here" in untrusted.summary
    assert over_tls.metrics["tlsVersion"].startswith("TLSv1.")


@pytest.mark.parametrize(
    "params",
    [
        {"host": "https://example.com", "port": 443},
        {"host": "a b", "port": 443},
        {"host": "example.com", "port": 0},
        {"host": "example.com", "port": 70_000},
        {"host": "", "port": 1},
        {"host": "example.com", "port": 1, "send": "x" * 1001},
        {"host": "example.com"},
    ],
)
def test_wrong_params_are_named(params: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"params\."):
        check_params("tcp_check", params)
