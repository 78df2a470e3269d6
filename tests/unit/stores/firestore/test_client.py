"""What Google says of a failed call, as what to do about it."""

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from google.api_core.exceptions import from_grpc_status

from functions.errors import MissingIndexError, StoreError, StoreUnavailableError
from functions.stores.firestore.client import to_store_error

LINK = "https://console.firebase.google.com/v1/r/project/p/firestore/indexes?create_composite=" + "Cl" * 260


def said_of(code: str, message: str) -> StoreError:
    error = from_grpc_status(grpc.StatusCode[code], message)  # type: ignore[no-untyped-call]  # as above
    return to_store_error(error)


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (
            "FAILED_PRECONDITION",
            "The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/p",
            "use a database in native mode",
        ),
        ("INVALID_ARGUMENT", "Database mode not set to Firestore Mode.", "use a database in native mode"),
        (
            "PERMISSION_DENIED",
            "Cloud Firestore API has not been used in project 12 before or it is disabled.",
            "enable the Cloud Firestore API",
        ),
        ("PERMISSION_DENIED", "This API method requires billing to be enabled.", "enable billing"),
        (
            "PERMISSION_DENIED",
            "Permission denied on resource project shop-alerts.",
            "correct the project in STORE_URL",
        ),
        ("PERMISSION_DENIED", "Missing or insufficient permissions.", "roles/datastore.user"),
        ("NOT_FOUND", "The database shop does not exist for project p", "correct STORE_URL"),
    ],
)
def test_the_remedy_is_that_of_the_cause(code: str, message: str, remedy: str) -> None:
    error = said_of(code, message)

    assert not isinstance(error, StoreUnavailableError | MissingIndexError)
    assert remedy in str(error)
    assert f"It said: {message}" in str(error)


def test_the_link_that_makes_a_missing_index_is_whole() -> None:
    error = said_of("FAILED_PRECONDITION", f"The query requires an index. Create it here: {LINK}")
    said = str(error)

    assert isinstance(error, MissingIndexError)
    assert "apply the Terraform of infra/" in said
    assert said.endswith(LINK)


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        ("RESOURCE_EXHAUSTED", "Quota exceeded.", "A quota of Firestore is used up"),
        (
            "UNAVAILABLE",
            "Getting metadata from plugin failed with error: ('invalid_grant: Token has been expired', "
            "{'file': '/home/ann/key.json'})",
            "gcloud auth application-default login",
        ),
        ("UNAVAILABLE", "failed to connect to all addresses", "could not be reached"),
    ],
)
def test_what_may_mend_by_itself_says_what_it_waits_for(code: str, message: str, says: str) -> None:
    error = said_of(code, message)

    assert isinstance(error, StoreUnavailableError)
    assert says in str(error)
    assert "/home/ann" not in str(error)
