"""The environment: the variables of the process, completed by a `.env` file outside the cloud."""

import re
from collections.abc import Mapping
from pathlib import Path

from functions.errors import SettingsError

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?""")


def read_environment(env: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Return *env*, completed by the file *dotenv* if it exists; on Cloud Run the file is not read.

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
        value = None if match is None else _unquote(match[2])
        if match is None or value is None:
            raise SettingsError(f"Line {number} of .env must be NAME=value, with both quotes or none.")
        found[match[1]] = value
    return found


def _unquote(value: str) -> str | None:
    if value[:1] not in ("'", '"'):
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    match = _QUOTED.fullmatch(value)
    if match is None:
        return None
    if match[1] is not None:
        return match[1]
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], match[2])
