"""Imports from other schedulers: their files are read, converted to tasks and saved."""
