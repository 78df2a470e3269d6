"""Situations from public trackers of other projects, each with its source and what Cronfire must make of it.

The facts are from there, no text or code; each runs through the real parts against a server on loopback.
"""
