"""The benchmark: one command, one table, each line beside its peer or its floor, measured in the same run."""
