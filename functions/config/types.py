"""What a variable may hold: the kinds of settings, each read from text and refused without being shown."""

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

SWITCHES = {"1": True, "true": True, "0": False, "false": False}
_ADDRESS = re.compile(r"https?://[^\s/?#]+\S*")
HOST = r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$"
ADDRESS = "an address that begins with https:// or http://"


def listed(value: object) -> object:
    """The parts of a text between commas; what is no text is left alone."""
    if isinstance(value, str):
        return tuple(item for item in (part.strip() for part in value.split(",")) if item)
    return value


def content(path: Path) -> str:
    """The text in a file, without white space around it; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        return ""


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
    BeforeValidator(listed),
    Field(min_length=1, description="one name, or several with commas"),
]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Zone = Annotated[str, AfterValidator(_zone)]
