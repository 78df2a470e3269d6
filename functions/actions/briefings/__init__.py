"""The daily briefing: pure functions from tasks and runs to facts, and from facts to words."""
