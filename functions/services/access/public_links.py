"""Public links: how often the link of a badge or a status page was revoked, and what a page says of itself.

Beside the number there are the words of a status page, which belong to its subject and not to one link.

Links are signatures. What is signed includes how many links of the same subject were revoked before, so that
nothing is stored for a link that was never revoked.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from functions.domain.storage import Document
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

LinkKind = Literal["badge", "page"]
MAX_TITLE_CHARS = 100
MAX_DESCRIPTION_CHARS = 500


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
        known = dict(document.data) if document else {}
        return known | {"revoked": (_count(document) if document else 0) + 1}

    await update_document(store, "meta", _document_id(kind, subject), decide)


@dataclass(frozen=True, slots=True)
class PageWords:
    """What a status page says of itself; empty for nothing."""

    title: str = ""
    description: str = ""


async def read_page_words(store: DocumentStore, subject: str) -> PageWords:
    """Return the words of the status page of *subject*; reads one document."""
    found = await store.get_documents("meta", [_document_id("page", subject)])
    return _parse_words(found[0]) if found else PageWords()


async def set_page_words(store: DocumentStore, subject: str, words: PageWords) -> None:
    """Set the words of the status page of *subject*, cut to what a page has room for.

    Raises:
        StoreUnavailableError: It is not known whether they were set.
    """
    fields = {
        "title": words.title.strip()[:MAX_TITLE_CHARS],
        "description": words.description.strip()[:MAX_DESCRIPTION_CHARS],
    }

    def decide(document: Document | None) -> dict[str, object] | None:
        known = dict(document.data) if document else {}
        return None if known == known | fields else known | fields

    await update_document(store, "meta", _document_id("page", subject), decide)


def _parse_words(document: Document) -> PageWords:
    title, description = document.data.get("title"), document.data.get("description")
    return PageWords(
        title[:MAX_TITLE_CHARS] if isinstance(title, str) else "",
        description[:MAX_DESCRIPTION_CHARS] if isinstance(description, str) else "",
    )


def _document_id(kind: LinkKind, subject: str) -> str:
    return f"link.{kind}.{sha256(subject.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _count(document: Document) -> int:
    stored = document.data.get("revoked")
    return stored if isinstance(stored, int) else 0
