"""The command line as the unit tests have it, beside processes of its own."""

from tests.unit.cli.conftest import environment, scheduler, site, write_tasks

__all__ = ["environment", "scheduler", "site", "write_tasks"]
