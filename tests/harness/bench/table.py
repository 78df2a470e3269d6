"""The table people read and paste, and where and when it was measured."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.harness.bench.measures import Figure, Line, Skipped


def table(lines: Sequence[Line]) -> Iterator[str]:
    """The lines as a Markdown table; medians, with the lowest and the highest sample."""
    yield "| what | target | Cronfire | beside it, in the same run | verdict |"
    yield "|---|---|---|---|---|"
    for line in lines:
        cells = (line.title, line.target, _ours(line), _beside(line), _verdict(line))
        yield f"| {' | '.join(cells)} |"


def footer(place: dict[str, Any]) -> Iterator[str]:
    """One paragraph about the machine."""
    yield ""
    yield (
        f"Medians (lowest-highest). {place['at']}; {place['processor']}, {place['cores']} cores, "
        f"{place['memoryGib']:.1f} GiB; {place['system']}; Python {place['python']}; "
        f"load {place['loadBefore']:.2f} before, {place['loadAfter']:.2f} after, the run's own included."
    )


def surroundings(at: datetime, load_before: float) -> dict[str, Any]:
    """The machine as it is now."""
    return {
        "at": f"{at:%Y-%m-%d %H:%M} UTC",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memoryGib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        "loadBefore": load_before,
        "loadAfter": os.getloadavg()[0],
    }


def _ours(line: Line) -> str:
    if line.skipped:
        return "-"
    if len(line.ours) == 1:
        return f"**{line.ours[0]}**"
    return "<br>".join(f"{one.who.removeprefix('Cronfire, ')} **{one}**" for one in line.ours)


def _beside(line: Line) -> str:
    return "<br>".join(_contender(one) for one in line.beside) or "-"


def _contender(one: Figure | Skipped) -> str:
    if isinstance(one, Skipped):
        return f"{one.who}: skipped, {one.why}"
    return f"{one.who} {one}" + (f", {one.note}" if one.note else "")


def _verdict(line: Line) -> str:
    if line.skipped:
        return f"skipped: {line.skipped}"
    return "<br>".join(str(check) for check in line.checks)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for text in info.read_text(encoding="utf-8").splitlines() if info.exists() else ():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.machine()
