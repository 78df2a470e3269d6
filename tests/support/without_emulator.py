"""Plug-in of scripts/test for a machine without Firestore's emulator: skips what needs it, and lists it."""

import pytest

REASON = "there is no Firestore emulator"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `emulator`."""
    for item in items:
        if item.get_closest_marker("emulator"):
            item.add_marker(pytest.mark.skip(reason=REASON))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every one of them at the end; read from the reports, which also come from other processes."""
    reports = terminalreporter.stats.get("skipped", [])
    skipped = sorted(report.nodeid for report in reports if REASON in str(report.longrepr))
    if skipped:
        terminalreporter.section(f"NOT TESTED: {REASON}", yellow=True, bold=True)
        for name in skipped:
            terminalreporter.write_line(f"not run: {name}")
        terminalreporter.write_line(
            f"{len(skipped)} tests were skipped. Install an emulator (scripts/emulator --help), "
            "or set REQUIRE_EMULATOR=1 to make this a failure."
        )
