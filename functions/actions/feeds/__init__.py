"""Reading feeds: pure functions from the bytes of an answer to entries, and from entries to what is new."""
