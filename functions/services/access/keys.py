"""API keys in the store: created, found by their token or id, listed and revoked; the audit trail has it.

A row carries a MAC made with a secret that is not in the store. A row without a valid one grants nothing.
"""

import hmac
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from functions.domain.access import (
    ApiKey,
    AuditVerb,
    KeySignature,
    ListedKey,
    Principal,
    Scope,
    audit_subject,
    excess_of,
    format_token,
    hash_token,
    key_id_of,
    principal_of,
    row_mac,
)
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.storage import Document, WriteStatus
from functions.domain.types import NOT_A_NAME, SHOWS_NOTHING, is_owner_name, shows_something
from functions.domain.validation import validation_sentence
from functions.errors import InputError, NotAllowedError, NotFoundError, StoreError, StoreUnavailableError
from functions.interfaces import DocumentStore
from functions.services.access.audit import record_change
from functions.services.access.signing import NOTHING_TO_SIGN_WITH, Signer
from functions.services.compare_and_set import update_document
from functions.services.paging import iter_documents

KIND: Final = "keys"
UNREADABLE_NAME = "a key that could not be read"
DIGEST, MAC = "tokenHash", "mac"  # fields of a row that are not the key's own
MAX_KEYS_OF_OWNER = 200  # every list of keys reads those of all owners, and each has a rate of its own
REVOKED_FOR = timedelta(days=30)  # how long a revoked key is listed; the trail has it for longer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """All keys: those that can be read, and the ids of the other rows."""

    keys: Sequence[ListedKey]
    unreadable: Sequence[str]


