"""Which services run in this project: one file each, locked for as long as its process lives."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from functions.config.stores import BITABLE_SCHEME
from functions.stores.file_lock import try_lock

FOLDER = "running"
PLAIN_VARIABLES = (
    "AFTER_TASK",
    "ALLOW_COMMANDS",
    "ALLOW_PORTS",
    "ALLOW_PRIVATE_NETWORKS",
    "BEFORE_TASK",
    "DEFAULT_TIMEZONE",
    "PYTHON_TASKS",
)


@contextmanager
def announce_service(
    state_folder: Path,
    store_url: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    url: str = "",
) -> Iterator[None]:
    """Let commands of this project find the store of this process, until the block ends.

    Of its *variables* PLAIN_VARIABLES are kept, which are no secrets. *url* is where it answers.

    A folder that cannot be written keeps no service from running. The token of a Feishu base is not written.
    """
    if store_url.startswith(BITABLE_SCHEME):
        yield
        return
    file = state_folder / FOLDER / f"{os.getpid()}.json"
    plain = {name: value for name in PLAIN_VARIABLES if (value := variables.get(name, ""))}
    handle = -1
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try_lock(handle)
        os.write(handle, json.dumps({"storeUrl": store_url, "url": url, "variables": plain}).encode())
    try:
        yield
    finally:
        if handle >= 0:
            with suppress(OSError):
                file.unlink()
            os.close(handle)


def find_running_service(state_folder: Path) -> Mapping[str, str]:
    """Return STORE_URL and the plain variables of the service that runs.

    Empty when none does, or when several have different stores.
    """
    found = [one for _, one in _read_all(state_folder)]
    return found[0] if len({one["STORE_URL"] for one in found}) == 1 else {}


def find_service_url(state_folder: Path, store_url: str) -> str:
    """Return where the service answers that runs on *store_url*; empty when none does, or several do."""
    urls = {url for url, one in _read_all(state_folder) if url and one["STORE_URL"] == store_url}
    return urls.pop() if len(urls) == 1 else ""


def _read_all(state_folder: Path) -> list[tuple[str, dict[str, str]]]:
    return [one for file in (state_folder / FOLDER).glob("*.json") if (one := _read_live(file))]


def _read_live(file: Path) -> tuple[str, dict[str, str]] | None:
    """Return the address and the variables in *file*; None when its process has ended, which removes it."""
    try:
        with file.open("rb") as opened:
            try:
                try_lock(opened.fileno(), shared=True)
            except BlockingIOError:
                data = json.loads(opened.read())
                given = {str(name): str(value) for name, value in data["variables"].items()}
                return str(data.get("url", "")), {**given, "STORE_URL": str(data["storeUrl"])}
            file.unlink()
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None
