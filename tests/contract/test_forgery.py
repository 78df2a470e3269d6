"""Whoever reads a whole store, or writes to it, becomes no administrator."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from typing import Any, get_args

import pytest
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.access import format_token, hash_token
from functions.domain.storage import Document, DocumentKind
from functions.interfaces import Store
from functions.web.factory import build_api_app
from tests.conftest import NOON
from tests.unit.web.asgi import Answer, call

ADMIN = "an-administrators-key-of-32-characters"
SIGNING = "a-signing-secret-of-32-characters-or-more"
SETTINGS = {"API_KEY": ADMIN, "SIGNING_SECRET": SIGNING, "STORE_URL": "sqlite://:memory:"}


class Service:
    """The API over the store of a test."""

    def __init__(self, store: Store) -> None:
        settings = Settings.from_env(SETTINGS, serves_http=False)
        self.app = App(settings, clock=lambda: NOON)
        self.app.store = store
        self.tokens: list[str] = []
        self.asgi = build_api_app(settings, self.app, clock=lambda: 0.0)

    async def __call__(self, method: str, path: str, *, body: Any = None, **headers: str) -> Answer:
        sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
        raw = b"" if body is None else json.dumps(body).encode()
        return await call(self.asgi, method, path, *sent, ("Content-Type", "application/json"), body=raw)


@pytest.fixture
async def service(store: Store) -> Service:
    service = Service(store)
    for scopes in (["admin"], ["read"]):
        made = await service(
            "POST",
            "/api/keys",
            body={"name": "ops", "scopes": scopes},
            Authorization=f"Bearer {ADMIN}",
        )
        assert 201 == made.status
        service.tokens.append(made.json["token"])
    signed_in = await call(
        service.asgi,
        "POST",
        "/dashboard/sign-in",
        ("Content-Type", "application/x-www-form-urlencoded"),
        body=f"key={ADMIN}".encode(),
    )
    assert "set-cookie" in signed_in.headers
    return service


async def dump(store: Store) -> list[Document]:
    return [
        document
        for kind in get_args(DocumentKind)
        for document in await store.list_documents(kind, after="", limit=1000)
    ]


def texts(value: object) -> Iterator[str]:
    """Every text in *value*."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts(name)
            yield from texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one)


async def is_open(service: Service, cookie: str) -> bool:
    answer = await service("GET", "/dashboard/keys", Cookie=f"cronfire_session={cookie}")
    return 200 == answer.status


@pytest.mark.slow
async def test_a_dump_of_the_store_opens_no_session(service: Service, store: Store) -> None:
    documents = await dump(store)
    assert "keys" in {document.kind for document in documents}
    known = sorted(
        {text for document in documents for text in (document.id, *texts(dict(document.data)))}
        | {"administrator"}
    )
    now = int(NOON.timestamp())
    secrets = [text for text in known if len(text) >= 32]

    for secret, name in product(secrets, known):
        for payload in (name, [name, "ab", now]):
            assert not await is_open(service, URLSafeTimedSerializer(secret, salt="session").dumps(payload))
            assert not await is_open(service, URLSafeSerializer(secret, salt="session").dumps(payload))


@pytest.mark.parametrize("change", ["copy", "scopes", "owner", "expiry", "revocation", "new digest"])
async def test_a_writer_of_the_store_makes_no_key(service: Service, store: Store, change: str) -> None:
    reader = next(
        document
        for document in await dump(store)
        if document.kind == "keys" and ["read"] == document.data["scopes"]
    )
    token = format_token("0123456789abcdef", "a-secret-of-the-writers-own")
    edits: dict[str, Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]] = {
        "copy": lambda data: (
            "0123456789abcdef",
            data | {"id": "0123456789abcdef", "tokenHash": hash_token(token), "scopes": ["admin"]},
        ),
        "scopes": lambda data: (reader.id, data | {"scopes": ["admin"]}),
        "owner": lambda data: (reader.id, data | {"owner": "alice"}),
        "expiry": lambda data: (reader.id, data | {"expiresAt": "2030-01-01T00:00:00Z"}),
        "revocation": lambda data: (reader.id, data | {"revokedAt": None}),
        "new digest": lambda data: (reader.id, data | {"tokenHash": hash_token(token)}),
    }
    name, data = edits[change](dict(reader.data))
    revision = reader.revision if name == reader.id else None
    await store.put_documents([Document("keys", name, data, revision)])
    # as an older version kept it: under its digest, without a signature
    old = {name: value for name, value in data.items() if name not in ("mac", "tokenHash")}
    await store.put_documents([Document("keys", hash_token(token), old | {"scopes": ["admin"]})])

    readers = [] if change == "copy" else service.tokens[1:]  # what is not changed stays valid
    for one in (token, *readers):
        answer = await service("GET", "/api/keys", Authorization=f"Bearer {one}")
        assert 401 == answer.status, change


async def test_an_older_versions_key_is_named_and_can_be_removed(service: Service, store: Store) -> None:
    token = format_token("0123456789abcdef", "made-by-an-older-version")
    old = {"id": "0123456789abcdef", "name": "old", "scopes": ["admin"], "createdAt": "2026-01-01T00:00:00Z"}
    await store.put_documents([Document("keys", hash_token(token), old)])
    ask = {"Authorization": f"Bearer {ADMIN}"}

    listed = {one["name"]: one for one in (await service("GET", "/api/keys", **ask)).json["keys"]}
    removed = await service("DELETE", "/api/keys/0123456789abcdef", **ask)

    assert "invalid" == listed["old"]["signature"]
    assert "current" == listed["ops"]["signature"]
    assert 200 == removed.status
    assert not await store.get_documents("keys", [hash_token(token)])


async def test_the_salt_replaces_what_an_older_version_signed_with(store: Store) -> None:
    await store.put_documents([Document("meta", "signing", {"secret": "s" * 43})])
    service = Service(store)

    await service.app.signer.keys()

    [kept] = await store.get_documents("meta", ["signing"])
    assert {"salt"} == kept.data.keys()
    assert timedelta(0) == NOON - service.app.now()
