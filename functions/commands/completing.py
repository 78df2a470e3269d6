"""Completion of task ids in the shell: quick, and silent whatever goes wrong."""

import asyncio
from collections.abc import Mapping

PATIENCE_S = 1.0  # somebody waits with a finger on the key
MOST = 200
_environment: Mapping[str, str] = {}


def look_in(environment: Mapping[str, str]) -> None:
    """Say by which variables the tasks are found; before that nothing is completed."""
    global _environment  # the shell's question comes in by a library that hands nothing on
    _environment = environment


def task_ids(incomplete: str) -> list[str]:
    """Ids of tasks that begin with *incomplete*; none when the store does not answer at once."""
    try:
        return asyncio.run(_found(incomplete))
    except Exception:  # noqa: BLE001  # a shell that completes nothing is better than one that shows a fault
        return []


async def _found(incomplete: str) -> list[str]:
    # Only where somebody completes: these load the whole program.
    from functions.rules.storage import Filter
    from functions.settings import Settings
    from functions.wiring_store import opened

    store = opened(Settings.from_env(_environment, door=False))
    try:
        async with asyncio.timeout(PATIENCE_S):
            page = await store.page(Filter(), after=incomplete[:-1], limit=MOST)
            return [stored.task.id for stored in page.tasks if stored.task.id.startswith(incomplete)]
    finally:
        await store.close()
