"""Public links: how often the link of a badge or a status page was revoked.

Links are signatures. What is signed includes how many links of the same subject were revoked before, so that
nothing is stored for a link that was never revoked.
"""

from hashlib import sha256
from typing import Literal

from functions.domain.storage import Document
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

LinkKind = Literal["badge", "page"]


async def count_revocations(store: DocumentStore, kind: LinkKind, subject: str) -> int:
    """Return how many links of *subject*, a task's id or a tag, were revoked; reads one document."""
    found = await store.get_documents("meta", [_document_id(kind, subject)])
    return _count(found[0]) if found else 0


async def revoke_link(store: DocumentStore, kind: LinkKind, subject: str) -> None:
    """Revoke the link of *subject* that is in use; the next one cannot be derived from it.

    Raises:
        StoreUnavailableError: It is not known whether it was revoked.
    """

    def decide(document: Document | None) -> dict[str, object]:
        return {"revoked": (_count(document) if document else 0) + 1}

    await update_document(store, "meta", _document_id(kind, subject), decide)


def _document_id(kind: LinkKind, subject: str) -> str:
    return f"link.{kind}.{sha256(subject.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _count(document: Document) -> int:
    stored = document.data.get("revoked")
    return stored if isinstance(stored, int) else 0
