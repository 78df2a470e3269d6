"""A thousand due tasks: how long until all are recorded, beside the peers and beside bare clients."""

import os
import sys

from tests.bench import seeding
from tests.bench.contenders import Contender, Peer, contending, driving, floor, peers, redis
from tests.bench.measures import Check, Figure, Line, Skipped, ahead_of_all, ratio
from tests.bench.place import CONCURRENCY, Place
from tests.bench.processes import ROOT, Failed
from tests.bench.served import Served, product

DUE = 1000
SLOW_ROUNDS = 5
LIMIT_S = 0.65
FIRESTORE_LIMIT = 1.5


def embedded(place: Place) -> Line:
    """Measure with the store in a file, first and last, and each peer alone in between."""
    ours: list[float] = []
    bare: list[float] = []
    url = place.sqlite("throughput")

    def measure(rounds: int) -> None:
        with (
            product(url, place.folder) as served,
            floor(place.folder, target=place.target, concurrency=CONCURRENCY) as bottom,
        ):
            _ticks(served, url, place.target, place.warm_up_rounds)
            _rounds(bottom, place.warm_up_rounds)
            for _ in range(rounds):
                ours.extend(_ticks(served, url, place.target, 1))
                bare.extend(_rounds(bottom, 1))

    measure(place.rounds // 2 + 1)
    with redis(place.folder) as redis_port:
        beside = [_peer(peer, place, redis_port) for peer in peers(CONCURRENCY)]
    measure(place.rounds // 2)
    mine = Figure("Cronfire, SQLite", tuple(ours), "s")
    against = ahead_of_all(mine, beside)
    return Line(
        "embedded",
        f"{DUE:,} due HTTP tasks, 50 ms target, SQLite, `POST /tick` until all are recorded",
        f"<= {LIMIT_S} s, ahead of every peer",
        (mine,),
        (Figure("floor: bare aiohttp", tuple(bare), "s"), *beside),
        (Check("", mine.median, LIMIT_S, "s"), *([against] if against else [])),
    )


def firestore(place: Place) -> Line:
    """Measure on the emulator, in turns with a bare client on the same emulator."""
    ours: list[float] = []
    bare: list[float] = []
    url, bare_url = place.firestore(), place.firestore()
    env = dict(os.environ) | {
        "TARGET": place.target,
        "CONCURRENCY": str(CONCURRENCY),
        "PYTHONPATH": str(ROOT),
        "PROJECT": bare_url.split("/")[2],
    }
    command = [sys.executable, "-m", "tests.bench.peers.bare_firestore_peer"]
    with (
        product(url, place.folder) as served,
        driving(command, place.folder, "bare-firestore", env, ROOT) as bottom,
    ):
        for number in range(place.warm_up_rounds + place.rounds):  # the emulator warms up as well
            took = _ticks(served, url, place.target, 1)
            seeding.make_due(bare_url, place.target, count=DUE)
            bare_took = _rounds(bottom, 1)
            if number >= place.warm_up_rounds:
                ours += took
                bare += bare_took
    mine = Figure("Cronfire, Firestore emulator", tuple(ours), "s")
    bottom_figure = Figure("floor: bare client, query + two BatchWrites + aiohttp", tuple(bare), "s")
    return Line(
        "firestore",
        f"The same {DUE:,} on the Firestore emulator",
        f"<= {FIRESTORE_LIMIT} x the bare client",
        (mine,),
        (bottom_figure,),
        (ratio("of the floor", mine, bottom_figure, FIRESTORE_LIMIT),),
    )


def _ticks(served: Served, url: str, target: str, rounds: int) -> list[float]:
    """Make all due, tick, and believe the ledger, not the report."""
    took = []
    for _ in range(rounds):
        since = seeding.make_due(url, target, count=DUE)
        answer = served.tick()
        recorded = seeding.succeeded_since(url, since, at_most=2 * DUE)
        if recorded != DUE:
            raise Failed(f"{recorded} of {DUE} runs were recorded: {answer.body}")
        took.append(answer.seconds)
    return took


def _rounds(contender: Contender, rounds: int) -> list[float]:
    return [contender.round(DUE)[1] for _ in range(rounds)]


def _peer(peer: Peer, place: Place, redis_port: int | None) -> Figure | Skipped:
    who = f"{peer.name} ({peer.version})"
    if peer.slow and place.quick:
        return Skipped(who, "slow: left out of a quick run")
    rounds = SLOW_ROUNDS if peer.slow else place.rounds
    try:
        with contending(
            peer, place.folder, target=place.target, concurrency=CONCURRENCY, redis_port=redis_port
        ) as contender:
            _rounds(contender, 1)
            samples = _rounds(contender, rounds)
    except (Failed, OSError) as exc:
        return Skipped(who, str(exc))
    return Figure(who, tuple(samples), "s", is_peer=True, note=peer.note)
