"""Task files: YAML or JSON that people keep, read whole and checked until every fault in them is known."""

from functions.domain.validation import FileProblem, Problem
from functions.taskfiles.loader import LoadResult, read_task_files
from functions.taskfiles.validation import check_task

__all__ = ["FileProblem", "LoadResult", "Problem", "check_task", "read_task_files"]
