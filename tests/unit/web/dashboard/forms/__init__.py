"""The form of a task."""
