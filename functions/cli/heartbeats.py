"""The commands `heartbeat`, which shows where a program calls, and `ping`, which calls for it."""

import asyncio
import signal
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from functions.cli.local.location import STATE_FOLDER
from functions.cli.local.running import find_service_url
from functions.cli.options import UsageError
from functions.cli.session import CliContext
from functions.domain.access import ADMINISTRATOR
from functions.domain.heartbeat.model import MAX_OUTPUT_CHARS
from functions.domain.types import format_instant
from functions.http_client.trusted import HttpResponse, PostError, TrustedHttpClient
from functions.services.heartbeats import ping_name
from functions.services.tasks import TaskService

DEFAULT_URL = "http://127.0.0.1:8080"  # where `serve` answers, unless another port is given
KEPT_BYTES = 4 * MAX_OUTPUT_CHARS  # of a program's output, its end
START_TRIES, END_TRIES = 1, 4  # a program does not wait for its start to be known
FIRST_WAIT_S = 1.0  # before the second try; doubled for each later one
TIMEOUT_S = 10.0
COMMAND_NOT_FOUND, NOT_EXECUTABLE, SIGNAL_EXIT = 127, 126, 128  # as a shell says it


async def show_heartbeat(context: CliContext, *, task_id: str, renew: bool) -> int:
    """Show the address of a heartbeat, with lines to copy; with *renew* another one, which ends the first."""
    context.make_signing_secret()
    if renew:
        await _service(context).revoke_address(task_id)
    task = await context.get_task(task_id)
    settings = context.settings
    base = settings.public_url or find_service_url(STATE_FOLDER, settings.store_url) or DEFAULT_URL
    address = f"{base.rstrip('/')}/ping/{await ping_name(context.app.signer, task)}"
    expected = task.next_occurrence
    show_address(context, address, expected=format_instant(expected) if expected else None)
    if settings.public_url is None:
        context.screen.note("Set PUBLIC_URL to where the function answers, for addresses that work elsewhere")
    return 0


def show_address(context: CliContext, address: str, *, expected: str | None) -> None:
    """Show *address*, and how programs call it."""
    context.screen.show(
        {"address": address, "expectedAt": expected},
        [
            f"Address:   {address}",
            f"Expected:  {expected or '-'}",
            "",
            "In a crontab, after the command:",
            f"  && curl -fsS -m 10 --retry 5 -o /dev/null {address}",
            "Or before the command, with its start, its exit code and its output:",
            f"  scheduler ping {address} --",
        ],
    )


def _service(context: CliContext) -> TaskService:
    return TaskService(context.store, ADMINISTRATOR, clock=context.now, new_id=context.new_id)


async def ping(context: CliContext, *, address: str, what: str, command: Sequence[str]) -> int:
    """Call *address*, or run *command* and report it; return the command's exit code."""
    if not address.startswith(("https://", "http://")) or "/ping/" not in address:
        raise UsageError("ADDRESS: must be the address of a heartbeat, as scheduler heartbeat ID shows it")
    async with TrustedHttpClient() as client:
        if not command:
            problem = await _call(client, f"{address}{what}", b"", tries=END_TRIES)
            if problem:
                context.screen.error(f"the call was not taken: {problem}")
            return 1 if problem else 0
        run = f"rid={uuid.uuid4().hex}"
        starting = asyncio.create_task(_call(client, f"{address}/start?{run}", b"", tries=START_TRIES))
        code, output = await _run(context, command)
        await starting
        if problem := await _call(client, f"{address}/{code}?{run}", output, tries=END_TRIES):
            context.screen.error(f"the command ended with {code}, and the call was not taken: {problem}")
        return code


async def _call(client: TrustedHttpClient, url: str, body: bytes, *, tries: int) -> str:
    """Call *url*; return why the call was not taken, empty when it was. The text holds no address."""
    problem = ""
    for number in range(tries):
        if number:
            await asyncio.sleep(FIRST_WAIT_S * 2 ** (number - 1))
        try:
            answer = await client.request("POST", url, headers={}, body=body, timeout_s=TIMEOUT_S)
        except PostError as exc:
            problem = str(exc)
            continue
        problem = _why_refused(answer)
        if answer.status < 500 and answer.status != 429:
            break
    return problem


def _why_refused(answer: HttpResponse) -> str:
    if answer.status < 300:
        return ""
    if answer.status == 404:
        return "there is no heartbeat at this address (404): was it revoked, or its task removed?"
    return f"answered {answer.status}"


async def _run(context: CliContext, command: Sequence[str]) -> tuple[int, bytes]:
    """Run *command*, passing its output on; return its exit code and the end of what it wrote."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        context.screen.error(f"{command[0]}: there is no such program")
        return COMMAND_NOT_FOUND, f"{command[0]}: there is no such program".encode()
    except OSError as exc:
        context.screen.error(f"{command[0]}: {exc.strerror}")
        return NOT_EXECUTABLE, f"{command[0]}: {exc.strerror}".encode()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with suppress(NotImplementedError, ValueError):  # where there are no signals
            loop.add_signal_handler(number, _pass_on, process, number)
    written = bytearray()
    assert process.stdout is not None
    assert process.stderr is not None
    await asyncio.gather(
        _copy(process.stdout, sys.stdout.buffer, written), _copy(process.stderr, sys.stderr.buffer, written)
    )
    code = await process.wait()
    return (SIGNAL_EXIT - code if code < 0 else code), bytes(written)


def _pass_on(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


async def _copy(source: asyncio.StreamReader, target: BinaryIO, written: bytearray) -> None:
    """Copy *source* to *target* as it comes, and keep the end of it in *written*."""
    while chunk := await source.read(65_536):
        written += chunk
        del written[:-KEPT_BYTES]
        with suppress(BrokenPipeError):
            target.write(chunk)
            target.flush()
