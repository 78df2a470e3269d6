"""Fixtures of the door: Google's stand-in, and a door with everything in place."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from functions.web.app import Door
from functions.web.auth import Gate, IdTokens, SharedSecrets
from functions.web.google_keys import Certificates
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, RETIRING, SECRET, FakeClock, FakeGoogle, FakeWired


@pytest.fixture
async def google() -> AsyncIterator[FakeGoogle]:
    async with FakeGoogle().serving() as served:
        yield served


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def certificates(google: FakeGoogle, clock: FakeClock) -> Certificates:
    return Certificates(google.url, clock=clock, within_s=2.0)


@pytest.fixture
def id_tokens(certificates: Certificates) -> IdTokens:
    return IdTokens(
        audiences=["https://other.example.com", AUDIENCE], accounts=[ACCOUNT], certificates=certificates
    )


@pytest.fixture
def make_door() -> Callable[..., Door]:
    """Build a door with both secrets and *wired* behind it."""

    def make(
        wired: FakeWired | None = None,
        *,
        id_tokens: IdTokens | None = None,
        answer_by: timedelta = timedelta(seconds=24),
    ) -> Door:
        behind = wired or FakeWired()
        return Door(
            gate=Gate(SharedSecrets(SECRET, RETIRING), id_tokens), wire=lambda: behind, answer_by=answer_by
        )

    return make
