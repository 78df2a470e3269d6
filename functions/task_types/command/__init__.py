"""Task type `command`: runs a program on this machine; for installations on a machine of one's own."""

import errno
import itertools
import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from functions.domain.expectations import MAX_TEXT_BYTES, TOO_LONG, Findings
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import TZDATA_DIR, Model, OutcomeKind, format_instant, text_form
from functions.errors import SHORTAGES, ShortageError
from functions.task_types.command.process import TERMINATION_GRACE_S, NoInputError, ProcessResult, run_process
from functions.task_types.support.context import SAVING, ExpectedEnd, Missing, Tools

EXAMPLE: dict[str, Any] = {
    "command": ["pg_dump", "--file=/backups/shop.sql", "shop"],
    "env": {"PGPASSWORD": "{{secret:SHOP_DATABASE}}"},
}
NO_REFERENCES = ("command", "workingDirectory")  # every process of a machine can read another's arguments
COMMANDS_DISABLED = "Commands are switched off here; set ALLOW_COMMANDS=1 to run them"
WITHOUT_PROCESS_GROUPS = "run the scheduler in WSL or a container, or use a python task"
NO_PROCESS_GROUPS = (
    "Commands need a system with process groups (os.killpg), which Windows has not: nothing else ends a "
    f"program with all it started; {WITHOUT_PROCESS_GROUPS}"
)
NO_INPUT = (
    "The program's input needs a temporary file, for which there is no folder or no room; "
    "free some space, or set TMPDIR where the scheduler runs"
)
TIMEOUT_MARGIN_S = TERMINATION_GRACE_S + 0.5
WITHOUT_NUL, WITHOUT_NUL_WORDS = r"^[^\x00]*$", "must not contain the NUL character"
_Text = Annotated[str, text_form(WITHOUT_NUL, WITHOUT_NUL_WORDS, max_length=65_536)]
_Argument = Annotated[str, text_form(WITHOUT_NUL, WITHOUT_NUL_WORDS, max_length=8192)]
_VariableName = Annotated[
    str,
    text_form(
        r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        "must be the name of a variable: letters, digits and underscores, no digit first",
    ),
]
_FOLDER = text_form(r"^/[^\x00]*$", "must be the whole path of a folder, such as /srv/jobs", max_length=1000)
_QUOTED = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_SHELL_SIGN = re.compile(  # an & or ; within a word, as in an address, is left alone
    r"(?:^|(?<=\s))(?:\d*[<>]+|&>+|[|&;]+|~(?=[/\s]|$))|[|&;]+(?=\s|$)|\$\(|`|\$\{?[A-Za-z_]\w*\}?"
    r"|^\s*[A-Za-z_]\w*="
)
_run_numbers = itertools.count(1)


class Params(Model):
    """The program and its surroundings.

    Attributes:
        command: A list of words, or one text that is split into words as a shell would split it.
        shell: True passes the text to /bin/sh unchanged.
        working_directory: An absolute path; by default the folder the scheduler runs in.
        env: Variables beside PATH, HOME, LANG, TZ and TZDIR; secrets belong here.
        stdin: The program's input; empty by default.
        success_codes: Exit codes that mean success.
        expect: What the program must end with, in full: success_codes is short for its exit_code.
    """

    command: Annotated[list[_Argument], Field(min_length=1, max_length=200)] | _Text
    shell: bool = False
    working_directory: Annotated[str, _FOLDER] | None = None
    env: Annotated[dict[_VariableName, _Argument], Field(max_length=50)] = Field(default_factory=dict)
    stdin: _Text = ""
    success_codes: Annotated[
        tuple[Annotated[int, Field(ge=0, le=255)], ...], Field(min_length=1, max_length=20)
    ] = (0,)
    expect: ExpectedEnd | None = None

    @model_validator(mode="after")
    def _check_combination(self, info: ValidationInfo) -> Self:
        if self.shell and not isinstance(self.command, str):
            raise ValueError("shell needs the command as one text; a list of words is run without a shell")
        if not any(self.argv()):
            raise ValueError("command names no program")
        if info.context == SAVING and (sign := self._sign_of_a_shell()):
            raise ValueError(
                f"command has {sign} outside quotes, which only a shell understands; "
                "set shell to true, or quote it"
            )
        has_codes = self.expect is not None and self.expect.exit_code is not None
        if has_codes and "success_codes" in self.model_fields_set:
            raise ValueError("give expect.exitCode or successCodes, which is short for it, not both")
        return self

    def _sign_of_a_shell(self) -> str:
        """What would reach the program as a word, but was written for a shell; empty for nothing."""
        if self.shell or isinstance(self.command, list):
            return ""
        found = _SHELL_SIGN.search(_QUOTED.sub("q", self.command))
        return found[0] if found else ""

    def argv(self) -> list[str]:
        """The program and its arguments.

        Raises:
            ValueError: A quotation is not closed.
        """
        if isinstance(self.command, list):
            return self.command
        if self.shell:
            return ["/bin/sh", "-c", self.command] if self.command.strip() else []
        try:
            return shlex.split(self.command)
        except ValueError:
            raise ValueError("command has a quotation that is not closed") from None


def find_missing(params: Params, tools: Tools) -> Missing | None:
    """Return what is not set up here for a task with *params*."""
    if not tools.allow_commands:
        return Missing("commands are switched off", "set ALLOW_COMMANDS=1 where the function runs")
    if not hasattr(os, "killpg"):
        return Missing("commands need process groups, which Windows has not", WITHOUT_PROCESS_GROUPS)
    if _program_exists(params, tools):
        return None
    return Missing(f"there is no program {params.argv()[0]}", "install it, or correct command")


