"""Histories made by hand, right ones and wrong ones, that hold the checker to its rules."""
