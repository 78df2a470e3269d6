"""The small documents beside the tasks, in a file of their own."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.domain.storage import Document, Kind, Result, Written
from functions.stores.editable.model import moment
from functions.stores.json_text import block, digest, encoded, mapping, pretty
from functions.stores.jsonfile.files import JsonFile, Mark

log = logging.getLogger(__name__)

Kinds = Mapping[str, Mapping[str, Any]]  # by kind and by id, as in the file


class ShelfFile:
    """`tasks.shelf.json`: channels, keys, owners and what was done by whom.

    Args:
        shared: Holds the store's lock for reading, inside.
    """

    def __init__(self, path: Path, shared: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = JsonFile(path.with_name(f"{path.stem}.shelf.json"))
        self._shared = shared
        self._kinds: Kinds = {}
        self._last = 0
        self._mark: Mark | None = None

    def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        there = self._now().get(kind, {})
        return list(_readable(kind, {name: there[name] for name in ids if name in there}))

    def shelf(self, kind: Kind, after: str, limit: int) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        there = self._now().get(kind, {})
        names = sorted(name for name in there if name > after)[: max(0, limit)]
        return list(_readable(kind, {name: there[name] for name in names}))

    def put(self, documents: Sequence[Document], rows: Sequence[Mapping[str, Any]]) -> list[Written]:
        """Create or replace each document whose guard holds. With the lock."""
        kinds = self._copy()
        answers = []
        for document, row in zip(documents, rows, strict=True):
            there = kinds.setdefault(document.kind, {})
            before = there.get(document.id)
            if (document.revision is None and before is None) or _holds(document, before):
                self._last += 1
                there[document.id] = {"revision": self._last, **row}
                answers.append(Written(Result.APPLIED, _revision(there[document.id])))
            else:
                answers.append(Written(Result.REFUSED))
        self._write(kinds, answers)
        return answers

    def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds. With the lock."""
        kinds = self._copy()
        answers = []
        for document in documents:
            there = kinds.get(document.kind, {})
            holds = _holds(document, there.get(document.id))
            if holds:
                del there[document.id]
            answers.append(Written(Result.APPLIED if holds else Result.REFUSED))
        self._write(kinds, answers)
        return answers

    def prune(self, now: datetime) -> int:
        """Remove documents that have expired; return how many. With the lock."""
        kinds = self._copy()
        past = [
            (kind, name)
            for kind, there in kinds.items()
            for name, row in there.items()
            if (at := moment(mapping(row).get("expireAt"))) and at < now
        ]
        for kind, name in past:
            del kinds[kind][name]
        self._write(kinds, [Written(Result.APPLIED)] * len(past))
        return len(past)

    def _now(self) -> Kinds:
        if self._mark != self._file.mark():
            with self._shared():
                return self._read()
        return self._kinds

    def _read(self) -> Kinds:
        if self._mark != self._file.mark():
            content, mark = self._file.read()
            if mark is not None and not _is_shelf(content):
                raise self._file.refusal("line 1: it must hold documents by kind and by id")
            known = mapping(content)
            last = known.get("revision", 0)
            self._last = max(self._last, last if type(last) is int else 0)
            self._kinds = {kind: there for kind, there in known.items() if kind != "revision"}
            self._mark = mark
        return self._kinds

    def _copy(self) -> dict[str, dict[str, Any]]:
        return {kind: dict(there) for kind, there in self._read().items()}

    def _write(self, kinds: Kinds, answers: Sequence[Written]) -> None:
        if all(one.result is not Result.APPLIED for one in answers):
            return
        parts = [f'"revision": {self._last}']
        for kind in sorted(kinds):
            rows = [
                f"{pretty(name)}: {pretty(kinds[kind][name], 4, spread=True)}" for name in sorted(kinds[kind])
            ]
            parts.append(f"{pretty(kind)}: {block('{', rows, '}', 2)}")
        self._mark = self._file.replace(encoded(block("{", parts, "}")))
        self._kinds = kinds


def _holds(document: Document, before: Any) -> bool:
    return before is not None and bool(_revision(before) == document.revision)


def _revision(row: Any) -> str:
    """Changes with every put, and with every edit by hand."""
    return f"{mapping(row).get('revision', 0)}-{digest(row)}"


def _readable(kind: Kind, rows: Mapping[str, Any]) -> Iterator[Document]:
    for name, row in rows.items():
        data = mapping(row).get("data")
        if isinstance(data, dict):
            yield Document(kind, name, data, _revision(row), moment(row.get("expireAt")))
        else:
            log.warning("document_unreadable", extra={"kind": kind, "document": name})


def _is_shelf(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(there, dict) for kind, there in content.items() if kind != "revision"
    )
