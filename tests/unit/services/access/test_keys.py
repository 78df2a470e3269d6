"""Keys and sessions: what signs them, how it is rotated, and how a session ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.access import ADMINISTRATOR, audit_subject
from functions.domain.storage import Document, WriteResult, WriteStatus
from functions.errors import InputError, NotAllowedError, StoreUnavailableError
from functions.services.access.audit import list_entries, record_change
from functions.services.meta import MAX_ENDED_SESSIONS, end_session, has_session_ended
from functions.web.dashboard.session import SESSION_LIFETIME
from tests.conftest import NOON

OLD, NEW = "the-old-secret-of-32-characters-x", "the-new-secret-of-32-characters-y"
MakeApp = Callable[..., App]


@pytest.fixture
async def make_app(tmp_path: Path) -> AsyncIterator[MakeApp]:
    """Open one store with these settings, as another process would."""
    opened: list[App] = []

    def make(**variables: str) -> App:
        env = {"STORE_URL": f"sqlite:///{tmp_path}/keys.db", "CRON_SECRET": "c" * 32} | variables
        opened.append(App(Settings.from_env(env), clock=lambda: NOON))
        return opened[-1]

    yield make
    for app in opened:
        await app.close()


async def new_key(app: App) -> str:
    _, token = await app.keys.create(
        name="ops", scopes=("read",), owner="", expires_at=None, by=ADMINISTRATOR
    )
    return token


async def signature(app: App) -> str:
    [key] = (await app.keys.list_keys(by=ADMINISTRATOR)).keys
    return key.signature


async def test_a_key_outlives_its_secret_when_it_is_used_meanwhile(make_app: MakeApp) -> None:
    token = await new_key(make_app(SIGNING_SECRET=OLD))
    rotating = make_app(SIGNING_SECRET=NEW, SIGNING_SECRET_PREVIOUS=OLD)

    assert "previous" == await signature(rotating)
    assert await rotating.keys.find(token)
    assert "current" == await signature(rotating)
    assert await make_app(SIGNING_SECRET=NEW).keys.find(token)


async def test_whoever_makes_or_revokes_a_key_is_in_its_trail(make_app: MakeApp) -> None:
    """The store of keys itself records it, so that no caller can forget to."""
    app, ann = make_app(SIGNING_SECRET=NEW), replace(ADMINISTRATOR, name="ann")
    key, _ = await app.keys.create(name="ops", scopes=("read",), owner="", expires_at=None, by=ann)
    await app.keys.revoke(key.id, by=ADMINISTRATOR)

    trail = await list_entries(app.store, audit_subject("key", key.id))

    assert {("key issued", "ann", "ops"), ("key revoked", "administrator", "ops")} == {
        (entry.verb, entry.by, entry.note) for entry in trail
    }
    assert "ann" == key.created_by


async def test_an_owner_has_so_many_keys_and_no_more(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.services.access.keys.MAX_KEYS_OF_OWNER", 3)
    app = make_app(SIGNING_SECRET=NEW)

    async def make(owner: str) -> str:
        key, _ = await app.keys.create(
            name="x", scopes=("admin",), owner=owner, expires_at=None, by=ADMINISTRATOR
        )
        return key.id

    anns = [await make("ann") for _ in range(3)]
    with pytest.raises(NotAllowedError, match="ann has 3 keys, as many as an owner may have; revoke those"):
        await make("ann")
    assert [await make("bob"), *[await make("") for _ in range(4)]]

    await app.keys.revoke(anns[0], by=ADMINISTRATOR)  # or else keys could be made and revoked without end
    with pytest.raises(NotAllowedError, match="count for 30 days more"):
        await make("ann")


async def test_a_revoked_key_leaves_the_store_after_a_month_or_when_it_would_have_expired(
    make_app: MakeApp,
) -> None:
    app = make_app(SIGNING_SECRET=NEW)
    kept_until = []
    for expires_at in (None, NOON + timedelta(days=90), NOON + timedelta(hours=1)):
        key, _ = await app.keys.create(
            name="x", scopes=("read",), owner="ann", expires_at=expires_at, by=ADMINISTRATOR
        )
        await app.keys.revoke(key.id, by=ADMINISTRATOR)
        [row] = await app.store.get_documents("keys", [key.id])
        kept_until.append(row.expire_at)

    month = NOON + timedelta(days=30)
    assert [month, month, NOON + timedelta(hours=1)] == kept_until


async def test_revoking_one_of_many_keys_reads_that_one(make_app: MakeApp) -> None:
    app = make_app(SIGNING_SECRET=NEW)
    ids = [
        (await app.keys.create(name="x", scopes=("read",), owner="ann", expires_at=None, by=ADMINISTRATOR))[
            0
        ].id
        for _ in range(12)
    ]

    with app.store.count_operations() as operations:
        await app.keys.revoke(ids[5], by=ADMINISTRATOR)

    assert 4 > operations.reads


async def test_a_key_that_is_not_used_ends_with_its_secret(make_app: MakeApp) -> None:
    token = await new_key(make_app(SIGNING_SECRET=OLD))

    assert await make_app(SIGNING_SECRET=NEW).keys.find(token) is None


async def test_another_cron_secret_ends_no_key(make_app: MakeApp) -> None:
    token = await new_key(make_app(SIGNING_SECRET=OLD))

    assert await make_app(SIGNING_SECRET=OLD, CRON_SECRET="d" * 32).keys.find(token)


async def test_without_a_setting_keys_are_signed_with_api_key(make_app: MakeApp) -> None:
    token = await new_key(make_app(API_KEY=OLD))

    assert await make_app(API_KEY=OLD).keys.find(token)
    assert await make_app(API_KEY=OLD, SIGNING_SECRET=NEW).keys.find(token), "set later"
    assert await make_app(API_KEY=OLD[::-1]).keys.find(token) is None


async def test_without_any_secret_no_key_is_made_or_accepted(make_app: MakeApp) -> None:
    token = await new_key(make_app(SIGNING_SECRET=OLD))
    bare = make_app()

    assert await bare.keys.find(token) is None
    assert "invalid" == await signature(bare)
    with pytest.raises(InputError, match="SIGNING_SECRET is not set"):
        await new_key(bare)


async def test_a_shared_base_keeps_no_keys_unless_it_is_said(make_app: MakeApp) -> None:
    base = {
        "STORE_URL": "bitable://app/tbl1",
        "FEISHU_APP_ID": "a",
        "FEISHU_APP_SECRET": "s",
        "SIGNING_SECRET": OLD,
    }
    with pytest.raises(InputError, match="BITABLE_KEYS=1"):
        await new_key(make_app(**base))

    assert "" == make_app(**base, BITABLE_KEYS="1").keys.problem


async def test_a_key_whose_removal_was_not_answered_is_not_called_revoked(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process has another secret than the function, which accepts the key."""
    token = await new_key(make_app(SIGNING_SECRET=OLD))
    app = make_app(SIGNING_SECRET=NEW)
    [key] = (await app.keys.list_keys(by=ADMINISTRATOR)).keys

    with monkeypatch.context() as patched:
        patched.setattr(app.store, "delete_documents", unanswered)
        with pytest.raises(StoreUnavailableError, match="revoke it again"):
            await app.keys.revoke(key.id, by=ADMINISTRATOR)
    assert await make_app(SIGNING_SECRET=OLD).keys.find(token)

    await app.keys.revoke(key.id, by=ADMINISTRATOR)
    assert await make_app(SIGNING_SECRET=OLD).keys.find(token) is None


