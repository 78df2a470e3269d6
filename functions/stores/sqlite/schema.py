"""The tables of the SQLite store, and their migration."""

import sqlite3

from functions.errors import StoreError
from functions.stores.sqlite.connection import snapshot, transaction

SCHEMA_VERSION = 2
APPLICATION_ID = 0x43524F4E  # "CRON", in the file's header: marks the file as ours, not another program's
MAX_WAL_ATTEMPTS = 10  # at switching to WAL while other processes open the same new file

# Revisions (`rev`) are drawn at random, so that none ever comes twice, not even when a document is deleted
# and made again. A counter in the file would be one statement more in each transaction, and each statement
# waits for the interpreter lock, up to 5 ms while the event loop is busy.
REVISION_BITS = 62
MAX_ROWS = 500  # written by one statement, which may take 32,766 values
MAX_INVALID_SKIPPED = 10_000  # unreadable rows a query looks past for the readable ones behind them

# Instants are microseconds since 1970. A batch lists its runs by key: a run that two batches keep (a flush
# sent again, a result recovered by another tick) is one line of history and is found through both.
CORE_TABLES = (
    """
    CREATE TABLE tasks (
        id TEXT PRIMARY KEY, rev INTEGER NOT NULL, next_run_at INTEGER, status TEXT NOT NULL,
        type TEXT NOT NULL, owner TEXT NOT NULL, origin TEXT NOT NULL, tags TEXT NOT NULL, doc TEXT NOT NULL
    )
    """,
    "CREATE INDEX tasks_due ON tasks (next_run_at, id, status) WHERE next_run_at IS NOT NULL",
    "CREATE TABLE run_batches (id TEXT PRIMARY KEY, at INTEGER NOT NULL, keys TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX run_batches_at ON run_batches (at)",
    """
    CREATE TABLE runs (
        key TEXT PRIMARY KEY, task_id TEXT NOT NULL, finished_at INTEGER NOT NULL,
        batch_id TEXT NOT NULL, doc TEXT NOT NULL
    )
    """,
    "CREATE INDEX runs_by_task ON runs (task_id, finished_at)",
    "CREATE INDEX runs_by_time ON runs (finished_at)",
)
DOCUMENT_TABLES = (  # since version 2
    """
    CREATE TABLE documents (
        kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, expire_at INTEGER, data TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX documents_past ON documents (expire_at) WHERE expire_at IS NOT NULL",
)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Make a fresh connection fit for use, and an empty file a store.

    Raises:
        StoreError: The file is another program's, or a newer version of this one made it.
    """
    with snapshot(connection):  # another process may be making the tables between one look and the next
        known = _read_schema_version(connection, path)
    if known < SCHEMA_VERSION:
        _enable_wal(connection)
        with transaction(connection):
            known = _read_schema_version(connection, path)  # another process may have been faster
            for statement in (
                *(CORE_TABLES if known < 1 else ()),
                *(DOCUMENT_TABLES if known < SCHEMA_VERSION else ()),
            ):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    # What is committed survives a killed process in any case. FULL makes it survive a loss of power too, at
    # one fsync a commit; with NORMAL a loss of power may undo the last commits, and undone claims run twice.
    connection.execute("PRAGMA synchronous = FULL")
    # What a statement needs to undo itself, some hundred KB, needs no folder that can be written.
    connection.execute("PRAGMA temp_store = MEMORY")


def _read_schema_version(connection: sqlite3.Connection, path: str) -> int:
    """Which version of our tables the file holds; 0 when it is empty."""
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID and 1 <= version <= SCHEMA_VERSION:
        # 0.1.0 numbered its tables alike: its tasks could be read and would run, with no place for the runs.
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'run_batches'").fetchone():
            raise StoreError(
                f"{path}: made by a version before 0.2.0, whose stores are not read; "
                "name another file in STORE_URL, and apply your task files to it"
            )
        return int(version)
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: made by a newer version of this program "
            f"(schema {version}, known up to {SCHEMA_VERSION}); upgrade, or name another file in STORE_URL"
        )
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise StoreError(f"{path}: this is another program's database; name another file in STORE_URL")
    return 0


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side, for ever: the file remembers it.

    SQLite refuses at once, without waiting, when another process is just doing the same; so we wait for
    the lock in a way that does wait, and look again.
    """
    for _ in range(MAX_WAL_ATTEMPTS - 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            with transaction(connection):
                pass
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
