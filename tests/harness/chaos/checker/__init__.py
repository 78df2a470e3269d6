"""Judges a history: what was seen from outside, against what had to happen."""
