"""Routes about API keys: for administrators."""

from typing import Annotated

from fastapi import APIRouter, Path

from functions import audit, keys
from functions.rules.audit import Entry
from functions.rules.keys import Key
from functions.web.api.context import Caller, Parts
from functions.web.api.problems import responses
from functions.web.api.shapes import KeyList, KeyMade, KeyWish

router = APIRouter(prefix="/api/keys", tags=["keys"])


@router.get("", responses=responses(), summary="List keys")
async def list_keys(caller: Caller, wired: Parts) -> KeyList:
    """All keys, newest first; never the keys themselves, which nobody has but their holders."""
    return KeyList(keys=await keys.everybodys(wired.store, by=caller))


@router.post("", status_code=201, responses=responses(), summary="Make a key")
async def make_key(caller: Caller, wired: Parts, wish: KeyWish) -> KeyMade:
    """Make a key. Its token is in this answer and nowhere else."""
    key, token = await keys.issue(
        wired.store,
        name=wish.name,
        scopes=wish.scopes,
        owner=wish.owner,
        expires_at=wish.expires_at,
        by=caller,
        now=wired.now(),
        new_id=wired.new_id,
        new_secret=wired.new_secret,
    )
    entry = Entry(at=wired.now(), verb="key issued", subject=key.id, by=caller.name, note=key.name)
    await audit.note(wired.store, entry, new_id=wired.new_id)
    return KeyMade(key=key, token=token)


@router.delete("/{id}", responses=responses(404, 409), summary="Revoke a key")
async def revoke_key(
    caller: Caller, wired: Parts, key_id: Annotated[str, Path(alias="id", min_length=1, max_length=32)]
) -> Key:
    """End a key for good, at once."""
    key = await keys.revoke(wired.store, key_id, by=caller, now=wired.now())
    entry = Entry(at=wired.now(), verb="key revoked", subject=key.id, by=caller.name, note=key.name)
    await audit.note(wired.store, entry, new_id=wired.new_id)
    return key
