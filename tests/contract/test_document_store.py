"""Small documents beside the tasks: guarded like tasks, listed by kind, and nobody else's."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.access import AuditEntry, audit_subject
from functions.domain.storage import Document, DocumentKind, WriteStatus
from functions.interfaces import Store
from functions.services.access import audit
from tests.conftest import NOON

NESTED: dict[str, Any] = {
    "credits": 100,
    "share": 0.5,
    "spent": None,
    "on": True,
    "title": "Größe 大小 🔥",
    "quiet": [{"from": "22:00", "days": [1, 2]}],
    "deep": {"empty": {}, "list": [], "text": ""},
}


def owner(name: str = "alice", **data: Any) -> Document:
    return Document("owners", name, data or NESTED)


async def results(store: Store, *documents: Document) -> list[WriteStatus]:
    return [written.status for written in await store.put_documents(documents)]


async def kept(store: Store, name: str = "alice", kind: DocumentKind = "owners") -> Document:
    [document] = await store.get_documents(kind, [name])
    return document


async def test_a_document_comes_back_as_it_was_put(store: Store) -> None:
    [written] = await store.put_documents([replace(owner(), expire_at=NOON)])

    assert Document("owners", "alice", NESTED, written.revision, NOON) == await kept(store)


async def test_what_is_not_there_is_left_out(store: Store) -> None:
    await store.put_documents([owner()])

    assert ["alice"] == [one.id for one in await store.get_documents("owners", ["nobody", "alice"])]
    assert [] == await store.get_documents("owners", [])
    assert [] == await store.get_documents("keys", ["alice"])
    assert [] == await store.put_documents([])
    assert [] == await store.delete_documents([])


async def test_nothing_is_created_twice(store: Store) -> None:
    assert [WriteStatus.APPLIED] == await results(store, owner(credits=1))
    assert [WriteStatus.CONFLICT] == await results(store, owner(credits=2))
    assert {"credits": 1} == (await kept(store)).data


async def test_a_replacement_replaces_the_whole(store: Store) -> None:
    await store.put_documents([replace(owner(credits=1, plan="free"), expire_at=NOON)])
    before = await kept(store)

    [written] = await store.put_documents([replace(before, data={"credits": 2}, expire_at=None)])

    assert Document("owners", "alice", {"credits": 2}, written.revision) == await kept(store)
    assert written.revision != before.revision


async def test_a_stale_revision_changes_nothing(store: Store) -> None:
    await store.put_documents([owner(credits=1)])
    before = await kept(store)
    await store.put_documents([replace(before, data={"credits": 2})])

    assert [WriteStatus.CONFLICT] == await results(store, replace(before, data={"credits": 3}))
    assert [WriteStatus.CONFLICT] == [one.status for one in await store.delete_documents([before])]
    assert {"credits": 2} == (await kept(store)).data


async def test_what_does_not_exist_cannot_be_replaced(store: Store) -> None:
    await store.put_documents([owner()])
    other = replace(await kept(store), id="bob")

    assert [WriteStatus.CONFLICT] == await results(store, other)
    assert [] == await store.get_documents("owners", ["bob"])


async def test_what_is_made_again_is_another_one(store: Store) -> None:
    """A guard from a former life must not hold."""
    await store.put_documents([owner(credits=1)])
    before = await kept(store)

    assert [WriteStatus.APPLIED] == [one.status for one in await store.delete_documents([before])]
    await store.put_documents([owner(credits=2)])

    assert [WriteStatus.CONFLICT] == await results(store, replace(before, data={"credits": 3}))
    assert {"credits": 2} == (await kept(store)).data


async def test_one_refusal_stops_no_other_write(store: Store) -> None:
    await store.put_documents([owner("bob")])

    answers = await results(store, owner("alice"), owner("bob"), owner("carol"))

    assert [WriteStatus.APPLIED, WriteStatus.CONFLICT, WriteStatus.APPLIED] == answers


async def test_of_many_at_once_one_wins(open_store: Callable[[], Store], one_writer_wins: bool) -> None:
    """Where several may get a success, one of them is what is stored."""
    stores = [open_store() for _ in range(4)]
    await stores[0].put_documents([owner(credits=0)])
    before = await kept(stores[0])

    answers = await asyncio.gather(
        *(
            store.put_documents([replace(before, data={"credits": number})])
            for number, store in enumerate(stores, 1)
        )
    )

    won = [number for number, [written] in enumerate(answers, 1) if written.status is WriteStatus.APPLIED]
    assert (await kept(stores[0])).data in [{"credits": number} for number in won]
    assert 1 == len(won) or not one_writer_wins


async def test_kinds_are_listed_apart_and_by_id(store: Store) -> None:
    await store.put_documents([owner(name) for name in ("d", "b", "a", "c")])
    await store.put_documents(
        [Document("audit", name, {"by": "alice"}) for name in ("a", "task@2.x", "task@1.y")]
    )

    assert ["a", "b", "c", "d"] == [one.id for one in await store.list_documents("owners")]
    assert ["a", "b"] == [one.id for one in await store.list_documents("owners", limit=2)]
    assert ["c", "d"] == [one.id for one in await store.list_documents("owners", after="b")]
    assert ["task@1.y", "task@2.x"] == [one.id for one in await store.list_documents("audit", after="task@")]
    assert [] == await store.list_documents("channels")


async def test_operations_are_counted_as_they_are_billed(store: Store) -> None:
    with store.count_operations() as operations:
        await store.put_documents([owner("alice"), owner("bob")])
        await store.get_documents("owners", ["alice", "nobody"])
        await store.list_documents("owners")
        await store.list_documents("keys")
        await store.delete_documents([await kept(store)])

    assert (2 + 2 + 1 + 1, 2, 1) == (operations.reads, operations.writes, operations.deletes)


async def test_what_has_expired_may_be_removed_and_nothing_else(store: Store) -> None:
    late, early = NOON + timedelta(days=1), NOON - timedelta(days=1)
    await store.put_documents(
        [replace(owner("late"), expire_at=late), replace(owner("early"), expire_at=early)]
    )
    await store.put_documents([owner("never")])

    await store.prune(NOON)

    assert {"late", "never"} == {one.id for one in await store.list_documents("owners")} - {"early"}


@pytest.mark.parametrize("document_id", ["a.b-c_d@2026-11-20", "x" * 200])
async def test_ids_may_be_what_the_contract_says(store: Store, document_id: str) -> None:
    await store.put_documents([Document("meta", document_id, {"a": 1})])

    assert [document_id] == [one.id for one in await store.list_documents("meta")]


@pytest.mark.parametrize("name", ["ci/cd", "a/b/c", "100%", "a%2Fb", "🔥/大小"])
async def test_a_change_is_on_record_whatever_people_call_its_subject(store: Store, name: str) -> None:
    entry = AuditEntry(at=NOON, verb="owner changed", subject=audit_subject("owner", name), by="ann")

    await audit.record_change(store, entry.verb, entry.subject, by=entry.by, at=entry.at, new_id=lambda: "e1")

    assert [entry] == await audit.list_entries(store, entry.subject)
    assert [] == await audit.list_entries(store, entry.subject.replace("/", "%2F") + "?")
    assert ([entry], "") == await audit.list_latest(store, limit=9)
