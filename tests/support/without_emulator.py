"""Plug-in of scripts/test for a machine without Firestore's emulator: skips what needs it, and lists it."""

import pytest

SKIPPED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests marked `emulator`."""
    skipped = [item for item in items if item.get_closest_marker("emulator")]
    for item in skipped:
        item.add_marker(pytest.mark.skip(reason="there is no Firestore emulator"))
    config.stash[SKIPPED] = [item.nodeid for item in skipped]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name every one of them at the end, where nobody can miss it."""
    skipped = config.stash.get(SKIPPED, [])
    if skipped:
        terminalreporter.section("NOT TESTED: there is no Firestore emulator", yellow=True, bold=True)
        for name in skipped:
            terminalreporter.write_line(f"not run: {name}")
        terminalreporter.write_line(
            f"{len(skipped)} tests were skipped. Install an emulator (scripts/emulator --help), "
            "or set REQUIRE_EMULATOR=1 to make this a failure."
        )
