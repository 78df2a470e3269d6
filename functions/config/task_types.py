"""The settings of task types: what tasks may do and call, the hooks around them, and their secrets."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from functions.config.types import (
    HTTP_URL,
    ONE_WORD,
    Flag,
    HttpUrl,
    PortRanges,
    SettingsGroup,
    Token,
    read_text,
    split_list,
)

SECRET_PREFIX = "TASK_SECRET_"  # noqa: S105  # no variable without it can be read by a task
MAX_TASK_SECRET_CHARS = 8192
MIN_TASK_SECRET_CHARS = 8  # a shorter value could not be masked without masking innocent words
SYSTEM_ROOT = "SYSTEMROOT"  # of Windows: where its libraries are
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z]\w*)?")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z]\w*")
FUNCTION_NAME = "a function such as jobs.audit:note"


def _check_function(name: str) -> str:
    # Not a `pattern`: pydantic's engine takes 1.2 MB for the letters of all languages.
    if not _FUNCTION.fullmatch(name):
        raise ValueError
    return name


FunctionName = Annotated[str, AfterValidator(_check_function)]


def _check_modules(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_MODULE.fullmatch(name) for name in names):
        raise ValueError
    return names


class TaskSettings(SettingsGroup):
    """The variables of task types.

    Attributes:
        allow_private_networks: Whether tasks may call private and loopback addresses.
        allow_ports: The ports that tasks may call; None for any.
        allow_commands: Whether tasks may run programs, with all that this process may do.
        python_tasks: Packages, modules or `module:function` that tasks may call; empty means none.
        task_types: Modules with additional task types; the last part of each is the type's name.
        before_task: Called with the job before each attempt; None for nothing.
        after_task: Called with the event of each run that has finished; None for nothing.
        github_token: For `github_dispatch` tasks without a token of their own.
        github_api_url: The address of GitHub's API, or of an Enterprise server.
    """

    allow_private_networks: Flag = Field(False, strict=True, description="1, 0, true or false")
    allow_ports: PortRanges | None = Field(
        None, description="ports from 1 to 65535 and ranges of them, such as 80,443,9000-9100"
    )
    allow_commands: Flag = Field(False, strict=True, description="1, 0, true or false")
    python_tasks: Annotated[tuple[str, ...], BeforeValidator(split_list), AfterValidator(_check_modules)] = (
        Field((), description="modules such as jobs or jobs.daily:report, several with commas")
    )
    task_types: Annotated[tuple[str, ...], BeforeValidator(split_list), AfterValidator(_check_modules)] = (
        Field((), description="modules such as shop.count_stock, several with commas")
    )
    before_task: FunctionName | None = Field(None, description=FUNCTION_NAME)
    after_task: FunctionName | None = Field(None, description=FUNCTION_NAME)
    github_token: Token | None = Field(None, description=ONE_WORD)
    github_api_url: HttpUrl = Field("https://api.github.com", description=HTTP_URL)


def hook_problems(values: Mapping[str, str]) -> list[str]:
    """Return a sentence for each hook that PYTHON_TASKS does not allow."""
    allowed = split_list(values.get("python_tasks", ""))
    assert isinstance(allowed, tuple)  # a text was split
    return [
        f"{name.upper()} names a function that PYTHON_TASKS does not list; add its module there."
        for name in ("before_task", "after_task")
        if (given := values.get(name)) and not _is_listed(given, allowed)
    ]


def _is_listed(name: str, allowed: tuple[str, ...]) -> bool:
    module = name.partition(":")[0]
    return name in allowed or any(module == one or module.startswith(f"{one}.") for one in allowed)


def command_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a command starts with: PATH, HOME and LANG of *env*, or their defaults.

    And SYSTEMROOT where *env* has it: without it no program of Windows finds its libraries.
    """
    given = {name: env.get(name, "") for name in ("HOME", "LANG", "PATH", SYSTEM_ROOT)}
    defaults = {"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": DEFAULT_PATH}  # noqa: S108  # a home that always is
    return defaults | {name: value for name, value in given.items() if value}


def read_task_secrets(env: Mapping[str, str]) -> tuple[dict[str, SecretStr], list[str]]:
    """Return each `TASK_SECRET_<NAME>`, or the content of its `TASK_SECRET_<NAME>_FILE`, and the problems."""
    found: dict[str, SecretStr] = {}
    problems: list[str] = []
    for variable in sorted(env):
        given = env[variable].strip()
        if not variable.startswith(SECRET_PREFIX) or not given:
            continue
        name = variable.removeprefix(SECRET_PREFIX)
        if from_file := len(name) > len("_FILE") and name.endswith("_FILE"):
            name = name.removesuffix("_FILE")
            given = read_text(Path(given))
        if name in found:
            problems.append(f"Set {SECRET_PREFIX}{name} or {variable}, not both.")
        elif not _NAME.fullmatch(name):
            problems.append(f"After {SECRET_PREFIX} must come 1 to 64 letters, digits and _.")
        elif from_file and not given:
            problems.append(f"{variable} must be the path of a readable file that is not empty.")
        elif not MIN_TASK_SECRET_CHARS <= len(given) <= MAX_TASK_SECRET_CHARS:
            problems.append(
                f"{variable} must have {MIN_TASK_SECRET_CHARS} to {MAX_TASK_SECRET_CHARS} characters "
                "to be masked."
            )
        else:
            found[name] = SecretStr(given)
    return found, problems
