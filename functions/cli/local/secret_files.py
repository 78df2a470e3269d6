"""Secrets that are made on this machine: kept beside the store that they are for, readable by one user."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from functions.cli.local.location import STATE_FOLDER
from functions.config.stores import FILE_SCHEMES
from functions.errors import SettingsError

FOLDER_NAME = ".cronfire"
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
IGNORE_ALL = "*\n"  # in .gitignore: a store in JSON is committed, and these are not


def secrets_folder(store_url: str) -> Path:
    """Return where secrets for *store_url* are kept: `.cronfire` beside its file, or of the project."""
    place = store_url.partition(":///")[2]
    if not store_url.startswith(FILE_SCHEMES) or not place or place.startswith(":"):
        return STATE_FOLDER
    return Path(place).absolute().parent / FOLDER_NAME


def secret_file(store_url: str, name: str) -> Path:
    """Return the file of the secret *name* for *store_url*, which may not exist."""
    return secrets_folder(store_url) / name


def read_or_create_secret(file: Path, name: str = "CRON_SECRET") -> str:
    """Return the secret in *file*; created the first time, readable by its owner only.

    An empty file, as a full disk leaves one, counts as none.

    Raises:
        SettingsError: The file cannot be made or read, or belongs to another user.
    """
    try:
        _make_folder(file.parent)
        if not file.exists() or not file.read_text().strip():
            _create(file)
        if hasattr(os, "getuid") and file.stat().st_uid not in (0, os.getuid()):
            raise SettingsError(f"{name} is not set, and {file} belongs to another user; set {name}")
        found = file.read_text().strip()
    except OSError as exc:
        raise SettingsError(f"{name} is not set and cannot be saved in {file} ({exc.strerror})") from exc
    return found


def _create(file: Path) -> None:
    """Write a new secret to *file*, whole or not at all; one that another process wrote meanwhile stays."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS, 0o600)
    try:
        with os.fdopen(handle, "w") as opened:
            opened.write(secrets.token_urlsafe(32))
        if file.exists():  # and is empty
            draft.replace(file)
            return
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.name == FOLDER_NAME:
        with suppress(FileExistsError):
            handle = os.open(folder / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as opened:
                opened.write(IGNORE_ALL)
