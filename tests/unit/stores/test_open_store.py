"""Which store a URL names, and that naming one does nothing yet."""

from pathlib import Path
from threading import active_count

import pytest

from functions.errors import SettingsError
from functions.stores import open_store
from functions.stores.firestore.store import FirestoreStore
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_three_slashes_are_a_file_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///scheduler.db")

    await store.counts(NOON)
    await store.close()

    assert isinstance(store, SqliteStore)
    assert (tmp_path / "scheduler.db").is_file()


async def test_four_slashes_are_a_file_by_its_whole_name(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/with space.db")

    await store.counts(NOON)
    await store.close()

    assert (tmp_path / "with space.db").is_file()


@pytest.mark.parametrize("url", ["sqlite://:memory:", "sqlite:///:memory:"])
async def test_memory_is_no_file(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(url)

    await store.counts(NOON)
    await store.close()

    assert [] == names_in(tmp_path)


async def test_opening_does_nothing_before_the_first_use(tmp_path: Path) -> None:
    """The function's server forks after the import: what was opened before would not survive."""
    threads = active_count()

    store = open_store(f"sqlite:///{tmp_path}/scheduler.db")

    assert [] == names_in(tmp_path)
    assert threads == active_count()
    await store.close()
    assert [] == names_in(tmp_path)


@pytest.mark.parametrize("url", ["firestore://my-project", "firestore://my-project/my-database"])
async def test_firestore_is_named_by_project_and_database(url: str) -> None:
    store = open_store(url)

    assert isinstance(store, FirestoreStore)
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "scheduler.db",
        "sqlite",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:////",
        "sqlite:///folder/",
        "sqlite://scheduler.db",
        "firestore://",
        "firestore:///database",
        "firestore://project/database/more",
        "postgres://user:s3cret@host/db",
        "s3cret://x",
    ],
)
def test_any_other_url_is_refused_by_the_setting_s_name_and_never_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_store(url)

    assert str(refused.value).startswith("STORE_URL: ")
    assert "s3cret" not in str(refused.value)
