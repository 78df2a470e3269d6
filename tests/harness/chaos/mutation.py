"""Makes each deliberate mistake in turn, in conditions in which it shows; a run with it must not pass."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.checker.verdict import Verdict
from tests.harness.chaos.faults.nemesis import ODDS, Weights
from tests.harness.chaos.faults.points import POINTS
from tests.harness.chaos.mutants import MUTANTS
from tests.harness.chaos.run import Result, run
from tests.harness.chaos.scenarios.zombie_workers import play_zombie_worker
from tests.harness.chaos.setup import Setup
from tests.harness.chaos.world.clock import fast_loop
from tests.harness.chaos.world.tasks import TIMEOUTS_S

TASKS, OCCURRENCES, SPEED = 60, 260, 12.0
LOAD_SPEED = 6.0  # where what binds is to be the tick's time and its slots, and not the machine
TRIES = 3  # each with the next seed: some mistakes need an unhappy coincidence


@dataclass(frozen=True, slots=True)
class Load:
    """What binds, and how many share it: see `Setup`."""

    slots: int = 0
    window: int = 0
    timeouts: Sequence[int] = TIMEOUTS_S
    hanging_every: int = 100
    processes: int = 2
    workers: int = 1
    speed: float = SPEED


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a mistake needs to show, and nothing besides: what a fault explains is no violation.

    Attributes:
        weights: The faults.
        violations: Codes of the checker, of which one must be among those it gives.
    """

    weights: Weights
    violations: frozenset[str]
    gap_s: float = 12.0
    points: Sequence[str] = POINTS
    odds: Sequence[Mapping[str, float]] = ODDS
    with_guilty: bool = False
    with_groups: bool = False
    settlements: str = "at_once"
    occurrences: int = OCCURRENCES
    load: Load = Load()


FEW_SLOTS = Load(slots=4, timeouts=(20,), speed=LOAD_SPEED)
MANY_HANG = Load(slots=8, hanging_every=2, speed=LOAD_SPEED)
CRASHES: Weights = {"crash": 3, "kill": 1}
CONDITIONS: Mapping[str, Conditions] = {
    "claim_without_precondition": Conditions(
        {}, frozenset({"doubled", "repeated", "accounted_twice"}), load=Load(processes=1, workers=3)
    ),
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
    "begun_to_be_cut": Conditions(
        {"odds": 1},
        frozenset({"begun_too_late"}),
        10.0,
        odds=({"hang": 0.4},),
        load=Load(timeouts=(20,), hanging_every=3, speed=LOAD_SPEED),
    ),
    "groups_without_slots": Conditions({}, frozenset({"over_limit"}), with_groups=True),
    "suspects_together": Conditions({}, frozenset({"punished"}), with_guilty=True, occurrences=400),
    "refusals_spread": Conditions(
        {}, frozenset({"punished"}), with_guilty=True, load=Load(speed=4.0)
    ),  # slow enough for results that are written together
    "stopping_is_a_failure": Conditions({"term": 1}, frozenset({"false_record"}), 15.0),
    "refused_notices_are_delivered": Conditions({"bad_channel": 1}, frozenset({"not_told"}), 40.0),
    "replaced_unseen": Conditions(
        {"replace": 1}, frozenset({"lost", "unrecorded", "repeated", "accounted_twice"}), 60.0
    ),
    "starts_by_whole_timeout": Conditions({}, frozenset({"passed_over"}), load=FEW_SLOTS),
    "cut_is_final": Conditions({}, frozenset({"given_up"}), load=replace(FEW_SLOTS, hanging_every=12)),
    "reads_no_further": Conditions({}, frozenset({"passed_over"}), load=Load(window=20)),
    "missed_first": Conditions(
        {"silence": 1}, frozenset({"out_of_turn"}), 60.0, load=Load(slots=4, speed=LOAD_SPEED)
    ),
    "missed_without_bound": Conditions(
        {"silence": 1},
        frozenset({"out_of_turn"}),
        60.0,
        load=Load(slots=2, hanging_every=10, speed=LOAD_SPEED),  # of more, two slots are never free again
    ),
    "no_fair_slots": Conditions({}, frozenset({"crowded_out"}), load=MANY_HANG),
    "nobody_pinged": Conditions({}, frozenset({"skipped_without_cause"}), load=MANY_HANG),
    "counts_before_the_write": Conditions(
        {"odds": 1}, frozenset({"false_report"}), 10.0, odds=({"before": 0.7},)
    ),
    "killers_go_on": Conditions({}, frozenset({"unstopped"}), with_guilty=True, occurrences=600),
    "all_in_flight_are_guilty": Conditions(CRASHES, frozenset({"punished"})),
    "taken_notices_are_sent_again": Conditions({}, frozenset({"told_again"})),
    "deferred_without_record": Conditions(
        {"odds": 1},
        frozenset({"abandoned_without_cause", "repeated"}),
        10.0,
        odds=({"ledger": 0.4},),
        settlements="deferred",
    ),
    "defers_failures": Conditions({}, frozenset({"not_told", "passed_over"}), settlements="deferred"),
    "deferred_is_forgotten": Conditions(
        {}, frozenset({"repeated", "accounted_twice", "abandoned_without_cause"}), settlements="deferred"
    ),
    "leaves_some_alone": Conditions({}, frozenset({"passed_over"})),
    "runs_early": Conditions({}, frozenset({"early"})),
}
PLAYED = {
    "settle_without_fence": (play_zombie_worker, frozenset({"doubled", "repeated"}))
}  # too rare a coincidence to wait for


