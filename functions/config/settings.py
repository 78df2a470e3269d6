"""Settings: all environment variables of the scheduler, with their defaults and checks."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from functions.config.hooks import HookSettings, hook_problems
from functions.config.mcp_servers import MCP_SERVERS, McpServerSetting, parse_servers, server_problems
from functions.config.types import (
    HOST_AND_PORT,
    HTTP_URL,
    Flag,
    HttpUrl,
    LogLevel,
    NameList,
    PortRanges,
    SecretHttpUrl,
    read_text,
    split_list,
)
from functions.domain.lifecycle.permissions import DEFAULT_MAX_TASKS
from functions.domain.schedule.timezones import PlaceName
from functions.domain.task_budget import Credits
from functions.errors import SettingsError

# Notification channels.


class ChannelConfig(BaseModel):
    """The variables of notification channels. A channel checks its own further when it is created.

    Attributes:
        webhook_secret_previous: The key being retired; messages are signed with both.
        notify_email_to: The recipients of mail.
        notify_email_from: The sender; None for the user of `smtp_url`, if that is an address.
        public_url: The address of this service for links in notifications; None for no links.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    feishu_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    feishu_webhook_secret: SecretStr | None = None
    slack_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    discord_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    telegram_bot_token: SecretStr | None = None
    telegram_chat_id: str | None = None
    teams_webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    smtp_url: SecretStr | None = None
    notify_email_to: NameList = ()
    notify_email_from: str | None = None
    pagerduty_routing_key: SecretStr | None = None
    ntfy_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    ntfy_token: SecretStr | None = None
    apprise_urls: SecretStr | None = None
    webhook_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    webhook_secret: SecretStr | None = None
    webhook_secret_previous: SecretStr | None = None
    notice_language: Literal["en", "zh"] = Field("en", description="en or zh")
    public_url: HttpUrl | None = Field(None, description=HTTP_URL)

    def channel_settings(self) -> dict[str, str]:
        """Return the variables of channels that are set, by their names in the environment."""
        found = {name.upper(): unwrap(getattr(self, name)) for name in ChannelConfig.model_fields}
        return {name: value for name, value in found.items() if value}


def unwrap(value: SecretStr | str | tuple[str, ...] | None) -> str:
    """Return *value* as the text of its variable; empty for None."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else value or ""


# Task types: what tasks may do on this machine, and the secrets they may use by name.

SECRET_PREFIX = "TASK_SECRET_"  # noqa: S105  # no variable without it can be read by a task
MAX_TASK_SECRET_CHARS = 8192
MIN_TASK_SECRET_CHARS = 8  # a shorter value could not be masked without masking innocent words
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z]\w*)?")


def _check_modules(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_MODULE.fullmatch(name) for name in names):
        raise ValueError
    return names


class TaskSettings(BaseModel):
    """The variables of task types.

    Attributes:
        allow_commands: Whether tasks may run programs, with all that this process may do.
        python_tasks: Packages, modules or `module:function` that tasks may call; empty means none.
        task_types: Modules with additional task types; the last part of each is the type's name.
        github_token: For `github_dispatch` tasks without a token of their own.
        github_api_url: The address of GitHub's API, or of an Enterprise server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    allow_commands: Flag = Field(False, strict=True, description="1, 0, true or false")
    python_tasks: Annotated[tuple[str, ...], BeforeValidator(split_list), AfterValidator(_check_modules)] = (
        Field((), description="modules such as jobs or jobs.daily:report, several with commas")
    )
    task_types: Annotated[tuple[str, ...], BeforeValidator(split_list), AfterValidator(_check_modules)] = (
        Field((), description="modules such as shop.count_stock, several with commas")
    )
    github_token: SecretStr | None = None
    github_api_url: HttpUrl = Field("https://api.github.com", description=HTTP_URL)
    _task_secrets: Mapping[str, SecretStr] = PrivateAttr(default_factory=dict)
    _command_environment: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def read_task_environment(self, env: Mapping[str, str]) -> None:
        """Read the variables that are no fields, for the methods below."""
        self._task_secrets, _ = _read_task_secrets(env)
        given = {name: env.get(name, "") for name in ("HOME", "LANG", "PATH")}
        defaults = {"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": DEFAULT_PATH}  # noqa: S108  # a home that always is
        self._command_environment = defaults | {name: value for name, value in given.items() if value}

    def task_secrets(self) -> dict[str, str]:
        """Return the values that params may refer to, by name."""
        return {name: value.get_secret_value() for name, value in self._task_secrets.items()}

    def command_environment(self) -> dict[str, str]:
        """Return the variables that a command starts with: PATH, HOME and LANG alone."""
        return dict(self._command_environment)


