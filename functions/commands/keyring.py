"""The commands about API keys: `keys create`, `keys list` and `keys revoke`."""

from collections.abc import Sequence
from datetime import datetime

from functions import audit, keys
from functions.commands.screen import Cell
from functions.commands.session import Session
from functions.commands.steering import BY
from functions.commands.times import local
from functions.rules.audit import Entry, Verb
from functions.rules.keys import ADMINISTRATOR, Key, Scope

HERE = ADMINISTRATOR  # whoever reaches the store itself may do anything in it


async def create(
    session: Session, *, name: str, scopes: Sequence[Scope], owner: str, expires: datetime | None
) -> int:
    """Make a key and show it, this once."""
    key, token = await keys.issue(
        session.store,
        name=name,
        scopes=tuple(scopes),
        owner=owner,
        expires_at=expires,
        by=HERE,
        now=session.now(),
        new_id=session.new_id,
        new_secret=session.wired.new_secret,
    )
    await _note(session, "key issued", key)
    data = {"key": key.model_dump(mode="json", by_alias=True), "token": token}
    session.screen.answer(data, [token, "Keep it now: it is shown this once, and kept nowhere."])
    return 0


async def list_keys(session: Session) -> int:
    """Show all keys, newest first."""
    found = await keys.everybodys(session.store, by=HERE)
    rows = [
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.owner or "everybody",
            local(key.created_at.replace(microsecond=0), "UTC"),
            _state(key, session.now()),
        )
        for key in found
    ]
    table = session.screen.table(("KEY", "NAME", "MAY", "OWNER", "MADE", "STATE"), rows)
    none = ["There are no keys yet: scheduler keys create NAME makes one"]
    data = [key.model_dump(mode="json", by_alias=True) for key in found]
    session.screen.answer(data, table if rows else none)
    return 0


async def revoke(session: Session, *, key_id: str) -> int:
    """End a key for good."""
    key = await keys.revoke(session.store, key_id, by=HERE, now=session.now())
    await _note(session, "key revoked", key)
    session.screen.answer(key.model_dump(mode="json", by_alias=True), [f"{key.name} opens nothing any more"])
    return 0


def _state(key: Key, now: datetime) -> Cell:
    if key.revoked_at is not None:
        return Cell("revoked", "red")
    return Cell("live", "green") if key.is_live(now) else Cell("over", "dim")


async def _note(session: Session, verb: Verb, key: Key) -> None:
    entry = Entry(at=session.now(), verb=verb, subject=key.id, by=BY, note=key.name)
    await audit.note(session.store, entry, new_id=session.new_id)
