"""Which faults explain a second attempt at an occurrence whose first was not seen to fail."""

from collections.abc import Sequence

from tests.harness.chaos.checker.history import TARGET, Fault

DEADLY = {"kill", "term", "crash", "freeze"}
MARGIN_S = 10.0  # a clock that is wrong by less must do no harm at all: claims outlive attempts by more
CLAIM_S = 150.0  # the longest claim of these runs as a clock that is 90 s fast writes it
STALL_S = 4.0  # held up for less, a tick must see to everything all the same
OUTAGE_S = 3.0  # a store that is away for less must do no harm: a settlement is tried for longer
TICK_S = 24.0  # what a tick decides it has written, or taken back, within this


class Excuses:
    """The faults of a run, to be asked whether they explain something."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults

    def broken(self, process: str, since: float, until: float) -> bool:
        """Whether what *process* (or, if empty, any) had begun may have been left unfinished."""
        return any(
            fault.kind in DEADLY and _same(fault.where, process) and _meet(fault, since - 1, until)
            for fault in self._faults
        )

    def unclocked(self, since: float, until: float) -> bool:
        """Whether some clock was wrong by more than a claim's margin, so that claims were misjudged."""
        return any(
            fault.kind == "clock" and abs(fault.size) > MARGIN_S and _meet(fault, since - CLAIM_S, until)
            for fault in self._faults
        )

    def unwritten(self, since: float, until: float) -> bool:
        """Whether the store was away for so long that results could not be written."""
        return any(
            fault.kind == "store"
            and fault.ended - fault.started >= OUTAGE_S
            and _meet(fault, since - 30, until)
            for fault in self._faults
        )

    def takeover(self, process: str, since: float, until: float) -> bool:
        """Whether somebody else had reason to take over what *process* began at *since*."""
        return self.broken(process, since, until) or self.overslept(process, since, until)

    def overslept(self, process: str, since: float, until: float) -> bool:
        """Whether *process* may have lived on past its claim, and recorded a result that nobody waited for.

        One that died left either a record, which must be found, or none.
        """
        return (
            self.frozen(process, since - 1, until)
            or self.unclocked(since, until)
            or self.unwritten(since, until)
        )

    def frozen(self, process: str, since: float, until: float) -> bool:
        """Whether *process* slept, and may have done on waking what was no longer its business."""
        return any(
            fault.kind == "freeze" and _same(fault.where, process) and _meet(fault, since, until)
            for fault in self._faults
        )

    def disconnected(self, since: float, until: float) -> bool:
        """Whether the network between the processes and the target failed, or some clock was wrong."""
        return any(
            fault.kind in ("network", "clock") and _meet(fault, since - MARGIN_S, until + MARGIN_S)
            for fault in self._faults
        )

    def foreseen(self, at: float, by: float) -> bool:
        """Whether, some time before *by*, a clock that was fast showed *at* already.

        Whose clock it was does not matter: one process may have put the occurrence in line for another.
        """
        return any(
            fault.kind == "clock"
            and fault.size > 0
            and fault.started <= by
            and min(fault.ended, by) + fault.size >= at
            for fault in self._faults
        )

    def calm(self, since: float, until: float, *, but: str = "") -> bool:
        """Whether nothing was wrong in a span, nor shortly before it; *but* is a kind that does no harm."""
        faults = (fault for fault in self._faults if fault.kind != but and not _is_short(fault))
        return not any(_meet(fault, since - 60, until) for fault in faults)

    def held_up_one(self, process: str, since: float, until: float) -> float:
        """For how many seconds of a span *process* was held up, or if that is empty the one that was most."""
        names = {process} if process else {one.where for one in self._faults if one.kind == "late"} - {TARGET}
        return max((self.held_up(name, since, until) for name in names), default=0.0)

    def held_up(self, process: str, since: float, until: float) -> float:
        """For how many seconds of a span *process* (or, if empty, any) was seen to be held up.

        Those are measured, each where it happened: by a busy machine, by a store that was slow by itself.
        """
        spans = sorted(
            (max(since, fault.started), min(until, fault.ended))
            for fault in self._faults
            if fault.kind == "late" and _same(fault.where, process) and _meet(fault, since, until)
        )
        total, counted = 0.0, since
        for first, last in spans:
            total += max(0.0, last - max(first, counted))
            counted = max(counted, last)
        return total


def _is_short(fault: Fault) -> bool:
    return fault.kind == "late" and fault.ended - fault.started < STALL_S


def _same(where: str, process: str) -> bool:
    return not process or not where or where in (process, process.partition("/")[0])


def _meet(fault: Fault, since: float, until: float) -> bool:
    return fault.started <= until and fault.ended >= since
