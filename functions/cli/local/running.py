"""Which services run in this project: one file each, locked for as long as its process lives."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "running"


@contextmanager
def announce_service(state_folder: Path, store_url: str) -> Iterator[None]:
    """Let commands of this project find the store of this process, until the block ends.

    A folder that cannot be written keeps no service from running. The token of a Feishu base is not written.
    """
    if store_url.startswith("bitable:"):
        yield
        return
    file = state_folder / FOLDER / f"{os.getpid()}.json"
    handle = -1
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(handle, json.dumps({"storeUrl": store_url}).encode())
    try:
        yield
    finally:
        if handle >= 0:
            with suppress(OSError):
                file.unlink()
            os.close(handle)


def find_running_store(state_folder: Path) -> str:
    """Return the store of the services that run; empty when none does, or when they have several."""
    stores = {store for file in (state_folder / FOLDER).glob("*.json") if (store := _read_live(file))}
    return stores.pop() if len(stores) == 1 else ""


def _read_live(file: Path) -> str:
    """Return the store in *file*; empty when the process that wrote it has ended, which removes the file."""
    try:
        with file.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = json.loads(opened.read()).get("storeUrl")
                return found if isinstance(found, str) else ""
            file.unlink()
    except (OSError, ValueError, AttributeError):
        pass
    return ""
