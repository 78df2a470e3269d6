"""Makes each deliberate mistake in turn, in conditions in which it shows; a run with it must not pass."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.chaos.checker import judge
from tests.harness.chaos.clock import fast_loop
from tests.harness.chaos.mutants import MUTANTS
from tests.harness.chaos.nemesis import ODDS, Weights
from tests.harness.chaos.points import POINTS
from tests.harness.chaos.run import Result, run
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.sleepers import oversleep
from tests.harness.chaos.verdict import Verdict

TASKS, OCCURRENCES, SPEED = 60, 260, 12.0
TRIES = 3  # each with the next seed: some mistakes need an unhappy coincidence


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a mistake needs to show, and nothing besides: what a fault explains is no objection.

    Attributes:
        weights: The faults.
        objections: Codes of the checker, of which one must be among those it gives.
    """

    weights: Weights
    objections: frozenset[str]
    gap_s: float = 12.0
    points: Sequence[str] = POINTS
    odds: Sequence[Mapping[str, float]] = ODDS
    with_guilty: bool = False
    occurrences: int = OCCURRENCES


CRASHES: Weights = {"crash": 3, "kill": 1}
CONDITIONS: Mapping[str, Conditions] = {
    "claim_without_precondition": Conditions({}, frozenset({"doubled", "repeated", "accounted_twice"})),
    "advance_before_run": Conditions(CRASHES, frozenset({"lost"})),
    "ledger_after_settlement": Conditions(CRASHES, frozenset({"lost", "unrecorded"}), 8.0),
    "ignore_the_ledger": Conditions(
        CRASHES, frozenset({"accounted_twice", "repeated"}), 12.0, points=("after_ledger",)
    ),
    "unanswered_claims_are_won": Conditions(
        {"odds": 1}, frozenset({"doubled", "repeated", "unrecorded"}), 10.0, odds=({"before": 0.4},)
    ),
    "unanswered_claims_are_lost": Conditions(
        {"odds": 1}, frozenset({"abandoned_without_cause"}), odds=({"unknown": 0.4},)
    ),
    "skips_without_record": Conditions({"silence": 1}, frozenset({"lost"}), 60.0),
    "told_before_it_is_said": Conditions(
        {"crash": 1}, frozenset({"not_told"}), 8.0, points=("before_notice",)
    ),
    "at_most_once_forgotten": Conditions(CRASHES, frozenset({"at_most_once"}), 8.0, points=("after_send",)),
    "claims_called_late": Conditions({}, frozenset({"abandoned_without_cause"})),
    "suspects_together": Conditions({}, frozenset({"punished"}), with_guilty=True, occurrences=400),
    "refusals_spread": Conditions({}, frozenset({"punished"}), with_guilty=True),
    "stopping_is_a_failure": Conditions({"term": 1}, frozenset({"false_record"}), 15.0),
    "refused_notices_are_delivered": Conditions({"bad_channel": 1}, frozenset({"not_told"}), 40.0),
    "replaced_unseen": Conditions(
        {"replace": 1}, frozenset({"lost", "unrecorded", "repeated", "accounted_twice"}), 60.0
    ),
    "leaves_some_alone": Conditions({}, frozenset({"passed_over"})),
    "runs_early": Conditions({}, frozenset({"early"})),
}
PLAYED = {
    "settle_without_fence": (oversleep, frozenset({"doubled", "repeated"}))
}  # too rare a coincidence to wait for


@dataclass(frozen=True, slots=True)
class Noticed:
    """What became of one mutant; *objections* are all codes the checker gave."""

    mutant: str
    seed: int
    noticed: bool
    objections: Mapping[str, int] = field(default_factory=dict)


def mutate(folder: Path, *, seed: int, only: Sequence[str], say: Callable[[str], None]) -> int:
    """Make each mistake, or *only* some; return 0 when every one was noticed."""
    found = [_noticed(mutant, folder, seed=seed, say=say) for mutant in only or MUTANTS]
    for one in found:
        seen = ", ".join(f"{code} {number}" for code, number in sorted(one.objections.items())) or "nothing"
        mark = "noticed" if one.noticed else "SURVIVED"
        print(f"{mark:9} {one.mutant:28} seed {one.seed}: {seen}")  # noqa: T201  # this is what it is for
    return 0 if all(one.noticed for one in found) else 1


def _noticed(mutant: str, folder: Path, *, seed: int, say: Callable[[str], None]) -> Noticed:
    if mutant in PLAYED:
        return _played(mutant, folder, seed)
    one = Noticed(mutant, seed, False)
    for number in range(TRIES):
        say(f"{mutant}, seed {seed + number}")
        place = folder / f"{mutant}-{seed + number}"
        place.mkdir(parents=True)
        result = _run(mutant, place, seed + number)
        one = _judged(mutant, seed + number, result.verdict, CONDITIONS[mutant].objections)
        if one.noticed:
            break
    return one


def _played(mutant: str, folder: Path, seed: int) -> Noticed:
    play, objections = PLAYED[mutant]
    place = folder / mutant
    place.mkdir(parents=True)
    return _judged(mutant, seed, judge(asyncio.run(play(place, mutant=mutant))), objections)


def _judged(mutant: str, seed: int, verdict: Verdict, objections: frozenset[str]) -> Noticed:
    return Noticed(
        mutant, seed, bool(objections & verdict.codes), Counter(code for code, _ in verdict.violations)
    )


def _run(mutant: str, folder: Path, seed: int) -> Result:
    conditions = CONDITIONS[mutant]
    setup = Setup(
        store="sqlite",
        seed=seed,
        occurrences=conditions.occurrences,
        with_guilty=conditions.with_guilty,
        task_count=TASKS,
        speed=SPEED,
        weights=conditions.weights,
        gap_s=conditions.gap_s,
        points=conditions.points,
        odds=conditions.odds,
        people_every_s=0,
        mutant=mutant,
    )
    with asyncio.Runner(loop_factory=fast_loop(setup.speed)) as runner:
        return runner.run(run(setup, folder, say=lambda _: None))
