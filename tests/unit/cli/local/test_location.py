"""Which store a command looks at: named by the process, by `.env`, by the service that runs, or nobody."""

import os
from pathlib import Path

import pytest

from functions.cli.local import location
from functions.cli.local.location import read_variables, who_names_the_store
from functions.cli.local.running import announce_service, find_running_service, find_service_url


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / ".cronfire").mkdir(parents=True)
    monkeypatch.setattr(location, "PROJECT_ROOT", root)
    monkeypatch.setattr(location, "STATE_FOLDER", root / ".cronfire")
    monkeypatch.setattr(location, "DEFAULT_STORE_URL", f"sqlite:///{root}/scheduler.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return root


def test_a_relative_file_counts_from_whoever_names_it(project: Path) -> None:
    assert f"sqlite:///{project}/scheduler.db" == read_variables({})["STORE_URL"]
    assert "nobody" == who_names_the_store({})

    (project / ".env").write_text("STORE_URL=json:///tasks.json\n")
    assert f"json:///{project}/tasks.json" == read_variables({})["STORE_URL"]
    assert "file" == who_names_the_store({})

    given = {"STORE_URL": "json:///tasks.json"}
    assert f"json:///{Path.cwd()}/tasks.json" == read_variables(given)["STORE_URL"]
    assert "process" == who_names_the_store(given)
    absolute = {"STORE_URL": "firestore://project/database"}
    assert absolute == read_variables(absolute)


def test_without_a_name_it_is_the_store_of_the_service_that_runs_here(project: Path) -> None:
    variables = {"ALLOW_PRIVATE_NETWORKS": "1", "DEFAULT_TIMEZONE": "Europe/Riga", "API_KEY": "canary"}
    with announce_service(project / ".cronfire", "sqlite:////srv/a.db", variables):
        found = read_variables({"DEFAULT_TIMEZONE": "Asia/Tokyo"})
        assert ("1", "Asia/Tokyo") == (found["ALLOW_PRIVATE_NETWORKS"], found["DEFAULT_TIMEZONE"])
        assert "API_KEY" not in found
        assert "canary" not in (project / ".cronfire" / "running" / f"{os.getpid()}.json").read_text()
        assert "sqlite:////srv/a.db" == read_variables({})["STORE_URL"]
        assert "json:////x.json" == read_variables({"STORE_URL": "json:////x.json"})["STORE_URL"]

    assert f"sqlite:///{project}/scheduler.db" == read_variables({})["STORE_URL"]


def test_a_service_that_died_and_two_services_name_none(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    dead = tmp_path / "running" / "1.json"
    dead.write_text('{"storeUrl": "sqlite:////srv/dead.db"}')

    assert {} == find_running_service(tmp_path)
    assert not dead.exists()
    with announce_service(tmp_path, "sqlite:////srv/a.db"):
        own = tmp_path / "running" / f"{os.getpid()}.json"
        assert 0o600 == own.stat().st_mode & 0o777
        own.rename(tmp_path / "running" / "0.json")
        with announce_service(tmp_path, "sqlite:////srv/b.db"):
            assert {} == find_running_service(tmp_path)


def test_what_opens_a_base_is_not_written(tmp_path: Path) -> None:
    with announce_service(tmp_path, "bitable://token/table"):
        assert not (tmp_path / "running").exists()


def test_the_address_of_the_service_that_runs_here_is_known(tmp_path: Path) -> None:
    store = "sqlite:////srv/a.db"
    assert "" == find_service_url(tmp_path, store)

    with announce_service(tmp_path, store, url="http://127.0.0.1:8091"):
        assert "http://127.0.0.1:8091" == find_service_url(tmp_path, store)
        assert "" == find_service_url(tmp_path, "sqlite:////srv/b.db")
        (tmp_path / "running" / f"{os.getpid()}.json").rename(tmp_path / "running" / "0.json")
        with announce_service(tmp_path, store, url="http://127.0.0.1:8092"):
            assert "" == find_service_url(tmp_path, store), "which of the two is not known"
