"""Task files: YAML or JSON that people keep, read whole and checked until every fault in them is known."""

from functions.taskfiles.checking import check_task
from functions.taskfiles.faults import Fault, Problem
from functions.taskfiles.loading import Loaded, read_task_files

__all__ = ["Fault", "Loaded", "Problem", "check_task", "read_task_files"]
