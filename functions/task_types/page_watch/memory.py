"""What a task remembers of a part of a page: its text, hashed and in part, and hashes of texts before it."""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from functions.task_types.support.versions import UNKNOWN_VERSION, DocumentVersion

MAX_STORED_CHARS = 8192  # of the text, packed: the memory is read and written with each run
MAX_RECENT = 5  # texts, besides the last one
RECENT_FOR = timedelta(days=1)  # a text that returns within it is no news


@dataclass(frozen=True, slots=True)
class PageMemory:
    """The memory of a part of a page.

    Attributes:
        version: That of the page, as the last response named it.
        digest: Of the whole text; None before the first run.
        text: The beginning of the text, with secrets masked.
        is_whole: Whether that is all of it.
        recent: The digests of texts before it, newest first, each with when it was last there, in seconds of
            the epoch.
    """

    version: DocumentVersion = UNKNOWN_VERSION
    digest: str | None = None
    text: str = ""
    is_whole: bool = True
    recent: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_stored(cls, memory: Mapping[str, Any], *, subject: str) -> Self:
        """Return what *memory* has of *subject*; nothing when it is of another page, or cannot be read."""
        digest = memory.get("digest")
        if memory.get("subject") != subject or not isinstance(digest, str):
            return cls()
        recent = memory.get("recent")
        return cls(
            version=DocumentVersion.from_stored(memory),
            digest=digest,
            text=_unpack(memory.get("text")),
            is_whole=memory.get("isWhole") is True,
            recent=tuple(_pairs(recent)) if isinstance(recent, list) else (),
        )

    def to_stored(self, *, subject: str) -> dict[str, Any]:
        """Return it as a task's memory."""
        return {
            "subject": subject,
            **self.version.to_stored(),
            "digest": self.digest,
            "text": _pack(self.text),
            "isWhole": self.is_whole,
            "recent": [list(pair) for pair in self.recent],
        }

    def is_recent(self, digest: str, *, now: datetime) -> bool:
        """Whether that text was there before the last one, within `RECENT_FOR`."""
        since = int((now - RECENT_FOR).timestamp())
        return any(known == digest and at >= since for known, at in self.recent)

    def with_text(
        self, digest: str, text: str, version: DocumentVersion, *, is_whole: bool, now: datetime
    ) -> Self:
        """Return the memory after a run that read a text, or the beginning of one."""
        recent = self.recent
        if self.digest is not None and self.digest != digest:
            others = (pair for pair in recent if pair[0] not in (digest, self.digest))
            recent = ((self.digest, int(now.timestamp())), *others)[:MAX_RECENT]
        kept = beginning(text)
        return type(self)(version, digest, kept, is_whole and kept == text, recent)


def subject_of(url: str, *how: object) -> str:
    """Return the hash of what is watched: the address, which may hold a secret, and what counts."""
    return hashlib.sha256(json.dumps([url, *how]).encode()).hexdigest()[:16]


def beginning(text: str) -> str:
    """Return *text*, or as much of its beginning as fits into a memory."""
    while len(_pack(text)) > MAX_STORED_CHARS:
        text = text[: len(text) * 3 // 4]
    return text


def _pack(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()


def _unpack(packed: object) -> str:
    if not isinstance(packed, str):
        return ""
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), 65_536)
    except (ValueError, zlib.error):
        return ""
    return data.decode("utf-8", "replace")


def _pairs(stored: Sequence[object]) -> list[tuple[str, int]]:
    return [
        (pair[0], pair[1])
        for pair in stored
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], int)
    ]
