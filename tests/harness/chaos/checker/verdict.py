"""What a checker has to say: counts of everything, and each violation by its code."""

from collections import Counter
from dataclasses import dataclass, field

CODES = {
    "lost": "an occurrence without a run, a skip, or a place in line",
    "accounted_twice": "an occurrence that came to two ends",
    "doubled": "two attempts at one occurrence, or of one task, at the same time",
    "repeated": "a further attempt although the one before was neither failed nor left unfinished",
    "at_most_once": "a second attempt at an occurrence that asked for one at most",
    "unrecorded": "a request at the target without a record",
    "false_record": "a success on record that the target knows nothing of, or a failure that was none",
    "phantom": "an attempt or a record of an instant that nobody asked for",
    "early": "an attempt before its instant",
    "passed_over": "due, and seen by a healthy tick, but left alone",
    "out_of_turn": "missed work begun before what was on time, or for more than its share of a tick",
    "crowded_out": "tasks that had timed out held more than their share of the slots",
    "over_limit": "more attempts of a group at once, or in a minute, than it allows",
    "skipped_without_cause": "skipped for a cause that there was not",
    "punished": "quarantined, or at rest at the end, although neither it nor anybody has caused that",
    "unstopped": "a task that killed its process again and again, and was never stopped",
    "given_up": "an occurrence that was over although its attempts had been cut from outside",
    "begun_too_late": "an attempt begun with less time than it was known to need, and cut",
    "abandoned_without_cause": "an attempt given up although nothing had happened to its process",
    "miscounted": "a record of skipped occurrences with a wrong count",
    "stuck": "not over although everything had been healthy for long",
    "wrong_next": "the next look is not at the next occurrence",
    "not_told": "a failure or recovery that nobody was told of",
    "told_again": "a notice that had been taken, sent again although nothing had happened",
    "false_report": "a report of a tick that says more than was written",
    "vanished": "a task that is gone although nobody deleted it",
}


@dataclass(slots=True)
class Verdict:
    """Counts, and violations as (code, what was seen)."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, str]] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)

    def object(self, code: str, seen: str) -> None:
        """Note a violation."""
        assert code in CODES
        self.violations.append((code, seen))

    @property
    def codes(self) -> set[str]:
        """The codes of all violations."""
        return {code for code, _ in self.violations}
