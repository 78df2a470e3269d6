"""Task files: YAML or JSON files of tasks, parsed and checked so that every problem is reported at once."""

from functions.domain.validation import FileProblem, Problem
from functions.taskfiles.loader import LoadResult, read_task_files
from functions.taskfiles.validation import check_task

__all__ = ["FileProblem", "LoadResult", "Problem", "check_task", "read_task_files"]
