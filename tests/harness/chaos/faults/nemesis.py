"""What is done to the system and when: a plan that follows from the seed alone."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.harness.chaos.faults.points import POINTS

TROUBLE_S, CALM_S = 360.0, 150.0  # by turns, so that both are seen: harm, and health after it
FIRST_S = 20.0
GAP_S = 9.0  # between two blows of a time of trouble, on the average
CLOCK_STEPS_S = (-90.0, -30.0, -5.0, 5.0, 30.0, 90.0)
ODDS = ({"before": 0.3}, {"lost": 0.3}, {"unknown": 0.3}, {"hang": 0.1}, {"before": 0.1, "lost": 0.2})

Weights = Mapping[str, int]

WEIGHTS: Weights = {
    "kill": 4,
    "kill_all": 1,
    "term": 2,
    "crash": 6,
    "freeze": 4,
    "clock": 3,
    "odds": 3,
    "hold": 3,
    "restart": 1,
    "store_delay": 1,
    "store_cut": 2,
    "store_half_close": 1,
    "store_refuse": 1,
    "target_delay": 1,
    "target_cut": 2,
    "target_half_close": 1,
    "target_refuse": 1,
    "silence": 1,
}
ALL_WEIGHTS: Weights = {**WEIGHTS, "replace": 2, "bad_channel": 2}
LENGTHS_S: Mapping[str, tuple[float, float]] = {
    "kill": (0, 20),
    "kill_all": (0, 20),
    "term": (0, 10),
    "crash": (20, 60),
    "freeze": (3, 60),
    "clock": (15, 90),
    "odds": (5, 30),
    "hold": (1, 15),
    "store_delay": (3, 15),
    "store_refuse": (1, 12),
    "target_delay": (3, 15),
    "target_refuse": (1, 10),
    "silence": (60, 200),
    "bad_channel": (20, 90),
}
OF_NETWORK = {"store_delay", "store_cut", "store_half_close", "store_refuse"}


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing done to the system.

    Attributes:
        at: Seconds after the start, by the run's clock.
        length: How long it lasts; of a crash, how long it is waited for.
        which: Number of the process it is done to.
        size: Of a clock's step.
        point: Where a crash happens, `<point>:<n>`.
    """

    kind: str
    at: float
    length: float = 0.0
    which: int = 0
    size: float = 0.0
    point: str = ""
    odds: Mapping[str, float] = field(default_factory=dict)


def plan(
    dice: random.Random,
    *,
    until: float,
    processes: int,
    network: bool,
    restarts: bool,
    weights: Weights = WEIGHTS,
    gap_s: float = GAP_S,
    points: Sequence[str] = POINTS,
    odds: Sequence[Mapping[str, float]] = ODDS,
) -> list[Blow]:
    """Draw the blows up to *until*, in order."""
    able = {
        kind: weight
        for kind, weight in weights.items()
        if (network or kind not in OF_NETWORK)
        and (restarts or kind != "restart")
        and not (network and kind == "replace")  # only a file can be replaced
    }
    blows: list[Blow] = []
    at = FIRST_S
    while able and at < until:
        if at % (TROUBLE_S + CALM_S) < TROUBLE_S:
            blows.append(_blow(dice, at, able, processes, points, odds))
        at += dice.expovariate(1 / gap_s)
    return blows


def _blow(
    dice: random.Random,
    at: float,
    weights: Weights,
    processes: int,
    points: Sequence[str],
    odds: Sequence[Mapping[str, float]],
) -> Blow:
    [kind] = dice.choices(list(weights), list(weights.values()))
    return Blow(
        kind,
        at,
        length=dice.uniform(*LENGTHS_S.get(kind, (0, 0))),
        which=dice.randrange(processes),
        size=dice.choice(CLOCK_STEPS_S),
        point=f"{dice.choice(points)}:{dice.choice((1, 1, 2, 5))}",
        odds=dice.choice(odds),
    )
