"""The command `bitable setup`: makes in a Feishu base what the store needs, or says what is in the way."""

from dataclasses import asdict

from functions.actions import type_names
from functions.commands.screen import Cell
from functions.commands.session import Session
from functions.errors import InputError
from functions.store.bitable import BitableStore

COLOURS = {"there": "dim", "made": "green", "missing": "yellow", "wrong": "red"}


async def set_up(session: Session, *, dry_run: bool) -> int:
    """Make the columns and tables that are missing; 1 when something is in the way, or is left to make."""
    store = session.store
    if not isinstance(store, BitableStore):
        raise InputError("STORE_URL: names no table of Feishu; write bitable://APP_TOKEN/TABLE_ID")
    steps = await store.set_up(types=type_names(), dry_run=dry_run)
    screen = session.screen
    rows = [(Cell(one.state, COLOURS[one.state]), one.what, one.remedy) for one in steps]
    lines = screen.table(("STATE", "WHAT", "TO DO"), rows)
    wrong = sum(one.state == "wrong" for one in steps)
    made = sum(one.state in ("made", "missing") for one in steps)
    if wrong:
        last = f"{wrong} in the way, so nothing was made: mend that, then run this again"
    elif not made:
        last = "Everything was there"
    else:
        last = f"{made} to make: leave out --dry-run" if dry_run else f"{made} made; the rest was there"
    screen.answer([asdict(one) for one in steps], [*lines, "", last])
    return 1 if wrong or (dry_run and made) else 0