def _read_task_secrets(env: Mapping[str, str]) -> tuple[dict[str, SecretStr], list[str]]:
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


# More than one instance, and monitoring: worker queue, event topic, traces, heartbeat.

SECONDS = "a number of seconds from 30 to 3300"


class ScaleSettings(BaseModel):
    """The variables that a single function with a single caller of its ticks does not need.

    Attributes:
        worker_queue: The Cloud Tasks queue that long tasks and backlogs are handed to; None for none.
        worker_url: The address that the queue calls; None means `/work` of `public_url`.
        worker_service_account: The account of the queue's ID token; one of `oidc_service_accounts` there.
        worker_budget_seconds: A worker answers within it; at least 20 less than the function's time-out.
        worker_shares: How many workers a backlog is divided among.
        cloud_tasks_emulator_host: `host:port` of an emulator to use instead of Google.
        events_topic: The Pub/Sub topic that finished runs and paused tasks are published to; None for none.
        pubsub_emulator_host: `host:port` of an emulator to use instead of Google.
        otel_exporter_otlp_endpoint: The OpenTelemetry collector that gets a span for each run; None for none.
        heartbeat_url: Requested after each complete tick, for an outside dead-man's switch; None for none.
        late_after_minutes: A tick notifies when due tasks waited longer than this; 0 for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    worker_queue: str | None = Field(
        None,
        pattern=r"^projects/[^/]+/locations/[^/]+/queues/[^/]+$",
        description="projects/PROJECT/locations/LOCATION/queues/QUEUE",
    )
    worker_url: HttpUrl | None = Field(None, description=HTTP_URL)
    worker_service_account: str | None = Field(
        None, pattern=r"^[^@\s]+@[^@\s]+$", description="the e-mail address of a service account"
    )
    worker_budget_seconds: float = Field(280.0, ge=30, le=3300, description=SECONDS)
    worker_shares: int = Field(4, ge=1, le=64, description="a whole number from 1 to 64")
    cloud_tasks_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    events_topic: str | None = Field(
        None, pattern=r"^projects/[^/]+/topics/[^/]+$", description="projects/PROJECT/topics/TOPIC"
    )
    pubsub_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(None, description=HTTP_URL)
    heartbeat_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    late_after_minutes: float = Field(
        0.0, ge=0, le=1440, description="a number of minutes from 0 (never) to 1440"
    )


def queue_problems(values: Mapping[str, str]) -> list[str]:
    """Return which variables a worker queue lacks."""
    if "worker_queue" not in values:
        return []
    problems = []
    if not {"worker_url", "public_url"} & values.keys():
        problems.append("WORKER_URL is missing: WORKER_QUEUE sends work there (PUBLIC_URL would do as well).")
    if not {"worker_service_account", "cloud_tasks_emulator_host"} & values.keys():
        problems.append("WORKER_SERVICE_ACCOUNT is missing: WORKER_QUEUE authenticates with its ID token.")
    return problems


# Agents: the language model, and what runs cost in credits.

_PRICE = re.compile(r"([a-z][a-z0-9_]{0,62})\s*=\s*(\d{1,6}(?:\.\d{1,3})?)")
_PRICES = "task types with credits, such as agent=5,http=0"


def _parse_prices(value: object) -> object:
    """Return `agent=5,http=0` as a mapping; any other text unchanged, for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    parts = split_list(value)
    found = [_PRICE.fullmatch(part) for part in parts] if isinstance(parts, tuple) else [None]
    return {match[1]: float(match[2]) for match in found if match} if all(found) else value