CONTROL = ""  # the name of no mistake: the same conditions must bring no violation


@dataclass(frozen=True, slots=True)
class Noticed:
    """What became of one mutant, or of the control in its conditions; *violations* are all codes given."""

    mutant: str
    seed: int
    as_wanted: bool
    violations: Mapping[str, int] = field(default_factory=dict)
    is_control: bool = False

    @property
    def mark(self) -> str:
        """What it came to, in a word."""
        if self.is_control:
            return "control" if self.as_wanted else "VIOLATED"
        return "noticed" if self.as_wanted else "SURVIVED"


def mutate(
    folder: Path, *, seed: int, only: Sequence[str], controls: bool, say: Callable[[str], None]
) -> int:
    """Make each mistake, or *only* some, and, with *controls*, none in the same conditions.

    Returns:
        0 when every one was noticed and nothing else.
    """
    found: list[Noticed] = []
    for mutant in only or MUTANTS:
        runs = [_noticed(mutant, folder, seed=seed, say=say)]
        if controls:
            runs.append(_control(mutant, folder, seed, say))
        for one in runs:
            seen = ", ".join(f"{code} {number}" for code, number in sorted(one.violations.items()))
            print(f"{one.mark:9} {one.mutant:28} seed {one.seed}: {seen or 'nothing'}", flush=True)  # noqa: T201  # this is what it is for
            found.append(one)
    return 0 if all(one.as_wanted for one in found) else 1


def _noticed(mutant: str, folder: Path, *, seed: int, say: Callable[[str], None]) -> Noticed:
    violations = PLAYED[mutant][1] if mutant in PLAYED else CONDITIONS[mutant].violations
    for number in range(TRIES):
        say(f"{mutant}, seed {seed + number}")
        verdict = _judged(mutant, folder / f"{mutant}-{seed + number}", seed + number, mistake=mutant)
        one = Noticed(mutant, seed + number, bool(violations & verdict.codes), _codes(verdict))
        if one.as_wanted or mutant in PLAYED:
            break
    return one


def _control(mutant: str, folder: Path, seed: int, say: Callable[[str], None]) -> Noticed:
    say(f"{mutant}, control, seed {seed}")
    verdict = _judged(mutant, folder / f"{mutant}-control", seed, mistake=CONTROL)
    return Noticed(mutant, seed, not verdict.violations, _codes(verdict), is_control=True)


def _codes(verdict: Verdict) -> Counter[str]:
    return Counter(code for code, _ in verdict.violations)


def _judged(mutant: str, folder: Path, seed: int, *, mistake: str) -> Verdict:
    """Judge a run in the conditions of *mutant*, with that *mistake* or none."""
    folder.mkdir(parents=True)
    if mutant in PLAYED:
        return judge(asyncio.run(PLAYED[mutant][0](folder, mutant=mistake)))
    return _run(CONDITIONS[mutant], folder, seed, mistake).verdict


def _run(conditions: Conditions, folder: Path, seed: int, mistake: str) -> Result:
    load = conditions.load
    setup = Setup(
        store="sqlite",
        seed=seed,
        occurrences=conditions.occurrences,
        with_guilty=conditions.with_guilty,
        with_groups=conditions.with_groups,
        settlements=conditions.settlements,
        task_count=TASKS,
        speed=load.speed,
        processes=load.processes,
        workers=load.workers,
        slots=load.slots,
        window=load.window,
        timeouts=load.timeouts,
        hanging_every=load.hanging_every,
        weights=conditions.weights,
        gap_s=conditions.gap_s,
        points=conditions.points,
        odds=conditions.odds,
        people_every_s=0,
        mutant=mistake,
    )
    with asyncio.Runner(loop_factory=fast_loop(setup.speed)) as runner:
        return runner.run(run(setup, folder, say=lambda _: None))
