"""What Firestore says about each write of a batch, and what we make of it."""

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from google.cloud.firestore_v1 import types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no types

from functions.domain.storage import WriteResult, WriteStatus
from functions.errors import StoreError
from functions.stores.firestore.writes import to_write_status

NOTHING = types.WriteResult.pb()()


def test_an_applied_write_brings_its_revision() -> None:
    result = types.WriteResult.pb()()
    result.update_time.seconds, result.update_time.nanos = 12, 34_000

    assert WriteResult(WriteStatus.APPLIED, 12_000_034_000) == to_write_status(Status(code=0), result)


@pytest.mark.parametrize("code", ["FAILED_PRECONDITION", "ALREADY_EXISTS", "NOT_FOUND"])
def test_a_guard_that_did_not_hold_is_a_refusal(code: str) -> None:
    assert WriteResult(WriteStatus.CONFLICT) == to_write_status(status(code), NOTHING)


@pytest.mark.parametrize(
    "code", ["ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "CANCELLED"]
)
def test_whatever_is_not_certain_is_unknown(code: str) -> None:
    """Lost contention for a lock, above all: whoever must know reads again and compares."""
    assert WriteResult(WriteStatus.UNKNOWN) == to_write_status(status(code), NOTHING)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT"])
def test_what_will_not_mend_is_an_error(code: str) -> None:
    assert isinstance(to_write_status(status(code), NOTHING), StoreError)


def status(code: str) -> Status:
    return Status(code=grpc.StatusCode[code].value[0], message="it says")