class AgentSettings(BaseModel):
    """The variables of agents, of credits and of what owners may have.

    Attributes:
        llm_base_url: The server of the model, its version included; None means there are no agents.
        llm_api_key: Sent to that server alone; None for a server without keys.
        llm_model: For tasks that name no model.
        llm_provider: Whose protocol the server speaks: `openai` for any with chat completions.
        agent_mcp_servers: The MCP servers that agents may use, by name.
        credits_per_run: What an attempt costs, by task type; a type that is not named costs nothing.
        credits_per_1k_tokens: What a thousand tokens of a model cost, prompts and answers alike.
        max_tasks_per_owner: How many tasks an owner may have whose account says nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    llm_base_url: HttpUrl | None = Field(None, description=HTTP_URL)
    llm_api_key: SecretStr | None = None
    llm_model: str | None = None
    llm_provider: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")] = Field(
        "openai", description="openai (any server with chat completions), anthropic, or another provider"
    )
    agent_mcp_servers: Annotated[Mapping[str, McpServerSetting], BeforeValidator(parse_servers)] = Field(
        {}, description=MCP_SERVERS
    )
    credits_per_run: Annotated[Mapping[str, Credits], BeforeValidator(_parse_prices)] = Field(
        {}, description=_PRICES
    )
    credits_per_1k_tokens: float = Field(0.0, ge=0, le=1e6, description="a number of credits, 0 or more")
    max_tasks_per_owner: int = Field(
        DEFAULT_MAX_TASKS, ge=0, le=100_000, description="a whole number from 0 to 100000"
    )


# The Feishu app that opens a table of tasks.

BITABLE_SCHEME = "bitable://"


class FeishuSettings(BaseModel):
    """The variables that open a table of Feishu or Lark; used only when `store_url` names one.

    Attributes:
        feishu_app_id: The app, `cli_...`; None when there is none.
        feishu_app_secret: The secret of the app; None when there is none.
        feishu_base_url: The address of the API; Lark has another one than Feishu.
        bitable_keys: Whether rows of API keys may lie in a base, which people share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    feishu_app_id: str | None = None
    feishu_app_secret: SecretStr | None = None
    feishu_base_url: HttpUrl = Field("https://open.feishu.cn", description=HTTP_URL)
    bitable_keys: Flag = Field(False, strict=True, description="1, 0, true or false")


def feishu_problems(values: Mapping[str, str]) -> list[str]:
    """Return which variables a table lacks."""
    if not values.get("store_url", "").startswith(BITABLE_SCHEME):
        return []
    missing = [name for name in ("feishu_app_id", "feishu_app_secret") if not values.get(name)]
    return [
        f"{name.upper()} is missing: bitable:// is opened with it; "
        "docs/how-to/bitable-store.md says where it is."
        for name in missing
    ]


def base_token(store_url: str) -> str:
    """The part of *store_url* that opens a base; empty when there is none."""
    return (
        store_url.removeprefix(BITABLE_SCHEME).partition("/")[0]
        if store_url.startswith(BITABLE_SCHEME)
        else ""
    )


MIN_SECRET_CHARS = 32  # below that a shared secret may be guessed
MAKE_A_SECRET = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105  # a remedy


