"""Settings: the one place that knows the environment's variables, their defaults and what they may hold."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from functions.errors import SettingsError

SECRET_CHARS = 32  # below that a shared secret may be guessed
MAKE_A_SECRET = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105  # a remedy
SWITCHES = {"1": True, "true": True, "0": False, "false": False}
_ADDRESS = re.compile(r"https?://[^\s/?#]+\S*")
ADDRESS = "an address that begins with https:// or http://"
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(item for item in (part.strip() for part in value.split(",")) if item)
    return value


def _switch(value: object) -> object:
    return SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError) as exc:  # unknown; a folder of zones, like "Europe"
        raise ValueError from exc
    return name


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError
    return value


def _secret_address(value: SecretStr) -> SecretStr:
    _address(value.get_secret_value())
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_address)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    Field(min_length=1, description="one name, or several with commas"),
]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Zone = Annotated[str, AfterValidator(_zone)]


class Settings(BaseModel):
    """Every knob. A field is its variable in lower case; its description completes "VARIABLE must be ...".

    Attributes:
        cron_secret: What pingers send as a bearer token; None only on the command line.
        cron_secret_previous: The secret being retired, accepted as well; None when there is none.
        oidc_audience: Audiences of Google's ID tokens that are ours; empty means no ID token is accepted.
        oidc_service_accounts: Who may call with an ID token. Never empty when there is an audience.
        tick_budget_seconds: A tick answers within it, unless Cloud Scheduler is known to be calling.
        public_url: Where people reach this service, for links in notices; None when nobody said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    cron_secret: SecretStr | None = None
    cron_secret_previous: SecretStr | None = None
    oidc_audience: Names = ()
    oidc_service_accounts: Names = ()
    store_url: str = Field(
        "sqlite:///scheduler.db",
        pattern=r"^(sqlite|firestore)://.",
        description="sqlite:///FILE or firestore://PROJECT/DATABASE",
    )
    default_timezone: Zone = Field("UTC", description="the name of a time zone, such as Europe/Riga")
    tick_budget_seconds: float = Field(24.0, ge=4, le=3300, description="a number of seconds from 4 to 3300")
    max_concurrency: int = Field(200, ge=1, le=1000, description="a whole number from 1 to 1000")
    feishu_webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    feishu_webhook_secret: SecretStr | None = None
    webhook_url: SecretAddress | None = Field(None, description=ADDRESS)
    webhook_secret: SecretStr | None = None
    notice_language: Literal["en", "zh"] = Field("en", description="en or zh")
    allow_private_networks: Switch = Field(False, strict=True, description="1, 0, true or false")
    log_level: Level = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    public_url: Address | None = Field(None, description=ADDRESS)

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
        settings: Self | None = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as exc:
            wrong = dict.fromkeys(str(error["loc"][0]) for error in exc.errors(include_input=False))
            faults += [f"{name.upper()} must be {cls.model_fields[name].description}." for name in wrong]
        if settings is None or faults:
            raise SettingsError(" ".join(faults))
        return settings

    def channel_settings(self) -> dict[str, str]:
        """The variables that set up the channels of notices, as in the environment; only those set."""
        names = ("feishu_webhook_url", "feishu_webhook_secret", "webhook_url", "webhook_secret")
        found = {
            name.upper(): _plain(getattr(self, name)) for name in (*names, "notice_language", "public_url")
        }
        return {name: value for name, value in found.items() if value}

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in use, for masking it in all that leaves the process."""
        return tuple(value for name in SECRETS if (value := _plain(getattr(self, name.lower()))))


SECRETS = tuple(
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def read_environment(env: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Return *env*, completed by the file *dotenv* where there is one; on Cloud Run the file is not read.

    Raises:
        SettingsError: The file cannot be read, or a line of it is not `NAME=value`.
    """
    if "K_SERVICE" in env or not dotenv.exists():
        return dict(env)
    try:
        text = dotenv.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{dotenv.name} exists but cannot be read as text.") from None
    return parse_dotenv(text) | {name: value for name, value in env.items() if value}


def parse_dotenv(text: str) -> dict[str, str]:
    r"""Return the variables of a `.env` file: `NAME=value`, `#` comments, quotes; `\n` within double quotes.

    Raises:
        SettingsError: A line is none of these. The text has its number, not its content.
    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line.strip())
        value = None if match is None else _unquoted(match[2])
        if match is None or value is None:
            raise SettingsError(f"Line {number} of .env must be NAME=value, with both quotes or none.")
        found[match[1]] = value
    return found


def _unquoted(value: str) -> str | None:
    if value[:1] not in ("'", '"'):
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    match = _QUOTED.fullmatch(value)
    if match is None:
        return None
    if match[1] is not None:
        return match[1]
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], match[2])


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
            value = _content(Path(path))
            if not value:
                faults.append(f"{name}_FILE must be the path of a readable file that is not empty.")
        if value:
            values[field] = value
    return values, faults


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        return ""


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


def _plain(value: SecretStr | str | None) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value or ""
