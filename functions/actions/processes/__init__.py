"""Running a program on this machine: its output within bounds, its end certain, with all it started."""
