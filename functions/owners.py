"""Owners' accounts in the store: read, changed under a guard, changed again when somebody was faster."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from functions.errors import InputError, NotFoundError, StoreError, StoreUnavailable
from functions.ports import Shelf
from functions.rules.accounts import Account
from functions.rules.storage import Document, Result

TRIES = 8  # at a write that others get in the way of; each time on what they left
FIRST_WAIT_S = 0.02  # before the third try; doubled for each later one
PAGE = 100
REMEMBERED = 1000  # accounts known from the last write, which saves a read when nobody else writes
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

Change = Callable[[Account], Account]


class Owners:
    """The accounts. Safe to share between ticks; others may write to the same store."""

    def __init__(self, shelf: Shelf, *, clock: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._clock = clock
        self._known: dict[str, Document] = {}

    async def read(self, owner: str) -> Account:
        """Return the account as it stands now.

        Raises:
            NotFoundError: The owner has none.
            StoreError: It cannot be read.
        """
        found = await self._shelf.documents("owners", [document_id(owner)])
        if not found:
            raise NotFoundError(f"{owner} has no account: scheduler owners set {owner} makes one")
        return _account(owner, found[0]).at(self._clock())

    async def all(self) -> list[Account]:
        """Return all accounts by name; those that cannot be read are left out."""
        documents: list[Document] = []
        while True:
            after = documents[-1].id if documents else ""
            page = await self._shelf.shelf("owners", after=after, limit=PAGE)
            documents += page
            if len(page) < PAGE:
                break
        now = self._clock()
        accounts = [_readable(document) for document in documents]
        return sorted((one.at(now) for one in accounts if one is not None), key=lambda one: one.name)

    async def set(
        self,
        owner: str,
        *,
        plan: str | None = None,
        monthly_credits: float | None = None,
        unlimited: bool = False,
    ) -> Account:
        """Give the owner a plan, or credits a month; what is not named stays. Makes the account if need be.

        Raises:
            InputError: The owner has no name.
            StoreError: The account cannot be read, or it is not known whether it was changed.
        """
        if not owner.strip():
            raise InputError("owner: must not be empty")

        def change(account: Account) -> Account:
            return account.with_plan(plan=plan, monthly_credits=monthly_credits, unlimited=unlimited)

        return _or_raise((await self.change({owner: change}))[owner])

    async def change(
        self, changes: Mapping[str, Change], *, fresh: bool = True
    ) -> dict[str, Account | StoreError]:
        """Apply each change to its owner's account; return the accounts as written, or why one is not.

        A change may be applied several times, to the account as others left it, and once more after a write
        that was not answered: it must come to the same when it has been applied already.

        Args:
            fresh: False to try first on what was written last from here.
        """
        done: dict[str, Account | StoreError] = {}
        if fresh:
            self._forget(changes)
        for round_ in range(TRIES):
            if round_ > 1:
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (round_ - 2))
            left = [owner for owner in changes if owner not in done]
            if not left:
                break
            try:
                await self._one_round({owner: changes[owner] for owner in left}, done)
            except StoreUnavailable as exc:
                self._forget(left)
                if round_ == TRIES - 1:
                    return done | dict.fromkeys(left, exc)
        busy = StoreUnavailable("The accounts change too quickly; try again")
        return dict.fromkeys(changes, busy) | done

    async def _one_round(self, changes: Mapping[str, Change], done: dict[str, Account | StoreError]) -> None:
        now = self._clock()
        stored = await self._documents(list(changes))
        writes: dict[str, tuple[Account, Document]] = {}
        for owner, change in changes.items():
            document = stored[owner]
            try:
                before = _account(owner, document)
            except StoreError as exc:
                done[owner] = exc
                continue
            after = change(before.at(now))
            if after == before and document.revision is not None:
                done[owner] = after
            else:
                data = after.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                writes[owner] = after, Document("owners", document.id, data, document.revision)
        written = await self._shelf.put([document for _, document in writes.values()]) if writes else []
        for (owner, (after, document)), answer in zip(writes.items(), written, strict=True):
            if answer.result is Result.APPLIED:
                done[owner] = after
                self._remember(owner, Document("owners", document.id, document.data, answer.revision))
            else:  # refused, or unknown: either way what is stored now is to be looked at
                self._forget([owner])

    async def _documents(self, owners: Sequence[str]) -> dict[str, Document]:
        """The document of each owner; an empty one, without a revision, of who has none."""
        unknown = [owner for owner in owners if owner not in self._known]
        ids = {document_id(owner): owner for owner in unknown}
        found = await self._shelf.documents("owners", list(ids)) if ids else []
        empty = {owner: Document("owners", id_, {}) for id_, owner in ids.items()}
        known = {owner: self._known[owner] for owner in owners if owner in self._known}
        return known | empty | {ids[document.id]: document for document in found}

    def _remember(self, owner: str, document: Document) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[owner] = document

    def _forget(self, owners: Sequence[str] | Mapping[str, object]) -> None:
        for owner in owners:
            self._known.pop(owner, None)


def document_id(owner: str) -> str:
    """The name an account is kept under: the owner's own where a store can take it."""
    if _PLAIN.fullmatch(owner) and not owner.startswith("sha256-"):
        return owner
    return f"sha256-{hashlib.sha256(owner.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _account(owner: str, document: Document) -> Account:
    try:
        return Account.model_validate({**document.data, "name": owner})
    except ValidationError as exc:
        place = ".".join(str(step) for step in exc.errors(include_input=False)[0]["loc"])
        raise StoreError(f"The account of {owner} cannot be read: {place} is wrong") from None


def _readable(document: Document) -> Account | None:
    try:
        return _account(str(document.data.get("name") or document.id), document)
    except StoreError:
        return None


def _or_raise(given: Account | StoreError) -> Account:
    if isinstance(given, StoreError):
        raise given
    return given
