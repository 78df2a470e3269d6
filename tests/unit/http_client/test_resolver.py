"""Names that hang do not stop others, whatever the resolver of the system does with them."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from functions.http_client import FetchError, resolver
from functions.http_client.httpx import httpx
from functions.http_client.resolver import HUNG_FOR_S, REFUSED_FOR_S, NameResolver
from tests.support.peers import answer
from tests.unit.http_client.conftest import MakeClient, Serve


class System:
    """A blocking resolver: names that begin with `hang` are answered when it is released, `no` not at all."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.now = 0.0
        self.going_on = threading.Event()
        self._lock = threading.Lock()
        self.hangs = threading.Semaphore(0)

    def __call__(self, host: str) -> Sequence[str]:
        with self._lock:
            self.asked[host] += 1
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "canary")
        if host.startswith("hang"):
            self.hangs.release()
            self.going_on.wait(60)
        return ["127.0.0.1"]

    def clock(self) -> float:
        return self.now


@pytest.fixture
def system() -> Iterator[System]:
    system = System()
    yield system
    system.going_on.set()


@pytest.fixture
def resolve(system: System) -> NameResolver:
    return NameResolver(system, clock=system.clock)


async def give_up_on(resolve: NameResolver, *hosts: str) -> None:
    """Ask for names, and leave before an answer comes."""
    asked = [asyncio.ensure_future(resolve(host, 80)) for host in hosts]
    await asyncio.sleep(0)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.slow
async def test_a_hundred_names_that_hang_and_sixty_good_ones(
    system: System, serve: Serve, make_client: MakeClient
) -> None:
    """Through the client, in two ticks: 60 of 60 within their time, both times."""
    server = await serve(answer())
    client = make_client(server, resolve=NameResolver(system, clock=system.clock))

    async def call(name: str, timeout: float) -> int | None:
        try:
            url = f"http://{name}.example:{server.port}/"
            return (await client.get(url, timeout=timeout)).status_code
        except FetchError:
            return None

    for _ in range(2):
        hanging = [call(f"hang{number}", 0.2) for number in range(100)]
        good = [call(f"good{number}", 20) for number in range(60)]
        answers = await asyncio.gather(*hanging, *good)
        assert [None] * 100 + [200] * 60 == answers
        system.now += resolver.HANGS_AFTER_S

    assert 1 == max(system.asked[f"hang{number}.example"] for number in range(100))


@pytest.mark.slow
async def test_names_that_hung_lately_have_a_share(system: System, resolve: NameResolver) -> None:
    names = [f"hang{number}" for number in range(100)]
    await give_up_on(resolve, *names)
    system.now += resolver.HANGS_AFTER_S
    system.going_on.set()
    await settled(resolve)
    system.going_on.clear()
    system.hangs = threading.Semaphore(0)

    await give_up_on(resolve, *names)

    assert ["127.0.0.1"] == await resolve("good", 80)
    for _ in range(32):  # their threads begin one after the other
        assert await asyncio.to_thread(system.hangs.acquire, timeout=10)
    assert not system.hangs.acquire(blocking=False)
    assert 32 == sum(thread.name.startswith("name hang") for thread in threading.enumerate())


async def settled(resolve: NameResolver) -> None:
    """Wait until every look-up under way has ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("name "):
            await asyncio.to_thread(thread.join, 10)


async def test_a_name_that_hung_and_answers_again_is_like_any_other(
    system: System, resolve: NameResolver
) -> None:
    await give_up_on(resolve, "hang0")
    system.now += resolver.HANGS_AFTER_S
    system.going_on.set()
    await settled(resolve)
    system.now += HUNG_FOR_S

    assert ["127.0.0.1"] == await resolve("hang0", 80)


async def test_a_name_is_asked_for_once_for_all_who_wait(system: System, resolve: NameResolver) -> None:
    asked = [asyncio.ensure_future(resolve("hang0", 80)) for _ in range(20)]
    await asyncio.sleep(0)
    asked[0].cancel()  # which must not take the answer from the others
    system.going_on.set()

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [["127.0.0.1"]] * 19 == answers[1:]
    assert 1 == system.asked["hang0"]


async def test_a_refusal_is_remembered_for_a_moment(system: System, resolve: NameResolver) -> None:
    for _ in range(3):
        with pytest.raises(socket.gaierror) as caught:
            await resolve("nowhere", 80)
        assert socket.EAI_NONAME == caught.value.errno
    assert 1 == system.asked["nowhere"]

    system.now += REFUSED_FOR_S
    with pytest.raises(socket.gaierror):
        await resolve("nowhere", 80)

    assert 2 == system.asked["nowhere"]


async def test_a_caller_hears_that_the_name_server_does_not_answer(
    system: System, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "ANSWER_WITHIN_S", 0.05)
    client = make_client(resolve=NameResolver(system))

    with pytest.raises(httpx.TransportError) as caught:
        await client.get("http://hang0.example/", timeout=20)

    assert "The name hang0.example could not be looked up: no name server answered, try again later" == str(
        caught.value
    )


async def test_names_that_nobody_waits_for_any_more_are_not_asked_for(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "MAX_THREADS", 1)
    resolve = NameResolver(system, clock=system.clock)
    await give_up_on(resolve, "hang0", "good1", "good2")
    waits = asyncio.ensure_future(resolve("good3", 80))
    await asyncio.sleep(0)

    system.going_on.set()

    assert ["127.0.0.1"] == await waits
    assert {"hang0": 1, "good3": 1} == system.asked


async def test_a_machine_without_threads_is_asked_again(
    system: System, resolve: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "_LOOK_AGAIN_S", 0.01)
    start = threading.Thread.start
    failing = iter([True, True])

    def scarce(thread: threading.Thread) -> None:
        if next(failing, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)

    assert ["127.0.0.1"] == await resolve("good", 80)


def test_a_look_up_outlives_the_loop_that_began_it(system: System, resolve: NameResolver) -> None:
    """A process runs one loop after another, and a name may hang longer than one of them."""
    asyncio.run(give_up_on(resolve, "hang0"))
    threading.Timer(0.05, system.going_on.set).start()

    assert ["127.0.0.1"] == asyncio.run(asyncio.wait_for(resolve("hang0", 80), 10))
    assert 1 == system.asked["hang0"]


async def test_the_hosts_file_is_read() -> None:
    assert "127.0.0.1" in await NameResolver()("localhost", 80)


async def test_a_name_that_cannot_be_encoded_is_an_error_of_its_own(resolve: NameResolver) -> None:
    with pytest.raises(UnicodeError):
        await NameResolver()("a" * 64 + ".example", 80)
