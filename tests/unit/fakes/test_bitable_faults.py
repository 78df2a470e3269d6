"""What can be made to go wrong between a client and the local Bitable, and who may come in at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.fakes.bitable import FakeBitable, Table
from tests.fakes.bitable_client import AUTH, Client, path_of
from tests.support.clock import Clock

WATER = [{"fields": {"Task": "Water"}}]


@pytest.fixture
async def second(feishu: FakeBitable) -> AsyncIterator[Client]:
    """Another client of the same app, as in another process."""
    async with Client.signed_in(feishu) as client:
        yield client


async def test_a_token_is_handed_out_again_until_half_an_hour_is_left(client: Client, clock: Clock) -> None:
    first = await client.sign_in()
    clock.move(minutes=90)
    same = await client.sign_in()
    clock.move(seconds=1)
    new = await client.sign_in()

    assert ("t-", 7200, 1800, 7200) == (client.token[:2], first["expire"], same["expire"], new["expire"])
    assert first["tenant_access_token"] == same["tenant_access_token"] != new["tenant_access_token"]


async def test_the_old_token_is_good_beside_the_new_one(table: Table, client: Client, clock: Clock) -> None:
    old = client.token
    clock.move(minutes=91)
    await client.sign_in()
    client.token, new = old, client.token

    assert 0 == await client.code(table, "search")
    clock.move(minutes=29)
    assert 99991663 == await client.code(table, "search")
    client.token = new
    assert 0 == await client.code(table, "search")


async def test_a_revoked_token_is_refused(feishu: FakeBitable, table: Table, client: Client) -> None:
    feishu.revoke_tokens()

    status, answer = await client.records(table, "search")
    await client.sign_in()

    assert (400, 99991663) == (status, answer["code"])
    assert 0 == await client.code(table, "search")


async def test_a_call_without_a_token_is_refused(table: Table, client: Client) -> None:
    client.token = ""

    assert 99991661 == await client.code(table, "search")


async def test_a_wrong_secret_gets_no_token(client: Client) -> None:
    answer = await client.sign_in("wrong")
    _, empty = await client.call("POST", AUTH, body={"app_id": "cli_fake0123456789ab"})

    assert (10014, 10003) == (answer["code"], empty["code"])
    assert "tenant_access_token" not in answer


async def test_a_write_meets_the_write_under_way(
    feishu: FakeBitable, table: Table, client: Client, second: Client
) -> None:
    """The vendor does not let two writes wait for each other: the second is refused at once."""
    gate = feishu.hold_next("batch_create")
    first = asyncio.create_task(client.code(table, "batch_create", records=WATER))
    await gate.reached.wait()

    assert 1254291 == await second.code(table, "batch_create", records=WATER)
    assert 0 == await second.code(table, "search")
    feishu.reads_conflict = True
    assert 1254291 == await second.code(table, "search")
    gate.release()
    assert 0 == await first
    assert 0 == await second.code(table, "batch_create", records=WATER)


async def test_writes_of_two_tables_do_not_meet(
    feishu: FakeBitable, table: Table, client: Client, second: Client
) -> None:
    other = table.base.add_table("Other", {"Task": 1})
    gate = feishu.hold_next(table.table_id)
    first = asyncio.create_task(client.code(table, "batch_create", records=WATER))
    await gate.reached.wait()

    assert 0 == await second.code(other, "batch_create", records=WATER)
    gate.release()
    await first


async def test_writes_at_the_same_time_meet_while_each_takes_its_time(
    feishu: FakeBitable, table: Table, client: Client, second: Client
) -> None:
    feishu.latency_s = 0.05

    both = await asyncio.gather(*(one.code(table, "batch_create", records=WATER) for one in (client, second)))

    assert [0, 1254291] == sorted(both)
    assert 1 == len(table.rows)


async def test_somebody_elses_write_is_a_conflict(table: Table, client: Client) -> None:
    with table.being_written():
        assert 1254291 == await client.code(table, "batch_create", records=WATER)

    assert 0 == await client.code(table, "batch_create", records=WATER)


async def test_a_person_edits_while_a_write_is_held(
    feishu: FakeBitable, table: Table, client: Client
) -> None:
    """Between a client's reading and its writing; nothing in the protocol tells the client."""
    row = table.add_row({"Task": "Water", "Next": 5})
    gate = feishu.hold_next("batch_update")
    change = [{"record_id": row.record_id, "fields": {"Next": 6}}]
    update = asyncio.create_task(client.code(table, "batch_update", records=change))
    await gate.reached.wait()
    row.set("Task", "By hand")
    gate.release()

    assert 0 == await update
    assert ("By hand", "6") == (row.text("Task"), row.text("Next"))


@pytest.mark.parametrize(("after", "rows"), [(False, 0), (True, 1)])
async def test_a_call_fails_before_or_after_it_was_carried_out(
    feishu: FakeBitable, table: Table, client: Client, after: bool, rows: int
) -> None:
    """By its answer the two are the same."""
    feishu.fail_next("batch_create", code=1254607, after_applying=after)

    status, answer = await client.records(table, "batch_create", records=WATER)

    assert (400, 1254607) == (status, answer["code"])
    assert rows == len(table.rows)
    assert 0 == await client.code(table, "batch_create", records=WATER)


