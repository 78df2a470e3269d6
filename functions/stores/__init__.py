"""The only room that knows databases: one file per store, chosen by the URL's scheme."""

from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from functions.errors import SettingsError
from functions.stores.bitable.config import PLAIN, FeishuApp, Reading, address

if TYPE_CHECKING:
    from functions.stores.bitable.store import BitableStore
    from functions.stores.firestore.store import FirestoreStore
    from functions.stores.jsonfile.store import JsonStore
    from functions.stores.sqlite.store import SqliteStore

    AnyStore: TypeAlias = SqliteStore | JsonStore | BitableStore | FirestoreStore

ACCEPTED = (
    "sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory:, json:///relative.json, "
    "json:////absolute.json, bitable://APP_TOKEN/TABLE_ID or firestore://PROJECT[/DATABASE]"
)


def open_store(
    url: str, *, feishu: FeishuApp | None = None, reads: Reading = PLAIN, emulator: str | None = None
) -> "AnyStore":
    """Return the store *url* names. Nothing is connected, or even created, before its first use.

    Args:
        feishu: The app that a table of Feishu was shared with; None where there is none.
        reads: How people's cells in a table are to be understood.
        emulator: `host:port` of a Firestore emulator; None means Google.

    Raises:
        SettingsError: The URL is none that is known; the text does not repeat it.
    """
    scheme, found, rest = url.partition("://")
    if found and scheme == "sqlite":
        return _sqlite(rest)
    if found and scheme == "json":
        return _json(rest)
    if found and scheme == "bitable":
        return _bitable(rest, feishu, reads)
    if found and scheme == "firestore":
        return _firestore(rest, emulator)
    raise SettingsError(f"STORE_URL: must be {ACCEPTED}")


def _sqlite(rest: str) -> "SqliteStore":
    # Each store's library is imported only where it is used: Firestore's costs 0.1 s of a cold start.
    from functions.stores.sqlite.store import SqliteStore

    path = rest.removeprefix("/")
    if path == ":memory:":
        return SqliteStore(path)
    if path == rest or not path or path.endswith("/"):
        raise SettingsError(
            "STORE_URL: names no file; write sqlite:///relative.db or, with four slashes, sqlite:////absolute.db"
        )
    return SqliteStore(path)


def _json(rest: str) -> "JsonStore":
    from functions.stores.jsonfile.store import JsonStore  # only where it is used, as above

    path = rest.removeprefix("/")
    if path == rest or PurePath(path).suffix != ".json":
        raise SettingsError(
            "STORE_URL: names no file of JSON; write json:///relative.json or, with four slashes, "
            "json:////absolute.json"
        )
    return JsonStore(path)


def _bitable(rest: str, app: FeishuApp | None, reads: Reading) -> "BitableStore":
    from functions.stores.bitable.store import BitableStore  # only where it is used, as above

    if app is None:
        raise SettingsError("FEISHU_APP_ID, FEISHU_APP_SECRET: missing; bitable:// is opened with them")
    return BitableStore(address(rest), app, reads=reads)


def _firestore(rest: str, emulator: str | None) -> "FirestoreStore":
    from functions.stores.firestore.store import FirestoreStore  # only where it is used, as above

    project, _, database = rest.partition("/")
    return FirestoreStore(project, database or "(default)", emulator=emulator)
