"""Where the store is: as STORE_URL or `.env` says, that of the service that runs here, or the default."""

from collections.abc import Mapping
from pathlib import Path

from functions.cli.local.running import find_running_service
from functions.config.dotenv import absolute_store_url, read_environment

CODE_FOLDER = Path(__file__).resolve().parents[3]  # with main.py
# Installed by pip the code is among libraries, and the project is the folder that somebody works in.
PROJECT_ROOT = CODE_FOLDER if (CODE_FOLDER / "pyproject.toml").exists() else Path.cwd()
STATE_FOLDER = PROJECT_ROOT / ".cronfire"  # local state, never committed
DEFAULT_STORE_URL = f"sqlite:///{PROJECT_ROOT.as_posix()}/scheduler.db"


def read_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return *environment* completed by `.env` of the project, with the store that is looked at.

    STORE_URL from the process counts from the working folder, one in `.env` from that file's folder. Where
    neither names a store it is that of the service that runs in this project, with its variables that decide
    what tasks may do, or a file of the project.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    found = read_environment(environment, PROJECT_ROOT / ".env")
    if given := found.get("STORE_URL", "").strip():
        found["STORE_URL"] = absolute_store_url(given, Path.cwd())
        return found
    running = find_running_service(STATE_FOLDER)
    set_here = {name: value for name, value in found.items() if value}
    return {**found, "STORE_URL": DEFAULT_STORE_URL, **running, **set_here}


def who_names_the_store(environment: Mapping[str, str]) -> str:
    """Return `process`, `file` (that is `.env`) or `nobody`."""
    if environment.get("STORE_URL", "").strip():
        return "process"
    in_file = read_environment({}, PROJECT_ROOT / ".env").get("STORE_URL", "").strip()
    return "file" if in_file else "nobody"


def store_files(store_url: str) -> tuple[Path, ...]:
    """Return the files that a store on this machine may have; empty for any other, and for one in memory."""
    scheme, _, place = store_url.partition(":///")
    if scheme not in ("sqlite", "json") or not place or place.startswith(":"):
        return ()
    file = Path(place)
    parts = [f"{file.name}{end}" for end in ("", "-wal", "-shm", ".bak")]
    if scheme == "json":
        parts += [f"{file.stem}{end}" for end in (".state.json", ".documents.json", ".history.jsonl")]
    return tuple(file.with_name(part) for part in parts)
