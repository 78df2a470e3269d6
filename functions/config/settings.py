"""Settings: all environment variables of the scheduler in one value, and what is derived from them."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError

from functions.config.access import (
    AccessSettings,
    api_key_problems,
    oidc_problems,
    signing_problems,
    split_cron_secret,
)
from functions.config.agents import AgentSettings
from functions.config.channels import ChannelSettings
from functions.config.mcp_servers import server_problems
from functions.config.scale import ScaleSettings, queue_problems
from functions.config.stores import BITABLE_SCHEME, StoreSettings, store_problems
from functions.config.task_types import (
    SECRET_PREFIX,
    SYSTEM_ROOT,
    TaskSettings,
    command_environment,
    hook_problems,
    read_task_secrets,
)
from functions.config.types import LogLevel, misread_problem, read_text
from functions.domain.schedule.timezones import PlaceName
from functions.errors import SettingsError


class Settings(AccessSettings, StoreSettings, ChannelSettings, TaskSettings, ScaleSettings, AgentSettings):
    """All settings: the groups, and what holds for every tick.

    Attributes:
        tick_budget_seconds: A tick answers within it, unless the caller is Cloud Scheduler.
    """

    default_timezone: PlaceName = Field(
        "UTC", description="a place such as Europe/Riga, or UTC; no offset and no abbreviation"
    )
    tick_budget_seconds: float = Field(24.0, ge=4, le=3300, description="a number of seconds from 4 to 3300")
    max_concurrency: int = Field(200, ge=1, le=1000, description="a whole number from 1 to 1000")
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    _task_secrets: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)
    _command_environment: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, serves_http: bool = True) -> Self:
        """Return the settings that *env* holds; an empty variable counts as absent.

        Where a secret `X` is expected, `X_FILE` may name a file that holds it.

        Args:
            env: All variables; unknown ones are ignored.
            serves_http: Whether the process answers HTTP requests, which takes `CRON_SECRET`.

        Raises:
            SettingsError: One or more variables are wrong. The text names all of them, and no value.
        """
        values, problems = _read_values(env)
        problems += split_cron_secret(values, serves_http=serves_http)
        problems += api_key_problems(values)
        problems += signing_problems(values)
        problems += oidc_problems(values)
        problems += hook_problems(values)
        problems += queue_problems(values)
        problems += store_problems(values)
        secrets, of_secrets = read_task_secrets(env)
        problems += of_secrets
        if "agent_mcp_servers" in values:
            problems += (wrong := server_problems(values["agent_mcp_servers"], secrets))
            if wrong:
                del values["agent_mcp_servers"]
        settings: Self | None = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as exc:
            problems += _field_problems(exc)
        if settings is None or problems:
            raise SettingsError(" ".join(problems))
        settings.keep_for_tasks(secrets, command_environment(env))
        return settings

    def keep_for_tasks(self, secrets: Mapping[str, SecretStr], environment: Mapping[str, str]) -> None:
        """Keep what was read of variables that are no fields; the methods below return it."""
        self._task_secrets = secrets
        self._command_environment = environment

    def signing_secrets(self) -> tuple[str, ...]:
        """Return what signing keys are derived from, the one in use first; empty when nothing is set.

        API_KEY is the last: its holder is the administrator, who may make keys anyway, and where it was the
        only one before, what it signed stays valid.
        """
        given = (self.signing_secret, self.signing_secret_previous, self.api_key)
        return tuple(dict.fromkeys(one.get_secret_value() for one in given if one))

    def keys_refusal(self) -> str:
        """Return why the store keeps no API keys; empty when it does."""
        if not self.store_url.startswith(BITABLE_SCHEME) or self.bitable_keys:
            return ""
        return "A Feishu base is shared, so it keeps no keys: sign in with API_KEY, or set BITABLE_KEYS=1"

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, those of tasks included, for masking in all output."""
        own = [_as_text(getattr(self, name.lower())) for name in SECRET_VARIABLES]
        if self.store_url.startswith(BITABLE_SCHEME):  # the token in it opens the base
            own.append(self.store_url.removeprefix(BITABLE_SCHEME).partition("/")[0])
        return (*filter(None, own), *self.task_secrets().values())

    def task_secrets(self) -> dict[str, str]:
        """Return the values that params may refer to, by name."""
        return {name: value.get_secret_value() for name, value in self._task_secrets.items()}

    def command_environment(self) -> dict[str, str]:
        """Return the variables that a command starts with; none of the scheduler's own."""
        return dict(self._command_environment)

    def system_environment(self) -> dict[str, str]:
        """Return the variables without which no process starts here."""
        return {name: value for name, value in self._command_environment.items() if name == SYSTEM_ROOT}

    def require_packages(self) -> None:
        """Check that what settings name is installed here, when a server starts.

        Raises:
            SettingsError: It is not: each tick would fail, and the process seem well.
        """
        for module in self.task_types:
            if not _is_installed(package := module.partition(".")[0]):
                raise SettingsError(
                    f"TASK_TYPES names {module}, and {package} is not installed here; add it or correct it."
                )
        if self.otel_exporter_otlp_endpoint and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
            raise SettingsError(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed here: "
                "pip install -r requirements-otel.txt, or unset it."
            )

    def channel_settings(self) -> dict[str, str]:
        """Return the variables of channels that are set, by their names in the environment."""
        found = {name.upper(): _as_text(getattr(self, name)) for name in ChannelSettings.model_fields}
        return {name: value for name, value in found.items() if value}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _as_text(value: SecretStr | str | tuple[str, ...] | None) -> str:
    """Return *value* as the text of its variable; empty for None."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else value or ""


SECRET_VARIABLES = tuple(
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def _read_values(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that are not empty, by field name, and the problems of their files."""
    values, problems = {}, []
    for field in Settings.model_fields:
        name = field.upper()
        value = env.get(name, "").strip()
        path = env.get(f"{name}_FILE", "").strip() if name in SECRET_VARIABLES else ""
        if path and value:
            problems.append(f"Set {name} or {name}_FILE, not both.")
        elif path:
            value = read_text(Path(path))
            if not value:
                problems.append(f"{name}_FILE must be the path of a readable file that is not empty.")
        if value:
            values[field] = value
        if problem := misread_problem(value):
            problems.append(f"{name} {problem}.")
    return values, problems


def _field_problems(error: ValidationError) -> list[str]:
    names = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_input=False))
    return [f"{name.upper()} must be {Settings.model_fields[name].description}." for name in names]


def value_problems(env: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the variables of *env*, each looked at by itself.

    For a deployment, which has the others in other places: what one lacks beside it is not known.
    """
    values, problems = _read_values(env)
    problems += read_task_secrets(env)[1]
    try:
        Settings.model_validate(values)
    except ValidationError as exc:
        problems += _field_problems(exc)
    return problems


SIMILARITY = 0.85  # MAX_CONCURENCY is 0.97 of MAX_CONCURRENCY; two settings are 0.84 of each other at most


def overlooked_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *env* that look like a setting and are none, with the setting each may mean."""
    from difflib import get_close_matches  # for `doctor` alone

    names = [field.upper() for field in Settings.model_fields]
    known = {*names, *(f"{name}_FILE" for name in SECRET_VARIABLES)}
    found = {}
    for name, value in env.items():
        if not value.strip() or name in known or name.startswith(SECRET_PREFIX):
            continue
        if name.removesuffix("_FILE") in names:
            found[name] = name.removesuffix("_FILE")
        elif near := get_close_matches(name.upper(), names, n=1, cutoff=SIMILARITY):
            found[name] = near[0]
    return found
