"""Links that sign in once: signed, short-lived, and of one API_KEY."""

from datetime import timedelta

import pytest

from functions.services.access.signing import (
    SIGN_IN_LINK_LIFETIME,
    Signer,
    make_sign_in_token,
    read_sign_in_token,
)
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

SECOND = timedelta(seconds=1)
SECRETS = ("a-secret-of-the-tests-with-32-characters", "another-secret-of-the-tests-32-characters")


def signer(*secrets: str, store: SqliteStore) -> Signer:
    return Signer(store, secrets, new_secret=lambda: "salt")


async def test_a_link_holds_for_some_minutes_under_the_secrets_in_use_and_for_one_key() -> None:
    store = SqliteStore(":memory:")
    both, new, other = (signer(*one, store=store) for one in (SECRETS, SECRETS[1:], ("x" * 32,)))
    token = await make_sign_in_token(both, link_id="id1", admin_key_hash="hash", now=NOON)

    async def read(by: Signer, text: str = token, key: str = "hash", wait: timedelta = SECOND) -> str:
        return await read_sign_in_token(by, text, admin_key_hash=key, now=NOON + wait)

    assert "id1" == await read(both)
    assert ["", "", ""] == [await read(new), await read(other), await read(signer(store=store))]
    assert "" == await read(both, key="of another API_KEY")
    assert "" == await read(both, wait=SIGN_IN_LINK_LIFETIME)
    await store.close()


@pytest.mark.parametrize(
    "text", ["", ".", "..", "id.9", "id.x.y", "id.99999999999999.y", "id1.1795867800.zz", "\ud800.1.\ud800"]
)
async def test_what_is_no_token_is_refused(text: str) -> None:
    store = SqliteStore(":memory:")

    assert "" == await read_sign_in_token(
        signer(*SECRETS, store=store), text, admin_key_hash="hash", now=NOON
    )
    await store.close()
