"""The lines of an archive: what is no task, no run and no document is refused with its line."""

from pathlib import Path
from typing import Any

import pytest

from functions.errors import InputError
from functions.transfer.archive.format import ArchiveRecord, is_archive, read_records

FAR = "9999-12-31T23:00:00Z"


@pytest.mark.parametrize("expires", [FAR, "1969-12-31T23:59:59Z", "2026-12-01T09:00:00", "soon", 5, {}])
def test_an_expiry_out_of_range_is_refused(expires: Any) -> None:
    fields = {"documentKind": "keys", "id": "k", "data": {}, "expireAt": expires}

    with pytest.raises(InputError, match="line 7: expireAt must be a moment with its offset"):
        ArchiveRecord(7, "document", fields).parse_document()


def test_a_task_out_of_range_is_refused() -> None:
    task = {
        "id": "a",
        "title": "A",
        "type": "http",
        "schedule": "@daily",
        "createdAt": "2026-11-20T12:00:00Z",
        "updatedAt": "2026-11-20T12:00:00Z",
        "startAt": FAR,
    }

    with pytest.raises(
        InputError, match="line 7: is no task: startAt: is out of range; use a year from 1970"
    ):
        ArchiveRecord(7, "task", {"task": task}).parse_task()


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    archive = tmp_path / "edited.jsonl"
    archive.write_text('\ufeff{"kind":"cronfire","version":1}\n{"kind":"end","tasks":0}\n', encoding="utf-8")

    assert is_archive(archive)
    assert ["cronfire", "end"] == [record.kind for record in read_records(archive)]
