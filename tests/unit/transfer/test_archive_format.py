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


@pytest.mark.parametrize("name", ["a/b", ".", "..", "__x__", "a\0", "line\n", "", "大" * 500, 5, None, ["a"]])
def test_an_id_that_some_store_does_not_take_is_refused_with_its_line(name: Any) -> None:
    """A document under it would end the whole import, or be where no list shows it."""
    with pytest.raises(InputError, match="line 7: is no document"):
        ArchiveRecord(7, "document", {"documentKind": "owners", "id": name, "data": {}}).parse_document()


def test_an_audit_entry_of_an_older_version_is_taken_under_the_id_of_today() -> None:
    fields = {"documentKind": "audit", "id": "owner:ci/cd@20261120T120000000000.e1", "data": {}}

    assert (
        "owner:ci%2Fcd@20261120T120000000000.e1" == ArchiveRecord(7, "document", fields).parse_document().id
    )


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", r'"\ud800"', r'{"\uDFFF": 1}', "[" * 90_000], ids=lambda text: text[:9]
)
def test_what_no_store_holds_spoils_its_line_alone(tmp_path: Path, value: str) -> None:
    archive = tmp_path / "edited.jsonl"
    pair = r'"\ud83d\ude00"'
    archive.write_text(f'{{"kind":"run","run":{{"a":{value}}}}}\n{{"kind":"run","run":{{"a":{pair}}}}}\n')

    assert ["invalid", "run"] == [record.kind for record in read_records(archive)]
