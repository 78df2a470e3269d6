"""What settings are made of: types that are parsed from text and refused without showing it, and groups."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

FLAG_VALUES = {"1": True, "true": True, "0": False, "false": False}
_HTTP_URL = re.compile(r"https?://[^\s/?#]+\S*")
HOST_AND_PORT = r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$"
_PORTS = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")
HTTP_URL = "an address that begins with https:// or http://, with a host and, if any, a port up to 65535"
OWN_URL = f"{HTTP_URL}, and without user name, ?, # and /dashboard: links are made by adding to it"
ONE_WORD = "letters, digits and signs of ASCII, without spaces"


def split_list(value: object) -> object:
    """Return the parts of a text between commas; any other value unchanged."""
    if isinstance(value, str):
        return tuple(item for item in (part.strip() for part in value.split(",")) if item)
    return value


def parse_ports(value: object) -> object:
    """Return `80,8000-8100` as ranges, both ends included, in order; any other text unchanged."""
    parts = split_list(value)
    if not isinstance(parts, tuple) or not all(isinstance(part, str) for part in parts):
        return value
    found = [_PORTS.fullmatch(part) for part in parts]
    ranges = sorted((int(match[1]), int(match[2] or match[1])) for match in found if match)
    if not ranges or not all(found) or not all(1 <= low <= high <= 65_535 for low, high in ranges):
        return value
    return tuple(dict.fromkeys(ranges))


def read_text(path: Path) -> str:
    """Return the text of a file, stripped, without a byte order mark; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        return ""


def misread_problem(value: str) -> str:
    """Return what in *value* came from the place it was written in, not from its author; empty for nothing.

    Each is accepted by one reader of settings and taken for a part of the value by another, and a secret
    with it differs from the same secret elsewhere.
    """
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "begins and ends with quotes, which are taken for a part of it; remove them"
    if not all(char.isprintable() or char in "\r\n\t" for char in value):
        return "holds a character that cannot be seen; write it anew instead of copying it"
    return ""


def _parse_flag(value: object) -> object:
    return FLAG_VALUES.get(value.lower(), value) if isinstance(value, str) else value


def _check_http_url(value: str) -> str:
    if not _HTTP_URL.fullmatch(value):
        raise ValueError
    address = urlsplit(value)
    if not address.hostname or address.port == 0:  # both raise ValueError for what is no host or no port
        raise ValueError
    return value


def _check_own_url(value: str) -> str:
    address = urlsplit(value)
    if {*"@?#"} & {*value} or address.path.rstrip("/").endswith("/dashboard"):
        raise ValueError
    return value


def _check_secret_http_url(value: SecretStr) -> SecretStr:
    _check_http_url(value.get_secret_value())
    return value


def _check_token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError
    return value


def _to_upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
OwnUrl = Annotated[HttpUrl, AfterValidator(_check_own_url)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_to_upper)]
NameList = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    Field(min_length=1, description="one name, or several with commas"),
]
SERVICE_ACCOUNT = "the e-mail address of a service account, without serviceAccount: before it"
ServiceAccount = Annotated[str, Field(pattern=r"^[^@\s:]+@[^@\s:]+$")]
PortRanges = Annotated[tuple[tuple[int, int], ...], BeforeValidator(parse_ports)]
SecretHttpUrl = Annotated[SecretStr, AfterValidator(_check_secret_http_url)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]  # what a header carries
Flag = Annotated[bool, BeforeValidator(_parse_flag)]


class SettingsGroup(BaseModel):
    """Variables that belong together. A field is its variable in lower case.

    The description of a field completes "VARIABLE must be ...".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)
