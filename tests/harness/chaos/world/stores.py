"""Which store a run has: the one that is plagued, and the way by which people and the checker reach it."""

from pathlib import Path
from typing import cast

from functions.interfaces import Store
from functions.services.access.settled_store import SettledStore
from functions.stores.firestore.store import FirestoreStore
from functions.stores.sqlite.store import SqliteStore
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.stands import EmulatorStand, SqliteStand, Stand

PATIENT_S = 300.0  # of the reader at the end, by the run's clock


def stand_for(setup: Setup, folder: Path, clock: Clock) -> Stand:
    """The store that *setup* asks for."""
    if setup.store == "sqlite":
        return SqliteStand(folder, clock)
    return EmulatorStand(folder, clock, host=setup.shared_emulator or None)


def reached(stand: Stand) -> Store:
    """The store as people have it: directly, and with all the time they need."""
    if isinstance(stand, EmulatorStand):
        return _seen(FirestoreStore(stand.project, emulator=stand.host, read_timeout_s=PATIENT_S))
    path = stand.url.removeprefix("sqlite:///")
    return _seen(SqliteStore(path, operation_timeout_s=PATIENT_S))


def _seen(store: Store) -> Store:
    """*store* as it is seen where settlements may be deferred; where they are not, that changes nothing."""
    return cast("Store", SettledStore(store))
