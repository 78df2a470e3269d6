"""The stores, one sub-package each; `create_store` chooses one by the scheme of STORE_URL."""

from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from functions.errors import SettingsError

if TYPE_CHECKING:
    from functions.stores.bitable.config import CellParser, FeishuCredentials
    from functions.stores.bitable.store import BitableStore
    from functions.stores.firestore.store import FirestoreStore
    from functions.stores.jsonfile.store import JsonStore
    from functions.stores.sqlite.store import SqliteStore

    Store: TypeAlias = SqliteStore | JsonStore | BitableStore | FirestoreStore

URL_FORMATS = (
    "sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory:, json:///relative.json, "
    "json:////absolute.json, bitable://APP_TOKEN/TABLE_ID or firestore://PROJECT[/DATABASE]"
)


def create_store(
    url: str,
    *,
    feishu: "FeishuCredentials | None" = None,
    cell_parser: "CellParser | None" = None,
    emulator: str | None = None,
) -> "Store":
    """Return the store *url* names. Nothing is connected, or even created, before its first use.

    Args:
        feishu: The app that a table of Feishu was shared with; None where there is none.
        cell_parser: How cells that users wrote are parsed; None for JSON only.
        emulator: `host:port` of a Firestore emulator; None means Google.

    Raises:
        SettingsError: No store has this URL's form; the text does not repeat the URL.
    """
    scheme, found, rest = url.partition("://")
    if found and scheme == "sqlite":
        return _create_sqlite_store(rest)
    if found and scheme == "json":
        return _create_json_store(rest)
    if found and scheme == "bitable":
        return _create_bitable_store(rest, feishu, cell_parser)
    if found and scheme == "firestore":
        return _create_firestore_store(rest, emulator)
    raise SettingsError(f"STORE_URL: must be {URL_FORMATS}")


def _create_sqlite_store(location: str) -> "SqliteStore":
    # Each store's library is imported only where it is used: Firestore's costs 0.2 s of a cold start.
    from functions.stores.sqlite.store import SqliteStore

    path = location.removeprefix("/")
    if path == ":memory:":
        return SqliteStore(path)
    if path == location or not path or path.endswith("/"):
        raise SettingsError(
            "STORE_URL: names no file; write sqlite:///relative.db or, with four slashes, sqlite:////absolute.db"
        )
    return SqliteStore(path)


def _create_json_store(location: str) -> "JsonStore":
    from functions.stores.jsonfile.store import JsonStore  # only where it is used, as above

    path = location.removeprefix("/")
    if path == location or PurePath(path).suffix != ".json":
        raise SettingsError(
            "STORE_URL: names no file of JSON; write json:///relative.json or, with four slashes, "
            "json:////absolute.json"
        )
    return JsonStore(path)


def _create_bitable_store(
    location: str, credentials: "FeishuCredentials | None", cell_parser: "CellParser | None"
) -> "BitableStore":
    from functions.stores.bitable.config import DEFAULT_CELL_PARSER, parse_table_ref
    from functions.stores.bitable.store import BitableStore  # only where it is used, as above

    if credentials is None:
        raise SettingsError("FEISHU_APP_ID, FEISHU_APP_SECRET: missing; bitable:// is opened with them")
    return BitableStore(
        parse_table_ref(location), credentials, cell_parser=cell_parser or DEFAULT_CELL_PARSER
    )


def _create_firestore_store(location: str, emulator: str | None) -> "FirestoreStore":
    from functions.stores.firestore.store import FirestoreStore  # only where it is used, as above

    project, _, database = location.partition("/")
    return FirestoreStore(project, database or "(default)", emulator=emulator)
