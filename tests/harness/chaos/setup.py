"""What a run is to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.harness.chaos.faults.nemesis import GAP_S, ODDS, WEIGHTS, Weights
from tests.harness.chaos.faults.points import POINTS
from tests.harness.chaos.world.tasks import A_MINUTE, TIMEOUTS_S


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is to be; everything drawn in it is drawn from the seed.

    Attributes:
        store: `sqlite` or `firestore`.
        occurrences: About how many fall due.
        speed: How much faster than real time it goes.
        people_every_s: Seconds between two acts of people, on the average; 0 for none.
        settled_after_s: Waited at the end even when nothing seems to wait: a zombie may still speak.
        shared_emulator: `host:port` of an emulator that others use too, or empty for one of our own.
        workers: How many workers each server has, as gunicorn starts them.
        slots: How many attempts a process may make at once; 0 for as many as it likes.
        window: How many due tasks a tick reads at once; 0 for as many as it likes.
        timeouts: Of the tasks, in seconds, each as likely as the others.
        hanging_every: One task in so many calls a target that never answers.
        period: Minutes between two occurrences of a task, all at once; 1 for a mixture.
        settlements: What SETTLEMENTS is: `at_once` or `deferred`.
        with_guilty: Whether one task kills its process, and one document is refused for good.
        with_groups: Whether some tasks share groups, with limits.
        mutant: Name of a deliberate mistake, or empty.
    """

    store: str
    seed: int
    occurrences: int
    task_count: int
    speed: float
    processes: int = 2
    weights: Weights = field(default_factory=lambda: WEIGHTS)
    gap_s: float = GAP_S
    points: Sequence[str] = POINTS
    odds: Sequence[Mapping[str, float]] = ODDS
    people_every_s: float = 8.0
    settled_after_s: float = 60.0
    shared_emulator: str = ""
    workers: int = 1
    slots: int = 0
    window: int = 0
    timeouts: Sequence[int] = TIMEOUTS_S
    hanging_every: int = 100
    period: int = 1
    settlements: str = "at_once"
    with_guilty: bool = False
    with_groups: bool = False
    mutant: str = ""

    @property
    def length_s(self) -> float:
        """How long tasks fall due and faults strike, by the run's clock."""
        return 60.0 * self.period * self.occurrences / (self.task_count * A_MINUTE)
