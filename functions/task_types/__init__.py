"""task_types."""