class Settings(ChannelConfig, TaskSettings, HookSettings, ScaleSettings, AgentSettings, FeishuSettings):
    """All settings. A field is its variable in lower case; its description completes "VARIABLE must be ...".

    Attributes:
        cron_secret: The bearer token of tick requests; None only where no HTTP is served.
        cron_secret_previous: The secret being retired, accepted as well; None when there is none.
        oidc_audience: The accepted audiences of Google's ID tokens; empty means no ID token is accepted.
        oidc_service_accounts: The accounts that may call with an ID token; not empty with an audience.
        api_key: The first administrator's key, to create others with; None for only those in the store.
        signing_secret: Sessions, rows of keys and public links are signed with keys derived from it.
        signing_secret_previous: The secret being retired: what it signed is accepted as well.
        firestore_emulator_host: `host:port` of an emulator to use instead of Google.
        tick_budget_seconds: A tick answers within it, unless the caller is Cloud Scheduler.
    """

    cron_secret: SecretStr | None = None
    cron_secret_previous: SecretStr | None = None
    oidc_audience: NameList = ()
    oidc_service_accounts: NameList = ()
    api_key: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )
    signing_secret: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )
    signing_secret_previous: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )
    store_url: str = Field(
        "sqlite:///scheduler.db",
        pattern=r"^(sqlite|json|bitable|firestore)://.",
        description="sqlite:///FILE, json:///FILE.json, bitable://APP_TOKEN/TABLE_ID or "
        "firestore://PROJECT/DATABASE",
    )
    firestore_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    default_timezone: PlaceName = Field(
        "UTC", description="a place such as Europe/Riga, or UTC; no offset and no abbreviation"
    )
    tick_budget_seconds: float = Field(24.0, ge=4, le=3300, description="a number of seconds from 4 to 3300")
    max_concurrency: int = Field(200, ge=1, le=1000, description="a whole number from 1 to 1000")
    allow_private_networks: Flag = Field(False, strict=True, description="1, 0, true or false")
    allow_ports: PortRanges | None = Field(
        None, description="ports from 1 to 65535 and ranges of them, such as 80,443,9000-9100"
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

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
        problems += _split_cron_secret(values, serves_http=serves_http)
        problems += _api_key_problems(values)
        problems += _oidc_problems(values)
        problems += hook_problems(values)
        problems += queue_problems(values)
        problems += feishu_problems(values)
        secrets, of_secrets = _read_task_secrets(env)
        problems += of_secrets
        if "agent_mcp_servers" in values:
            problems += (wrong := server_problems(values["agent_mcp_servers"], secrets))
            if wrong:
                del values["agent_mcp_servers"]
        settings: Self | None = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as exc:
            names = dict.fromkeys(str(error["loc"][0]) for error in exc.errors(include_input=False))
            problems += [f"{name.upper()} must be {cls.model_fields[name].description}." for name in names]
        if settings is None or problems:
            raise SettingsError(" ".join(problems))
        settings.read_task_environment(env)
        return settings

    def signing_secrets(self) -> tuple[str, ...]:
        """Return what signing keys are derived from, the one in use first; empty when nothing is set.

        API_KEY is the last: its holder is the administrator, who may make keys anyway, and where it was the
        only one before, what it signed stays valid.
        """
        given = (self.signing_secret, self.signing_secret_previous, self.api_key)
        return tuple(dict.fromkeys(value for one in given if (value := unwrap(one))))

    def keys_refusal(self) -> str:
        """Return why the store keeps no API keys; empty when it does."""
        if not self.store_url.startswith(BITABLE_SCHEME) or self.bitable_keys:
            return ""
        return "A Feishu base is shared, so it keeps no keys: sign in with API_KEY, or set BITABLE_KEYS=1"

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, those of tasks included, for masking in all output."""
        own = [value for name in SECRET_VARIABLES if (value := unwrap(getattr(self, name.lower())))]
        token = base_token(self.store_url)
        return (*own, *((token,) if token else ()), *self.task_secrets().values())


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
    return values, problems


def _split_cron_secret(values: dict[str, str], *, serves_http: bool) -> list[str]:
    """Move a second line of the secret to `cron_secret_previous`; return the problems of both."""
    lines = [line.strip() for line in values.pop("cron_secret", "").splitlines() if line.strip()]
    previous = values.pop("cron_secret_previous", "")
    if (len(lines) > 1 and previous) or len(lines) > 2:
        return ["CRON_SECRET may have a second line or CRON_SECRET_PREVIOUS be set: two secrets, no more."]
    if not lines:
        return [_secret_problem("is missing")] if serves_http else []
    live = dict(zip(("cron_secret", "cron_secret_previous"), [*lines, previous], strict=False))
    values.update({name: secret for name, secret in live.items() if secret})
    return [
        _secret_problem(f"has {weakness}", name.upper())
        for name, secret in live.items()
        if secret and (weakness := _secret_weakness(secret))
    ]


def _secret_weakness(secret: str) -> str:
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        return "characters that a header cannot carry; use letters and digits"
    return f"fewer than {MIN_SECRET_CHARS} characters" if len(secret) < MIN_SECRET_CHARS else ""


def _secret_problem(problem: str, name: str = "CRON_SECRET") -> str:
    return f"{name} {problem}. Pingers prove themselves with it. Make one with: {MAKE_A_SECRET}"


def _api_key_problems(values: Mapping[str, str]) -> list[str]:
    """Return why nobody could sign in with API_KEY, or more people than may; it is sent as a bearer token."""
    key = values.get("api_key", "")
    if not (key.isascii() and key.isprintable()) or " " in key:
        return ["API_KEY has characters that a header cannot carry; use letters and digits."]
    if key.count(".") == 2:
        return ["API_KEY has two dots, as ID tokens have, and would be read as one; use letters and digits."]
    if key and key in (values.get("cron_secret"), values.get("cron_secret_previous")):
        return ["API_KEY must differ from CRON_SECRET: whoever asks for ticks would be the administrator."]
    return []


def _oidc_problems(values: Mapping[str, str]) -> list[str]:
    missing = {"oidc_audience", "oidc_service_accounts"} - values.keys()
    if len(missing) != 1:
        return []
    return [f"{missing.pop().upper()} is missing: OIDC_AUDIENCE and OIDC_SERVICE_ACCOUNTS go together."]
