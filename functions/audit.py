"""The audit trail in the store: entries are added after the change they tell of, and read by subject."""

import logging
from collections.abc import Callable

from pydantic import ValidationError

from functions.errors import StoreError
from functions.ports import Shelf
from functions.rules.audit import Entry, entry_id, expires, first_id
from functions.rules.storage import Document

log = logging.getLogger(__name__)

PAGE = 300


async def note(shelf: Shelf, entry: Entry, *, new_id: Callable[[], str]) -> None:
    """Keep *entry*, and put it into the log as well.

    The change it tells of is done by now: a store that cannot keep the entry does not undo it, and the log
    has it all the same.
    """
    log.info("audit", extra=entry.model_dump(mode="json", exclude_defaults=True))
    data = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document = Document("audit", entry_id(entry, new_id()), data, expire_at=expires(entry))
    try:
        await shelf.put([document])
    except StoreError as exc:
        log.error("audit_not_kept", extra={"subject": entry.subject, "error": str(exc)})  # noqa: TRY400  # known


async def trail(shelf: Shelf, subject: str, *, limit: int = 100) -> list[Entry]:
    """The newest entries about *subject*, newest first."""
    after = first_id(subject)
    found: list[Entry] = []
    while True:
        page = await shelf.shelf("audit", after=after, limit=PAGE)
        mine = [document for document in page if document.id.startswith(first_id(subject))]
        found += [entry for document in mine if (entry := _entry(document))]
        if len(mine) < PAGE:
            return found[::-1][:limit]
        after = mine[-1].id


def _entry(document: Document) -> Entry | None:
    try:
        return Entry.model_validate(document.data)
    except ValidationError:
        return None
