"""The environment: the variables of the process, completed by a `.env` file outside the cloud."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from functions.errors import SettingsError


def read_environment(env: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """Return *env*, completed by the file *dotenv* if it exists; on Cloud Run the file is not read.

    A relative file in its STORE_URL counts from the folder of *dotenv*, whoever reads it from where.

    Raises:
        SettingsError: The file cannot be read, or a line of it is not `NAME=value`.
    """
    if "K_SERVICE" in env or not dotenv.exists():
        return dict(env)
    try:
        text = dotenv.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{dotenv.name} exists but cannot be read as text.") from None
    found = parse_dotenv(text)
    if "STORE_URL" in found:
        found["STORE_URL"] = absolute_store_url(found["STORE_URL"], dotenv.absolute().parent)
    return found | {name: value for name, value in env.items() if value}


def absolute_store_url(url: str, folder: Path) -> str:
    """Return *url*, with a relative file of a store counted from *folder*; any other text unchanged."""
    scheme, found, file = url.strip().partition(":///")
    if not found or scheme not in ("sqlite", "json") or not file or file.startswith((":", "/")):
        return url
    return f"{scheme}:///{folder / file}"


def parse_dotenv(text: str) -> dict[str, str]:
    """Return the variables of a `.env` file: `NAME=value`, comments, quotes, and more lines within quotes.

    A `$` is a `$`: no value refers to another one. A name without a value counts as not set, also behind a
    line that sets it.

    Raises:
        SettingsError: A line is none of these, or sets what another one sets differently. The text has its
            number, not its content.
    """
    from dotenv.parser import parse_stream  # 19 ms, which only a process with such a file pays

    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        name, value = binding.key, binding.value
        if name is None and not binding.error:  # comments and empty lines
            continue
        # The parser counts the empty lines before an assignment as a part of it.
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        line = f"Line {binding.original.line + binding.original.string.count(chr(10), 0, blank)} of .env"
        if name is None or value is None or not name.isidentifier():
            raise SettingsError(f"{line} must be NAME=value, with both quotes or none.")
        before = found.get(name, "")
        if value and before and value != before:
            raise SettingsError(
                f"{line} sets {name} to another value than a line before it; keep one of them."
            )
        found[name] = value or before
    return found
