"""Public links: their signed names, how often one was revoked, and what a status page says of itself.

Beside the number there are the words of a status page, which belong to its subject and not to one link.

Links are signatures. What is signed includes how many links of the same subject were revoked before, so that
nothing is stored for a link that was never revoked.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from functions.domain.storage import Document
from functions.domain.task import Task
from functions.interfaces import DocumentStore
from functions.services.access.signing import Signer
from functions.services.compare_and_set import update_document

LinkKind = Literal["badge", "page", "ping"]
SIGNATURE_CHARS = 32
MAX_DIGITS = 10  # of the number in a name
MAX_TITLE_CHARS = 100
MAX_DESCRIPTION_CHARS = 500


def task_subject(task: Task) -> str:
    """Return what a link to *task* signs: a later task of the same id has another one."""
    return f"{task.id}~{round(task.created_at.timestamp() * 1e6):x}"


async def sign_name(signer: Signer, kind: LinkKind, subject: str, *, revoked: int) -> str:
    """Return the signed name of *subject*, of which so many links were revoked.

    For the page `shop` it is `shop.SIGNATURE`, and `shop.2-SIGNATURE` once two were revoked; empty when there
    is no secret to sign with.
    """
    return (await _sign(signer, kind, subject, revoked))[0] if signer.is_ready else ""


async def read_name(signer: Signer, kind: LinkKind, name: str) -> tuple[str, int] | None:
    """Return the subject of a signed name and its number; None when we signed no such name. Reads nothing.

    Whether so many were revoked is the caller's to check.
    """
    subject, _, signature = name.rpartition(".")
    number = signature.rpartition("-")[0] or "0"
    if not (signer.is_ready and number.isascii() and number.isdigit() and len(number) < MAX_DIGITS):
        return None
    presented = name.encode("utf-8", "replace")
    valid = await _sign(signer, kind, subject, int(number))
    is_signed = any(hmac.compare_digest(presented, one.encode("utf-8", "replace")) for one in valid)
    return (subject, int(number)) if is_signed else None


async def _sign(signer: Signer, kind: LinkKind, subject: str, revoked: int) -> list[str]:
    """Return the name as it is signed now, then as secrets being retired sign it."""
    text, prefix = (f"{kind}\n{revoked}\n{subject}", f"{revoked}-") if revoked else (f"{kind} {subject}", "")
    return [
        f"{subject}.{prefix}{signed.hexdigest()[:SIGNATURE_CHARS]}"
        for keys in await signer.keys()
        for signed in [hmac.new(keys.link, text.encode("utf-8", "replace"), sha256)]
    ]


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
