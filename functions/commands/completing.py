"""Completion of task ids in the shell: quick, and silent whatever goes wrong."""

import asyncio

PATIENCE_S = 1.0  # somebody waits with a finger on the key
MOST = 200
_store_url = ""


def look_in(store_url: str) -> None:
    """Say where tasks are; before that nothing is completed."""
    global _store_url  # the shell's question comes in by a library that hands nothing on
    _store_url = store_url


def task_ids(incomplete: str) -> list[str]:
    """Ids of tasks that begin with *incomplete*; none when the store does not answer at once."""
    try:
        return asyncio.run(_found(incomplete))
    except Exception:  # noqa: BLE001  # a shell that completes nothing is better than one that shows a fault
        return []


async def _found(incomplete: str) -> list[str]:
    # Only where somebody completes: these load the whole program.
    from functions.rules.storage import Filter
    from functions.store import open_store

    store = open_store(_store_url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            page = await store.page(Filter(), after=incomplete[:-1], limit=MOST)
            return [stored.task.id for stored in page.tasks if stored.task.id.startswith(incomplete)]
    finally:
        await store.close()
