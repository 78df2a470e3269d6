"""Fixtures of the door: Google's stand-in, and a door with everything in place."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from functions.web.app import TriggerApp
from functions.web.auth import Authenticator, GoogleTokenVerifier, SharedSecrets
from functions.web.google_keys import GoogleKeys
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, RETIRING, SECRET, FakeClock, FakeGoogle, FakeWired


@pytest.fixture
async def google() -> AsyncIterator[FakeGoogle]:
    async with FakeGoogle().serving() as served:
        yield served


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keys(google: FakeGoogle, clock: FakeClock) -> GoogleKeys:
    return GoogleKeys(google.url, clock=clock, timeout_s=2.0)


@pytest.fixture
def id_tokens(keys: GoogleKeys) -> GoogleTokenVerifier:
    return GoogleTokenVerifier(
        audiences=["https://other.example.com", AUDIENCE], accounts=[ACCOUNT], keys=keys
    )


@pytest.fixture
def make_door() -> Callable[..., TriggerApp]:
    """Build a door with both secrets and *wired* behind it."""

    def make(
        wired: FakeWired | None = None,
        *,
        id_tokens: GoogleTokenVerifier | None = None,
        answer_by: timedelta = timedelta(seconds=24),
    ) -> TriggerApp:
        behind = wired or FakeWired()
        return TriggerApp(
            authenticator=Authenticator(SharedSecrets(SECRET, RETIRING), id_tokens),
            build_app=lambda: behind,
            response_limit=answer_by,
        )

    return make
