"""Alerts: which notifications a task causes, where they go, and how they wait for delivery."""
