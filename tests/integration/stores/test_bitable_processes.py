"""A real process on a table of Feishu: it is killed with the lock in its hand."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.task import Task
from functions.domain.types import Status
from tests.conftest import NOON
from tests.contract.documents import create
from tests.fakes.bitable import FakeBitable
from tests.support.bitable_places import QUICK, Sheet, served

MakeTask = Callable[..., Task]
ROOT = Path(__file__).parents[3]
MINUTE = timedelta(minutes=1)
LEASE = QUICK.lease


@pytest.fixture
def feishu() -> Iterator[FakeBitable]:
    with served() as feishu:
        yield feishu


DIES = """
import asyncio, os, signal, sys
from datetime import timedelta
from functions.domain.storage import ConditionalWrite
from functions.domain.task import Claim
from functions.stores.bitable.store import BitableStore
from functions.stores.bitable.config import FeishuCredentials, TableRef
from tests.conftest import NOON
from tests.support.bitable_places import QUICK

app_token, table_id, app_id, secret, url = sys.argv[1:]
store = BitableStore(TableRef(app_token, table_id), FeishuCredentials(app_id, secret, url), timeouts=QUICK)

async def main():
    [stored] = (await store.fetch_due(NOON, limit=9)).tasks
    until = NOON + timedelta(seconds=35)
    claim = Claim(token="dead.1", until=until, started_at=NOON)
    await store.write([ConditionalWrite.for_changes(stored, {
        "status": "running", "claim": claim, "next_run_at": until, "occurrence": NOON, "attempt": 1,
    })])
    print("claimed", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_pinger_is_followed_by_another_after_the_lease_and_its_task_goes_on(
    feishu: FakeBitable, make_task: MakeTask
) -> None:
    """The lock delays by the lease, no more; the claim in flight is healed as in any other store."""
    sheet = Sheet(feishu)
    store = sheet.store()
    await create(store, make_task("ping", type="python_tells", next_occurrence=NOON))
    words = [sheet.base.app_token, sheet.tasks.table_id, feishu.app_id, feishu.app_secret, feishu.url]
    process = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES, *words], capture_output=True, text=True, cwd=ROOT
    )

    waiting = await store.fetch_due(NOON + MINUTE, limit=9)
    [found] = (await store.fetch_due(NOON + LEASE, limit=9)).tasks

    assert ("claimed\n", -signal.SIGKILL) == (process.stdout, process.returncode), process.stderr
    assert () == waiting.tasks
    assert (Status.RUNNING, "dead.1") == (found.task.status, found.task.claim and found.task.claim.token)
    await store.close()
