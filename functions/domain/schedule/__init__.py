"""Schedules: what a task's `schedule` means, as instants across time zones and clock changes."""
