"""The way to Google itself: TLS, and a token with each call, from wherever this place has its account.

Google's part is a server of gRPC on loopback with a certificate of our own, which answers no documents. The
client is a process of its own, because both libraries read the environment when they are loaded.
"""

import asyncio
import base64
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from functions.domain.storage import ConditionalWrite, WriteStatus
from functions.domain.task import Task
from functions.errors import StoreError, StoreUnavailableError
from functions.stores.firestore.client import FirestoreConnection
from functions.stores.firestore.store import FirestoreStore
from tests.conftest import NOON
from tests.harness.bench.processes import ROOT
from tests.support.authority import SERVER, Authority

# One look for due tasks, at the server whose address is the first word; prints how many there are.
LOOK = """
import asyncio, functools, sys
from datetime import datetime, UTC
from functions.stores.firestore import client
from functions.stores.firestore.store import FirestoreStore

here = {"api_endpoint": sys.argv[1]}
client.FirestoreAsyncClient = functools.partial(client.FirestoreAsyncClient, client_options=here)

async def look():
    store = FirestoreStore("my-project", "blue")
    found = await store.fetch_due(datetime.now(UTC), limit=9)
    await store.close()
    print(len(found.tasks))

asyncio.run(look())
"""


@dataclass
class Google:
    """What was asked of the server, as headers of each call."""

    address: str
    roots: Path
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[Google]:
    authority = Authority(tmp_path, now=datetime.now(UTC))
    authority.server()
    pem = (tmp_path / SERVER).read_bytes()
    (tmp_path / "roots.pem").write_text(authority.pem)
    asked = Google("", tmp_path / "roots.pem")

    async def answer(_: bytes, context: Any) -> AsyncIterator[bytes]:
        asked.headers.append(dict(context.invocation_metadata()))
        return
        yield b""

    class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        def service(self, details: Any) -> Any:
            known = details.method == "/google.firestore.v1.Firestore/RunQuery"
            return grpc.unary_stream_rpc_method_handler(answer) if known else None

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
    asked.address = f"127.0.0.1:{port}"
    await server.start()
    yield asked
    await server.stop(None)


async def look(google: Google, **variables: str) -> tuple[int, str, str]:
    """The exit code, the output and the complaint of `LOOK` with these variables alone."""
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CLOUDSDK_CONFIG": str(google.roots.parent)}
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOOK, google.address,
        env=kept | {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(google.roots)} | variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await done.communicate()
    assert done.returncode is not None
    return done.returncode, out.decode().strip(), err.decode()


def key_file(folder: Path) -> Path:
    """The key of a service account, as Google hands it out."""
    key = generate_private_key(65537, 2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path = folder / "key.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "my-project",
                "private_key_id": "first",
                "private_key": text,
                "client_email": "cronfire@my-project.iam.gserviceaccount.com",
                "token_uri": "https://127.0.0.1:1/token",  # nobody is there, and nobody needs to be
            }
        )
    )
    return path


def claims(headers: dict[str, str]) -> dict[str, Any]:
    body = headers["authorization"].removeprefix("Bearer ").split(".")[1]
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return told


@asynccontextmanager
async def platform(token: str) -> AsyncIterator[str]:
    """What Cloud Run offers to its instances: their account's token, over plain HTTP; its `host:port`."""

    async def answer(request: web.Request) -> web.Response:
        headers = {"Metadata-Flavor": "Google"}
        if request.path.endswith("/token"):
            told = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
            return web.json_response(told, headers=headers)
        if request.path.endswith("/service-accounts/default/"):
            told = {"email": "me@my-project.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]}
            return web.json_response(told, headers=headers)
        return web.Response(text="my-project", headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "127.0.0.1:{1}".format(*runner.addresses[0])
    await runner.cleanup()


async def test_a_key_file_signs_for_firestore_and_asks_nobody_else(google: Google, tmp_path: Path) -> None:
    code, said, complaint = await look(google, GOOGLE_APPLICATION_CREDENTIALS=str(key_file(tmp_path)))

    assert (0, "0") == (code, said), complaint
    [headers] = google.headers
    assert "https://firestore.googleapis.com/" == claims(headers)["aud"]
    assert "projects/my-project/databases/blue" == headers["google-cloud-resource-prefix"]
    assert "parent=projects/my-project/databases/blue/documents" == headers["x-goog-request-params"]


async def test_on_cloud_run_the_account_of_the_service_is_used(google: Google) -> None:
    async with platform("of-the-service") as host:
        code, said, complaint = await look(google, GCE_METADATA_HOST=host, GCE_METADATA_IP=host)

    assert (0, "0") == (code, said), complaint
    assert ["Bearer of-the-service"] == [headers["authorization"] for headers in google.headers]


async def test_a_server_whose_certificate_nobody_signed_gets_no_token(google: Google, tmp_path: Path) -> None:
    key = key_file(tmp_path)
    stranger = Authority(tmp_path, now=datetime.now(UTC))
    google.roots.write_text(stranger.pem)

    code, _, complaint = await look(google, GOOGLE_APPLICATION_CREDENTIALS=str(key))

    assert 1 == code
    assert "StoreUnavailableError" in complaint
    assert [] == google.headers


async def test_no_credentials_is_an_error_that_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(**_: Any) -> None:
        raise DefaultCredentialsError("Your default credentials were not found. See https://cloud.google.com")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.auth.default", search)
    store = FirestoreStore("my-project")

    with pytest.raises(StoreError, match="No Google credentials: give the function a service account"):
        await store.fetch_due(NOON, limit=9)


@pytest.mark.parametrize("kind", ["missing", "folder", "cut", "other", "binary"])
async def test_a_key_file_that_is_none_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Docker makes a folder of a mount whose file is not there; it was a traceback."""
    file = tmp_path / "key.json"
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        contents = {"cut": b'{"type": "service_account"', "other": b'{"type": "service_account"}'}
        file.write_bytes(contents.get(kind, b"\xff\xfe{\x00"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    store = FirestoreStore("my-project")

    with pytest.raises(StoreError, match="GOOGLE_APPLICATION_CREDENTIALS is not there, cannot be") as error:
        await store.fetch_due(NOON, limit=9)

    assert str(tmp_path) not in str(error.value)


async def test_a_slow_search_for_credentials_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, make_task: Callable[..., Task]
) -> None:
    """Google's library looks seconds for a metadata server that is not there."""
    end = threading.Event()

    def search(**_: Any) -> tuple[AnonymousCredentials, None]:
        end.wait(10)
        return AnonymousCredentials(), None  # type: ignore[no-untyped-call]  # it has no types

    monkeypatch.setattr("google.auth.default", search)
    store = FirestoreStore("my-project", read_timeout_s=0.2, write_timeout_s=0.2)

    try:
        async with asyncio.timeout(5):
            with pytest.raises(StoreUnavailableError, match=r"within 0\.2 s"):
                await store.fetch_due(NOON, limit=9)
            written = await store.write([ConditionalWrite(make_task(), None)])
    finally:
        end.set()

    assert [WriteStatus.UNKNOWN] == [one.status for one in written]


async def test_calls_that_begin_together_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three queries at once are the first thing the status page does."""
    found = AnonymousCredentials(), None  # type: ignore[no-untyped-call]  # it has no types
    monkeypatch.setattr("google.auth.default", lambda **_: found)
    connection = FirestoreConnection("projects/p/databases/d", emulator=None, read_timeout_s=1)

    clients = await asyncio.gather(*(connection.client() for _ in range(3)))
    await connection.close()

    assert 1 == len({*map(id, clients)})