async def test_a_call_fails_as_often_as_it_is_told_to(
    feishu: FakeBitable, table: Table, client: Client
) -> None:
    feishu.fail_next("records/", code=1254291, times=2)

    assert [1254291, 1254291, 0] == [await client.code(table, "search") for _ in range(3)]


async def test_a_gateway_answers_with_something_else(
    feishu: FakeBitable, table: Table, client: Client
) -> None:
    feishu.fail_next("search", status=502, text="<html>Bad Gateway</html>")

    with pytest.raises(aiohttp.ContentTypeError) as caught:
        await client.records(table, "search")

    assert 502 == caught.value.status


@pytest.mark.parametrize(("after", "rows"), [(False, 0), (True, 1)])
async def test_a_connection_is_cut_before_or_after(
    feishu: FakeBitable, table: Table, client: Client, after: bool, rows: int
) -> None:
    feishu.drop_next("batch_create", after_applying=after)

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.records(table, "batch_create", records=WATER)

    assert rows == len(table.rows)


@pytest.mark.parametrize(("after", "rows"), [(False, 0), (True, 1)])
async def test_a_call_hangs_before_or_after(
    feishu: FakeBitable, table: Table, client: Client, after: bool, rows: int
) -> None:
    """It holds nothing: the next call is answered."""
    feishu.hang_next("batch_create", after_applying=after)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.records(table, "batch_create", records=WATER)

    assert rows == len(table.rows)
    assert 0 == await client.code(table, "batch_create", records=WATER)


async def test_a_write_goes_on_when_its_client_has_hung_up(
    feishu: FakeBitable, table: Table, client: Client, second: Client
) -> None:
    """To give up is not to undo: the row is made after its client has stopped waiting."""
    gate = feishu.hold_next("batch_create")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.records(table, "batch_create", records=WATER)
    assert () == table.rows

    gate.release()
    while not table.rows:
        await second.code(table, "search")

    assert "Water" == table.rows[0].text("Task")


async def test_what_was_asked_is_kept(feishu: FakeBitable, table: Table, client: Client) -> None:
    await client.records(table, "search", query={"page_size": "7"}, field_names=["Task"])

    [asked] = feishu.asked("search")
    assert ("POST", {"page_size": "7"}, {"field_names": ["Task"]}) == (asked.method, asked.query, asked.body)
    assert asked.path.endswith(f"/tables/{table.table_id}/records/search")


async def test_too_many_calls_of_one_second_are_refused(
    feishu: FakeBitable, table: Table, client: Client, clock: Clock
) -> None:
    feishu.limit_rates()
    codes = [await client.code(table, "search") for _ in range(20)]

    status, answer = await client.records(table, "search")

    assert {0} == set(codes)
    assert (429, 99991400) == (status, answer["code"])
    assert ("20", "1") == tuple(client.headers[f"x-ogw-ratelimit-{name}"] for name in ("limit", "reset"))
    assert 0 == await client.code(table, "batch_create", records=WATER)
    clock.move(seconds=1)
    assert 0 == await client.code(table, "search")


async def test_rates_are_for_all_bases_together_and_may_be_told_by_400(
    feishu: FakeBitable, table: Table, client: Client, second: Client
) -> None:
    other = feishu.add_base().add_table("Tasks", {"Task": 1})
    feishu.limit_rates({"POST /records/search": 1})
    feishu.throttle_status = 400
    await client.code(table, "search")

    status, answer = await second.records(other, "search")

    assert (400, 99991400) == (status, answer["code"])


async def test_calls_are_free_until_a_test_limits_them(table: Table, client: Client) -> None:
    assert {0} == {await client.code(table, "search") for _ in range(30)}


async def test_it_can_go_away_and_come_back(feishu: FakeBitable, table: Table, client: Client) -> None:
    """With all that was in it, at the same address."""
    await client.data(table, "batch_create", records=WATER)
    port = int(feishu.url.rpartition(":")[2])
    await feishu.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.records(table, "search", field_names=[])

    await feishu.start(port)

    assert ["Water"] == await client.found(table, "Task")


async def test_an_unknown_call_is_no_page(table: Table, client: Client) -> None:
    with pytest.raises(aiohttp.ContentTypeError) as caught:
        await client.records(table, "batch_guess")

    assert 404 == caught.value.status


async def test_a_body_that_is_no_json_is_refused(feishu: FakeBitable, table: Table, client: Client) -> None:
    assert (200, 1254000) == await _sent(feishu, table, client, b"{")
    assert (200, 1254000) == await _sent(feishu, table, client, b"[]")


async def _sent(feishu: FakeBitable, table: Table, client: Client, body: bytes) -> tuple[int, int]:
    url = f"{feishu.url}{path_of(table)}/records/search"
    headers = {"Authorization": f"Bearer {client.token}"}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, (await response.json())["code"]
