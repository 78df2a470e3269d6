"""Settings: the one place that knows the environment's variables, their defaults and what they may hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError

from functions.errors import SettingsError
from functions.setting_agents import AgentSettings
from functions.setting_channels import ChannelSettings, plain
from functions.setting_feishu import FeishuSettings, base_token, feishu_faults
from functions.setting_kinds import HOST, Level, Names, Switch, Zone, content
from functions.setting_scale import ScaleSettings, queue_faults
from functions.setting_tasks import TaskSettings, secret_faults

SECRET_CHARS = 32  # below that a shared secret may be guessed
MAKE_A_SECRET = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105  # a remedy


class Settings(ChannelSettings, TaskSettings, ScaleSettings, AgentSettings, FeishuSettings):
    """Every knob. A field is its variable in lower case; its description completes "VARIABLE must be ...".

    Attributes:
        cron_secret: What pingers send as a bearer token; None only on the command line.
        cron_secret_previous: The secret being retired, accepted as well; None when there is none.
        oidc_audience: Audiences of Google's ID tokens that are ours; empty means no ID token is accepted.
        oidc_service_accounts: Who may call with an ID token. Never empty when there is an audience.
        api_key: The first administrator's key, to make others with; None when the API has only those.
        firestore_emulator_host: `host:port` of an emulator to use instead of Google.
        tick_budget_seconds: A tick answers within it, unless Cloud Scheduler is known to be calling.
    """

    cron_secret: SecretStr | None = None
    cron_secret_previous: SecretStr | None = None
    oidc_audience: Names = ()
    oidc_service_accounts: Names = ()
    api_key: SecretStr | None = Field(
        None, min_length=SECRET_CHARS, description=f"at least {SECRET_CHARS} characters"
    )
    store_url: str = Field(
        "sqlite:///scheduler.db",
        pattern=r"^(sqlite|json|bitable|firestore)://.",
        description="sqlite:///FILE, json:///FILE.json, bitable://APP_TOKEN/TABLE_ID or "
        "firestore://PROJECT/DATABASE",
    )
    firestore_emulator_host: str | None = Field(None, pattern=HOST, description="host:port")
    default_timezone: Zone = Field("UTC", description="the name of a time zone, such as Europe/Riga")
    tick_budget_seconds: float = Field(24.0, ge=4, le=3300, description="a number of seconds from 4 to 3300")
    max_concurrency: int = Field(200, ge=1, le=1000, description="a whole number from 1 to 1000")
    allow_private_networks: Switch = Field(False, strict=True, description="1, 0, true or false")
    log_level: Level = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, door: bool = True) -> Self:
        """Return the settings that *env* holds; an empty variable counts as absent.

        Where a secret `X` is expected, `X_FILE` may name a file that holds it.

        Args:
            env: All variables; those that are not ours are ignored.
            door: Whether HTTP requests will be answered, which takes `CRON_SECRET`.

        Raises:
            SettingsError: One or more variables are wrong. The text names all of them, and no value.
        """
        values, faults = _given(env)
        faults += _split_secret(values, door=door)
        faults += _half_configured(values)
        faults += queue_faults(values)
        faults += feishu_faults(values)
        faults += secret_faults(env)
        settings: Self | None = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as exc:
            wrong = dict.fromkeys(str(error["loc"][0]) for error in exc.errors(include_input=False))
            faults += [f"{name.upper()} must be {cls.model_fields[name].description}." for name in wrong]
        if settings is None or faults:
            raise SettingsError(" ".join(faults))
        settings.take_up(env)
        return settings

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in use, tasks' included, for masking it in all that leaves the process."""
        own = [value for name in SECRETS if (value := plain(getattr(self, name.lower())))]
        token = base_token(self.store_url)
        return (*own, *((token,) if token else ()), *self.task_secrets().values())


SECRETS = tuple(
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def _given(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The variables that are ours and not empty, by field name, and what is wrong with their files."""
    values, faults = {}, []
    for field in Settings.model_fields:
        name = field.upper()
        value = env.get(name, "").strip()
        path = env.get(f"{name}_FILE", "").strip() if name in SECRETS else ""
        if path and value:
            faults.append(f"Set {name} or {name}_FILE, not both.")
        elif path:
            value = content(Path(path))
            if not value:
                faults.append(f"{name}_FILE must be the path of a readable file that is not empty.")
        if value:
            values[field] = value
    return values, faults


def _split_secret(values: dict[str, str], *, door: bool) -> list[str]:
    """Move the second line of the secret to where the retiring one belongs; say what is wrong with either."""
    lines = [line.strip() for line in values.pop("cron_secret", "").splitlines() if line.strip()]
    previous = values.pop("cron_secret_previous", "")
    if (len(lines) > 1 and previous) or len(lines) > 2:
        return ["CRON_SECRET may have a second line or CRON_SECRET_PREVIOUS be set: two secrets, no more."]
    if not lines:
        return [_no_secret("is missing")] if door else []
    live = dict(zip(("cron_secret", "cron_secret_previous"), [*lines, previous], strict=False))
    values.update({name: secret for name, secret in live.items() if secret})
    return [
        _no_secret(f"has {weakness}", name.upper())
        for name, secret in live.items()
        if secret and (weakness := _weakness(secret))
    ]


def _weakness(secret: str) -> str:
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        return "characters that a header cannot carry; use letters and digits"
    return f"fewer than {SECRET_CHARS} characters" if len(secret) < SECRET_CHARS else ""


def _no_secret(fault: str, name: str = "CRON_SECRET") -> str:
    return f"{name} {fault}. Pingers prove themselves with it. Make one with: {MAKE_A_SECRET}"


def _half_configured(values: Mapping[str, str]) -> list[str]:
    missing = {"oidc_audience", "oidc_service_accounts"} - values.keys()
    if len(missing) != 1:
        return []
    return [f"{missing.pop().upper()} is missing: OIDC_AUDIENCE and OIDC_SERVICE_ACCOUNTS go together."]
