"""Marks what the tests of this folder need: a process of their own, or minutes."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = ("harness",)
# What needs an emulator, a server with real waits, or much time, and no second process.
IN_PROCESS = (
    "cli/test_admin_bitable.py",
    "cli/test_export_import.py",
    "harness/test_nth_call.py",
    "harness/test_year.py",
    "stores/test_bitable_edits.py",
    "stores/test_bitable_faults.py",
    "stores/test_bitable_lease.py",
    "stores/test_firestore.py",
    "stores/test_firestore_bill.py",
    "stores/test_firestore_faults.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole files by their place."""
    for item in items:
        if item.path.is_relative_to(HERE):
            place = item.path.relative_to(HERE).as_posix()
            if place not in IN_PROCESS:
                item.add_marker(pytest.mark.process)
            if place.startswith(SLOW):
                item.add_marker(pytest.mark.slow)
