"""The result of a run in words: for the screen, for a page, for a program."""

import os
import platform
import statistics
from collections import Counter
from typing import Any

from tests.harness.chaos.checker.history import Fault
from tests.harness.chaos.checker.verdict import CODES
from tests.harness.chaos.run import Result

SHOWN = 5  # examples of each kind of violation


def passed(result: Result) -> bool:
    """Whether everything was as promised."""
    return not result.verdict.violations


def headline(result: Result) -> dict[str, int]:
    """The figures everybody asks for first."""
    counts = result.verdict.counts
    by_code = Counter(code for code, _ in result.verdict.violations)
    skips = {
        name.removeprefix("ended: "): number for name, number in counts.items() if "ended: skipped" in name
    }
    return {
        "occurrences due": counts["occurrences due"],
        "attempted": counts["occurrences attempted"],
        "retried after a failure": counts["retried after a failure"],
        **dict(sorted(skips.items())),
        "lost": by_code["lost"],
        "concurrently doubled": by_code["doubled"] + by_code["repeated"] + by_code["at_most_once"],
        "unknown": sum(by_code.values())
        - sum(by_code[code] for code in ("lost", "doubled", "repeated", "at_most_once")),
    }


def as_json(result: Result) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "store": result.setup.store,
        "seed": result.setup.seed,
        "passed": passed(result),
        "tookSeconds": round(result.took_s),
        "virtualSeconds": round(result.history.read - result.history.ops[0].invoked),
        "machine": machine(),
        "headline": headline(result),
        "counts": dict(sorted(result.verdict.counts.items())),
        "faults": dict(sorted(_faults(result).items())),
        "acts": dict(sorted(_acts(result).items())),
        "pings": _pings(result),
        "lateness": _lateness(result),
        "violations": [list(one) for one in result.verdict.violations],
    }


def as_text(result: Result) -> str:
    """The result for the screen; its last line says it all."""
    lines = [_what(result), ""]
    for title, figures in _tables(result):
        lines += [title, *(f"  {number:>8}  {name}" for name, number in figures.items()), ""]
    for code in sorted(result.verdict.codes):
        seen = [what for found, what in result.verdict.violations if found == code]
        lines += [f"{code} ({len(seen)}): {CODES[code]}", *(f"  {one[:400]}" for one in seen[:SHOWN]), ""]
    return "\n".join([*lines, _verdict(result)])


def as_markdown(result: Result) -> str:
    """The result as a page."""
    lines = [f"## {result.setup.store}, seed {result.setup.seed}", "", _what(result), ""]
    for title, figures in _tables(result):
        lines += [f"| {title} | |", "|---|---:|"]
        lines += [f"| {name} | {number:,} |" for name, number in figures.items()] + [""]
    for code, what in result.verdict.violations[:50]:
        lines.append(f"- `{code}` {what[:400]}")
    return "\n".join([*lines, _verdict(result), ""])


def machine() -> str:
    """Where it ran."""
    model = platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), {system}"


def _tables(result: Result) -> list[tuple[str, dict[str, int]]]:
    return [
        ("Occurrences", headline(result)),
        ("What became of them", dict(sorted(result.verdict.counts.items()))),
        ("Faults", dict(sorted(_faults(result).items()))),
        ("Acts of people", dict(sorted(_acts(result).items()))),
        ("Pings", _pings(result)),
        ("Seconds between due and begun", _lateness(result)),
    ]


def _what(result: Result) -> str:
    setup, history = result.setup, result.history
    minutes = (history.read - history.ops[0].invoked) / 60
    return (
        f"{setup.store}, seed {setup.seed}: {setup.task_count} tasks for {minutes:.0f} minutes of its clock "
        f"(x{setup.speed:g}), {result.took_s:.0f} s in all, on {machine()}"
    )


def _verdict(result: Result) -> str:
    figures = headline(result)
    name = "PASSED" if passed(result) else "FAILED"
    told = ", ".join(f"{figures[one]} {one}" for one in ("lost", "concurrently doubled", "unknown"))
    return f"{name}: {figures['occurrences due']} occurrences due, {told} (seed {result.setup.seed})"


def _faults(result: Result) -> Counter[str]:
    return Counter(_name(fault) for fault in result.history.faults)


def _name(fault: Fault) -> str:
    if fault.kind == "freeze" and not fault.where:
        return "freeze: the machine was too busy"
    return f"{fault.kind}: {fault.point}" if fault.point else fault.kind


def _acts(result: Result) -> Counter[str]:
    return Counter(op.kind if op.result == "done" else f"{op.kind}, {op.result}" for op in result.history.ops)


def _pings(result: Result) -> dict[str, int]:
    pings = result.history.pings
    return {
        "sent": len(pings),
        "not answered": sum(ping.status == 0 for ping in pings),
        "answered: the store was away": sum(ping.report.get("status") == "degraded" for ping in pings),
        "claims lost to another tick": sum(ping.report.get("lostClaims", 0) for ping in pings),
    }


def _lateness(result: Result) -> dict[str, int]:
    late = sorted(result.verdict.lateness)
    if len(late) < 2:
        return {}
    return {
        "median": round(statistics.median(late)),
        "99 %": round(late[int(len(late) * 0.99)]),
        "most": round(late[-1]),
    }
