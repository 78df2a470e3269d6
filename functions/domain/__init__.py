"""The data and decisions of the scheduler: pure functions, without I/O, clock or randomness."""
