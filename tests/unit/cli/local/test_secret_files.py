"""Secrets that are made on this machine lie beside the store that they are for."""

import stat
from io import StringIO
from pathlib import Path

import pytest

from functions.cli.console import Screen
from functions.cli.local import secret_files
from functions.cli.local.location import STATE_FOLDER
from functions.cli.local.secret_files import read_or_create_secret, secrets_folder
from functions.cli.session import CliContext
from tests.unit.cli.conftest import Scheduler


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the project's own secrets, which is not that of whoever runs the tests."""
    folder = tmp_path / "project" / ".cronfire"
    monkeypatch.setattr(secret_files, "STATE_FOLDER", folder)
    return folder


def test_the_folder_follows_the_store(tmp_path: Path) -> None:
    assert tmp_path / ".cronfire" == secrets_folder(f"sqlite:///{tmp_path}/a.db")
    assert tmp_path / ".cronfire" == secrets_folder(f"json:///{tmp_path}/a.json")
    assert Path.cwd() / ".cronfire" == secrets_folder("sqlite:///a.db")
    for elsewhere in ("firestore://p/d", "bitable://t/i", "sqlite://:memory:", "sqlite:///:memory:"):
        assert STATE_FOLDER == secrets_folder(elsewhere)


def test_making_one_for_another_store_writes_nothing_into_the_project(
    scheduler: Scheduler, tmp_path: Path, project: Path
) -> None:
    done = scheduler("keys", "create", "ci", "--scope", "read")

    assert (0, False) == (done.code, project.exists())
    kept = tmp_path / ".cronfire"
    assert {"signing-secret", ".gitignore"} == {one.name for one in kept.iterdir()}
    assert 0o700 == stat.S_IMODE(kept.stat().st_mode)
    assert "*\n" == (kept / ".gitignore").read_text()


def test_a_secret_that_a_command_makes_is_among_the_settings_that_it_has_read(tmp_path: Path) -> None:
    """`serve --sign-in` had read its time zone first, and refused to sign on a new checkout."""
    context = CliContext({"STORE_URL": f"sqlite:///{tmp_path}/a.db"}, Screen(StringIO(), StringIO()))
    assert context.settings.signing_secret is None

    context.make_signing_secret()

    assert context.settings.signing_secret is not None


@pytest.mark.parametrize("before", [None, "", "\n"])
def test_an_empty_file_is_no_secret(tmp_path: Path, before: str | None) -> None:
    """A disk that was full left one, and the service started without any key."""
    file = tmp_path / ".cronfire" / "api-key"
    if before is not None:
        file.parent.mkdir()
        file.write_text(before)

    found = read_or_create_secret(file, "API_KEY")

    assert len(found) > 32
    assert found == read_or_create_secret(file, "API_KEY")
    assert {"api-key", ".gitignore"} == {one.name for one in file.parent.iterdir()}
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
