"""Moves tasks between installations: archives of a whole store, and task lists of other schedulers."""
