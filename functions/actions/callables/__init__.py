"""Calling functions of the user's own: which may be called, where they run, what their answers mean."""
