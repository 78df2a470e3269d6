"""The command `bitable setup`: creates what the store needs in a Feishu base."""

from dataclasses import asdict

from functions.cli.console import Cell
from functions.cli.session import CliContext
from functions.errors import SettingsError
from functions.stores.bitable.store import BitableStore
from functions.task_types.registry import type_names

STATE_COLOURS = {"there": "dim", "made": "green", "missing": "yellow", "wrong": "red"}


async def set_up_bitable(context: CliContext, *, dry_run: bool) -> int:
    """Create the missing columns and tables; 1 when one has a wrong type or is still missing."""
    store = context.store
    if not isinstance(store, BitableStore):
        raise SettingsError("STORE_URL: names no Feishu table; write bitable://APP_TOKEN/TABLE_ID")
    steps = await store.set_up(types=type_names(), dry_run=dry_run)
    screen = context.screen
    rows = [(Cell(one.state, STATE_COLOURS[one.state]), one.subject, one.remedy) for one in steps]
    lines = screen.format_table(("STATE", "WHAT", "TO DO"), rows)
    wrong = sum(one.state == "wrong" for one in steps)
    made = sum(one.state in ("made", "missing") for one in steps)
    if wrong:
        last = f"{wrong} wrong, so nothing was created: fix that, then run this again"
    elif not made:
        last = "Everything exists"
    else:
        last = f"{made} to create: leave out --dry-run" if dry_run else f"{made} created; the rest exists"
    screen.show([asdict(one) for one in steps], [*lines, "", last])
    return 1 if wrong or (dry_run and made) else 0
