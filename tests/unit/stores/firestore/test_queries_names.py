"""Names Google would not give are refused at once: the first call would fail in a way that says nothing."""

import pytest

from functions.errors import SettingsError
from functions.stores.firestore.queries import is_document_id, resource_paths
from functions.stores.firestore.store import FirestoreStore


@pytest.mark.parametrize("project", ["My-Project", "", "my_project", "9lives", "ends-", "a/b", "a b", "a"])
def test_a_project_that_is_none_is_refused(project: str) -> None:
    with pytest.raises(SettingsError, match=r"STORE_URL: the project must be .* lower-case"):
        FirestoreStore(project)


def test_a_refusal_does_not_repeat_what_was_given() -> None:
    with pytest.raises(SettingsError) as refused:
        FirestoreStore("My-Project")

    assert "My-Project" not in str(refused.value)


@pytest.mark.parametrize("project", ["my-project-42", "example.com:my-project", "abc"])
def test_a_project_google_may_have_given_is_taken(project: str) -> None:
    assert f"projects/{project}/databases/(default)/documents/tasks/t" == resource_paths(
        project, "(default)", ""
    ).task_path("t")


@pytest.mark.parametrize("database", ["default", "tick-tock", "(default)"])
def test_a_database_google_may_have_is_taken(database: str) -> None:
    assert database in resource_paths("my-project", database, "").database


@pytest.mark.parametrize("database", ["", "(other)", "UP", "abc", "a/b/c/d"])
def test_a_database_that_is_none_is_refused(database: str) -> None:
    with pytest.raises(SettingsError, match="STORE_URL: the database must be"):
        FirestoreStore("my-project", database)


def test_a_prefix_is_put_before_both_collections() -> None:
    named = resource_paths("my-project", "(default)", "blue-")

    assert ("blue-tasks", "blue-runs") == (named.task_collection, named.run_collection)


@pytest.mark.parametrize("prefix", ["a/b", "__x__", "ä"])
def test_a_prefix_firestore_cannot_take_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="prefix"):
        FirestoreStore("my-project", prefix=prefix)


@pytest.mark.parametrize("given", ["", ".", "..", "a/b", "__x__", "x" * 1501, "é" * 751, "\udcff"])
def test_what_can_be_no_document_is_known_beforehand(given: str) -> None:
    assert not is_document_id(given)
    assert is_document_id("water-plants.2")
