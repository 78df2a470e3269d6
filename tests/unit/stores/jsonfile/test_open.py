"""Which file a URL of the readable store names, and that naming one does nothing yet."""

from pathlib import Path
from threading import active_count

import pytest

from functions.config.settings import Settings
from functions.domain.storage import Write
from functions.domain.task import Task
from functions.errors import SettingsError
from functions.stores import open_store
from functions.stores.jsonfile.store import JsonStore
from tests.conftest import NOON


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def task() -> Task:
    return Task(id="ping", title="Ping", type="http", schedule="daily", created_at=NOON, updated_at=NOON)


async def test_three_slashes_are_a_file_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("json:///tasks.json")

    await store.write([Write(task(), None)])
    await store.close()

    assert isinstance(store, JsonStore)
    assert (tmp_path / "tasks.json").is_file()


async def test_four_slashes_are_a_file_by_its_whole_name(tmp_path: Path) -> None:
    store = open_store(f"json:///{tmp_path}/with space.json")

    await store.write([Write(task(), None)])
    await store.close()

    expected = {"with space.json", "with space.state.json", ".with space.json.lock"}
    assert expected == names_in(tmp_path)


async def test_opening_does_nothing_before_the_first_use_and_looking_makes_no_more_than_a_lock(
    tmp_path: Path,
) -> None:
    threads = active_count()

    store = open_store(f"json:///{tmp_path}/tasks.json")

    assert threads == active_count()
    assert set() == names_in(tmp_path)
    assert () == (await store.due(NOON, limit=1)).tasks
    await store.close()
    await store.close()
    assert {".tasks.json.lock"} == names_in(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "json://",
        "json:///",
        "json:////",
        "json://tasks.json",
        "json:///folder/",
        "json:///s3cret",
        "json:///.json",
    ],
)
def test_a_url_that_names_no_file_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_store(url)

    assert str(refused.value).startswith("STORE_URL: names no file of JSON; write json:///")
    assert "s3cret" not in str(refused.value)


def test_the_setting_takes_it() -> None:
    settings = Settings.from_env({"STORE_URL": "json:///tasks.json"}, door=False)

    assert "json:///tasks.json" == settings.store_url
