"""Jobs, as the unit tests of the task types build them."""

from tests.unit.task_types.conftest import make_job

__all__ = ["make_job"]
