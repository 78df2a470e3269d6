"""Where the Firestore emulator is, for the tests that need one, and stores of their own within it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from uuid import uuid4

import pytest

from functions.stores.firestore.store import FirestoreStore


def emulator_host() -> str:
    """`host:port` of the emulator; without one the test is skipped by name, or fails if one is required."""
    host = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if host:
        _warm_up(host)
        return host
    without = "FIRESTORE_EMULATOR_HOST is not set: run the tests by `scripts/emulator run -- ...`"
    if os.environ.get("REQUIRE_EMULATOR") == "1":
        pytest.fail(without)
    pytest.skip(without)


@cache
def _warm_up(host: str) -> None:
    """Write once: beside other work, a fresh emulator takes longer for that than a store waits."""
    from google.cloud.firestore import Client  # not needed, and slow, without an emulator

    client = Client(project=f"warm-up-{host.rpartition(':')[2]}")
    client.collection("tasks").document("first").set({"written": True}, timeout=90)
    client.close()  # type: ignore[no-untyped-call]  # the library leaves it without types


def fresh_project() -> str:
    """A project nobody else has: the emulator keeps the data of each apart."""
    return f"test-{uuid4().hex[:16]}"


@asynccontextmanager
async def fresh_store(**options: Any) -> AsyncIterator[FirestoreStore]:
    """An empty store in the emulator, closed at the end."""
    store = FirestoreStore(
        fresh_project(), emulator=options.pop("emulator", None) or emulator_host(), **options
    )
    try:
        yield store
    finally:
        await store.close()
