"""A thousand due tasks: how long until all are recorded, beside the competitors and beside bare clients."""

import os
import sys
from collections.abc import Callable

from tests.harness.bench import seeding
from tests.harness.bench.contenders import (
    Competitor,
    Contender,
    baseline,
    competitors,
    contending,
    driving,
    redis,
)
from tests.harness.bench.measures import Check, Figure, Line, Skipped, ahead_of, closest, ratio
from tests.harness.bench.place import CONCURRENCY, Place
from tests.harness.bench.processes import ROOT, Failed
from tests.harness.bench.served import Served, product

DUE = 1000
SLOW_ROUNDS = 5
LIMIT = 1.5  # times bare aiohttp
FIRESTORE_LIMIT = 1.2  # times the bare client


class WrongError(Exception):
    """A tick did not do what it was timed for: no figure is better than a wrong one."""


def embedded(place: Place) -> Line:
    """Measure with the store in a file, in turns with each competitor: a machine changes by the minute."""
    ours: list[float] = []
    bare: list[float] = []
    beside: list[Figure | Skipped] = []
    checks: list[Check] = []
    url = place.sqlite("throughput")
    with (
        product(url, place.folder) as served,
        baseline(place.folder, server_url=place.server_url, concurrency=CONCURRENCY) as bottom,
        redis(place.folder) as redis_port,
    ):

        def turn() -> float:
            [took] = _ticks(served, url, place.server_url, 1)
            ours.append(took)
            bare.extend(_rounds(bottom, 1))
            return took

        _ticks(served, url, place.server_url, place.warm_up_rounds)
        _rounds(bottom, place.warm_up_rounds)
        for competitor in competitors(CONCURRENCY):
            figure, mine = _in_turns(competitor, place, redis_port, turn)
            beside.append(figure)
            if isinstance(figure, Figure):
                checks.append(ahead_of(figure, Figure("Cronfire, in its turns", tuple(mine), "s")))
        if not checks:
            for _ in range(place.rounds):
                turn()
    mine_in_all = Figure("Cronfire, SQLite", tuple(ours), "s")
    bare_figure = Figure("baseline: bare aiohttp", tuple(bare), "s")
    return Line(
        "embedded",
        f"{DUE:,} due HTTP tasks, responses after 50 ms, SQLite, `POST /tick` until all are recorded",
        f"<= {LIMIT} x bare aiohttp, ahead of every competitor",
        (mine_in_all,),
        (bare_figure, *beside),
        (ratio("of the baseline", mine_in_all, bare_figure, LIMIT), *closest(checks)),
    )


def firestore(place: Place) -> Line:
    """Measure on the emulator, in turns with a bare client on the same emulator."""
    ours: list[float] = []
    bare: list[float] = []
    url, bare_url = place.firestore(), place.firestore()
    env = dict(os.environ) | {
        "SERVER_URL": place.server_url,
        "CONCURRENCY": str(CONCURRENCY),
        "PYTHONPATH": str(ROOT),
        "PROJECT": bare_url.split("/")[2],
    }
    command = [sys.executable, "-m", "tests.harness.bench.baseline.firestore_runner"]
    with (
        product(url, place.folder) as served,
        driving(command, place.folder, "bare-firestore", env, ROOT) as bottom,
    ):
        for number in range(place.warm_up_rounds + place.rounds):  # the emulator warms up as well
            took = _ticks(served, url, place.server_url, 1)
            seeding.make_due(bare_url, place.server_url, count=DUE)
            bare_took = _rounds(bottom, 1)
            if number >= place.warm_up_rounds:
                ours += took
                bare += bare_took
    mine = Figure("Cronfire, Firestore emulator", tuple(ours), "s")
    bottom_figure = Figure("baseline: bare client, query + two BatchWrites + aiohttp", tuple(bare), "s")
    return Line(
        "firestore",
        f"The same {DUE:,} on the Firestore emulator",
        f"<= {FIRESTORE_LIMIT} x the bare client",
        (mine,),
        (bottom_figure,),
        (ratio("of the baseline", mine, bottom_figure, FIRESTORE_LIMIT),),
    )


def _ticks(served: Served, url: str, server_url: str, rounds: int) -> list[float]:
    """Make all due, tick, and believe the ledger, not the report."""
    took = []
    for _ in range(rounds):
        since = seeding.make_due(url, server_url, count=DUE)
        answer = served.tick()
        recorded = seeding.succeeded_since(url, since, at_most=2 * DUE)
        if recorded != DUE:
            raise WrongError(f"{recorded} of {DUE} runs were recorded: {answer.body}")
        took.append(answer.seconds)
    return took


def _rounds(contender: Contender, rounds: int) -> list[float]:
    return [contender.round(DUE)[1] for _ in range(rounds)]


def _in_turns(
    competitor: Competitor, place: Place, redis_port: int | None, turn: Callable[[], float]
) -> tuple[Figure | Skipped, list[float]]:
    """What *competitor* takes, and what we take in the turns before each of its own."""
    who = f"{competitor.name} ({competitor.version})"
    if competitor.slow and place.quick:
        return Skipped(who, "slow: left out of a quick run"), []
    rounds = SLOW_ROUNDS if competitor.slow else place.rounds
    samples: list[float] = []
    mine: list[float] = []
    try:
        with contending(
            competitor,
            place.folder,
            server_url=place.server_url,
            concurrency=CONCURRENCY,
            redis_port=redis_port,
        ) as contender:
            _rounds(contender, 1)
            for _ in range(rounds):
                mine.append(turn())
                samples += _rounds(contender, 1)
    except (Failed, OSError) as exc:
        return Skipped(who, str(exc)), []
    return Figure(who, tuple(samples), "s", note=competitor.note), mine
