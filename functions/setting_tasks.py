"""Settings of the task types: what tasks may do on this machine, and the secrets they may use by name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr

from functions.setting_kinds import ADDRESS, Address, Switch, content, listed

SECRET_PREFIX = "TASK_SECRET_"  # noqa: S105  # no variable without it can be read by a task
MOST_CHARS = 8192
LEAST_CHARS = 8  # a shorter value could not be masked without masking innocent words
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z]\w*)?")


def _modules(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_MODULE.fullmatch(name) for name in names):
        raise ValueError
    return names


class TaskSettings(BaseModel):
    """What task types are allowed, and what they are given.

    Attributes:
        allow_commands: Whether tasks may run programs, with all that this process may do.
        python_tasks: Packages, modules or `module:function` that tasks may call; empty means none.
        task_types: Modules with task types of one's own; the last part of each is the type's name.
        github_token: For `github_dispatch`, where a task brings none of its own.
        github_api_url: Where GitHub is asked; an Enterprise server has an address of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    allow_commands: Switch = Field(False, strict=True, description="1, 0, true or false")
    python_tasks: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_modules)] = Field(
        (), description="modules such as jobs or jobs.daily:report, several with commas"
    )
    task_types: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_modules)] = Field(
        (), description="modules such as shop.count_stock, several with commas"
    )
    github_token: SecretStr | None = None
    github_api_url: Address = Field("https://api.github.com", description=ADDRESS)
    _task_secrets: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)
    _command_environment: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def take_up(self, env: Mapping[str, str]) -> None:
        """Keep what *env* holds beside the fields, for the methods below."""
        self._task_secrets, _ = _secrets(env)
        given = {name: env.get(name, "") for name in ("HOME", "LANG", "PATH")}
        defaults = {"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": PATH}  # noqa: S108  # a home that always is
        self._command_environment = defaults | {name: value for name, value in given.items() if value}

    def task_secrets(self) -> dict[str, str]:
        """The values that params may refer to, by name."""
        return {name: value.get_secret_value() for name, value in self._task_secrets.items()}

    def command_environment(self) -> dict[str, str]:
        """The variables a command starts with: where programs and a home are, and no other of ours."""
        return dict(self._command_environment)


def secret_faults(env: Mapping[str, str]) -> list[str]:
    """What is wrong with the secrets of tasks in *env*, without showing one."""
    return _secrets(env)[1]


def _secrets(env: Mapping[str, str]) -> tuple[dict[str, SecretStr], list[str]]:
    """Each `TASK_SECRET_<NAME>`, or the content of the file `TASK_SECRET_<NAME>_FILE`, and what is wrong."""
    found: dict[str, SecretStr] = {}
    faults: list[str] = []
    for variable in sorted(env):
        given = env[variable].strip()
        if not variable.startswith(SECRET_PREFIX) or not given:
            continue
        name = variable.removeprefix(SECRET_PREFIX)
        if from_file := len(name) > len("_FILE") and name.endswith("_FILE"):
            name = name.removesuffix("_FILE")
            given = content(Path(given))
        if name in found:
            faults.append(f"Set {SECRET_PREFIX}{name} or {variable}, not both.")
        elif not _NAME.fullmatch(name):
            faults.append(f"After {SECRET_PREFIX} must come 1 to 64 letters, digits and _.")
        elif from_file and not given:
            faults.append(f"{variable} must be the path of a readable file that is not empty.")
        elif not LEAST_CHARS <= len(given) <= MOST_CHARS:
            faults.append(f"{variable} must have {LEAST_CHARS} to {MOST_CHARS} characters to be masked.")
        else:
            found[name] = SecretStr(given)
    return found, faults
