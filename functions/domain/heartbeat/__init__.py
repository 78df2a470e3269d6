"""Heartbeats: tasks that are run elsewhere and call in."""