def _program_exists(params: Params, tools: Tools) -> bool:
    program = params.argv()[0]
    if "/" in program:
        return Path(params.working_directory or ".", program).is_file()
    return shutil.which(program, path=tools.command_environment.get("PATH")) is not None


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Run the program once. It gets SIGTERM a little before the attempt's time is up."""
    if not tools.allow_commands:
        return failed(COMMANDS_DISABLED, permanent=True)
    if not hasattr(os, "killpg"):
        return failed(NO_PROCESS_GROUPS, permanent=True)
    time_s = max(job.timeout_s - TIMEOUT_MARGIN_S, job.timeout_s / 2)
    try:
        result = await run_process(
            params.argv(),
            environment={
                **tools.command_environment,
                "TZ": job.timezone,
                "TZDIR": str(TZDATA_DIR / "zoneinfo"),  # else `date` reads the machine's own zones
                **_run_environment(job),
                **params.env,
            },
            working_directory=params.working_directory,
            stdin=params.stdin.encode(),
            marker=f"{job.idempotency_key}#{job.attempt}.{os.getpid()}.{next(_run_numbers)}",
            timeout_s=time_s,
            whole_bytes=0 if params.expect is None else MAX_TEXT_BYTES,
        )
    except OSError as exc:
        if exc.errno in SHORTAGES:
            raise ShortageError from exc
        return failed(_start_failure(exc, params, tools), permanent=not isinstance(exc, NoInputError))
    if result.ended_in_time and params.expect is not None and not result.signal:
        return await _check_contract(job, params, params.expect, result, tools)
    outcome = _to_outcome(params, result, tools)
    if result.ended_in_time:
        return outcome
    reason = f"Not over after {time_s:g} s; it was ended, with every process it had started"
    return Outcome(OutcomeKind.TIMED_OUT, reason, metrics=outcome.metrics)


def _run_environment(job: Job) -> dict[str, str]:
    """Return the variables that describe the run to the program."""
    variables = {
        "CRONFIRE_TASK": job.task_id,
        "CRONFIRE_IDEMPOTENCY_KEY": job.idempotency_key,
        "CRONFIRE_SCHEDULED_AT": format_instant(job.scheduled_at),
    }
    if job.event is not None:  # as JSON it contains no null byte, which a variable cannot hold
        variables["CRONFIRE_EVENT"] = json.dumps(job.event.to_cloud_event().to_structured_json())
    return variables


def _start_failure(exc: OSError, params: Params, tools: Tools) -> str:
    if isinstance(exc, NoInputError):
        return NO_INPUT
    folder = params.working_directory
    if folder is not None and exc.filename == folder:
        return "The working directory does not exist, or cannot be entered"
    if exc.errno == errno.ENOEXEC:
        return (
            "The program is none of this machine's: a script needs a first line such as #!/bin/sh, "
            "and a binary the machine's kind of processor"
        )
    if isinstance(exc, FileNotFoundError) and _program_exists(params, tools):
        return (
            "The program is there, but not what the #! in its first line names; "
            "that line must not end as on Windows (CRLF)"
        )
    if isinstance(exc, FileNotFoundError):
        hint = (
            "" if isinstance(params.command, list) else "; what only a shell knows, as cd, needs shell: true"
        )
        return f"The program was not found; give its absolute path, or check PATH{hint}"
    if isinstance(exc, PermissionError):
        return "The program may not be executed; check its permissions"
    return f"The program could not be started ({type(exc).__name__})"


async def _check_contract(
    job: Job, params: Params, expect: ExpectedEnd, result: ProcessResult, tools: Tools
) -> Outcome:
    """Return the outcome of a program for which all is said in `expect`; the short form counts as well."""
    from functions.task_types.support.contracts import check_expectations, outcome_of  # few tasks need it

    outputs = {"stdout": result.stdout, "stderr": result.stderr}
    findings = Findings(
        {"exitCode": [result.exit_code]},
        texts={name: one.whole.decode("utf-8", "replace") for name, one in outputs.items()},
        raw={name: bytes(one.whole) for name, one in outputs.items()},
        incomplete={name: TOO_LONG for name, one in outputs.items() if one.size > len(one.whole)},
        origin=job.type,
    )
    rules = expect.list_with(exit_codes=params.success_codes)
    verdict = await check_expectations(rules, findings, job, tools)
    happened = f"Ended with exit code {result.exit_code}"
    success = succeeded(happened, metrics=_metrics(result, tools))
    return outcome_of(verdict, success, job, what_happened=happened)


def _metrics(result: ProcessResult, tools: Tools) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    if result.exit_code is not None:
        metrics["exitCode"] = result.exit_code
    if result.signal:
        metrics["signal"] = result.signal
    for name, capture in (("stdout", result.stdout), ("stderr", result.stderr)):
        if text := capture.text(tools.redact):
            metrics[name] = text
    return metrics


def _to_outcome(params: Params, result: ProcessResult, tools: Tools) -> Outcome:
    metrics = _metrics(result, tools)
    if result.signal:
        return failed(f"Ended by the signal {result.signal}", metrics=metrics)
    if result.exit_code not in params.success_codes:
        expected = " or ".join(str(code) for code in params.success_codes)
        reason = _last_line(metrics.get("stderr", ""))
        return failed(
            f"Ended with exit code {result.exit_code}, expected {expected}{reason}", metrics=metrics
        )
    return succeeded(f"Ended with exit code {result.exit_code}", metrics=metrics)


def _last_line(text: str) -> str:
    """Return the last line of *text* after a colon: most programs print their error there."""
    last = text.rpartition("\n")[2].strip()
    return f": {last[:200]}" if last else ""