class KeyStore:
    """The API keys. Each is a document under the key's public id.

    Args:
        signer: Derives what rows are signed with.
        refusal: Why this store keeps no keys; empty when it does.

    Attributes:
        problem: Why no key of the store can be made or checked; empty when they can.
    """

    def __init__(
        self,
        store: DocumentStore,
        signer: Signer,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
        refusal: str = "",
    ) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret
        self.problem = refusal or ("" if signer.is_ready else NOTHING_TO_SIGN_WITH)

    async def create(
        self,
        *,
        name: str,
        scopes: tuple[Scope, ...],
        owner: str,
        expires_at: datetime | None,
        by: Principal,
        capabilities: Capabilities | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key; return it with its token, of which only the digest is stored.

        Args:
            expires_at: None for when *by* ends, if it does.
            capabilities: What tasks saved with it may use; None for what *by* may.

        Raises:
            NotAllowedError: *by* lacks the scope admin, the key would exceed or outlive it, or its owner has
                as many as an owner may have.
            InputError: *expires_at* is not in the future, a name cannot be read, or no key can be made here.
        """
        if not by.has_scope("admin"):
            raise NotAllowedError("Making keys takes the scope admin")
        if not shows_something(name):
            raise InputError(f"name: {SHOWS_NOTHING}")
        if not is_owner_name(owner):
            raise InputError(f"owner: {NOT_A_NAME}")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise InputError("expiresAt: must be in the future")
        expires_at = expires_at or by.expires_at
        if self.problem:
            raise InputError(self.problem)
        try:
            key = ApiKey(
                id=self._new_id(),
                name=name,
                scopes=tuple(dict.fromkeys(scopes)),
                owner=owner,
                capabilities=capabilities if capabilities is not None else by.capabilities,
                created_at=now,
                created_by=by.author,
                expires_at=expires_at,
            )
        except ValidationError as exc:
            raise InputError(validation_sentence(exc)) from None
        if excess := excess_of(key, by):
            raise NotAllowedError(excess)
        await self._check_number(owner)
        token = format_token(key.id, self._new_secret())
        data = await self._to_row(key, hash_token(token))
        [written] = await self._store.put_documents([Document(KIND, key.id, data, expire_at=expires_at)])
        if written.status is not WriteStatus.APPLIED:
            raise StoreUnavailableError("The store did not say whether the key was kept; make another one")
        await self._record("key issued", key, by=by)
        return key, token

    async def _check_number(self, owner: str) -> None:
        if not owner:
            return
        rows = [document async for document in iter_documents(self._store, KIND)]
        if sum(row.data.get("owner") == owner for row in rows) >= MAX_KEYS_OF_OWNER:
            raise NotAllowedError(
                f"owner: {owner} has {MAX_KEYS_OF_OWNER} keys, as many as an owner may have; revoke those "
                f"that are not used, which count for {REVOKED_FOR.days} days more, and give others an expiry"
            )

    async def find(self, token: str) -> Principal | None:
        """Return the principal of *token*; None when it is no key, or one that is expired or revoked."""
        key_id = key_id_of(token)
        return None if key_id is None else await self._find(key_id, hash_token(token))

    async def find_by_id(self, key_id: str) -> Principal | None:
        """Return the principal of the key of this id, which the caller proved before; None as in `find`."""
        return await self._find(key_id, None)

    async def _find(self, key_id: str, token_hash: str | None) -> Principal | None:
        if self.problem:
            log.warning("keys_not_checked", extra={"reason": self.problem})
            return None
        for document in await self._store.get_documents(KIND, [key_id]):
            key, signature = await self._read_row(document)
            if key is None or signature == "invalid" or not key.is_active(self._clock()):
                continue
            if token_hash is None or hmac.compare_digest(str(document.data[DIGEST]), token_hash):
                if signature == "previous":
                    await self._sign_again(document, key)
                return principal_of(key)
        return None

    async def list_keys(self, *, by: Principal) -> "StoredKeys":
        """Return all keys that *by* may see, newest first, and rows that cannot be read.

        Raises:
            NotAllowedError: *by* lacks the scope admin.
        """
        if not by.has_scope("admin"):
            raise NotAllowedError("Keys take the scope admin")
        found, unreadable = [], []
        async for document in iter_documents(self._store, KIND):
            key, signature = await self._read_row(document)
            if key is not None and by.can_see(key.owner):
                found.append(ListedKey(**dict(key), signature=signature))
            elif key is None and not by.owner:  # whose it is nobody knows
                unreadable.append(document.id)
        return StoredKeys(sorted(found, key=lambda key: key.created_at, reverse=True), unreadable)

    async def revoke(self, key_id: str, *, by: Principal) -> ApiKey:
        """Revoke a key, at once and for good. One that is not signed or cannot be read is removed.

        Raises:
            NotAllowedError: *by* lacks the scope admin.
            NotFoundError: No such key exists that *by* may see.
            StoreUnavailableError: It is not known whether the key was changed.
        """
        if not by.has_scope("admin"):
            raise NotAllowedError("Keys take the scope admin")
        key = await self._end(key_id, by=by)
        await self._record("key revoked", key, by=by)
        return key

    async def _end(self, key_id: str, *, by: Principal) -> ApiKey:
        async for document in self._rows_for(key_id):
            key, signature = await self._read_row(document)
            if key is None and document.id == key_id and not by.owner:
                await self._remove(document)
                return _stand_in_for(document, at=self._clock())
            if key is None or key.id != key_id or not by.can_see(key.owner):
                continue
            if signature == "invalid":
                await self._remove(document)
                return key.model_copy(update={"revoked_at": self._clock()})
            return await self._revoke(key)
        raise NotFoundError(f"There is no key {key_id!r}")

    async def _rows_for(self, key_id: str) -> AsyncIterator[Document]:
        """Yield the row of a key; where there is none all rows: an older version kept them under digests."""
        may_be_id = key_id.isascii() and key_id.isalnum()
        found = await self._store.get_documents(KIND, [key_id]) if may_be_id else ()
        for document in found:
            yield document
        if not found:
            async for document in iter_documents(self._store, KIND):
                yield document

    async def _remove(self, document: Document) -> None:
        [removed] = await self._store.delete_documents([document])
        if removed.status is not WriteStatus.APPLIED:
            raise StoreUnavailableError("The store did not say whether the key was removed; revoke it again")

    async def _revoke(self, key: ApiKey) -> ApiKey:
        revoked_at = key.revoked_at or self._clock()
        revoked = key.model_copy(update={"revoked_at": revoked_at})
        listed_until = revoked_at + REVOKED_FOR
        [before] = await self._store.get_documents(KIND, [key.id])
        data = await self._to_row(revoked, str(before.data.get(DIGEST)))

        def decide(document: Document | None) -> dict[str, object] | None:
            if document is None:
                raise NotFoundError(f"There is no key {key.id!r}")
            return None if document.data.get("revokedAt") else data

        end = min(key.expires_at or listed_until, listed_until)
        await update_document(self._store, KIND, key.id, decide, expire_at=end)
        return revoked

    async def _record(self, verb: AuditVerb, key: ApiKey, *, by: Principal) -> None:
        subject = audit_subject("key", key.id)
        await record_change(
            self._store, verb, subject, by=by.author, at=self._clock(), new_id=self._new_id, note=key.name
        )

    async def _to_row(self, key: ApiKey, token_hash: str) -> dict[str, object]:
        data = key.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {DIGEST: token_hash}
        return data | {MAC: row_mac((await self._signer.keys())[0].row, data)}

    async def _read_row(self, document: Document) -> tuple[ApiKey | None, KeySignature]:
        """Return the key of *document*, None when it cannot be read, and whether it is signed."""
        data = {name: value for name, value in document.data.items() if name not in (DIGEST, MAC)}
        try:
            key = ApiKey.model_validate(data)
        except ValidationError:
            return None, "invalid"  # edited by hand
        if self.problem or key.id != document.id:  # of an older version, which kept it under its digest
            return key, "invalid"
        signed = {name: value for name, value in document.data.items() if name != MAC}
        stored = str(document.data.get(MAC, "")).encode("utf-8", "replace")
        for index, keys in enumerate(await self._signer.keys()):
            if hmac.compare_digest(stored, row_mac(keys.row, signed).encode()):
                return key, "previous" if index else "current"
        return key, "invalid"

    async def _sign_again(self, document: Document, key: ApiKey) -> None:
        """Replace a signature of a secret that is being retired; a later use does it when this one cannot."""
        data = await self._to_row(key, str(document.data[DIGEST]))
        try:
            await self._store.put_documents([replace(document, data=data)])
        except StoreError as exc:
            log.warning("key_not_signed_again", extra={"error": str(exc)})


def _stand_in_for(document: Document, *, at: datetime) -> ApiKey:
    """The key of a row that cannot be read, once it is removed: its id and nothing else."""
    return ApiKey.model_construct(  # its id may be none
        id=document.id, name=UNREADABLE_NAME, scopes=("read",), created_at=at, revoked_at=at
    )
