"""The settings of access: who may call, and what signatures are made with."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from functions.config.types import SERVICE_ACCOUNT, NameList, ServiceAccount, SettingsGroup, split_list

MIN_SECRET_CHARS = 32  # below that a shared secret may be guessed
MAKE_A_SECRET = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105  # a remedy


class AccessSettings(SettingsGroup):
    """The variables of access.

    Attributes:
        cron_secret: The bearer token of tick requests; None only where no HTTP is served.
        cron_secret_previous: The secret being retired, accepted as well; None when there is none.
        oidc_audience: The accepted audiences of Google's ID tokens; empty means no ID token is accepted.
        oidc_service_accounts: The accounts that may call with an ID token; not empty with an audience.
        api_key: The first administrator's key, to create others with; None for only those in the store.
        signing_secret: Sessions, rows of keys and public links are signed with keys derived from it.
        signing_secret_previous: The secret being retired: what it signed is accepted as well.
    """

    cron_secret: SecretStr | None = None
    cron_secret_previous: SecretStr | None = None
    oidc_audience: NameList = ()
    oidc_service_accounts: Annotated[tuple[ServiceAccount, ...], BeforeValidator(split_list)] = Field(
        (), min_length=1, description=f"{SERVICE_ACCOUNT}, or several with commas"
    )
    api_key: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )
    signing_secret: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )
    signing_secret_previous: SecretStr | None = Field(
        None, min_length=MIN_SECRET_CHARS, description=f"at least {MIN_SECRET_CHARS} characters"
    )


def split_cron_secret(values: dict[str, str], *, serves_http: bool) -> list[str]:
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


def api_key_problems(values: Mapping[str, str]) -> list[str]:
    """Return why nobody could sign in with API_KEY, or more people than may; it is sent as a bearer token."""
    key = values.get("api_key", "")
    if not (key.isascii() and key.isprintable()) or " " in key:
        return ["API_KEY has characters that a header cannot carry; use letters and digits."]
    if key.count(".") == 2:
        return ["API_KEY has two dots, as ID tokens have, and would be read as one; use letters and digits."]
    if key and key in (values.get("cron_secret"), values.get("cron_secret_previous")):
        return ["API_KEY must differ from CRON_SECRET: callers of ticks would be administrators."]
    return []


def signing_problems(values: Mapping[str, str]) -> list[str]:
    """Return which secret of signatures pingers hold as well."""
    held_by_pingers = {values.get("cron_secret"), values.get("cron_secret_previous")} - {None}
    return [
        f"{name.upper()} must differ from CRON_SECRET: callers of ticks could sign keys and sessions."
        for name in ("signing_secret", "signing_secret_previous")
        if values.get(name) in held_by_pingers
    ]


def oidc_problems(values: Mapping[str, str]) -> list[str]:
    """Return which of the two variables of ID tokens lacks its counterpart."""
    missing = {"oidc_audience", "oidc_service_accounts"} - values.keys()
    if len(missing) != 1:
        return []
    return [f"{missing.pop().upper()} is missing: OIDC_AUDIENCE and OIDC_SERVICE_ACCOUNTS go together."]