async def test_an_entry_of_the_trail_that_the_store_did_not_confirm_is_reported(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    monkeypatch.setattr(app.store, "put_documents", unanswered)

    await record_change(app.store, "paused", "shop", by="ann", at=NOON, new_id=app.new_id)

    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert ("audit_not_kept", "the write is unknown") == (record.message, record.__dict__["error"])


async def unanswered(documents: Sequence[Document]) -> list[WriteResult]:
    return [WriteResult(WriteStatus.UNKNOWN)] * len(documents)


@pytest.mark.slow
async def test_ended_sessions_are_bounded(make_app: MakeApp) -> None:
    store, began = make_app().store, int(NOON.timestamp())

    async def ended(name: str, at: int = began) -> bool:
        return await has_session_ended(store, "k1", name, began_at=at)

    for number in range(MAX_ENDED_SESSIONS):
        await end_session(
            store, "k1", f"s{number}", began_at=began - number, now=NOON, lifetime=SESSION_LIFETIME
        )
    assert not await ended("other")
    await end_session(store, "k1", "one-more", began_at=began, now=NOON, lifetime=SESSION_LIFETIME)

    assert await ended("one-more")
    assert await ended("other"), "beyond the bound more end, never fewer"
    assert not await ended("later", began + 1)
    assert not await has_session_ended(store, "k2", "other", began_at=began)
    [document] = await store.get_documents("meta", ["sessions.k1"])
    assert document.expire_at == NOON + SESSION_LIFETIME


async def test_a_document_of_sessions_edited_by_hand_does_no_harm(make_app: MakeApp) -> None:
    store = make_app().store
    await store.put_documents([Document("meta", "sessions.k1", {"ended": [1], "before": "x"})])

    assert not await has_session_ended(store, "k1", "s", began_at=1)


async def test_the_files_of_a_store_are_their_owners_alone(make_app: MakeApp, tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/modes.db", f"json:///{tmp_path}/modes.json"):
        store = make_app(STORE_URL=url).store
        await store.put_documents([Document("meta", "heartbeat", {"at": 1})])

    found = await asyncio.to_thread(
        lambda: {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    )
    assert {"modes.db", "modes.db-wal", "modes.db-shm", "modes.documents.json", ".modes.json.lock"} <= set(
        found
    )
    assert {0o600} == set(found.values()), found
